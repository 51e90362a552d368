"""Working storage cut into arrays."""

from __future__ import annotations

from math import prod
from typing import Any

from graphspec.ops.portions import LINE


def carve(storage: Any, *shapes: tuple[int, ...]) -> list[Any]:
    """Arrays of these shapes, one after the other in a line of storage, each at a multiple of LINE."""
    arrays: list[Any] = []
    start = 0
    for shape in shapes:
        size = prod(shape)
        arrays.append(storage[start : start + size].reshape(shape))
        start += -(-size // LINE) * LINE
    return arrays
