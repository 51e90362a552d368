"""Ops that move elements without computing: shapes, axes, slices, joins."""

from __future__ import annotations

from collections.abc import Iterable

from graphspec.ir import (
    Alignment,
    Box,
    Demand,
    Need,
    Op,
    Position,
    Region,
    Rows,
    Sample,
    Size,
    Span,
    TensorType,
    TypeRuleError,
    Value,
    apply,
    box_shape,
    broadcast_alignment,
    op,
    same,
)
from graphspec.ir.regions import Axis, as_span, earlier, is_whole, later, whole
from graphspec.ir.sizes import product, surely_at_least
from graphspec.ir.types import format_shape
from graphspec.ops.regrouping import regroup
from graphspec.ops.rules import normal_axes, normal_axis, require_one_dtype

CUBE = Box((2, 3, 4))
INTEGERS = Box((2, 3), -9, 9, "int")


@op
class Reshape(Op):
    """y = the elements of x in row-major order, in another shape of as many elements.

    Shapes: x[...] -> y[shape]; one -1 in `shape` stands for what remains.
    Source: numpy.reshape.
    """

    shape: tuple[Size, ...]
    is_view = True

    def infer(self, x: TensorType) -> TensorType:
        if not same(product(self.shape), x.size):
            raise TypeRuleError(
                f"`reshape` cannot make {format_shape(self.shape)} of {x}: "
                f"it has {x.size} elements, not {product(self.shape)}"
            )
        return x.with_shape(self.shape)

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (apply(Reshape(x.shape), gy),)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        return apply(Reshape((size, *self.shape)), *inputs)

    def alignment(self, x: TensorType) -> Alignment:
        # axes of one size with equally many elements in front of them
        own = {(product(x.shape[:a]), s): a for a, s in enumerate(x.shape) if s != 1}
        return tuple((own.get((product(self.shape[:k]), s)),) for k, s in enumerate(self.shape))

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand | None:
        found = regroup(region, y.shape, inputs[0].shape)
        if found is None:
            return None
        made, box = found
        return Demand((Need(box),), lambda x: Reshape.make(x, box_shape(made, y.shape)), made)

    def source(self, out: str, x: str) -> str:
        return f"xp.reshape({x}, {self.shape})"

    def numpy_source(self, out: str, /, *inputs: str) -> str:
        return f"{inputs[0]}.reshape({self.shape})"

    @classmethod
    def make(cls, x: Value, shape: tuple[Size, ...]) -> Value:
        shape = tuple(shape)
        unknown = [i for i, size in enumerate(shape) if size == -1]
        if len(unknown) > 1:
            raise TypeRuleError(f"`reshape` fills in one -1, not {len(unknown)}: {format_shape(shape)}")
        if any(isinstance(s, int) and s < 0 for i, s in enumerate(shape) if i not in unknown):
            raise TypeRuleError(f"a size is not negative: {format_shape(shape)}")
        for i in unknown:
            shape = (*shape[:i], _rest(x.type, shape), *shape[i + 1 :])
        return x if shape == x.shape else apply(cls(shape), x)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls((6, 4)), (CUBE,)),
            Sample(cls((1, 24, 1)), (CUBE,)),
            Sample(cls((3, 2)), (INTEGERS,)),
        )


def _rest(x: TensorType, shape: tuple[Size, ...]) -> Size:
    """What -1 stands for in `shape`, for the elements of `x`."""
    given = list(x.shape)
    known: list[Size] = []
    for size in shape:
        if size in given:
            given.remove(size)  # a size that stands on both sides cancels
        elif size != -1:
            known.append(size)
    total, divisor = product(tuple(given)), product(tuple(known))
    left_over = 1 if divisor == 0 else total % divisor
    if isinstance(left_over, int) and left_over != 0:
        raise TypeRuleError(
            f"`reshape` cannot fill in the -1 of {format_shape(shape)}: "
            f"the {x.size} elements of {x} are no multiple of {product(tuple(s for s in shape if s != -1))}"
        )
    return total // divisor


