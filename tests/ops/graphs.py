"""Small helpers of the facts about ops: inputs from arrays, ops by name, values and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphspec.ops  # noqa: F401  (fills the registry)
from graphspec import testing
from graphspec.ir import FUNCTIONS, OPS, DType, Input, Size, TensorType, Value, apply


def typed(*shape: Size, dtype: DType = DType.F32) -> Value:
    """An input without an array, for questions about types."""
    return apply(Input("x", TensorType(dtype, shape)))


def make(name: str, *inputs: Value, **statics: Any) -> Any:
    """What a call of the language's function makes."""
    return FUNCTIONS[name](*inputs, **statics) if name in FUNCTIONS else OPS[name].make(*inputs, **statics)


def compute(name: str, *arrays: Any, **statics: Any) -> np.ndarray:
    """The value of a function of the language on arrays."""
    operands = [np.asarray(array) for array in arrays]
    inputs = [apply(Input(f"x{i}", testing.type_of(a))) for i, a in enumerate(operands)]
    (result,) = testing.evaluate([make(name, *inputs, **statics)], dict(zip(inputs, operands, strict=True)))
    return result


def gradients(name: str, *arrays: Any, gy: Any = None, **statics: Any) -> list[np.ndarray | None]:
    """The gradients of sum(gy * y), or of sum(y), in the operands; None where nothing flows."""
    operands = [np.asarray(array) for array in arrays]
    inputs = [apply(Input(f"x{i}", testing.type_of(a))) for i, a in enumerate(operands)]
    y = make(name, *inputs, **statics)
    g = apply(Input("gy", y.type))
    given = {**dict(zip(inputs, operands, strict=True)), g: np.ones(y.shape) if gy is None else gy}
    return [
        None if found is None else testing.evaluate([found], given)[0]
        for found in testing.cotangents(y, g, inputs)
    ]
