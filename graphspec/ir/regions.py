"""Which part of a value is needed: boxes of it, at places known now or when the program runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from graphspec.ir.sizes import Size, Symbolic, product, surely_at_least

if TYPE_CHECKING:
    from graphspec.ir.op import Value
    from graphspec.ir.types import TensorType


@dataclass(frozen=True, eq=False)
class Rounded:
    """An integer made of a position: `of // number`, `of % number`, or `of` brought into 0..number ("clip").

    Equal where its parts are equal.  The hash and the values it is made of are kept, so that long chains
    (a box followed through many layers) cost no more than short ones.
    """

    kind: Literal["//", "%", "clip"]
    of: Position
    number: Size
    #: the values that it is computed from
    bases: tuple[Value, ...] = field(init=False)
    _hash: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bases", self.of.bases)
        object.__setattr__(self, "_hash", hash((self.kind, self.of, self.number)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Rounded)
            and self._hash == other._hash
            and (self.kind, self.number, self.of) == (other.kind, other.number, other.of)
        )


Term: TypeAlias = "Value | Rounded"


@dataclass(frozen=True, slots=True)
class Position:
    """A place on an axis: `number + factor_1 * term_1 + ...`, each term an integer known at run time.

    Two positions with the same terms have a distance that is known now.
    """

    number: Size = 0
    terms: tuple[tuple[Term, Size], ...] = ()

    @staticmethod
    def at(value: Value) -> Position:
        """Where the one element of an integer points, seen through sums with numbers and multiples."""
        number, factor = 0, 1  # type: Size, Size
        while True:
            node = value.node
            if node.op.name == "arange":
                return Position(number)
            left, right = (_integer(v) for v in node.inputs) if len(node.inputs) == 2 else (None, None)
            match node.op.name, left, right:
                case "add", None, int() | Symbolic():
                    number, value = number + factor * right, node.inputs[0]
                case "add", int() | Symbolic(), None:
                    number, value = number + factor * left, node.inputs[1]
                case "sub", None, int() | Symbolic():
                    number, value = number - factor * right, node.inputs[0]
                case "sub", int() | Symbolic(), None:
                    number, factor, value = number + factor * left, -factor, node.inputs[1]
                case "mul", None, int() | Symbolic():
                    factor, value = factor * right, node.inputs[0]
                case "mul", int() | Symbolic(), None:
                    factor, value = factor * left, node.inputs[1]
                case "neg", _, _:
                    factor, value = -factor, node.inputs[0]
                case _:
                    known = _integer(value)
                    if known is not None:
                        return Position(number + factor * known)
                    return Position(number, ((value, factor),))

    @property
    def is_static(self) -> bool:
        return not self.terms

    @property
    def bases(self) -> tuple[Value, ...]:
        """The values that it is computed from."""
        found: dict[Value, None] = {}
        for term, _ in self.terms:
            found |= dict.fromkeys(term.bases if isinstance(term, Rounded) else (term,))
        return tuple(found)

    def __add__(self, other: Position | Size) -> Position:
        if not isinstance(other, Position):
            return Position(self.number + other, self.terms)
        factors: dict[Term, Size] = dict(self.terms)
        for term, factor in other.terms:
            factors[term] = factors.get(term, 0) + factor
        return Position(self.number + other.number, tuple((t, f) for t, f in factors.items() if f != 0))

    def __sub__(self, other: Position | Size) -> Position:
        return self + other * -1

    def __mul__(self, factor: Size) -> Position:
        return Position(self.number * factor, tuple((term, own * factor) for term, own in self.terms))

    def __floordiv__(self, number: Size) -> Position:
        if number == 1 or self.is_static:
            return Position(self.number // number, self.terms)
        return Position(0, ((Rounded("//", self, number), 1),))

    def __mod__(self, number: Size) -> Position:
        if number == 1 or self.is_static:
            return Position(self.number % number)
        return Position(0, ((Rounded("%", self, number), 1),))

    def clipped(self, high: Size) -> Position:
        """The nearest position from 0 to `high`; of one that is not known yet."""
        assert self.terms
        return Position(0, ((Rounded("clip", self, high), 1),))


@dataclass(frozen=True, slots=True)
class Span:
    """The places start, start + step, ..., `size` of them.

    Where it is not `inside` the axis, which only a span with steps of 1 may not be, a fill is read.
    """

    start: Position
    size: Size
    step: int = 1
    inside: bool = True


@dataclass(frozen=True, slots=True)
class Rows:
    """The places `number + factor * i` for each element i of `index`, in row-major order."""

    index: Value
    size: Size
    factor: Size = 1
    number: Size = 0


def _integer(value: Value) -> Size | None:
    """The number that a literal is."""
    number = getattr(value.node.op, "value", None) if value.node.op.name == "literal" else None
    return number if isinstance(number, int | Symbolic) and not isinstance(number, bool) else None


#: what is needed along an axis; None: all of it
Simple: TypeAlias = "Span | Rows | None"


@dataclass(frozen=True, slots=True)
class Parts:
    """An axis seen as several, the first of which is the slowest: a size and what is needed, for each."""

    parts: tuple[tuple[Size, Simple], ...]


Axis: TypeAlias = "Span | Rows | Parts | None"
#: a box of a value: what is needed along each of its axes
Region: TypeAlias = "tuple[Axis, ...]"


@dataclass(frozen=True, slots=True)
class Need:
    """A box of an operand; what lies outside the operand reads as `fill`."""

    region: Region
    fill: float = 0


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """How an op makes a box of its result: from what it needs of each operand, None being nothing.

    `build` gets the boxes of the operands in their order, each with as many axes as the operand, and
    gives the box `made` of the result, which contains the one that was asked for.
    """

    needs: tuple[Need | None, ...]
    build: Callable[..., Value]
    made: Region


def whole(rank: int) -> Region:
    """All of a value."""
    return (None,) * rank


def is_whole(region: Region) -> bool:
    return all(axis is None for axis in region)


def length(axis: Axis, size: Size) -> Size:
    """How many places are needed along an axis of a size."""
    if axis is None:
        return size
    if isinstance(axis, Parts):
        return product(tuple(length(part, own) for own, part in axis.parts))
    return axis.size


def box_shape(region: Region, shape: Iterable[Size]) -> tuple[Size, ...]:
    """The shape of a box of a value with that shape."""
    return tuple(length(axis, size) for axis, size in zip(region, shape, strict=True))


def simple_parts(axis: Axis) -> tuple[Simple, ...]:
    return tuple(part for _, part in axis.parts) if isinstance(axis, Parts) else (axis,)


def bases(region: Region) -> tuple[Value, ...]:
    """The values that say at run time where a box is."""
    found: dict[Value, None] = {}
    for axis in region:
        for part in simple_parts(axis):
            if isinstance(part, Rows):
                found[part.index] = None
            elif part is not None:
                found |= dict.fromkeys(part.start.bases)
    return tuple(found)


def normal(region: Region, shape: tuple[Size, ...]) -> Region:
    """The region with each axis in its shortest form."""
    return tuple(_normal(axis, size) for axis, size in zip(region, shape, strict=True))


def _normal(axis: Axis, size: Size) -> Axis:
    if isinstance(axis, Parts):
        parts = tuple((own, _normal_span(part, own)) for own, part in axis.parts if own != 1)
        if all(part is None for _, part in parts):
            return None
        return parts[0][1] if len(parts) == 1 else Parts(parts)
    return _normal_span(axis, size)


def _normal_span(axis: Simple, size: Size) -> Simple:
    if not isinstance(axis, Span):
        return axis
    if axis.inside and (size == 1 or (axis.size == size and axis.step == 1)):
        return None
    return Span(axis.start, 1, 1, axis.inside) if axis.size == 1 and axis.step != 1 else axis


def as_span(axis: Axis) -> Span | None:
    """The axis as one span, if it is one: of parts, those in front are single places, or all but the
    last are whole and the rest a single place."""
    if not isinstance(axis, Parts):
        return axis if isinstance(axis, Span) else None
    return _flat_span(axis.parts)


def _flat_span(parts: tuple[tuple[Size, Simple], ...]) -> Span | None:
    *lead, (inner, last) = parts
    is_column = isinstance(last, Span) and last.size == 1 and all(part is None for _, part in lead)
    if is_column and isinstance(last, Span) and isinstance(inner, int):
        return Span(last.start, product(tuple(size for size, _ in lead)), inner)
    start, length, step, stride = Position(), None, 1, 1  # type: Position, Size | None, int, Size
    for size, part in reversed(parts):
        if length is None and part is None:
            pass
        elif length is None and isinstance(part, Span):
            if part.step != 1 and stride != 1:
                return None
            start, length, step = part.start * stride, part.size * stride, part.step
        elif isinstance(part, Span) and part.size == 1:
            start = start + part.start * stride
        else:
            return None
        stride = stride * size
    return None if length is None else Span(start, length, step)


def axis_from(span: Span, sizes: tuple[Size, ...]) -> tuple[Simple, ...] | None:
    """A span of the axis that several axes of these sizes make together, as what is needed of each of
    them; None if that is no box."""
    found: list[Simple] = []
    for k in range(len(sizes)):
        inner = product(sizes[k + 1 :])
        if span.size == 1 or (k == len(sizes) - 1):
            found.append(Span(span.start // inner, span.size, span.step))
            span = Span(span.start % inner, span.size, span.step)
            continue
        if span.step == 1 and _divides(inner, span):
            parts = tuple((term, factor // inner) for term, factor in span.start.terms)
            start = Position(span.start.number // inner, parts)
            return (*found, Span(start, span.size // inner), *(None for _ in sizes[k + 1 :]))
        start = span.start
        last = start.number + (span.size - 1) * span.step
        if not (start.is_static and start.number // inner == last // inner):
            return None
        found.append(Span(start // inner, 1))
        span = Span(start % inner, span.size, span.step)
    return tuple(found)


def _divides(number: Size, span: Span) -> bool:
    sizes = (span.size, span.start.number, *(factor for _, factor in span.start.terms))
    return all(size % number == 0 for size in sizes)


def union(a: Region, b: Region) -> Region | None:
    """The smallest box that contains both, where it is known now which that is."""
    axes: list[Axis] = []
    for p, q in zip(a, b, strict=True):
        if p == q or p is None or q is None:
            axes.append(p if p == q else None)
            continue
        if _sizes(p) != _sizes(q):
            return None
        pairs = zip(simple_parts(p), simple_parts(q), strict=True)
        joined = [_hull(own, other) for own, other in pairs]
        parts = [part for part in joined if not isinstance(part, str)]
        if len(parts) < len(joined):
            return None
        axes.append(_like(p, parts))
    return tuple(axes)


def relative(region: Region, outer: Region) -> Region:
    """A box within another one, as a box of that one."""
    axes: list[Axis] = []
    for own, around in zip(region, outer, strict=True):
        if own == around or around is None:
            axes.append(None if own == around else own)
            continue
        pairs = zip(simple_parts(own), simple_parts(around), strict=True)
        parts = [_within(part, p) for part, p in pairs]
        if isinstance(around, Parts):
            sizes = [length(part, size) for size, part in around.parts]
            axes.append(Parts(tuple(zip(sizes, parts, strict=True))))
        else:
            axes.append(parts[0])
    return tuple(axes)


def earlier(a: Size, b: Size) -> Size | None:
    """The smaller of two places, if it is known now which that is."""
    return a if surely_at_least(b, a) else b if surely_at_least(a, b) else None


def later(a: Size, b: Size) -> Size | None:
    """The larger of two places, if it is known now which that is."""
    return a if surely_at_least(a, b) else b if surely_at_least(b, a) else None


def _sizes(axis: Axis) -> tuple[Size, ...]:
    return tuple(size for size, _ in axis.parts) if isinstance(axis, Parts) else ()


def _like(axis: Axis, parts: list[Simple]) -> Axis:
    """An axis that is cut as another one."""
    return Parts(tuple(zip(_sizes(axis), parts, strict=True))) if isinstance(axis, Parts) else parts[0]


def _hull(a: Simple, b: Simple) -> Simple | Literal["unknown"]:
    """The smallest span that contains both."""
    if a == b or a is None or b is None:
        return a if a == b else None
    if not isinstance(a, Span) or not isinstance(b, Span) or a.step != 1 or b.step != 1:
        return "unknown"
    gap = b.start - a.start
    if not gap.is_static:
        return "unknown"
    first, second, distance = (a, b, gap.number) if surely_at_least(gap.number, 0) else (b, a, -gap.number)
    end = second.size + distance
    if not surely_at_least(distance, 0):
        return "unknown"
    size = later(first.size, end)
    return "unknown" if size is None else Span(first.start, size, inside=a.inside and b.inside)


def _within(own: Simple, around: Simple) -> Simple:
    if own == around or around is None:
        return None if own == around else own
    assert isinstance(own, Span)
    assert isinstance(around, Span)
    assert around.step == 1
    return Span(own.start - around.start, own.size, own.step, own.inside)


def aligned_demand(
    alignment: Sequence[Sequence[int | None]],
    region: Region,
    inputs: Sequence[TensorType],
    build: Callable[..., Value],
) -> Demand | None:
    """What follows from an op's `alignment`: a box along an axis needs that box of the operands that run
    along it, and all of the others.  None where all axes are needed whole.
    """
    if not alignment:
        return None
    pairs = zip(region, alignment, strict=True)
    made = tuple(axis if any(at is not None for at in aligned) else None for axis, aligned in pairs)
    if is_whole(made):
        return None
    own: list[list[Axis]] = [[None] * x.rank for x in inputs]
    for axis, aligned in zip(made, alignment, strict=True):
        for i, at in enumerate(aligned):
            if at is not None:
                own[i][at] = axis
    return Demand(tuple(Need(tuple(axes)) for axes in own), build, made)
