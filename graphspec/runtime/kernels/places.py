"""Computed places as one number each, and the count of elements of a shape."""

from __future__ import annotations

from typing import Any


def flat_places(indices: tuple[Any, ...], sizes: tuple[int, ...]) -> Any:
    """Indices over several axes of these sizes as indices over one axis that holds them all."""
    place: Any = 0
    for size, index in zip(sizes, indices, strict=True):
        place = place * size + index
    return place


def along_axis(xp: Any, indices: Any, axis: int, size: int) -> Any:
    """The flat place of each [a, indices[a, i, b], b] in an array with `size` elements along `axis`."""
    lead, tail = count(indices.shape[:axis]), count(indices.shape[axis + 1 :])
    rows = xp.arange(lead).reshape(lead, 1, 1) * (size * tail)
    return rows + indices.reshape(lead, -1, tail) * tail + xp.arange(tail)


def count(shape: tuple[int, ...]) -> int:
    """How many elements a shape has."""
    total = 1
    for size in shape:
        total *= size
    return total
