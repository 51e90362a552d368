"""Arithmetic, elementwise with broadcasting: sums, products, quotients, powers, extremes."""

from __future__ import annotations

from typing import Any, ClassVar

from graphspec.ir import Box, Literal, Op, Sample, TensorType, TypeRuleError, Value, apply, op
from graphspec.ops.comparison import Equal, Less, LogicalAnd, where
from graphspec.ops.rules import elementwise, require_float, require_number
from graphspec.ops.transcendental import Log

MATRIX = Box((2, 3))
ROW = Box((3,))
POSITIVE = Box((2, 3), 0.5, 2.0)


class Arithmetic(Op):
    """What arithmetic on two operands shares: `operator` is what the user writes, `ufunc` numpy's name."""

    is_elementwise = True
    operator: ClassVar[str]
    ufunc: ClassVar[str]

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        require_number(self.operator, x, y)
        return elementwise(self.operator, x, y)

    def source(self, out: str, x: str, y: str) -> str:
        return f"xp.{self.ufunc}({x}, {y}, out={out})"

    def element(self, x: str, y: str) -> str:
        return f"({x} {self.operator} {y})" if self.operator in ("+", "-", "*", "/") else ""


@op
class Add(Arithmetic):
    """z = x + y, elementwise.

    Shapes: x[...], y[...] -> z[...], broadcast.  Domain: all numbers.
    Source: numpy.add; sum rule of differentiation.
    """

    is_commutative = True
    operator = "+"
    ufunc = "add"

    def vjp(self, gz: Value, z: Value, x: Value, y: Value) -> tuple[Value, Value]:
        return gz, gz

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return Sample(cls(), (MATRIX, MATRIX)), Sample(cls(), (MATRIX, ROW)), Sample(cls(), (Box(()), MATRIX))


@op
class Sub(Arithmetic):
    """z = x - y, elementwise.

    Shapes: x[...], y[...] -> z[...], broadcast.  Domain: all numbers.
    Source: numpy.subtract; sum rule of differentiation.
    """

    operator = "-"
    ufunc = "subtract"

    def vjp(self, gz: Value, z: Value, x: Value, y: Value) -> tuple[Value, Value]:
        return gz, -gz

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return Sample(cls(), (MATRIX, MATRIX)), Sample(cls(), (ROW, MATRIX))


@op
class Mul(Arithmetic):
    """z = x * y, elementwise.

    Shapes: x[...], y[...] -> z[...], broadcast.  Domain: all numbers.
    Source: numpy.multiply; product rule of differentiation.
    """

    is_commutative = True
    operator = "*"
    ufunc = "multiply"

    def vjp(self, gz: Value, z: Value, x: Value, y: Value) -> tuple[Value, Value]:
        return gz * y, gz * x

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return Sample(cls(), (MATRIX, MATRIX)), Sample(cls(), (Box((2, 1)), ROW))


@op
class Div(Arithmetic):
    """z = x / y, elementwise, of floating-point numbers.

    Shapes: x[...], y[...] -> z[...], broadcast.  Domain: y = 0 gives an infinity or nan.
    Source: numpy.true_divide; quotient rule of differentiation.
    """

    operator = "/"
    ufunc = "true_divide"

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        if x.dtype.is_integer and y.dtype.is_integer:
            raise TypeRuleError(
                f"`/` divides floating-point numbers, not {x.dtype}",
                help="`//` divides integers; `cast(..., f32)` converts",
                id="dtype-mismatch",
            )
        require_float("/", x, y)
        return elementwise("/", x, y)

    def vjp(self, gz: Value, z: Value, x: Value, y: Value) -> tuple[Value, Value]:
        gx = gz / y
        return gx, -gx * z

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return Sample(cls(), (MATRIX, POSITIVE)), Sample(cls(), (MATRIX, Box((3,), -3.0, -0.5)))


@op
class FloorDiv(Arithmetic):
    """z = floor(x / y), elementwise; a derivative it has not, being flat between its steps.

    Shapes: x[...], y[...] -> z[...], broadcast.  Domain: an integer y must not be 0.
    Source: numpy.floor_divide.
    """

    operator = "//"
    ufunc = "floor_divide"

    def vjp(self, gz: Value, z: Value, x: Value, y: Value) -> tuple[None, None]:
        return None, None

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        integers = Box((2, 3), -9, 9, "int"), Box((3,), 1, 5, "int")
        steady = Box((4,), values=[2.5, -2.5, 7.3, -0.4]), Box((4,), values=[1.0, 1.0, -2.0, 3.0])
        return Sample(cls(), steady), Sample(cls(), integers)