@op
class Transpose(Op):
    """y[i_axes[0], i_axes[1], ...] = x[i_0, i_1, ...]: axis k of y is axis `axes[k]` of x.

    Shapes: x[...] -> y[...], permuted; without `axes` the last two axes are swapped.
    Source: numpy.transpose.
    """

    axes: tuple[int, ...]
    is_view = True

    def infer(self, x: TensorType) -> TensorType:
        if sorted(self.axes) != list(range(x.rank)):
            raise TypeRuleError(f"`transpose` needs each axis of {x} once, not {list(self.axes)}")
        return x.with_shape(tuple(x.shape[a] for a in self.axes))

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        back = tuple(self.axes.index(k) for k in range(len(self.axes)))
        return (apply(Transpose(back), gy),)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        return apply(Transpose((0, *(a + 1 for a in self.axes))), *inputs)

    def alignment(self, x: TensorType) -> Alignment:
        return tuple((axis,) for axis in self.axes)

    def source(self, out: str, x: str) -> str:
        return f"xp.transpose({x}, {self.axes})"

    def numpy_source(self, out: str, /, *inputs: str) -> str:
        return f"{inputs[0]}.transpose({self.axes})"

    @classmethod
    def make(cls, x: Value, axes: tuple[int, ...] | None = None) -> Value:
        rank = len(x.shape)
        if axes is None:
            if rank < 2:
                raise TypeRuleError(f"`transpose` swaps the last two axes, and {x.type} has {rank}")
            axes = (*range(rank - 2), rank - 1, rank - 2)
        return apply(cls(tuple(normal_axis("transpose", a, rank) for a in axes)), x)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return Sample(cls((2, 0, 1)), (CUBE,)), Sample(cls((1, 0)), (INTEGERS,))


def swap_last(x: Value) -> Value:
    """x with its last two axes swapped."""
    return Transpose.make(x)


@op
class BroadcastTo(Op):
    """y = x repeated along axes of size 1 and along new axes in front.

    Shapes: x[...] -> y[shape].
    Source: numpy.broadcast_to.
    """

    shape: tuple[Size, ...]
    is_view = True

    def infer(self, x: TensorType) -> TensorType:
        new = len(self.shape) - x.rank
        if any(isinstance(size, int) and size < 0 for size in self.shape):
            raise TypeRuleError(f"a size is not negative: {format_shape(self.shape)}")
        if new < 0 or any(p != 1 and not same(p, q) for p, q in zip(x.shape, self.shape[new:], strict=True)):
            raise TypeRuleError(f"`broadcast_to` cannot repeat {x} to the shape {format_shape(self.shape)}")
        return x.with_shape(self.shape)

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (gy,)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        (x,) = inputs
        new = (1,) * (len(self.shape) - len(x.shape) + 1)
        x = apply(Reshape((size, *new, *x.shape[1:])), x) if new else x
        return apply(BroadcastTo((size, *self.shape)), x)

    def alignment(self, x: TensorType) -> Alignment:
        return broadcast_alignment(x.with_shape(self.shape), x)

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand | None:
        (x,) = inputs
        axes: list[Axis] = list(whole(len(x.shape)))
        for axis, (at,) in zip(region, self.alignment(x.type), strict=True):
            if at is not None:
                axes[at] = axis
        made = BroadcastTo(box_shape(region, y.shape))
        return Demand((Need(tuple(axes)),), lambda box: apply(made, box), region)

    def source(self, out: str, x: str) -> str:
        return f"xp.broadcast_to({x}, {self.shape})"

    @classmethod
    def make(cls, x: Value, shape: tuple[Size, ...]) -> Value:
        return x if tuple(shape) == x.shape else apply(cls(tuple(shape)), x)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls((2, 3, 4)), (Box((3, 1)),)),
            Sample(cls((2,)), (Box(()),)),
            Sample(cls((4, 2, 3)), (INTEGERS,)),
        )


