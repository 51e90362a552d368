"""Reading and adding at places that are computed: integer tensors as indices."""

from __future__ import annotations

from graphspec.ir import (
    Alignment,
    Box,
    Op,
    Sample,
    Size,
    TensorType,
    TypeRuleError,
    Value,
    apply,
    broadcast,
    broadcast_alignment,
    op,
    same,
)
from graphspec.ir.regions import (
    Axis,
    Demand,
    Need,
    Position,
    Region,
    Rows,
    Span,
    aligned_demand,
    box_shape,
    is_whole,
    whole,
)
from graphspec.ir.sizes import product
from graphspec.ir.types import same_shape
from graphspec.ops.construction import Arange
from graphspec.ops.rules import normal_axis, require_integer
from graphspec.ops.shape import Reshape, every, move_axis, spread

CUBE = Box((2, 3, 4))
PLACES = Box((2,), values=[2, 0], kind="int")
REPEATED = Box((2, 2), values=[[1, 0], [1, 1]], kind="int")


@op
class Gather(Op):
    """y[a..., i..., b...] = x[a..., index_1[i...], ..., index_n[i...], b...]: from `axis` on, n axes of x
    are read at the places that n index tensors name together.

    Shapes: x[A..., S_1, ..., S_n, B...], index_k[I...], broadcast -> y[A..., I..., B...].
    Domain: 0 <= index_k < S_k, which is checked when the program runs.
    Source: numpy advanced indexing.
    """

    axis: int
    is_internal = True
    is_selection = True
    kernel = "gather"

    def infer(self, x: TensorType, *indices: TensorType) -> TensorType:
        require_integer("indexing", "indices", *indices)
        end = self.axis + len(indices)
        if end > x.rank:
            raise TypeRuleError(f"{len(indices)} indices from axis {self.axis} on do not fit {x}")
        shape = broadcast(*(index.shape for index in indices))
        return x.with_shape((*x.shape[: self.axis], *shape, *x.shape[end:]))

    def vjp(self, gy: Value, y: Value, x: Value, *indices: Value) -> tuple[Value | None, ...]:
        return apply(ScatterAdd(self.axis, x.shape), gy, *indices), *(None for _ in indices)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        (x, *indices), axis = inputs, self.axis
        if not any(batched[1:]):
            return apply(Gather(axis + 1), x, *indices)
        aligned = _aligned_indices(size, indices, batched[1:])
        if batched[0]:
            # the sets are one more axis that is read at computed places: each set at its own
            x, aligned = move_axis(x, 0, axis), [_places(size, aligned[0]), *aligned]
        return move_axis(apply(Gather(axis), x, *aligned), axis, 0)

    def alignment(self, x: TensorType, *indices: TensorType) -> Alignment:
        y = self.infer(x, *indices)
        end = self.axis + len(indices)
        after = x.rank - end
        none = (None,) * len(indices)
        middle = x.with_shape(y.shape[self.axis : y.rank - after])
        return (
            *((k, *none) for k in range(self.axis)),
            *((None, *axes) for axes in broadcast_alignment(middle, *indices)),
            *((end + k, *none) for k in range(after)),
        )

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand | None:
        x, *indices = inputs
        first, end = self.axis, self.axis + len(indices)
        middle = region[first : len(y.shape) - (len(x.shape) - end)]
        is_one_place = all(size == 1 for index in indices for size in index.shape)
        if not is_whole(middle) or not (is_one_place or len(indices) == 1):
            # some of the places only; pairs of places are no box
            return super().demand(region, y, *inputs)
        places: list[Axis] = [Span(Position.at(index), 1) for index in indices]
        if not is_one_place:
            places = [Rows(indices[0], product(indices[0].shape))]
        axes = (*region[:first], *places, *region[first + len(middle) :])
        sizes = tuple(x.shape[first:end])

        def build(box: Value, *indices: Value) -> Value:
            read = Reshape.make(box, box_shape(region, y.shape))
            return apply(Indexed(first, sizes), read, *indices)

        return Demand((Need(axes), *(Need(whole(len(i.shape))) for i in indices)), build, region)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls(0), (Box((3, 4)), REPEATED)),
            Sample(cls(1), (CUBE, PLACES)),
            Sample(cls(1), (CUBE, PLACES, Box((3, 1), values=[[3], [0], [3]], kind="int"))),
            Sample(
                cls(0), (Box((3, 2)), Box((), values=2, kind="int"), Box((2,), values=[1, 1], kind="int"))
            ),
            Sample(cls(1), (Box((2, 3), -9, 9, "int"), PLACES)),
        )


