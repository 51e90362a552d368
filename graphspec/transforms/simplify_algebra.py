"""Algebraic identities that hold to the bit in floating-point arithmetic, a small function each.

What is not here is wrong for some number: `x * 0` is not 0 for NaN and infinity, `x - x` neither,
`x + 0` turns -0 into 0 (and `1 / x` shows it), `-(a - b)` is -0 where `b - a` is 0, `x ** 0.5` is infinity
where `sqrt(x)` of minus infinity is NaN, and `(x * a) * b` rounds and overflows elsewhere than `x * (a * b)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from graphspec.ir import Graph, Literal, Node, Value, literal, rebuild
from graphspec.transforms.broadcasting import filled, is_differentiable

Identity: TypeAlias = "Callable[..., Value | None]"


def simplify_algebra(graph: Graph) -> Graph:
    """Apply the identities of `IDENTITIES` until none fits.

    Needs literals folded, shapes simplified and equal nodes merged to see most.

        y = -(-x) * 1   becomes   y = x
    """

    return rebuild(graph, by_identities)


def by_identities(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """What the identities that fit, one after the other, make of a node."""
    result = _simplified(node.op.name, inputs)
    if result is None or result.type != node.types[0]:
        return None
    while (further := _simplified(result.node.op.name, result.node.inputs)) is not None:
        if further.type != result.type:
            break
        result = further
    return result


def mul_by_one(a: Value, b: Value) -> Value | None:
    """x * 1 = x."""
    return a if _is_number(b, 1) else b if _is_number(a, 1) else None


def mul_by_minus_one(a: Value, b: Value) -> Value | None:
    """x * -1 = -x."""
    return -a if _is_number(b, -1) else -b if _is_number(a, -1) else None


def mul_of_negatives(a: Value, b: Value) -> Value | None:
    """(-x) * (-z) = x * z."""
    x, z = _negated(a), _negated(b)
    return x * z if x is not None and z is not None else None


def mul_of_negative(a: Value, b: Value) -> Value | None:
    """(-x) * c = x * (-c) for a number c."""
    x, c = _negated(a), _number(b)
    if x is not None and c is not None:
        return x * literal(-c, b.dtype)
    x, c = _negated(b), _number(a)
    return literal(-c, a.dtype) * x if x is not None and c is not None else None


def div_by_one(a: Value, b: Value) -> Value | None:
    """x / 1 = x."""
    return a if _is_number(b, 1) else None


def div_by_power_of_two(a: Value, b: Value) -> Value | None:
    """x / 2**k = x * 2**-k, where 2**-k is no subnormal number of any dtype; multiplying is faster."""
    c = _number(b)
    if c is None or not is_differentiable(a) or not 2**-14 <= abs(c) <= 2**14:
        return None
    return a * literal(1.0 / c, b.dtype) if abs(math.frexp(c)[0]) == 0.5 else None


def div_of_negatives(a: Value, b: Value) -> Value | None:
    """(-x) / (-z) = x / z."""
    x, z = _negated(a), _negated(b)
    return x / z if x is not None and z is not None else None


def add_minus_zero(a: Value, b: Value) -> Value | None:
    """x + (-0.0) = x; for integers x + 0 = x.  Not x + 0.0, which is 0.0 for x = -0.0."""
    return a if _is_zero(b, -1) else b if _is_zero(a, -1) else None


def add_of_negative(a: Value, b: Value) -> Value | None:
    """x + (-z) = x - z, and (-x) + z = z - x."""
    x, z = _negated(a), _negated(b)
    return a - z if z is not None else b - x if x is not None else None


def sub_zero(a: Value, b: Value) -> Value | None:
    """x - 0.0 = x, also for x = -0.0."""
    return a if _is_zero(b, +1) else None


def sub_of_negative(a: Value, b: Value) -> Value | None:
    """x - (-z) = x + z."""
    z = _negated(b)
    return a + z if z is not None else None


def neg_of_negative(a: Value) -> Value | None:
    """-(-x) = x."""
    return _negated(a)


def neg_of_multiple(a: Value) -> Value | None:
    """-(x * c) = x * (-c) for a number c."""
    if a.node.op.name != "mul":
        return None
    left, right = a.node.inputs
    if (c := _number(right)) is not None:
        return left * literal(-c, right.dtype)
    return literal(-c, left.dtype) * right if (c := _number(left)) is not None else None


def pow_zero(a: Value, b: Value) -> Value | None:
    """x ** 0 = 1, for NaN too (IEEE 754-2019, 9.2.1)."""
    return filled(1.0, a.type) if _is_number(b, 0) and is_differentiable(a) else None


def pow_one(a: Value, b: Value) -> Value | None:
    """x ** 1 = x."""
    return a if _is_number(b, 1) else None


def pow_two(a: Value, b: Value) -> Value | None:
    """x ** 2 = x * x, which is the correctly rounded square."""
    return a * a if _is_number(b, 2) else None


def pow_minus_one(a: Value, b: Value) -> Value | None:
    """x ** -1 = 1 / x, which is the correctly rounded reciprocal."""
    return 1.0 / a if _is_number(b, -1) and is_differentiable(a) else None


def where_of_equals(condition: Value, a: Value, b: Value) -> Value | None:
    """where(c, x, x) = x."""
    return a if a == b else None


#: the identities by the op they simplify, in the order in which they are tried
IDENTITIES: dict[str, tuple[Identity, ...]] = {
    "mul": (mul_by_one, mul_by_minus_one, mul_of_negatives, mul_of_negative),
    "div": (div_by_one, div_of_negatives, div_by_power_of_two),
    "add": (add_minus_zero, add_of_negative),
    "sub": (sub_zero, sub_of_negative),
    "neg": (neg_of_negative, neg_of_multiple),
    "pow": (pow_zero, pow_one, pow_two, pow_minus_one),
    "where": (where_of_equals,),
}


#: the ops whose identities all need a number or a negative among the operands, as few have
_ARITHMETIC = frozenset(("mul", "div", "add", "sub", "pow"))


def _is_special(value: Value) -> bool:
    op = value.node.op
    return isinstance(op, Literal) or op.name == "neg"


def _simplified(name: str, inputs: tuple[Value, ...]) -> Value | None:
    identities = IDENTITIES.get(name)
    if identities is None or (name in _ARITHMETIC and not any([_is_special(value) for value in inputs])):  # noqa: C419  (a list: this runs for every node)
        return None
    for identity in identities:
        if (result := identity(*inputs)) is not None:
            return result
    return None


def _number(value: Value) -> int | float | None:
    """The number that a value is, if it is a literal that does not depend on sizes."""
    op = value.node.op
    if isinstance(op, Literal) and isinstance(op.value, int | float) and not isinstance(op.value, bool):
        return op.value
    return None


def _is_number(value: Value, number: int) -> bool:
    return _number(value) == number


def _is_zero(value: Value, sign: int) -> bool:
    """Whether a value is the floating zero of this sign, or the integer zero."""
    number = _number(value)
    return number == 0 and (math.copysign(1, number) == sign or not is_differentiable(value))


def _negated(value: Value) -> Value | None:
    """x, where the value is -x."""
    return value.node.inputs[0] if value.node.op.name == "neg" else None
