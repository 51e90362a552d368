"""Checks of places, compiled: one pass over the indices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from graphspec.runtime.errors import IndexOutOfRange
from graphspec.runtime.kernels.registry import kernel


@njit(nogil=True, cache=True)
def _first_wrong(places: Any, size: int) -> int:
    """The first of some indices that is negative or not below the size; -1 where all are right."""
    for i in range(places.size):
        if places[i] < 0 or places[i] >= size:
            return i
    return -1


@kernel("indexing", "fast")
def indexing(xp: Any, out: Any, x: Any, *indices: Any, axis: int, sizes: tuple[int, ...]) -> None:
    """out = x, with the indices that it was read at checked."""
    for k, (index, size) in enumerate(zip(indices, sizes, strict=True)):
        places = index.reshape(-1)
        wrong = _first_wrong(places, size)
        if wrong >= 0:
            raise IndexOutOfRange(int(places[wrong]), size, axis + k)
    np.copyto(out, x)
