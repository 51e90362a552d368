"""Reductions over axes: sums, extremes, where they are, and running sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from graphspec.ir import (
    Alignment,
    Box,
    DType,
    Op,
    Sample,
    Size,
    TensorType,
    TypeRuleError,
    Value,
    apply,
    op,
)
from graphspec.ops.comparison import Equal
from graphspec.ops.rounding import Cast
from graphspec.ops.rules import normal_axes, normal_axis, require_bool, require_number
from graphspec.ops.shape import BroadcastTo, Flip, Reshape

CUBE = Box((2, 3, 4))
DISTINCT = Box((2, 3), values=[[1.0, -2.0, 0.5], [3.0, 2.0, -1.0]])
TIES = Box((2, 3), values=[[1.0, 1.0, 0.0], [2.0, -1.0, 2.0]])
INTEGERS = Box((2, 3), -9, 9, "int")
BOOLEANS = Box((2, 3), kind="bool")


@dataclass(frozen=True, eq=False, repr=False)
class Reduction(Op):
    """What reductions share: `axis` is sorted and counted from the front; the op's name is numpy's."""

    axis: tuple[int, ...]
    keepdims: bool = False
    #: the ufunc of numpy that it repeats
    ufunc: ClassVar[str] = ""

    def reduced(self, x: TensorType) -> TensorType:
        """The type of the result, where it has the dtype of the operand."""
        if any(a >= x.rank for a in self.axis):
            raise TypeRuleError(f"`{self.name}` over the axes {list(self.axis)} does not fit {x}")
        if self.keepdims:
            return x.with_shape(tuple(1 if i in self.axis else s for i, s in enumerate(x.shape)))
        return x.with_shape(tuple(s for i, s in enumerate(x.shape) if i not in self.axis))

    def spread(self, g: Value, x: Value) -> Value:
        """`g`, shaped as the result, repeated along the reduced axes to the shape of `x`."""
        kept = tuple(1 if i in self.axis else s for i, s in enumerate(x.shape))
        g = g if g.shape == kept else apply(Reshape(kept), g)
        return g if g.shape == x.shape else apply(BroadcastTo(x.shape), g)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        return apply(replace(self, axis=tuple(a + 1 for a in self.axis)), *inputs)

    def alignment(self, x: TensorType) -> Alignment:
        return _kept(x.rank, self.axis, self.keepdims)

    def source(self, out: str, x: str) -> str:
        return f"xp.{self.name}({x}, axis={self.axis}, keepdims={self.keepdims}, out={out})"

    def numpy_source(self, out: str, /, *inputs: str) -> str:
        return f"xp.{self.ufunc}.reduce({inputs[0]}, {self.axis}, {out}.dtype, {out}, {self.keepdims})"

    @classmethod
    def make(cls, x: Value, axis: tuple[int, ...] | None = None, keepdims: bool = False) -> Value:
        return apply(cls(normal_axes(cls.name, axis, len(x.shape)), keepdims), x)


def _kept(rank: int, gone: tuple[int, ...], keepdims: bool) -> Alignment:
    """The alignment of what has lost some axes, or has kept them with size 1."""
    return tuple((None if k in gone else k,) for k in range(rank) if keepdims or k not in gone)


@op
class Sum(Reduction):
    """y = the sum of x over `axis` (all axes if none is given); of booleans, how many are true.

    Shapes: x[...] -> y[...] without the axes, or with size 1 where `keepdims`.
    Integers keep their dtype; the count of booleans is i64.
    Source: numpy.sum (pairwise summation).
    """

    ufunc = "add"

    def infer(self, x: TensorType) -> TensorType:
        y = self.reduced(x)
        return y.with_dtype(DType.I64) if x.dtype is DType.BOOL else y

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (self.spread(gy, x),)

    def summed(self, x: TensorType) -> Alignment:
        return tuple((axis,) for axis in self.axis)

    def source(self, out: str, x: str) -> str:
        # the libraries have their own ideas of the dtype in which to add small integers
        return f"xp.sum({x}, axis={self.axis}, keepdims={self.keepdims}, dtype={out}.dtype, out={out})"

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls((0, 1, 2)), (CUBE,)),
            Sample(cls((1,)), (CUBE,)),
            Sample(cls((0, 2), True), (CUBE,)),
            Sample(cls((0,)), (INTEGERS,)),
            Sample(cls((1,)), (BOOLEANS,)),
        )


class Extreme(Reduction):
    """What `max` and `min` share."""

    def infer(self, x: TensorType) -> TensorType:
        require_number(self.name, x)
        if any(x.shape[a] == 0 for a in self.axis if a < x.rank):
            raise TypeRuleError(f"`{self.name}` of no elements has no value: it is taken of {x}")
        return self.reduced(x)

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        hit = apply(Cast(x.dtype), apply(Equal(), x, self.spread(y, x)))
        count = apply(Sum(self.axis, self.keepdims), hit)
        return (self.spread(gy / count, x) * hit,)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls((0, 1)), (DISTINCT,)),
            Sample(cls((1,), True), (DISTINCT,)),
            Sample(cls((1,)), (TIES,), False),
            Sample(cls((0,)), (INTEGERS,)),
        )


@op
class Max(Extreme):
    """y = the greatest element of x over `axis` (all axes if none is given); nan if there is one.

    Shapes: x[...] -> y[...] without the axes, or with size 1 where `keepdims`.
    Elements that share the maximum share its derivative evenly.
    Source: numpy.max; the split of ties is PyTorch's (`amax`).
    """

    ufunc = "maximum"


@op
class Min(Extreme):
    """y = the least element of x over `axis` (all axes if none is given); nan if there is one.

    Shapes: x[...] -> y[...] without the axes, or with size 1 where `keepdims`.
    Elements that share the minimum share its derivative evenly.
    Source: numpy.min; the split of ties is PyTorch's (`amin`).
    """

    ufunc = "minimum"


class Quantifier(Reduction):
    """What `any` and `all` share."""

    def infer(self, x: TensorType) -> TensorType:
        require_bool(self.name, x)
        return self.reduced(x)

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[None]:
        return (None,)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return Sample(cls((1,)), (BOOLEANS,), False), Sample(cls((0, 1), True), (BOOLEANS,), False)


@op
class Any(Quantifier):
    """y = whether any element of x is true over `axis` (all axes if none is given).

    Shapes: x[...] -> y[...] without the axes, or with size 1 where `keepdims`.
    Source: numpy.any.
    """

    ufunc = "logical_or"


@op
class All(Quantifier):
    """y = whether all elements of x are true over `axis` (all axes if none is given).

    Shapes: x[...] -> y[...] without the axes, or with size 1 where `keepdims`.
    Source: numpy.all.
    """

    ufunc = "logical_and"


@op
class Argmax(Op):
    """y = the index of the greatest element of x along `axis`, of equal ones the first; i64.

    Shapes: x[...] -> y[...] without the axis, or with size 1 where `keepdims`.
    Source: numpy.argmax.
    """

    axis: int
    keepdims: bool = False

    def infer(self, x: TensorType) -> TensorType:
        require_number("argmax", x)
        axis = normal_axis("argmax", self.axis, x.rank)
        if x.shape[axis] == 0:
            raise TypeRuleError(f"`argmax` of no elements has no value: it is taken of {x}")
        middle = (1,) if self.keepdims else ()
        return TensorType(DType.I64, x.shape[:axis] + middle + x.shape[axis + 1 :])

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[None]:
        return (None,)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        return apply(Argmax(self.axis + 1, self.keepdims), *inputs)

    def alignment(self, x: TensorType) -> Alignment:
        return _kept(x.rank, (self.axis,), self.keepdims)

    def source(self, out: str, x: str) -> str:
        return f"xp.argmax({x}, axis={self.axis}, keepdims={self.keepdims}, out={out})"

    @classmethod
    def make(cls, x: Value, axis: int, keepdims: bool = False) -> Value:
        return apply(cls(normal_axis("argmax", axis, len(x.shape)), keepdims), x)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls(1), (DISTINCT,), False),
            Sample(cls(0, True), (TIES,), False),
            Sample(cls(0), (INTEGERS,), False),
        )


@op
class Cumsum(Op):
    """y[..., i, ...] = sum of x[..., j, ...] for j <= i along `axis`.

    Shapes: x[...] -> y[...].
    Source: numpy.cumsum; its adjoint sums from the other end.
    """

    axis: int

    def infer(self, x: TensorType) -> TensorType:
        require_number("cumsum", x)
        normal_axis("cumsum", self.axis, x.rank)
        return x

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        turned = apply(Cumsum(self.axis), apply(Flip((self.axis,)), gy))
        return (apply(Flip((self.axis,)), turned),)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        return apply(Cumsum(self.axis + 1), *inputs)

    def alignment(self, x: TensorType) -> Alignment:
        return _kept(x.rank, (self.axis,), keepdims=True)

    def source(self, out: str, x: str) -> str:
        return f"xp.cumsum({x}, axis={self.axis}, dtype={out}.dtype, out={out})"

    @classmethod
    def make(cls, x: Value, axis: int) -> Value:
        return apply(cls(normal_axis("cumsum", axis, len(x.shape))), x)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return Sample(cls(0), (CUBE,)), Sample(cls(2), (CUBE,)), Sample(cls(1), (INTEGERS,))
