"""Comparisons, logic and choice, elementwise with broadcasting."""

from __future__ import annotations

from typing import ClassVar

from graphspec.ir import Box, DType, Op, Sample, TensorType, Value, apply, broadcast, op, operand
from graphspec.ir.op import Operand
from graphspec.ops.rules import elementwise, require_bool, require_number, require_one_dtype

NUMBERS = Box((2, 3), values=[[1.0, 2.0, 3.0], [-1.0, 0.0, 1.0]])
ROW = Box((3,), values=[1.0, 0.0, 2.0])
INTEGERS = Box((2, 3), -2, 3, "int")
BOOLEANS = Box((2, 3), kind="bool")


class Comparison(Op):
    """What comparisons share: `operator` is what the user writes; the op's name is numpy's."""

    is_elementwise = True
    operator: ClassVar[str]

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        if self.operator not in ("==", "!="):
            require_number(self.operator, x, y)
        return elementwise(self.operator, x, y).with_dtype(DType.BOOL)

    def vjp(self, gz: Value, z: Value, x: Value, y: Value) -> tuple[None, None]:
        return None, None

    def source(self, out: str, x: str, y: str) -> str:
        return f"xp.{self.name}({x}, {y}, out={out})"

    def element(self, x: str, y: str) -> str:
        return f"({x} {self.operator} {y})"

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return Sample(cls(), (NUMBERS, ROW), False), Sample(cls(), (INTEGERS, INTEGERS), False)


@op
class Equal(Comparison):
    """z = (x == y), elementwise.

    Shapes: x[...], y[...] -> z[...], broadcast, bool.  Domain: all; nan equals nothing.
    Source: IEEE 754-2019, 5.11.
    """

    is_commutative = True
    operator = "=="


@op
class NotEqual(Comparison):
    """z = (x != y), elementwise.

    Shapes: x[...], y[...] -> z[...], broadcast, bool.  Domain: all; nan differs from everything.
    Source: IEEE 754-2019, 5.11.
    """

    is_commutative = True
    operator = "!="


@op
class Less(Comparison):
    """z = (x < y), elementwise.

    Shapes: x[...], y[...] -> z[...], broadcast, bool.  Domain: all numbers; false for nan.
    Source: IEEE 754-2019, 5.11.
    """

    operator = "<"


@op
class LessEqual(Comparison):
    """z = (x <= y), elementwise.

    Shapes: x[...], y[...] -> z[...], broadcast, bool.  Domain: all numbers; false for nan.
    Source: IEEE 754-2019, 5.11.
    """

    operator = "<="


@op
class Greater(Comparison):
    """z = (x > y), elementwise.

    Shapes: x[...], y[...] -> z[...], broadcast, bool.  Domain: all numbers; false for nan.
    Source: IEEE 754-2019, 5.11.
    """

    operator = ">"


@op
class GreaterEqual(Comparison):
    """z = (x >= y), elementwise.

    Shapes: x[...], y[...] -> z[...], broadcast, bool.  Domain: all numbers; false for nan.
    Source: IEEE 754-2019, 5.11.
    """

    operator = ">="


class Logic(Op):
    """What logic on two booleans shares; `operator` is Python's for booleans."""

    is_elementwise = True
    operator: ClassVar[str]

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        require_bool(self.name, x, y)
        return elementwise(self.name, x, y)

    def vjp(self, gz: Value, z: Value, x: Value, y: Value) -> tuple[None, None]:
        return None, None

    def source(self, out: str, x: str, y: str) -> str:
        return f"xp.{self.name}({x}, {y}, out={out})"

    def element(self, x: str, y: str) -> str:
        return f"({x} {self.operator} {y})"

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(cls(), (BOOLEANS, Box((3,), kind="bool")), False),)


@op
class LogicalAnd(Logic):
    """z = x and y, elementwise.

    Shapes: x[...], y[...] -> z[...], broadcast.  Domain: booleans.
    Source: numpy.logical_and.
    """

    is_commutative = True
    operator = "&"


@op
class LogicalOr(Logic):
    """z = x or y, elementwise.

    Shapes: x[...], y[...] -> z[...], broadcast.  Domain: booleans.
    Source: numpy.logical_or.
    """

    is_commutative = True
    operator = "|"


@op
class LogicalNot(Op):
    """y = not x, elementwise.

    Shapes: x[...] -> y[...].  Domain: booleans.
    Source: numpy.logical_not.
    """

    is_elementwise = True

    def infer(self, x: TensorType) -> TensorType:
        require_bool(self.name, x)
        return x

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[None]:
        return (None,)

    def source(self, out: str, x: str) -> str:
        return f"xp.logical_not({x}, out={out})"

    def element(self, x: str) -> str:
        return f"(not {x})"

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (Sample(cls(), (BOOLEANS,), False),)


@op
class Where(Op):
    """z = x where condition, else y, elementwise.

    Shapes: condition[...], x[...], y[...] -> z[...], broadcast.  Domain: condition is bool.
    The operand that was not chosen receives 0, whatever its value is.
    Source: numpy.where.
    """

    is_elementwise = True
    kernel = "where"

    def infer(self, condition: TensorType, x: TensorType, y: TensorType) -> TensorType:
        require_bool("where", condition)
        return TensorType(require_one_dtype("where", x, y), broadcast(condition.shape, x.shape, y.shape))

    def vjp(
        self, gz: Value, z: Value, condition: Value, x: Value, y: Value
    ) -> tuple[None, Value | None, Value | None]:
        return None, where(condition, gz, 0), where(condition, 0, gz)

    def element(self, condition: str, x: str, y: str) -> str:
        return f"({x} if {condition} else {y})"

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls(), (BOOLEANS, Box((2, 3)), Box((2, 3)))),
            Sample(cls(), (Box((2, 1), kind="bool"), Box((3,)), Box(()))),
            Sample(cls(), (BOOLEANS, INTEGERS, Box((3,), -2, 3, "int"))),
        )


def where(condition: Value, x: Operand, y: Operand) -> Value:
    """`Where` of values or, for one of the two, a number."""
    like = x if isinstance(x, Value) else y
    assert isinstance(like, Value)
    return apply(Where(), condition, operand(x, like), operand(y, like))
