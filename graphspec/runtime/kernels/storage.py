"""Working storage cut into arrays."""

from __future__ import annotations

from math import prod
from typing import Any

from graphspec.ops.portions import LINE


def elements(*shapes: tuple[int, ...]) -> int:
    """The size of the storage that `carve` cuts into arrays of these shapes."""
    return sum(-(-prod(shape) // LINE) * LINE for shape in shapes)


def carve(storage: Any, *shapes: tuple[int, ...]) -> list[Any]:
    """Arrays of these shapes, one after the other in a line of storage, each at a multiple of LINE."""
    arrays: list[Any] = []
    start = 0
    for shape in shapes:
        size = prod(shape)
        arrays.append(storage[start : start + size].reshape(shape))
        start += -(-size // LINE) * LINE
    return arrays