@op
class Slice(Op):
    """y[i, j, ...] = x[starts[0] + i * steps[0], starts[1] + j * steps[1], ...].

    Shapes: x[...] -> y[...], with ceil((stop - start) / step) elements on each axis.
    Domain: 0 <= start <= stop <= size on each axis, and step >= 1.
    Source: numpy basic indexing.
    """

    starts: tuple[Size, ...]
    stops: tuple[Size, ...]
    steps: tuple[int, ...]
    is_view = True
    is_internal = True
    is_selection = True

    def infer(self, x: TensorType) -> TensorType:
        if not len(self.starts) == len(self.stops) == len(self.steps) == x.rank:
            raise TypeRuleError(f"a slice of {len(self.starts)} axes does not fit {x}")
        shape: list[Size] = []
        for axis, (start, stop, step) in enumerate(zip(self.starts, self.stops, self.steps, strict=True)):
            size = x.shape[axis]
            if _surely_negative(start) or _surely_negative(stop - start) or _surely_negative(size - stop):
                raise TypeRuleError(f"the slice {start}:{stop} is not within axis {axis} of {x}")
            shape.append(stop - start if step == 1 else (stop - start + step - 1) // step)
        return x.with_shape(tuple(shape))

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (apply(Embed(x.shape, self.starts, self.steps), gy),)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        return apply(Slice((0, *self.starts), (size, *self.stops), (1, *self.steps)), *inputs)

    def alignment(self, x: TensorType) -> Alignment:
        parts = zip(self.starts, self.stops, self.steps, x.shape, strict=True)
        return tuple((k if part == (0, part[3], 1, part[3]) else None,) for k, part in enumerate(parts))

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand | None:
        axes: list[Axis] = []
        made: list[Axis] = list(region)
        for k, axis in enumerate(region):
            start, step, size = self.starts[k], self.steps[k], y.shape[k]
            part = as_span(axis)
            if size == inputs[0].shape[k]:
                axes.append(axis)
            elif isinstance(axis, Rows):
                axes.append(Rows(axis.index, axis.size, axis.factor * step, axis.number * step + start))
            elif part is not None:
                axes.append(Span(part.start * step + start, part.size, part.step * step))
            else:
                axes.append(Span(Position(start), size, step))
                made[k] = None
        return Demand((Need(tuple(axes)),), lambda box: box, tuple(made))

    def source(self, out: str, x: str) -> str:
        parts = [
            f"{start}:{stop}" + (f":{step}" if step != 1 else "")
            for start, stop, step in zip(self.starts, self.stops, self.steps, strict=True)
        ]
        return f"{x}[{', '.join(parts)}]" if parts else x

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls((0, 1, 0), (2, 3, 4), (1, 1, 3)), (CUBE,)),
            Sample(cls((1, 0), (2, 2), (1, 1)), (INTEGERS,)),
            Sample(cls((), (), ()), (Box(()),)),
        )


def _surely_negative(size: Size) -> bool:
    return isinstance(size, int) and size < 0


@op
class Embed(Op):
    """y[starts[0] + i * steps[0], ...] = x[i, ...], and `value` everywhere else.

    Shapes: x[...] -> y[shape].
    Source: the adjoint of a slice (numpy basic indexing); with steps of 1, numpy.pad.
    """

    shape: tuple[Size, ...]
    starts: tuple[Size, ...]
    steps: tuple[int, ...]
    value: float = 0
    kernel = "embed"

    def infer(self, x: TensorType) -> TensorType:
        if not len(self.shape) == len(self.starts) == len(self.steps) == x.rank:
            raise TypeRuleError(f"{x} cannot be embedded in {format_shape(self.shape)}")
        for size, start, stop in zip(self.shape, self.starts, self.stops(x.shape), strict=True):
            if _surely_negative(start) or _surely_negative(size - stop):
                raise TypeRuleError(f"{x} does not fit into {format_shape(self.shape)} from {start} on")
        return x.with_shape(self.shape)

    def stops(self, shape: tuple[Size, ...]) -> tuple[Size, ...]:
        """On each axis the position after the last element of x; the start where x has none."""
        return tuple(
            start if size == 0 else start + (size - 1) * step + 1
            for size, start, step in zip(shape, self.starts, self.steps, strict=True)
        )

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (apply(Slice(self.starts, self.stops(x.shape), self.steps), gy),)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        made = Embed((size, *self.shape), (0, *self.starts), (1, *self.steps), self.value)
        return apply(made, *inputs)

    def alignment(self, x: TensorType) -> Alignment:
        # as large as x: there is no room but for x as it is
        return tuple(
            (k if own == s else None,) for k, (own, s) in enumerate(zip(x.shape, self.shape, strict=True))
        )

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand | None:
        axes: list[Axis] = []
        made: list[Axis] = []
        shape, starts = list(box_shape(region, self.shape)), list(self.starts)
        for k, axis in enumerate(region):
            part = as_span(axis)
            if self.shape[k] == inputs[0].shape[k]:
                axes.append(axis)
                made.append(axis)
            elif part is not None and part.step == self.steps[k] == 1:
                axes.append(Span(part.start - self.starts[k], part.size, inside=False))
                made.append(axis)
                starts[k] = 0
            else:
                axes.append(None)
                made.append(None)
                shape[k] = self.shape[k]
        if is_whole(tuple(made)):
            return None

        def build(box: Value) -> Value:
            rest = Embed(tuple(shape), tuple(starts), self.steps, self.value)
            return box if box.shape == rest.shape else apply(rest, box)

        return Demand((Need(tuple(axes), self.value),), build, tuple(made))

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls((5, 3, 9), (1, 0, 1), (2, 1, 2)), (CUBE,)),
            Sample(cls((3, 3), (0, 0), (1, 1), 7), (INTEGERS,)),
            Sample(cls((2, 5), (0, 2), (1, 1), -1.5), (Box((2, 3)),)),
            Sample(cls((4,), (2,), (3,)), (Box((0,)),)),
        )