@op
class Mod(Arithmetic):
    """z = x - y * floor(x / y), elementwise: the remainder, with the sign of y.

    Shapes: x[...], y[...] -> z[...], broadcast.  Domain: an integer y must not be 0.
    Source: numpy.mod; derivative between the steps of floor(x / y).
    """

    operator = "%"
    ufunc = "remainder"

    def vjp(self, gz: Value, z: Value, x: Value, y: Value) -> tuple[Value, Value]:
        return gz, -gz * apply(FloorDiv(), x, y)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        steady = Box((4,), values=[2.5, -2.5, 7.3, -0.4]), Box((4,), values=[1.0, 1.0, -2.0, 3.0])
        integers = Box((2, 3), -9, 9, "int"), Box((3,), 1, 5, "int")
        return Sample(cls(), steady), Sample(cls(), integers)


@op
class Pow(Arithmetic):
    """z = x ** p, elementwise.

    Shapes: x[...], p[...] -> z[...], broadcast.  Domain: a negative x needs a whole p.
    Derivatives: p * x**(p - 1), which is 0 for p = 0 even at x = 0; z * log(x), which is 0 at x = 0.
    Source: numpy.power; Abramowitz & Stegun (1964), 3.3.13; the values at 0 are PyTorch's.
    """

    operator = "**"
    ufunc = "power"
    reads_numbers = True

    def source(self, out: str, x: str, p: str) -> str:
        if p in ("2", "2.0"):
            return f"xp.square({x}, out={out})"  # numpy.power has no short way for squares
        return super().source(out, x, p)

    def vjp(self, gz: Value, z: Value, x: Value, p: Value) -> tuple[Value | None, Value | None]:
        if isinstance(p.node.op, Literal) and isinstance(p.node.op.value, int | float):
            return _power_rule(gz, x, p.node.op.value), None
        both_zero = apply(LogicalAnd(), apply(Equal(), x, x * 0), apply(Equal(), p, p * 0))
        gx = gz * p * where(both_zero, 1, x) ** (p - 1)
        gp = gz * z * apply(Log(), where(apply(Equal(), x, x * 0), 1, x))
        return gx, gp

    @classmethod
    def make(cls, x: Value, p: Value, **statics: Any) -> Value:
        exponent = p.node.op
        if isinstance(exponent, Literal) and x.dtype.is_integer and _is_negative(exponent.value):
            raise TypeRuleError(
                f"an integer has no power {exponent.value} that is an integer",
                help="`cast(..., f32)` converts the base",
                id="dtype-mismatch",
            )
        return apply(cls(), x, p)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls(), (POSITIVE, MATRIX)),
            Sample(cls(), (Box((2, 3), 1.5, 9.0), Box((3,), 2.0, 6.0))),
            Sample(cls(), (Box((2, 3), -4, 4, "int"), Box((3,), 0, 4, "int"))),
        )


def _is_negative(number: Any) -> bool:
    return isinstance(number, int | float) and number < 0


def _power_rule(gz: Value, x: Value, p: int | float) -> Value | None:
    """The cotangent of x in x ** p for a known p."""
    if p == 0:
        return None
    if p == 1:
        return gz
    return gz * (2 * x if p == 2 else p * x ** (p - 1))


@op
class Maximum(Arithmetic):
    """z = x where x > y, else y, elementwise; nan where either is nan.

    Shapes: x[...], y[...] -> z[...], broadcast.  Domain: all numbers.
    Where x = y each operand receives half of the derivative.
    Source: numpy.maximum; the split of ties is PyTorch's.
    """

    operator = "maximum"
    ufunc = "maximum"

    def element(self, x: str, y: str) -> str:
        return f"maximum({x}, {y})"

    def vjp(self, gz: Value, z: Value, x: Value, y: Value) -> tuple[Value, Value]:
        share = where(apply(Equal(), x, y), 0.5 * gz, gz)
        return where(apply(Less(), x, y), 0, share), where(apply(Less(), y, x), 0, share)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        tie = Box((3,), values=[1.0, 2.0, 3.0]), Box((3,), values=[1.0, 3.0, 2.0])
        return Sample(cls(), (MATRIX, MATRIX)), Sample(cls(), (MATRIX, ROW)), Sample(cls(), tie, False)


@op
class Minimum(Arithmetic):
    """z = x where x < y, else y, elementwise; nan where either is nan.

    Shapes: x[...], y[...] -> z[...], broadcast.  Domain: all numbers.
    Where x = y each operand receives half of the derivative.
    Source: numpy.minimum; the split of ties is PyTorch's.
    """

    operator = "minimum"
    ufunc = "minimum"

    def element(self, x: str, y: str) -> str:
        return f"minimum({x}, {y})"

    def vjp(self, gz: Value, z: Value, x: Value, y: Value) -> tuple[Value, Value]:
        share = where(apply(Equal(), x, y), 0.5 * gz, gz)
        return where(apply(Less(), y, x), 0, share), where(apply(Less(), x, y), 0, share)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        tie = Box((3,), values=[1.0, 2.0, 3.0]), Box((3,), values=[1.0, 3.0, 2.0])
        return Sample(cls(), (MATRIX, MATRIX)), Sample(cls(), (MATRIX, ROW)), Sample(cls(), tie, False)
