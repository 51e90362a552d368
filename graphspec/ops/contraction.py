"""The matrix product."""

from __future__ import annotations

from graphspec.ir import Box, Op, Sample, Size, TensorType, TypeRuleError, Value, apply, broadcast, op, same
from graphspec.ops.rules import require_number
from graphspec.ops.shape import Reshape, swap_last


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


def _reshape(x: Value, shape: tuple[Size, ...]) -> Value:
    return apply(Reshape(shape), x)


def _rows(x: Value) -> Value:
    """x[..., K] as a matrix of rows."""
    rows: Size = 1
    for size in x.shape[:-1]:
        rows = rows * size
    return _reshape(x, (rows, x.shape[-1]))