@op
class Flip(Op):
    """y[..., i, ...] = x[..., size - 1 - i, ...] along each of `axis` (all axes if none is given).

    Shapes: x[...] -> y[...].
    Source: numpy.flip.
    """

    axis: tuple[int, ...]
    is_view = True

    def infer(self, x: TensorType) -> TensorType:
        normal_axes("flip", self.axis, x.rank)
        return x

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (apply(Flip(self.axis), gy),)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        return apply(Flip(tuple(a + 1 for a in self.axis)), *inputs)

    def alignment(self, x: TensorType) -> Alignment:
        return tuple((None if k in self.axis else k,) for k in range(x.rank))

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand | None:
        axes, made = list(region), list(region)
        for k in self.axis:
            axis, last = region[k], y.shape[k] - 1
            if isinstance(axis, Rows):  # read in their order: see below
                axes[k] = Rows(axis.index, axis.size, axis.factor * -1, last - axis.number)
            elif (part := as_span(axis)) is not None:
                end = part.start + (part.size - 1) * part.step
                axes[k] = Span(Position(last) - end, part.size, part.step)
            else:
                axes[k] = made[k] = None
        if is_whole(tuple(made)):
            return None
        flipped = Flip(tuple(k for k in self.axis if not isinstance(axes[k], Rows)))
        return Demand((Need(tuple(axes)),), lambda box: apply(flipped, box), tuple(made))

    def source(self, out: str, x: str) -> str:
        return f"xp.flip({x}, {self.axis})"

    @classmethod
    def make(cls, x: Value, axis: tuple[int, ...] | None = None) -> Value:
        return apply(cls(normal_axes("flip", axis, len(x.shape))), x)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return Sample(cls((0, 2)), (CUBE,)), Sample(cls((1,)), (INTEGERS,))


@op
class Concat(Op):
    """y = the operands one after the other along `axis`.

    Shapes: x_1[..., A, ...], x_2[..., B, ...], ... -> y[..., A + B + ..., ...].
    Source: numpy.concatenate.
    """

    axis: int

    def infer(self, *xs: TensorType) -> TensorType:
        require_one_dtype("concat", *xs)
        first = xs[0]
        if self.axis >= first.rank:
            raise TypeRuleError(f"`concat` along axis {self.axis} does not fit {first}")
        for x in xs[1:]:
            if x.rank != first.rank:
                raise TypeRuleError(
                    f"`concat` needs tensors with equally many axes, but they are {first} and {x}"
                )
            for axis in _differing_axes(first, x):
                if axis != self.axis:
                    raise TypeRuleError(
                        f"`concat` needs equal sizes on axis {axis}, "
                        f"but they are {first.shape[axis]} and {x.shape[axis]}",
                        help=_other_axis(xs, axis),
                    )
        total: Size = 0
        for x in xs:
            total = total + x.shape[self.axis]
        return first.with_shape((*first.shape[: self.axis], total, *first.shape[self.axis + 1 :]))

    def vjp(self, gy: Value, y: Value, *xs: Value) -> tuple[Value, ...]:
        parts: list[Value] = []
        start: Size = 0
        for x in xs:
            stop = start + x.shape[self.axis]
            parts.append(slice_axis(gy, self.axis, start, stop))
            start = stop
        return tuple(parts)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        return apply(Concat(self.axis + 1), *every(size, inputs, batched))

    def alignment(self, *xs: TensorType) -> Alignment:
        return tuple((None if k == self.axis else k,) * len(xs) for k in range(xs[0].rank))

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand | None:
        before, after = region[: self.axis], region[self.axis + 1 :]
        parts = _parts_within(as_span(region[self.axis]), [x.shape[self.axis] for x in inputs])
        if parts is None:
            made: Region = (*before, None, *after)
            needs: list[Need | None] = [Need(made)] * len(inputs)
        else:
            made = region
            needs = [None if part is None else Need((*before, part, *after)) for part in parts]
        if is_whole(made):
            return None

        def build(*boxes: Value | None) -> Value:
            joined = [box for box in boxes if box is not None]
            return joined[0] if len(joined) == 1 else apply(self, *joined)

        return Demand(tuple(needs), build, made)

    def source(self, out: str, *xs: str) -> str:
        return f"xp.concatenate(({', '.join(xs)},), axis={self.axis}, out={out})"

    @classmethod
    def make(cls, *xs: Value, axis: int = 0) -> Value:
        if not xs:
            raise TypeRuleError("`concat` needs at least one tensor")
        if not xs[0].shape:
            raise TypeRuleError("`concat` needs an axis, and scalars have none", help="`stack` makes one")
        return apply(cls(normal_axis("concat", axis, len(xs[0].shape))), *xs)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls(1), (Box((2, 3)), Box((2, 1)), Box((2, 2)))),
            Sample(cls(0), (CUBE,)),
            Sample(cls(0), (INTEGERS, INTEGERS)),
        )


