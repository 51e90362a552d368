"""Boxes as nodes: reading a box of a value, and the numbers that say at run time where it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from graphspec.ir import DType, Need, Position, Region, Rows, Size, Span, Value, apply, box_shape, literal
from graphspec.ir.regions import (
    Axis,
    Parts,
    Rounded,
    Simple,
    earlier,
    is_whole,
    later,
    length,
    normal,
    relative,
)
from graphspec.ir.sizes import surely_at_least
from graphspec.ops.indexing import Gather
from graphspec.ops.selection import Window
from graphspec.ops.shape import Embed, Slice
from graphspec.transforms.broadcasting import make


@dataclass(frozen=True, slots=True)
class Settled:
    """A need without what lies outside the operand: a box `region` of it, of which `shifts` reads the box
    that was asked for; None where it is that box.
    """

    need: Need
    region: Region
    shifts: Region | None


def settle(need: Need, shape: tuple[Size, ...]) -> Settled:
    """Cut what an op needs to what there is.

    A box at a place known at run time is moved inside: so nothing is computed from what is outside,
    where a function may not even be defined.  The window that is then read of it, at the distance by
    which it was moved, holds the fill at the places outside.

        rows s - 1 .. s + 1 of 8   becomes   rows c .. c + 2, c = clip(s - 1, 0, 5), read from s - 1 - c on
    """
    pairs = [_settle(axis, size) for axis, size in zip(need.region, shape, strict=True)]
    region = normal(tuple(inner for inner, _ in pairs), shape)
    shifts = tuple(shift for _, shift in pairs)
    return Settled(need, region, None if is_whole(shifts) else shifts)


def _settle(axis: Axis, size: Size) -> tuple[Axis, Axis]:
    """The part inside an axis of a size, and what to read of it."""
    if not surely_at_least(length(axis, size), 1):  # ops may refuse to work on nothing
        return None, axis
    if not isinstance(axis, Span) or axis.inside:
        return axis, None
    start = axis.start
    if not start.is_static:
        if not surely_at_least(size - 1, axis.size):
            return None, axis
        moved = start.clipped(size - axis.size)
        return Span(moved, axis.size), Span(start - moved, axis.size, inside=False)
    first, last = later(start.number, 0), earlier(start.number + axis.size, size)
    if first is None or last is None or not surely_at_least(last - first, 1):
        return None, axis
    inner = Span(Position(first), last - first)
    same = first == start.number and inner.size == axis.size
    return inner, None if same else Span(start - first, axis.size, inside=False)


@dataclass(eq=False)
class Reader:
    """Makes the nodes that read boxes; `find` gives the value that stands for one of the old graph."""

    find: Callable[[Value], Value]
    _numbers: dict[Position, Value] = field(default_factory=dict)
    _rows: dict[tuple[Rows, Size], Value] = field(default_factory=dict)

    def read(self, settled: Settled, x: Value, outer: Region) -> Value:
        """What an op needs of a value, where `x` is the box `outer` of that value."""
        if is_whole(outer):
            return self.take(x, settled.need.region, settled.need.fill)
        box = self.take(x, relative(settled.region, outer), 0)
        return box if settled.shifts is None else self.take(box, settled.shifts, settled.need.fill)

    def take(self, x: Value, region: Region, fill: float) -> Value:
        """A box of x, which reads as `fill` outside."""
        if is_whole(region):
            return x
        shape = box_shape(region, x.shape)
        sizes: list[Size] = []
        parts: list[Simple] = []
        for axis, size in zip(region, x.shape, strict=True):
            own = axis.parts if isinstance(axis, Parts) else ((size, axis),)
            sizes.extend(size for size, _ in own)
            parts.extend(part for _, part in own)
        x = make("reshape", x, shape=tuple(sizes))
        return make("reshape", self._take(x, parts, fill), shape=shape)

    def _take(self, x: Value, parts: Sequence[Simple], fill: float) -> Value:
        """A box of x, whose axes are seen as they are."""
        cuts = [_cut(part, size) for part, size in zip(parts, x.shape, strict=True)]
        x = _slice(x, [cut or _Cut(0, size) for cut, size in zip(cuts, x.shape, strict=True)])
        pairs = list(enumerate(zip(parts, cuts, strict=True)))
        spans = {k: part for k, (part, cut) in pairs if isinstance(part, Span) and cut is None}
        if spans:
            x = self._window(x, spans, fill)
        for k, part in enumerate(parts):
            if isinstance(part, Rows):
                x = apply(Gather(k), x, self._index(part, x.shape[k]))
        return _pad(x, cuts, fill)

    def _window(self, x: Value, spans: dict[int, Span], fill: float) -> Value:
        extents = tuple((span.size - 1) * span.step + 1 for span in spans.values())
        starts = [self.number(span.start) for span in spans.values()]
        x = apply(Window(tuple(spans), extents, fill), x, *starts)
        if all(span.step == 1 for span in spans.values()):
            return x
        steps = (spans[k].step if k in spans else 1 for k in range(len(x.shape)))
        return _slice(x, [_Cut(0, size, step) for size, step in zip(x.shape, steps, strict=True)])

    def number(self, position: Position) -> Value:
        """A place as an integer without axes."""
        todo = [position]
        while todo:
            inner = [t.of for t, _ in todo[-1].terms if isinstance(t, Rounded) and t.of not in self._numbers]
            if inner:
                todo.extend(inner)
            elif (ready := todo.pop()) not in self._numbers:
                self._numbers[ready] = self._sum(ready)
        return self._numbers[position]

    def _sum(self, position: Position) -> Value:
        total: Value | None = None
        for term, factor in position.terms:
            if isinstance(term, Rounded):
                value = self._rounded(term)
            else:
                value = make("reshape", _wide(self.find(term)), shape=())
            value = value if factor == 1 else value * factor
            total = value if total is None else total + value
        if total is None:
            return literal(position.number, DType.I64)
        return _shifted(total, position.number)

    def _rounded(self, term: Rounded) -> Value:
        value = self._numbers[term.of]
        if term.kind == "clip":
            low, high = literal(0, DType.I64), literal(term.number, DType.I64)
            return make("minimum", make("maximum", value, low), high)
        return make("floor_div" if term.kind == "//" else "mod", value, literal(term.number, DType.I64))

    def _index(self, rows: Rows, size: Size) -> Value:
        """Places along an axis as one index; those that do not exist are brought inside, for they are
        reported where the user's index is checked.
        """
        key = (rows, size)
        if key not in self._rows:
            index = _wide(self.find(rows.index))
            index = _shifted(index if rows.factor == 1 else index * rows.factor, rows.number)
            low, high = literal(0, DType.I64), literal(size - 1, DType.I64)
            index = make("minimum", make("maximum", index, low), high)
            self._rows[key] = make("reshape", index, shape=(rows.size,))
        return self._rows[key]


@dataclass(frozen=True, slots=True)
class _Cut:
    """A slice of an axis, and how much of the fill stands before and after it."""

    start: Size
    stop: Size
    step: int = 1
    before: Size = 0
    after: Size = 0


def _cut(part: Simple, size: Size) -> _Cut | None:
    """A span that is known now as a slice; None for what is no such span."""
    if not isinstance(part, Span) or not part.start.is_static:
        return None
    first = part.start.number
    last = first + (part.size - 1) * part.step + 1
    if part.inside:
        return _Cut(first, last, part.step)
    start, stop = later(first, 0), earlier(last, size)
    if start is None or stop is None or not surely_at_least(stop - start, 1):
        return None
    return _Cut(start, stop, 1, start - first, last - stop)


def _slice(x: Value, cuts: Sequence[_Cut]) -> Value:
    starts = tuple(cut.start for cut in cuts)
    stops = tuple(cut.stop for cut in cuts)
    steps = tuple(cut.step for cut in cuts)
    if stops == x.shape and starts == (0,) * len(starts) and steps == (1,) * len(steps):
        return x
    return apply(Slice(starts, stops, steps), x)


def _pad(x: Value, cuts: Sequence[_Cut | None], fill: float) -> Value:
    if not any(cut and (cut.before != 0 or cut.after != 0) for cut in cuts):
        return x
    edges = [cut or _Cut(0, 0) for cut in cuts]
    shape = tuple(size + e.before + e.after for size, e in zip(x.shape, edges, strict=True))
    return apply(Embed(shape, tuple(e.before for e in edges), (1,) * len(shape), fill), x)


def _shifted(index: Value, number: Size) -> Value:
    if isinstance(number, int) and number < 0:
        return index - -number
    return index if number == 0 else index + number


def _wide(index: Value) -> Value:
    return make("cast", index, dtype=DType.I64)
