"""Elementwise functions of one operand that are no smooth curves: sign, absolute value, rounding, casts."""

from __future__ import annotations

from typing import ClassVar

from graphspec.ir import (
    Alignment,
    Box,
    DType,
    Op,
    Sample,
    Size,
    TensorType,
    Value,
    apply,
    broadcast_alignment,
    op,
)
from graphspec.ops.rules import require_float, require_number

AWAY_FROM_STEPS = Box((2, 3), values=[[-1.7, -0.4, 0.3], [0.6, 1.2, 2.6]])
STEPS = Box((6,), values=[-1.5, -0.5, 0.0, 0.5, 1.5, 2.5])


@op
class Neg(Op):
    """y = -x, elementwise.

    Shapes: x[...] -> y[...].  Domain: all numbers.
    Source: numpy.negative.
    """

    is_elementwise = True

    def infer(self, x: TensorType) -> TensorType:
        require_number("-", x)
        return x

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (-gy,)

    def source(self, out: str, x: str) -> str:
        return f"xp.negative({x}, out={out})"

    def element(self, x: str) -> str:
        return f"(-{x})"

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return Sample(cls(), (Box((2, 3)),)), Sample(cls(), (Box((2, 3), -4, 4, "int"),))


@op
class Abs(Op):
    """y = x where x > 0, else -x, elementwise; its derivative at 0 is 0.

    Shapes: x[...] -> y[...].  Domain: all numbers.
    Source: numpy.absolute; the derivative at 0 is PyTorch's.
    """

    is_elementwise = True

    def infer(self, x: TensorType) -> TensorType:
        require_number("abs", x)
        return x

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (gy * apply(Sign(), x),)

    def source(self, out: str, x: str) -> str:
        return f"xp.absolute({x}, out={out})"

    def element(self, x: str) -> str:
        return f"abs({x})"

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        integers = Box((2, 3), -4, 4, "int")
        return Sample(cls(), (AWAY_FROM_STEPS,)), Sample(cls(), (STEPS,), False), Sample(cls(), (integers,))


@op
class Sign(Op):
    """y = 1 where x > 0, -1 where x < 0, else 0, elementwise; nan stays nan.  No derivative passes.

    Shapes: x[...] -> y[...].  Domain: all numbers.
    Source: numpy.sign.
    """

    is_elementwise = True

    def infer(self, x: TensorType) -> TensorType:
        require_number("sign", x)
        return x

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[None]:
        return (None,)

    def source(self, out: str, x: str) -> str:
        return f"xp.sign({x}, out={out})"

    def element(self, x: str) -> str:
        return f"sign({x})"

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return Sample(cls(), (AWAY_FROM_STEPS,)), Sample(cls(), (Box((2, 3), -4, 4, "int"),))


class Rounding(Op):
    """What the ways of rounding share; `ufunc` is numpy's name.  No derivative passes."""

    is_elementwise = True
    ufunc: ClassVar[str]

    def infer(self, x: TensorType) -> TensorType:
        require_float(self.name, x)
        return x

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[None]:
        return (None,)

    def source(self, out: str, x: str) -> str:
        return f"xp.{self.ufunc}({x}, out={out})"

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return Sample(cls(), (AWAY_FROM_STEPS,)), Sample(cls(), (STEPS,), False)


@op
class Floor(Rounding):
    """y = the greatest whole number <= x, elementwise.

    Shapes: x[...] -> y[...].  Domain: all reals.
    Source: IEEE 754-2019, 5.9 (roundToIntegralTowardNegative).
    """

    ufunc = "floor"


@op
class Ceil(Rounding):
    """y = the least whole number >= x, elementwise.

    Shapes: x[...] -> y[...].  Domain: all reals.
    Source: IEEE 754-2019, 5.9 (roundToIntegralTowardPositive).
    """

    ufunc = "ceil"


@op
class Round(Rounding):
    """y = the whole number nearest to x, of two the even one, elementwise.

    Shapes: x[...] -> y[...].  Domain: all reals.
    Source: IEEE 754-2019, 5.9 (roundToIntegralTiesToEven).
    """

    ufunc = "rint"


@op
class Cast(Op):
    """y = x as numbers of another dtype, elementwise: rounded to nearest, cut off towards 0 for integers.

    Shapes: x[...] -> y[...].  Domain: all; a nonzero number is true, true is 1.
    The derivative passes between floating-point dtypes.
    Source: numpy.ndarray.astype.
    """

    dtype: DType
    is_elementwise = True

    def infer(self, x: TensorType) -> TensorType:
        return x.with_dtype(self.dtype)

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value | None]:
        return (apply(Cast(x.dtype), gy) if x.dtype.is_float and gy.dtype.is_float else None,)

    def source(self, out: str, x: str) -> str:
        return f"xp.copyto({out}, {x}, casting='unsafe')"

    def element(self, x: str) -> str:
        # what becomes of numbers that an integer cannot hold is the library's affair
        return f"{self.dtype.array_name}({x})" if self.dtype.is_float else ""

    @classmethod
    def make(cls, x: Value, dtype: DType) -> Value:
        return x if x.dtype is dtype else apply(cls(dtype), x)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        to_f64 = Sample(cls(DType.F64), (Box((2, 3)),))
        to_f32 = Sample(cls(DType.F32), (Box((2, 3)),), False)
        whole = Sample(cls(DType.I64), (AWAY_FROM_STEPS,), False)
        from_bool = Sample(cls(DType.F32), (Box((2, 3), kind="bool"),), False)
        return to_f64, to_f32, whole, from_bool, Sample(cls(DType.BOOL), (Box((3,), -1, 2, "int"),), False)


@op
class StopGradient(Op):
    """y = x, through which no derivative passes.

    Shapes: x[...] -> y[...].  Domain: all.
    Source: Bengio, Leonard & Courville (2013), arXiv:1308.3432, section 2, for its use.
    """

    is_view = True

    def infer(self, x: TensorType) -> TensorType:
        return x

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[None]:
        return (None,)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        return apply(self, *inputs)

    def alignment(self, x: TensorType) -> Alignment:
        return broadcast_alignment(x, x)

    def source(self, out: str, x: str) -> str:
        return x

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(cls(), (Box((2, 3)),), False),)
