"""The matrix product."""

from __future__ import annotations

from dataclasses import dataclass

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
from graphspec.ops.rules import require_number
from graphspec.ops.shape import Reshape, Transpose, cut_axis, fold_axes, move_axis, swap_last


@op
class Matmul(Op):
    """z[..., i, j] = sum over k of x[..., i, k] * y[..., k, j].

    Shapes: x[..., I, K], y[..., K, J] -> z[..., I, J]; leading axes broadcast.
    An operand with one axis is a row on the left and a column on the right, and z lacks that axis.
    Source: numpy.matmul; Giles (2008), "An extended collection of matrix derivative results", 2.2.
    """

    kernel = "matmul"

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        dtype = require_number("@", x, y)
        if not x.rank or not y.rank:
            raise TypeRuleError(
                f"`@` multiplies matrices and vectors, not {x} and {y}", help="`*` multiplies by a scalar"
            )
        rows, inner = ((1, *x.shape) if x.rank == 1 else x.shape)[-2:]
        inner_y, columns = ((*y.shape, 1) if y.rank == 1 else y.shape)[-2:]
        if not same(inner, inner_y):
            fits_transposed = y.rank > 1 and same(inner, columns)
            raise TypeRuleError(
                f"`@` sums over the last axis of {x} and {'the' if y.rank == 1 else 'the second last'} axis "
                f"of {y}, but their sizes are {inner} and {inner_y}",
                help="`transpose(...)` of the right operand fits" if fits_transposed else "",
            )
        lead = broadcast(x.shape[:-2], y.shape[:-2])
        return TensorType(dtype, (*lead, *[rows][: x.rank - 1], *[columns][: y.rank - 1]))

    def vjp(self, gz: Value, z: Value, x: Value, y: Value) -> tuple[Value, Value]:
        if len(y.shape) == 1:
            gx, gy = Matmul().vjp(_reshape(gz, (*gz.shape, 1)), z, x, _reshape(y, (*y.shape, 1)))
            return gx, _reshape(gy, gy.shape[:-1])
        if len(x.shape) == 1:
            row = (*gz.shape[:-1], 1, gz.shape[-1])
            gx, gy = Matmul().vjp(_reshape(gz, row), z, _reshape(x, (1, *x.shape)), y)
            return _reshape(gx, (*gx.shape[:-2], gx.shape[-1])), gy
        gx = gz @ swap_last(y)
        if len(y.shape) == 2 and len(x.shape) > 2:
            # one product over all rows, not one for each leading index and a sum over them
            return gx, swap_last(_rows(x)) @ _rows(gz)
        return gx, swap_last(x) @ gz

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        x, y = inputs
        x_rank, y_rank = (len(v.shape) - own for v, own in zip(inputs, batched, strict=True))
        if not batched[1] and y_rank <= 2:
            return x @ y  # numpy's own leading axes: one product for all rows
        if x_rank == 1:
            row = _reshape(x, (*x.shape[:-1], 1, x.shape[-1]))
            z = self.batch(size, (row, y), batched)
            return _reshape(z, (*z.shape[:-1],) if y_rank == 1 else (*z.shape[:-2], z.shape[-1]))
        if y_rank == 1:
            z = self.batch(size, (x, _reshape(y, (*y.shape, 1))), batched)
            return _reshape(z, z.shape[:-1])
        if batched[0] and batched[1]:
            rank = max(x_rank, y_rank)
            x, y = (
                _reshape(v, (size, *(1,) * (rank - own), *v.shape[1:])) if own < rank else v
                for v, own in ((x, x_rank), (y, y_rank))
            )
            return x @ y
        # one operand serves all: the sets become further rows or columns of the other, in one product
        if batched[0]:
            z = fold_axes(move_axis(x, 0, x_rank - 2), x_rank - 2) @ y
            at = len(z.shape) - 2
            return move_axis(cut_axis(z, at, (size, x.shape[-2])), at, 0)
        z = x @ fold_axes(move_axis(y, 0, y_rank - 1), y_rank - 1)
        at = len(z.shape) - 1
        return move_axis(cut_axis(z, at, (size, y.shape[-1])), at, 0)

    def alignment(self, x: TensorType, y: TensorType) -> Alignment:
        z = self.infer(x, y)
        lead = z.with_shape(z.shape[: z.rank - (x.rank > 1) - (y.rank > 1)])
        heads = (x.with_shape(x.shape[:-2]), y.with_shape(y.shape[:-2]))
        rows = ((x.rank - 2, None),) * (x.rank > 1)
        return (*broadcast_alignment(lead, *heads), *rows, *((None, y.rank - 1),) * (y.rank > 1))

    def summed(self, x: TensorType, y: TensorType) -> Alignment:
        return ((x.rank - 1, max(y.rank - 2, 0)),)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        matrix, vector = Box((2, 3)), Box((3,))
        return (
            Sample(cls(), (matrix, Box((3, 4)))),
            Sample(cls(), (Box((2, 1, 2, 3)), Box((3, 3, 2)))),
            Sample(cls(), (Box((5, 2, 3)), Box((3, 4)))),
            Sample(cls(), (matrix, Box((2, 3, 2)))),
            Sample(cls(), (vector, vector)),
            Sample(cls(), (vector, Box((2, 3, 4)))),
            Sample(cls(), (Box((2, 2, 3)), vector)),
            Sample(cls(), (Box((2, 3), -4, 4, "int"), Box((3, 2), -4, 4, "int"))),
        )


@dataclass(frozen=True, eq=False, repr=False)
class ProductInOrder(Op):
    """z = transpose(x @ y, axes), written as it lies in memory instead of being copied.

    Shapes: x[..., I, K], y[..., K, J] -> z, that is [..., I, J] with its axes in this order.
    Made by the compiler (`transforms.order_products`), after differentiation.
    """

    axes: tuple[int, ...]
    name = "product_in_order"
    field_names = ("axes",)
    kernel = "product_in_order"
    is_internal = True

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        return Transpose(self.axes).infer(Matmul().infer(x, y))


def _reshape(x: Value, shape: tuple[Size, ...]) -> Value:
    return apply(Reshape(shape), x)


def _rows(x: Value) -> Value:
    """x[..., K] as a matrix of rows."""
    rows: Size = 1
    for size in x.shape[:-1]:
        rows = rows * size
    return _reshape(x, (rows, x.shape[-1]))