@op
class Indexed(Op):
    """y = x, which was read at the places `indices`, after a check that they exist: from `axis` on, the
    axes that were indexed have `sizes` elements.

    Shapes: x[...], index_k[...] -> y[...].
    Domain: 0 <= index_k < sizes[k], which is checked when the program runs.
    Source: numpy advanced indexing, of which it is the check without the reading.
    """

    name = "indexing"
    axis: int
    sizes: tuple[Size, ...]
    kernel = "indexing"

    def infer(self, x: TensorType, *indices: TensorType) -> TensorType:
        require_integer("indexing", "indices", *indices)
        if len(indices) != len(self.sizes):
            raise TypeRuleError(f"{len(indices)} indices do not fit {len(self.sizes)} axes")
        return x

    def vjp(self, gy: Value, y: Value, x: Value, *indices: Value) -> tuple[Value | None, ...]:
        return apply(self, gy, *indices), *(None for _ in indices)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        x, *indices = inputs
        return apply(self, x if batched[0] else spread(x, size), *indices)

    def alignment(self, x: TensorType, *indices: TensorType) -> Alignment:
        return tuple((k, *(None,) * len(indices)) for k in range(x.rank))

    @classmethod
    def make(cls, *operands: Value, axis: int, sizes: tuple[Size, ...]) -> Value:
        if not operands:
            raise TypeRuleError("`indexing` needs what was read, and the places that it was read at")
        return apply(cls(axis, tuple(sizes)), *operands)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        row, one = Box((2,), values=[0, 3], kind="int"), Box((), values=2, kind="int")
        return (
            Sample(cls(1, (3, 4)), (CUBE, one, row)),
            Sample(cls(0, (3,)), (Box((3,), -9, 9, "int"), one)),
        )


@op
class ScatterAdd(Op):
    """y = 0, then y[a..., index_1[i...], ..., index_n[i...], b...] += g[a..., i..., b...] for all i.

    Shapes: g[A..., I..., B...], index_k[I...], broadcast -> y[shape], shape = [A..., S_1, ..., S_n, B...].
    Domain: 0 <= index_k < S_k, which is checked when the program runs.
    Equal places are summed in one order, whatever the machine: the result is deterministic.
    Source: the adjoint of numpy advanced indexing; numpy.add.at.
    """

    axis: int
    shape: tuple[Size, ...]
    kernel = "scatter_add"

    def infer(self, g: TensorType, *indices: TensorType) -> TensorType:
        require_integer("indexing", "indices", *indices)
        expected = Gather(self.axis).infer(g.with_shape(self.shape), *indices)
        if not same_shape(expected.shape, g.shape):
            raise TypeRuleError(f"the values to add are {g}, but the places are for {expected}")
        return g.with_shape(self.shape)

    def vjp(self, gy: Value, y: Value, g: Value, *indices: Value) -> tuple[Value | None, ...]:
        return apply(Gather(self.axis), gy, *indices), *(None for _ in indices)

    @classmethod
    def make(cls, *operands: Value, axis: int, shape: tuple[Size, ...]) -> Value:
        if len(operands) < 2:
            raise TypeRuleError("`scatter_add` needs values to add and the places they belong to")
        return apply(cls(normal_axis("scatter_add", axis, len(shape)), tuple(shape)), *operands)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        (g, *indices), axis = inputs, self.axis
        if not any(batched[1:]):
            return apply(ScatterAdd(axis + 1, (size, *self.shape)), g, *indices)
        aligned = _aligned_indices(size, indices, batched[1:])
        g = move_axis(g if batched[0] else spread(g, size), 0, axis)
        shape = (*self.shape[:axis], size, *self.shape[axis:])
        return move_axis(apply(ScatterAdd(axis, shape), g, _places(size, aligned[0]), *aligned), axis, 0)

    def alignment(self, g: TensorType, *indices: TensorType) -> Alignment:
        none = (None,) * len(indices)
        rank, end = len(self.shape), self.axis + len(indices)
        return tuple(
            (k if k < self.axis else k - rank + g.rank if k >= end else None, *none) for k in range(rank)
        )

    def summed(self, g: TensorType, *indices: TensorType) -> Alignment:
        if any(not same_shape(index.shape, indices[0].shape) for index in indices):
            return ()
        return tuple((self.axis + k, *(k,) * len(indices)) for k in range(indices[0].rank))

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand | None:
        types = [v.type for v in inputs]

        def build(*boxes: Value) -> Value:
            return apply(ScatterAdd(self.axis, box_shape(made, y.shape)), *boxes)

        found = aligned_demand(self.alignment(*types), region, types, build)
        made = found.made if found else region
        return found

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        column = Box((3, 1), values=[[3], [0], [3]], kind="int")
        return (
            Sample(cls(0, (3, 4)), (Box((2, 2, 4)), REPEATED)),
            Sample(cls(1, (2, 3, 4)), (Box((2, 2, 4)), PLACES)),
            Sample(cls(1, (2, 3, 4)), (Box((2, 3, 2)), PLACES, column)),
            Sample(cls(0, (3,)), (Box((0,)), Box((0,), values=[], kind="int"))),
            Sample(cls(1, (2, 3)), (Box((2, 2), -9, 9, "int"), PLACES)),
        )


