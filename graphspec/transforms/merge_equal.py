"""Merges nodes that compute the same: common subexpressions."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

from graphspec.ir import OPS, Graph, Input, Literal, Node, Op, Scalar, Tap, Value, rebuild, with_inputs


def merge_equal(graph: Graph) -> Graph:
    """Let equal applications of an op to the same inputs be one node, the first of them.

    Needs calls inlined to see through them.  Inputs and taps are never merged, literals are; the
    operands of commutative ops may stand in either order.  Numbers count as equal when they are
    the same bits: 0 and -0 are kept apart.

        a = exp(x);  b = exp(x);  y = a * b   becomes   a = exp(x);  y = a * a
    """
    return rebuild(graph, Merger())


class Merger:
    """A rule that gives for each node the first that was equal to it."""

    def __init__(self) -> None:
        self._first: dict[Any, Node] = {}

    def __call__(self, node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if isinstance(node.op, Input | Tap):
            return None
        key = _key(node.op, inputs)
        found = self._first.get(key)
        if found is None:
            found = self._first[key] = node if inputs == node.inputs else with_inputs(node, inputs)
        return found.values


def _key(op: Op, inputs: tuple[Value, ...]) -> Any:
    if isinstance(op, Literal):
        value = op.value
        return op.type, _exact(float(value) if type(value) is int and op.type.dtype.is_float else value)
    if op.is_commutative:
        inputs = tuple(sorted(inputs, key=id))
    if not op.field_names:
        return type(op), inputs
    return type(op), *(_exact(getattr(op, field)) for field in _fields(op.name)), *inputs


@cache
def _fields(name: str) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(OPS[name]))


def _exact(value: Any) -> Any:
    """`value` as a key that tells 0 from -0, and is equal for two NaN."""
    match value:
        case float():
            return "float", value.hex()
        case tuple():
            return tuple(map(_exact, value))
        case Scalar():
            return "scalar", value.function, *map(_exact, value.arguments)
    return value