def _differing_axes(a: TensorType, b: TensorType) -> list[int]:
    return [i for i, (p, q) in enumerate(zip(a.shape, b.shape, strict=True)) if not same(p, q)]


def _other_axis(xs: tuple[TensorType, ...], axis: int) -> str:
    """The remedy where the tensors differ on one axis only: join them along it."""
    if any(x.rank != xs[0].rank or set(_differing_axes(xs[0], x)) - {axis} for x in xs):
        return ""
    return f"`axis={axis}` gives {Concat(axis).infer(*xs)}"


def _parts_within(span: Span | None, sizes: list[Size]) -> list[Span | None] | None:
    """What a span of joined pieces needs of each, if anything; None where that is not known now."""
    if span is None or span.step != 1 or not span.start.is_static:
        return None
    found: list[Span | None] = []
    first, last = span.start.number, span.start.number + span.size
    begin: Size = 0
    for size in sizes:
        end = begin + size
        if surely_at_least(first, end) or surely_at_least(begin, last):
            found.append(None)
        else:
            low, high = later(first, begin), earlier(last, end)
            if low is None or high is None:
                return None
            found.append(Span(Position(low - begin), high - low))
        begin = end
    return found


def slice_axis(x: Value, axis: int, start: Size, stop: Size) -> Value:
    """x from `start` to `stop` along one axis."""
    starts = tuple(start if i == axis else 0 for i in range(len(x.shape)))
    stops = tuple(stop if i == axis else s for i, s in enumerate(x.shape))
    if stops == x.shape and starts == (0,) * len(starts):
        return x
    return apply(Slice(starts, stops, (1,) * len(x.shape)), x)


def spread(x: Value, size: Size) -> Value:
    """x repeated along a new leading axis."""
    return apply(BroadcastTo((size, *x.shape)), x)


def every(size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> tuple[Value, ...]:
    """The operands of a batching rule, each with the new leading axis."""
    return tuple(x if own else spread(x, size) for x, own in zip(inputs, batched, strict=True))


def move_axis(x: Value, source: int, target: int) -> Value:
    """x with one axis at another place, the others in their order; where nothing moves, by a reshape."""
    axes = [k for k in range(len(x.shape)) if k != source]
    axes.insert(target, source)
    shape = tuple(x.shape[k] for k in axes)
    passed = x.shape[min(source, target) : max(source, target) + 1]
    if source == target:
        return x
    if x.shape[source] == 1 or sum(s != 1 for s in passed) <= 1:
        return Reshape.make(x, shape)
    return apply(Transpose(tuple(axes)), x)


def fold_axes(x: Value, axis: int) -> Value:
    """x with an axis and the one behind it as one."""
    return Reshape.make(x, (*x.shape[:axis], x.shape[axis] * x.shape[axis + 1], *x.shape[axis + 2 :]))


def cut_axis(x: Value, axis: int, sizes: Iterable[Size]) -> Value:
    """x with an axis cut into several, the first of which is the slowest."""
    return Reshape.make(x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))
