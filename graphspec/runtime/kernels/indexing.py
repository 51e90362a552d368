"""Reading and adding at computed places on the CPU, with the bounds checked first."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from graphspec.runtime.errors import IndexOutOfRange
from graphspec.runtime.kernels.places import along_axis, count, flat_places
from graphspec.runtime.kernels.registry import kernel


@kernel("gather", "numpy")
def gather(xp: Any, out: Any, x: Any, *indices: Any, axis: int) -> None:
    """out = x[:, ..., index_1, ..., index_n], with the indices from `axis` on."""
    for k, index in enumerate(indices):
        _check(index, x.shape[axis + k], axis + k)
    if len(indices) == 1:
        # "clip" writes straight into `out`; nothing is clipped, for the bounds were checked
        np.take(x, indices[0], axis=axis, out=out, mode="clip")
    else:
        out[...] = x[(slice(None),) * axis + indices]


@kernel("indexing", "numpy")
def indexing(xp: Any, out: Any, x: Any, *indices: Any, axis: int, sizes: tuple[int, ...]) -> None:
    """out = x, with the indices that it was read at checked."""
    for k, (index, size) in enumerate(zip(indices, sizes, strict=True)):
        _check(index, size, axis + k)
    np.copyto(out, x)


@kernel("scatter_add", "numpy")
def scatter_add(xp: Any, out: Any, g: Any, *indices: Any, axis: int, shape: tuple[int, ...]) -> None:
    """out = 0, then out[:, ..., index_1, ..., index_n] += g."""
    end = axis + len(indices)
    for k, index in enumerate(indices):
        _check(index, shape[axis + k], axis + k)
    place = np.ravel(flat_places(indices, shape[axis:end]))
    # before the indexed axes, at them, after them
    lead, tail = count(shape[:axis]), count(shape[end:])
    _add_at(out.reshape(lead, count(shape[axis:end]), tail), place, np.reshape(g, (lead, place.size, tail)))


@kernel("take_along_axis", "numpy")
def take_along_axis(xp: Any, out: Any, x: Any, indices: Any, axis: int) -> None:
    """out[a, i, b] = x[a, indices[a, i, b], b]."""
    _check(indices, x.shape[axis], axis)
    if _is_one_each(x, indices, axis):
        # "clip" writes straight into `out`; nothing is clipped, for the bounds were checked
        np.take(x, _places_in_rows(indices, x.shape[axis]), out=out, mode="clip")
    else:
        out[...] = np.take_along_axis(x, indices, axis)


@kernel("add_along_axis", "numpy")
def add_along_axis(xp: Any, out: Any, g: Any, indices: Any, axis: int, size: int) -> None:
    """out = 0, then out[a, indices[a, i, b], b] += g[a, i, b]."""
    _check(indices, size, axis)
    if _is_one_each(out, indices, axis):
        out.fill(0)
        np.put(out, _places_in_rows(indices, size), g, mode="clip")
        return
    place = np.ravel(along_axis(xp, indices, axis, size))
    _add_at(out.reshape(1, -1, 1), place, np.reshape(g, (1, -1, 1)))


def _is_one_each(x: Any, indices: Any, axis: int) -> bool:
    """Whether one element of each row of x is meant, the rows following one another."""
    return axis == x.ndim - 1 and indices.shape == (*x.shape[:-1], 1) and bool(x.flags.c_contiguous)


def _places_in_rows(indices: Any, size: int) -> Any:
    """The place of the element `indices[row, 0]` of each row, counted over all rows."""
    return np.add(indices, _starts_of_rows(indices.shape, size))


@lru_cache(maxsize=64)
def _starts_of_rows(shape: tuple[int, ...], size: int) -> Any:
    return np.arange(count(shape)).reshape(shape) * size


def _check(index: Any, size: int, axis: int) -> None:
    """Raise IndexOutOfRange for the first index that is negative or not below `size`."""
    # without its sign a negative number is a very large one
    if index.size == 0 or np.maximum.reduce(index.view(f"u{index.itemsize}"), axis=None) < size:
        return
    flat = index.ravel()
    wrong = (flat < 0) | (flat >= size)
    raise IndexOutOfRange(int(flat[int(wrong.argmax())]), size, axis)


def _add_at(out: Any, place: Any, g: Any) -> None:
    """out[:, :, :] = 0, then out[:, place[m], :] += g[:, m, :].  Equal places are summed in one order."""
    out.fill(0)
    if place.size == 0:
        return
    if out.shape[0] == out.shape[2] == 1:
        np.add.at(out[0, :, 0], place, g[0, :, 0])
        return
    order = np.argsort(place, kind="stable")
    place, g = place[order], g[:, order]
    is_first = np.ones(place.shape, dtype=bool)
    is_first[1:] = place[1:] != place[:-1]
    if not is_first.all():
        g = np.add.reduceat(g, np.flatnonzero(is_first), axis=1)
    out[:, place[is_first]] = g
