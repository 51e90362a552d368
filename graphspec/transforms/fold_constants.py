"""Computes what depends on literals only while the graph is compiled."""

from __future__ import annotations

import math
import struct

from graphspec.ir import (
    DType,
    Graph,
    Literal,
    Node,
    Number,
    Scalar,
    Symbolic,
    Value,
    compute,
    literal,
    rebuild,
)
from graphspec.ir.sizes import Symbol

#: ops whose scalar function has another name in `ir.scalars`; the others share it
_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"}
#: what is computed now; not `minimum`, `floor` and their like, whose zeros in Python have lost their sign
_FOLDED_INTEGERS = frozenset(("+", "-", "*", "neg", "abs"))
_FOLDED = _FOLDED_INTEGERS | {
    *("/", "**", "sqrt", "exp", "log", "log1p", "expm1", "sin", "cos", "tan", "tanh", "erf", "erfc")
}
#: what is computed from sizes that are not known yet
_OF_SIZES = ("+", "-", "*", "/", "neg")


def fold_constants(graph: Graph) -> Graph:
    """Replace an elementwise op on literals, or a cast of one, by a literal.

    Needs calls inlined to see through them.  Numbers are computed in double precision, as the
    language does with static numbers, and rounded once, to the dtype of the result.  What would be
    infinite, NaN or out of an integer's range is left to run time, where it behaves as numpy's.

        y = x ** (3 - 1)   becomes   y = x ** 2
    """

    return rebuild(graph, folded)


def folded(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """The literal that a node computes, where it can be known now."""
    if not inputs or len(node.values) != 1:
        return None
    numbers: list[Number | bool] = []
    for value in inputs:
        if not isinstance(value.node.op, Literal):
            return None
        numbers.append(value.node.op.value)
    dtype = node.values[0].dtype
    if node.op.name == "cast":
        number = _cast(numbers[0], inputs[0].dtype, dtype)
    elif node.op.is_elementwise:
        number = _fold(_OPERATORS.get(node.op.name, node.op.name), numbers, dtype)
    else:
        return None
    return None if number is None else literal(number, dtype)


def _fold(function: str, numbers: list[Number | bool], dtype: DType) -> Number | None:
    """The number, or None where it cannot or should not be computed now."""
    if function not in (_FOLDED if dtype.is_float else _FOLDED_INTEGERS):
        return None
    if any(isinstance(n, Symbolic | Scalar) for n in numbers):
        return _fold_sizes(function, numbers, dtype)
    finite = [n for n in numbers if isinstance(n, int | float) and math.isfinite(n)]
    if len(finite) < len(numbers):
        return None
    try:
        result = compute(function, *map(float, finite) if dtype.is_float else finite)
    except (ArithmeticError, ValueError):
        return None
    return _in_range(result, dtype)


def _fold_sizes(function: str, numbers: list[Number | bool], dtype: DType) -> Number | None:
    """A number that depends on sizes; one step only, so that deep expressions do not arise.

    A division is left where its divisor might be 0 for some sizes: numpy then divides.
    """
    if function not in _OF_SIZES:
        return None
    if not all(isinstance(n, Symbolic) or (isinstance(n, int | float) and math.isfinite(n)) for n in numbers):
        return None
    if function == "/" and not (dtype.is_float and _is_positive(numbers[1])):
        return None
    return compute(function, *numbers)


def _is_positive(number: Number | bool) -> bool:
    """Whether a divisor is surely above 0: symbols stand for integers >= 1."""
    if not isinstance(number, Symbolic):
        return isinstance(number, int | float) and number > 0
    return all(
        factor > 0 and all(isinstance(atom, Symbol) for atom, _ in monomial)
        for monomial, factor in number.terms
    )


def _cast(number: Number | bool, source: DType, target: DType) -> Number | bool | None:
    """The number in another dtype; a float in a narrow one is first the nearest number of that dtype."""
    if source is target:
        return number
    if isinstance(number, Symbolic | Scalar):
        return number if source.is_integer and (target.is_float or target is DType.I64) else None
    if not math.isfinite(number):
        return None
    if source.is_float:
        number = _nearest(float(number), source)
    if target is DType.BOOL:
        return bool(number)
    return _in_range(float(number) if target.is_float else int(number), target)


def _nearest(number: float, dtype: DType) -> float:
    code = {DType.F16: "e", DType.F32: "f", DType.F64: "d"}[dtype]
    try:
        nearest: float = struct.unpack(code, struct.pack(code, number))[0]
    except OverflowError:
        return math.inf
    return nearest


def _in_range(number: Number, dtype: DType) -> Number | None:
    """The number if it is finite in the dtype."""
    if not isinstance(number, int | float) or not math.isfinite(number):
        return None
    if dtype.is_float:
        return float(number) if math.isfinite(_nearest(float(number), dtype)) else None
    bits = 8 * dtype.itemsize - 1
    return number if isinstance(number, int) and -(2**bits) <= number < 2**bits else None
