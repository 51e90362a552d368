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
def _product(out: Any, x: Any, y: Any) -> None:
    """out = x @ y, four rows at a time by a vector of columns."""
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
        for i in range(0, rows, 4):
            # a row that is not there is read as the last one, and not stored
            left = rows - i
            x1, x2, x3 = down * min(1, left - 1), down * min(2, left - 1), down * min(3, left - 1)
            s0 = s1 = s2 = s3 = zeros_like(target)
            at = i * down
            for k in range(terms):
                vector = load(factors, k * columns + j)
                s0 = fma(source[at], vector, s0)
                s1 = fma(source[at + x1], vector, s1)
                s2 = fma(source[at + x2], vector, s2)
                s3 = fma(source[at + x3], vector, s3)
                at += across
            place = i * columns + j
            _store(target, place, s0, count, lanes, end)
            if left > 1:
                _store(target, place + columns, s1, count, lanes, end)
            if left > 2:
                _store(target, place + 2 * columns, s2, count, lanes, end)
            if left > 3:
                _store(target, place + 3 * columns, s3, count, lanes, end)
    matrix[0] = 0  # it lives until here


@inlined
def product(out: Any, x: Any, y: Any) -> None:
    """out = x @ y, for matrices of which x and y may lie in any way."""
    rows, columns = out.shape
    if columns < 8 <= rows and x.strides[0] == x.itemsize:  # rows fill vectors where columns do not
        turned = np.empty((columns, rows), out.dtype)
        _product(turned, y.T, x.T)
        out[...] = turned.T
    else:
        _product(out, x, y)


@inlined
def checked(out: Any, x: Any, index: Any, size: int) -> bool:
    """out = x; whether an index is negative or not below the size."""
    is_wrong = False
    for i in range(index.size):
        is_wrong |= index[i] < 0 or index[i] >= size
    for i in range(x.size):
        out[i] = x[i]
    return is_wrong
