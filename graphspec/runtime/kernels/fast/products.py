"""Small products of matrices and checks of places, as parts of compiled chains (see `runtime.chains`).

A call of the BLAS costs about as much as some thousand multiplications, which are done here meanwhile.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphspec.runtime.kernels.fast.compiling import inlined
from graphspec.runtime.kernels.fast.vectors import (
    fma,
    lanes_in,
    load,
    pointer,
    store,
    store_first,
    zeros_like,
)


@inlined
def _laid_out(y: Any, lanes: int) -> Any:
    """The elements of a matrix row by row, and zeros behind, so that a vector may begin at each of them."""
    rows, columns = y.shape
    found = np.empty(rows * columns + lanes, y.dtype)
    for k in range(rows):
        for j in range(columns):
            found[k * columns + j] = y[k, j]
    found[rows * columns :] = 0
    return found


@inlined
def _store(out: Any, at: int, sums: Any, count: int, lanes: int, end: int) -> None:
    """out[at : at + count] = the first of the sums; up to `end` what is behind may be written, too."""
    if count >= lanes or at + lanes <= end:
        store(out, at, sums)
    else:
        store_first(out, at, sums, count)


@inlined
def product(out: Any, x: Any, y: Any) -> None:
    """out = x @ y, for matrices of which x and y may lie in any way.

    Four rows at a time by a vector of columns.
    """
    rows, terms = x.shape
    columns = y.shape[1]
    target, source = pointer(out), pointer(x)
    lanes = lanes_in(target)
    matrix = _laid_out(y, lanes)
    factors = pointer(matrix)
    down, across = x.strides[0] // x.itemsize, x.strides[1] // x.itemsize
    # a row shorter than a vector may be written with what follows, which is the next rows': they come later
    end = rows * columns if columns < lanes else 0
    for j in range(0, columns, lanes):
        count = columns - j
        i = 0
        while i + 4 <= rows:
            s0 = s1 = s2 = s3 = zeros_like(target)
            at = i * down
            for k in range(terms):
                vector = load(factors, k * columns + j)
                s0 = fma(source[at], vector, s0)
                s1 = fma(source[at + down], vector, s1)
                s2 = fma(source[at + 2 * down], vector, s2)
                s3 = fma(source[at + 3 * down], vector, s3)
                at += across
            place = i * columns + j
            _store(target, place, s0, count, lanes, end)
            _store(target, place + columns, s1, count, lanes, end)
            _store(target, place + 2 * columns, s2, count, lanes, end)
            _store(target, place + 3 * columns, s3, count, lanes, end)
            i += 4
        while i < rows:
            s0 = zeros_like(target)
            for k in range(terms):
                s0 = fma(source[i * down + k * across], load(factors, k * columns + j), s0)
            _store(target, i * columns + j, s0, count, lanes, end)
            i += 1
    matrix[0] = 0  # it lives until here


@inlined
def checked(out: Any, x: Any, index: Any, size: int) -> bool:
    """out = x; whether an index is negative or not below the size."""
    is_wrong = False
    for i in range(index.size):
        is_wrong |= index[i] < 0 or index[i] >= size
    for i in range(x.size):
        out[i] = x[i]
    return is_wrong