@op
class TakeAlongAxis(Op):
    """y[a, i, b] = x[a, indices[a, i, b], b], where the middle place is `axis`.

    Shapes: x[A..., S, B...], indices[A..., I, B...] -> y[A..., I, B...].
    Domain: 0 <= indices < S, which is checked when the program runs.
    Source: numpy.take_along_axis; torch.gather.
    """

    axis: int
    kernel = "take_along_axis"

    def infer(self, x: TensorType, indices: TensorType) -> TensorType:
        require_integer("take_along_axis", "indices", indices)
        _require_like("take_along_axis", x, indices, self.axis)
        return x.with_shape(indices.shape)

    def vjp(self, gy: Value, y: Value, x: Value, indices: Value) -> tuple[Value, None]:
        return apply(AddAlongAxis(self.axis, x.shape[self.axis]), gy, indices), None

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        return apply(TakeAlongAxis(self.axis + 1), *every(size, inputs, batched))

    def alignment(self, x: TensorType, indices: TensorType) -> Alignment:
        return tuple((None if k == self.axis else k, k) for k in range(x.rank))

    @classmethod
    def make(cls, x: Value, indices: Value, axis: int) -> Value:
        return apply(cls(normal_axis("take_along_axis", axis, len(x.shape))), x, indices)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls(1), (Box((2, 4)), Box((2, 1), values=[[3], [0]], kind="int"))),
            Sample(cls(0), (Box((3, 2)), Box((4, 2), 0, 3, "int"))),
            Sample(cls(1), (Box((2, 3), -9, 9, "int"), Box((2, 2), 0, 3, "int"))),
        )


@op
class AddAlongAxis(Op):
    """y = 0, then y[a, indices[a, i, b], b] += g[a, i, b] for all i, where the middle place is `axis`.

    Shapes: g[A..., I, B...], indices[A..., I, B...] -> y[A..., size, B...].
    Domain: 0 <= indices < size, which is checked when the program runs.
    Equal places are summed in one order, whatever the machine: the result is deterministic.
    Source: the adjoint of numpy.take_along_axis; torch.scatter_add.
    """

    axis: int
    size: Size
    kernel = "add_along_axis"

    def infer(self, g: TensorType, indices: TensorType) -> TensorType:
        require_integer("add_along_axis", "indices", indices)
        if not same_shape(g.shape, indices.shape):
            raise TypeRuleError(f"the values to add are {g}, but the places are {indices}")
        return g.with_shape((*g.shape[: self.axis], self.size, *g.shape[self.axis + 1 :]))

    def vjp(self, gy: Value, y: Value, g: Value, indices: Value) -> tuple[Value, None]:
        return apply(TakeAlongAxis(self.axis), gy, indices), None

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        return apply(AddAlongAxis(self.axis + 1, self.size), *every(size, inputs, batched))

    def alignment(self, g: TensorType, indices: TensorType) -> Alignment:
        return tuple((None, None) if k == self.axis else (k, k) for k in range(g.rank))

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls(1, 4), (Box((2, 1)), Box((2, 1), values=[[3], [0]], kind="int"))),
            Sample(cls(0, 3), (Box((4, 2)), Box((4, 2), 0, 3, "int"))),
            Sample(cls(1, 3), (Box((2, 2), -9, 9, "int"), Box((2, 2), 0, 3, "int"))),
        )


def _aligned_indices(size: Size, indices: list[Value], batched: tuple[bool, ...]) -> list[Value]:
    """Indices that broadcast along a new leading axis, which those of `batched` have."""
    rank = max(len(index.shape) - own for index, own in zip(indices, batched, strict=True))
    made: list[Value] = []
    for index, own in zip(indices, batched, strict=True):
        lead, rest = ((size,), index.shape[1:]) if own else ((1,), index.shape)
        made.append(Reshape.make(index, (*lead, *(1,) * (rank - len(rest)), *rest)))
    return made


def _places(size: Size, like: Value) -> Value:
    """0, 1, ... along the leading axis, to stand beside an index."""
    return Reshape.make(apply(Arange(size)), (size, *(1,) * (len(like.shape) - 1)))


def _require_like(what: str, x: TensorType, indices: TensorType, axis: int) -> None:
    """Refuse indices that differ from x elsewhere than along the axis."""
    if x.rank != indices.rank:
        raise TypeRuleError(f"`{what}` needs as many axes in x and indices, but they are {x} and {indices}")
    for i, (p, q) in enumerate(zip(x.shape, indices.shape, strict=True)):
        if i != axis and not same(p, q):
            raise TypeRuleError(
                f"`{what}` along axis {axis} needs equal sizes on axis {i}, but they are {p} and {q}"
            )
