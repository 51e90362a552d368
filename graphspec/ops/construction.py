"""Functions of the language that make constants, or build one result of several shape ops."""

from __future__ import annotations

from graphspec.ir import (
    Alignment,
    DType,
    Op,
    Sample,
    Size,
    Symbolic,
    TensorType,
    TypeRuleError,
    Value,
    apply,
    function,
    literal,
    op,
    same,
)
from graphspec.ops.rules import normal_axes, normal_axis
from graphspec.ops.shape import BroadcastTo, Concat, Embed, Reshape, slice_axis


@op
class Arange(Op):
    """y[i] = i for 0 <= i < size; i64.

    Shapes: -> y[size].
    Source: numpy.arange.
    """

    size: Size

    def infer(self) -> TensorType:
        if isinstance(self.size, int) and self.size < 0:
            raise TypeRuleError(f"`arange` needs a size of at least 0, not {self.size}")
        return TensorType(DType.I64, (self.size,))

    def vjp(self, gy: Value, y: Value) -> tuple[()]:
        return ()

    def alignment(self) -> Alignment:
        return ((),)

    def source(self, out: str) -> str:
        return f"xp.copyto({out}, xp.arange({self.size}))"

    @classmethod
    def make(cls, size: Size) -> Value:
        return apply(cls(size))

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return Sample(cls(4), (), False), Sample(cls(0), (), False)


@function
def full(shape: tuple[Size, ...], value: float, dtype: DType = DType.F32) -> Value:
    """y = `value` everywhere.

    Shapes: -> y[shape].
    Source: numpy.full.
    """
    if not dtype.is_float and value != int(value):
        raise TypeRuleError(f"{value} is no number of the dtype {dtype}", id="dtype-mismatch")
    return BroadcastTo.make(literal(value, dtype), tuple(shape))


@function
def zeros(shape: tuple[Size, ...], dtype: DType = DType.F32) -> Value:
    """y = 0 everywhere.

    Shapes: -> y[shape].
    Source: numpy.zeros.
    """
    return full(shape, 0, dtype)


@function
def ones(shape: tuple[Size, ...], dtype: DType = DType.F32) -> Value:
    """y = 1 everywhere.

    Shapes: -> y[shape].
    Source: numpy.ones.
    """
    return full(shape, 1, dtype)


@function
def zeros_like(x: Value) -> Value:
    """y = 0 everywhere, in the shape and dtype of x.

    Shapes: x[...] -> y[...].
    Source: numpy.zeros_like.
    """
    return full(x.shape, 0, x.dtype)


@function
def ones_like(x: Value) -> Value:
    """y = 1 everywhere, in the shape and dtype of x.

    Shapes: x[...] -> y[...].
    Source: numpy.ones_like.
    """
    return full(x.shape, 1, x.dtype)


@function
def unsqueeze(x: Value, axis: int | tuple[int, ...]) -> Value:
    """y = x with new axes of size 1, which are the axes `axis` of y.

    Shapes: x[A, B] -> y[A, 1, B] for `axis=1`.
    Source: numpy.expand_dims.
    """
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    new = normal_axes("unsqueeze", given, len(x.shape) + len(given))
    sizes = iter(x.shape)
    return Reshape.make(x, tuple(1 if i in new else next(sizes) for i in range(len(x.shape) + len(new))))


@function
def squeeze(x: Value, axis: tuple[int, ...] | None = None) -> Value:
    """y = x without the axes `axis`, which have size 1; without all axes of size 1 if none is given.

    Shapes: x[A, 1, B] -> y[A, B] for `axis=1`.
    Source: numpy.squeeze.
    """
    rank = len(x.shape)
    if axis is None:
        gone = tuple(i for i, size in enumerate(x.shape) if size == 1)
    else:
        gone = normal_axes("squeeze", axis, rank)
    for i in gone:
        if x.shape[i] != 1:
            raise TypeRuleError(
                f"`squeeze` drops axes of size 1, but axis {i} of {x.type} has size {x.shape[i]}"
            )
    return Reshape.make(x, tuple(size for i, size in enumerate(x.shape) if i not in gone))


@function
def stack(*xs: Value, axis: int = 0) -> Value:
    """y = the operands, which have one shape, along a new axis.

    Shapes: x_1[A, B], ..., x_n[A, B] -> y[n, A, B] for `axis=0`.
    Source: numpy.stack.
    """
    if not xs:
        raise TypeRuleError("`stack` needs at least one tensor")
    at = normal_axis("stack", axis, len(xs[0].shape) + 1)
    for x in xs[1:]:
        if x.type != xs[0].type:
            raise TypeRuleError(f"`stack` needs tensors of one type, but they are {xs[0].type} and {x.type}")
    return apply(Concat(at), *(unsqueeze(x, (at,)) for x in xs))


@function
def split(x: Value, parts: Size | tuple[Size, ...], axis: int = 0) -> tuple[Value, ...]:
    """y_1, ..., y_n = x cut along `axis`, into `parts` equal parts or into parts of the sizes `parts`.

    Shapes: x[..., A, ...] -> y_1[..., A/n, ...], ..., y_n[..., A/n, ...] for `parts=n`.
    Source: numpy.split.
    """
    at = normal_axis("split", axis, len(x.shape))
    size = x.shape[at]
    given = (parts,) if isinstance(parts, int | Symbolic) else tuple(parts)
    if len(given) == 1:
        (count,) = given
        if not isinstance(count, int) or count < 1:
            raise TypeRuleError(f"`split` needs a number of parts of at least 1, not {count}")
        left_over = size % count
        if isinstance(left_over, int) and left_over:
            raise TypeRuleError(f"`split` cannot cut axis {at} of {x.type} into {count} equal parts")
        given = (size // count,) * count
    total = sum(given, start=0)
    if not same(total, size):
        raise TypeRuleError(
            f"the parts of `split` have {total} elements together, but axis {at} of {x.type} has {size}"
        )
    pieces: list[Value] = []
    start: Size = 0
    for length in given:
        pieces.append(slice_axis(x, at, start, start + length))
        start = start + length
    return tuple(pieces)


@function
def pad(x: Value, pad: tuple[int, ...], value: float = 0.0) -> Value:
    """y = x with `value` around it: `pad` holds how much before and after the last axis, then before
    and after the one in front of it, and so on.

    Shapes: x[A, B] -> y[A + top + bottom, B + left + right] for `pad=[left, right, top, bottom]`.
    Source: torch.nn.functional.pad.
    """
    amounts = tuple(pad)
    rank = len(x.shape)
    if len(amounts) % 2 or len(amounts) > 2 * rank:
        raise TypeRuleError(
            f"`pad` needs two numbers for each of up to {rank} axes, not {len(amounts)} in all"
        )
    if min(amounts, default=0) < 0:
        raise TypeRuleError("`pad` needs numbers of at least 0", help="a slice takes elements away")
    before = (0,) * (rank - len(amounts) // 2) + amounts[::2][::-1]
    after = (0,) * (rank - len(amounts) // 2) + amounts[1::2][::-1]
    shape = tuple(b + size + a for size, b, a in zip(x.shape, before, after, strict=True))
    return x if shape == x.shape else apply(Embed(shape, before, (1,) * rank, value), x)
