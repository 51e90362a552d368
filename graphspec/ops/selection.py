"""Windows at places known when the program runs: what selections become on their way to the inputs."""

from __future__ import annotations

from graphspec.ir import (
    Alignment,
    Box,
    Demand,
    Need,
    Op,
    Region,
    Sample,
    Size,
    Span,
    TensorType,
    TypeRuleError,
    Value,
    apply,
    literal,
    op,
)
from graphspec.ir.regions import Axis, Position, as_span
from graphspec.ops.comparison import GreaterEqual, Less, LogicalAnd, where
from graphspec.ops.construction import Arange
from graphspec.ops.indexing import Gather
from graphspec.ops.rules import normal_axis, require_integer
from graphspec.ops.shape import Reshape, move_axis, spread

CUBE = Box((2, 3, 4))


@op
class Window(Op):
    """y[..., i_k, ...] = x[..., start_k + i_k, ...] for 0 <= i_k < sizes[k] on the axes `axes`; where that
    is outside x, `fill`.

    Shapes: x[...], start_k[] -> y[...], with sizes[k] elements on the axis axes[k].
    Domain: all integers are starts.  The axes are rising.
    Its adjoint lays a window into zeros and drops what falls outside: a window at minus the starts.
    Source: numpy basic indexing; with negative starts numpy.pad.
    """

    axes: tuple[int, ...]
    sizes: tuple[Size, ...]
    fill: float = 0
    is_selection = True
    kernel = "window"

    def infer(self, x: TensorType, *starts: TensorType) -> TensorType:
        require_integer("a window", "its starts", *starts)
        if not len(self.axes) == len(self.sizes) == len(starts):
            raise TypeRuleError(f"a window over the axes {list(self.axes)} has {len(starts)} starts")
        if any(start.rank for start in starts):
            raise TypeRuleError("a window starts at one place on each axis")
        if list(self.axes) != sorted(set(self.axes)) or any(not 0 <= a < x.rank for a in self.axes):
            raise TypeRuleError(f"a window over the axes {list(self.axes)} does not fit {x}")
        sizes = dict(zip(self.axes, self.sizes, strict=True))
        return x.with_shape(tuple(sizes.get(k, size) for k, size in enumerate(x.shape)))

    def vjp(self, gy: Value, y: Value, x: Value, *starts: Value) -> tuple[Value | None, ...]:
        made = Window(self.axes, tuple(x.shape[a] for a in self.axes))
        return apply(made, gy, *(-start for start in starts)), *(None for _ in starts)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        y, *starts = inputs
        if not batched[0]:
            y = spread(y, size)
        for axis, width, start, own in zip(self.axes, self.sizes, starts, batched[1:], strict=True):
            if own:
                y = self._each_its_own(y, axis + 1, width, start)
            else:
                y = apply(Window((axis + 1,), (width,), self.fill), y, start)
        return y

    def _each_its_own(self, x: Value, axis: int, width: Size, starts: Value) -> Value:
        """Windows of x[B, ...] along one axis, the set b of which starts at starts[b]."""
        sets, size = x.shape[0], x.shape[axis]
        places = apply(Reshape((sets, 1)), starts) + apply(Arange(width))
        above = apply(GreaterEqual(), places, literal(0, places.dtype))
        inside = apply(LogicalAnd(), above, apply(Less(), places, literal(size, places.dtype)))
        ids = apply(Reshape((sets, 1)), apply(Arange(sets)))
        read = apply(Gather(0), move_axis(x, axis, 1), ids, where(inside, places, 0))
        shape = (sets, width, *(1,) * (len(x.shape) - 2))
        return move_axis(where(apply(Reshape(shape), inside), read, self.fill), 1, axis)

    def alignment(self, x: TensorType, *starts: TensorType) -> Alignment:
        none = (None,) * len(starts)
        return tuple((None if k in self.axes else k, *none) for k in range(x.rank))

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand:
        _, *starts = inputs
        axes: list[Axis] = list(region)
        made: list[Axis] = list(region)
        for axis, size, start in zip(self.axes, self.sizes, starts, strict=True):
            part = as_span(region[axis])
            if part is None or part.step != 1:
                part, made[axis] = Span(Position(), size), None
            axes[axis] = Span(part.start + Position.at(start), part.size, inside=False)
        needs = (Need(tuple(axes), self.fill), *(Need(()) for _ in starts))
        return Demand(needs, lambda box, *_: box, tuple(made))

    @classmethod
    def make(cls, *operands: Value, axes: tuple[int, ...], sizes: tuple[Size, ...], fill: float = 0) -> Value:
        if not operands:
            raise TypeRuleError("`window` needs a tensor, and where to start on each axis")
        rank = len(operands[0].shape)
        return apply(cls(tuple(normal_axis("window", a, rank) for a in axes), tuple(sizes), fill), *operands)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls((1,), (2,)), (CUBE, _start(1))),
            Sample(cls((0, 2), (1, 3), -1.5), (CUBE, _start(1), _start(2))),
            Sample(cls((1, 2), (5, 6), 2.5), (CUBE, _start(-1), _start(-1))),
            Sample(cls((1,), (2,)), (CUBE, _start(-4))),
            Sample(cls((0,), (2,), 7), (Box((3, 2), -9, 9, "int"), _start(2))),
        )


def _start(place: int) -> Box:
    return Box((), values=place, kind="int")
