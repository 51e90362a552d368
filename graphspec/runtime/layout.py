"""How the arrays of a program lie in memory, as far as it is known before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from graphspec.ir import Op, TensorType, Value
from graphspec.runtime.plan import Plan

#: steps between neighbours along each axis, in elements; None where it is not known
Strides: TypeAlias = "tuple[int, ...] | None"


def find_strides(plan: Plan) -> dict[Value, Strides]:
    """The strides of every value, the inputs being plain (see `Program`)."""
    found: dict[Value, Strides] = {}
    given = [*plan.inputs.values(), *plan.numbers]
    for value in [*given, *(value for step in plan.steps for value in step.node.values)]:
        found[value] = plain_strides(plan.types[value])
    for step in plan.steps:
        if step.op.is_view:
            viewed = step.node.inputs[0]
            found[step.node.values[0]] = _of_view(step.op, plan.types[viewed], found[viewed], step.types[0])
    return found


def plain_strides(type: TensorType) -> tuple[int, ...]:
    """Those of an array whose elements follow one another, row by row."""
    strides: list[int] = []
    step = 1
    for size in reversed(type.shape):
        assert isinstance(size, int)
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def _of_view(op: Op, viewed: TensorType, strides: Strides, type: TensorType) -> Strides:
    if strides is None:
        return None
    match op.name:
        case "reshape":
            return plain_strides(type) if strides == plain_strides(viewed) else None
        case "transpose":
            return tuple(strides[axis] for axis in op.attributes()["axes"])
        case "slice":
            return tuple(s * step for s, step in zip(strides, op.attributes()["steps"], strict=True))
    return None


def is_ready_for_blas(type: TensorType, strides: Mapping[Value, Strides], value: Value) -> bool:
    """Whether a matrix, or each of a stack of them, goes into a product as it lies, transposed or not."""
    known = strides[value]
    if known is None or not type.dtype.is_float:
        return False
    if type.rank < 2:
        return known == plain_strides(type)
    rows, columns = type.shape[-2:]
    down, across = known[-2:]
    assert isinstance(rows, int)
    assert isinstance(columns, int)
    return (across == 1 and down >= columns) or (down == 1 and across >= rows)
