"""Checks for ops and graphs: a plain interpreter, and every op's derivative against finite differences.

`evaluate` runs a graph node by node, allocating as it goes: slow, simple, and independent of the planner
and of the emitted program, which are tested against it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphspec.ir import Call, DType, Input, Literal, Op, TensorType, Value, evaluate_number, reachable
from graphspec.ir import evaluate as evaluate_size
from graphspec.runtime.kernels import find_kernel

Array = npt.NDArray[Any]

_DTYPES = {dtype.array_name: dtype for dtype in DType}


def evaluate(
    values: Sequence[Value], inputs: Mapping[Value, Any], env: Mapping[str, int] | None = None
) -> list[Array]:
    """The arrays that `values` are, where `inputs` gives those they depend on and `env` the dims.

    Calls of definitions are evaluated through their bodies.
    """
    env = env or {}
    known: dict[Value, Array] = {value: np.asarray(array) for value, array in inputs.items()}
    with np.errstate(all="ignore"):
        for node in reachable(values, stop=frozenset(inputs)):
            if isinstance(node.op, Input):
                raise ValueError(f"no array was given for the input `{node.op.label}`")
            if isinstance(node.op, Call):
                body = node.op.body
                arguments = dict(zip(body.parameters, (known[v] for v in node.inputs), strict=True))
                results = evaluate(body.results, arguments, env)
            else:
                operands = [_operand(v, node.op, known, env) for v in node.inputs]
                results = [run(node.op.at(env), operands, concrete(node.types[0], env))]
            for value, array in zip(node.values, results, strict=True):
                known.setdefault(value, array)
    return [known[value] for value in values]


def _operand(value: Value, op: Op, known: Mapping[Value, Array], env: Mapping[str, int]) -> Any:
    """What an op is run on: a literal enters an elementwise op as a number."""
    literal = value.node.op
    if op.is_elementwise and isinstance(literal, Literal):
        return evaluate_number(literal.value, env)
    return known[value]


def run(op: Op, operands: Sequence[Any], result: TensorType) -> Array:
    """The result of one op, its dims being known, on arrays (and numbers, for an elementwise op)."""
    if isinstance(op, Literal):
        return np.asarray(op.value, dtype=result.dtype.array_name)
    if op.is_view:
        view: Array = _execute(op, None, operands)
        return view
    out = _empty(result)
    if op.kernel:
        types = [type_of(x) for x in operands] if not op.is_elementwise else []
        scratch = [_empty(t) for t in op.scratch(*types)]
        find_kernel(op.kernel, "numpy")(np, out, *operands, *scratch, **op.attributes())
    else:
        _execute(op, out, operands)
    return out


def _empty(type: TensorType) -> Array:
    """Storage of a type.  It is never clean: what an op forgets to write is garbage here too."""
    array = np.empty([evaluate_size(size, {}) for size in type.shape], dtype=type.dtype.array_name)
    array.reshape(-1).view(np.uint8).fill(0x7B)
    return array


def _execute(op: Op, out: Array | None, operands: Sequence[Any]) -> Any:
    """Run the op's source text, with numbers written into it."""
    names = [f"x{i}" if isinstance(x, np.ndarray) else repr(x) for i, x in enumerate(operands)]
    arrays = {f"x{i}": x for i, x in enumerate(operands)}
    return eval(op.source("out", *names), {"xp": np, "inf": np.inf, "nan": np.nan, "out": out, **arrays})


def type_of(array: Array) -> TensorType:
    """The type of an array."""
    return TensorType(_DTYPES[array.dtype.name], array.shape)


def concrete(type: TensorType, env: Mapping[str, int]) -> TensorType:
    """`type` with its dims replaced by their numbers."""
    return type.with_shape(tuple(evaluate_size(size, env) for size in type.shape))
