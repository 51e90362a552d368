"""Undoing broadcasting: the one place where a cotangent is brought to the shape of its value."""

from __future__ import annotations

from typing import Any

from graphspec.ir import OPS, DType, Size, TensorType, Value, broadcast, literal


def undo_broadcast(cotangent: Value, shape: tuple[Size, ...]) -> Value:
    """The cotangent of a value of `shape` that was used as if it had the cotangent's shape.

    An element that was repeated receives the sum over its copies: axes added in front and axes
    stretched from 1 are summed.  A cotangent that is itself smaller (a hand-written gradient that
    is the same everywhere) is stretched first, as numpy would.

        g[N, 3, 32], shape [3, 1]   becomes   reshape(sum(g, axis=[0, 2]), [3, 1])
    """
    if cotangent.shape == shape:
        return cotangent
    wide = broadcast(cotangent.shape, shape)
    if wide != cotangent.shape:
        cotangent = make("broadcast_to", cotangent, shape=wide)
    missing = len(wide) - len(shape)
    stretched = (i + missing for i, size in enumerate(shape) if size == 1 and wide[i + missing] != 1)
    axes = (*range(missing), *stretched)
    if axes:
        cotangent = make("sum", cotangent, axis=axes)
    return cotangent if cotangent.shape == shape else make("reshape", cotangent, shape=shape)


def filled(number: float, type: TensorType) -> Value:
    """A tensor of the type with one number everywhere; a scalar is the literal itself."""
    scalar = literal(number, type.dtype)
    return scalar if type.shape == () else make("broadcast_to", scalar, shape=type.shape)


def is_differentiable(value: Value) -> bool:
    """Whether a value may carry a cotangent: integers and booleans do not."""
    dtype: DType = value.dtype
    return dtype.is_float


def make(name: str, *inputs: Value, **statics: Any) -> Value:
    """One call of a primitive of the language with one result, by its name."""
    made = OPS[name].make(*inputs, **statics)
    assert isinstance(made, Value)
    return made
