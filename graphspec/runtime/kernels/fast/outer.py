"""Outer products, of which the BLAS makes one call each and numpy a loop for each row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from graphspec.runtime.kernels import matmul as plain
from graphspec.runtime.kernels.fast.streams import STREAMED, VECTOR, settle, stream
from graphspec.runtime.kernels.registry import kernel

#: rows shorter than this are numpy's, and so are results smaller than this many bytes
SHORT, SMALL = 8, 1 << 15
#: elements that are computed in the nearest cache before they are streamed
PORTION = 4096


@kernel("matmul", "fast")
def matmul(xp: Any, out: Any, x: Any, y: Any) -> None:
    """out = x @ y."""
    if not _is_large_outer(out, x, y):
        plain.matmul(xp, out, x, y)
        return
    rows, columns = x.shape[-2], y.shape[-1]
    flat, factors, vectors = out.reshape(-1), x.reshape(-1), np.ascontiguousarray(y.reshape(-1, columns))
    if out.nbytes >= STREAMED:
        _streamed(flat, factors, vectors, rows)
    else:
        _filled(flat, factors, vectors, 0, flat.size, rows)


def _is_large_outer(out: Any, x: Any, y: Any) -> bool:
    """Whether these are columns times rows, as many of one as of the other, and enough of them."""
    return bool(
        x.ndim > 1
        and x.shape[-1] == 1
        and x.shape[:-2] == y.shape[:-2]
        and out.nbytes >= SMALL
        and out.shape[-1] >= SHORT
        and out.dtype.kind == "f"
        and out.itemsize > 2
        and out.flags.c_contiguous
    )


@njit(nogil=True, cache=True)
def _filled(out: Any, x: Any, y: Any, start: int, count: int, rows: int) -> None:
    """out[:count] = elements `start` to `start + count` of the products of x[n, rows] and y[n, :]."""
    columns = y.shape[1]
    row = start // columns
    first = start - row * columns
    at = 0
    while at < count:
        length = min(columns - first, count - at)
        factor, source = x[row], y[row // rows, first : first + length]
        target = out[at : at + length]
        for k in range(length):
            target[k] = factor * source[k]
        at += length
        row += 1
        first = 0


@njit(nogil=True, cache=True)
def _streamed(out: Any, x: Any, y: Any, rows: int) -> None:
    """out = the products of x[n, rows] and y[n, :], past the caches."""
    lanes = VECTOR // out.itemsize
    at = min(out.size, (-out.ctypes.data % 64) // out.itemsize)
    _filled(out, x, y, 0, at, rows)
    portion = np.empty(PORTION, out.dtype)
    while at < out.size:
        count = min(PORTION, out.size - at)
        _filled(portion, x, y, at, count, rows)
        whole = count // lanes * lanes
        stream(out, at, portion, whole)
        for k in range(whole, count):
            out[at + k] = portion[k]
        at += count
    settle()
