"""Pooling of windows of 2 x 2 side by side, compiled: two rows at a time, in vectors.

Arrays are [planes, rows, columns], as in `pooling`; rows and columns beyond the last window are in none.
A row's last vector begins earlier, so that it ends with the row; of a row that is shorter than a vector, what
is stored too much is overwritten by the next one: stores of a part of a vector take many times as long.
"""

from __future__ import annotations

from typing import Any

from graphspec.runtime.kernels.fast.compiling import compiled, inlined
from graphspec.runtime.kernels.fast.vectors import (
    add,
    evens,
    lanes_in,
    load_first,
    odds,
    pointer,
    store,
    store_first,
    where_less,
    woven_high,
    woven_low,
    zeros_like,
)


@compiled
def max_two_by_two(out: Any, x: Any) -> None:
    """out = the greatest element of each window; nan if there is one.

    In plain loops: written in vectors it takes half as long on small images, but twice as long on large ones.
    """
    for plane in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                a, b = x[plane, 2 * i, 2 * j], x[plane, 2 * i, 2 * j + 1]
                c, d = x[plane, 2 * i + 1, 2 * j], x[plane, 2 * i + 1, 2 * j + 1]
                a = b if (b > a) | (b != b) else a
                c = d if (d > c) | (d != d) else c
                out[plane, i, j] = c if (c > a) | (c != c) else a


@compiled
def sum_two_by_two(out: Any, x: Any) -> None:
    """out = the sum of each window."""
    planes, rows, columns = out.shape
    height, width, end = x.shape[1], x.shape[2], out.size
    out, x = pointer(out), pointer(x)
    for line in range(planes * rows):
        plane, i = line // rows, line % rows
        for block in range(0, columns, lanes_in(x)):
            j, count = _place(block, columns, lanes_in(x)), min(lanes_in(x), columns)
            upper = (plane * height + 2 * i) * width + 2 * j
            a, b = _pairs(x, upper, 2 * count)
            c, d = _pairs(x, upper + width, 2 * count)
            _put(out, line * columns + j, add(add(a, b), add(c, d)), count, end)


@compiled
def scatter_two_by_two(out: Any, g: Any, x: Any, y: Any) -> None:
    """out at the first greatest element of each window = g of the window, and 0 elsewhere.

    What an element does not win is left to the next one, without branches, which could not be foreseen.
    """
    planes, height, width = out.shape
    rows, columns, end = y.shape[1], y.shape[2], out.size
    out, g, x, y = pointer(out), pointer(g), pointer(x), pointer(y)
    lanes, none = lanes_in(x), zeros_like(x)
    for plane in range(planes):
        for i in range(rows):
            for block in range(0, columns, lanes):
                j, count = _place(block, columns, lanes), min(lanes, columns)
                given = (plane * rows + i) * columns + j
                best, left = load_first(y, given, count), load_first(g, given, count)
                upper = (plane * height + 2 * i) * width + 2 * j
                a, b = _pairs(x, upper, 2 * count)
                c, d = _pairs(x, upper + width, 2 * count)
                at_a, left = where_less(a, best, none, left), where_less(a, best, left, none)
                at_b, left = where_less(b, best, none, left), where_less(b, best, left, none)
                at_c, left = where_less(c, best, none, left), where_less(c, best, left, none)
                at_d = where_less(d, best, none, left)
                _put_pairs(out, upper, at_a, at_b, 2 * count, end)
                _put_pairs(out, upper + width, at_c, at_d, 2 * count, end)
            for row in range(2 * i, 2 * i + 2):
                for j in range(2 * columns, width):
                    out[(plane * height + row) * width + j] = 0
        for k in range((plane * height + 2 * rows) * width, (plane + 1) * height * width):
            out[k] = 0


@compiled
def gather_two_by_two(out: Any, v: Any, x: Any, y: Any) -> None:
    """out of each window = v at the first greatest element of the window."""
    planes, rows, columns = out.shape
    height, width, end = x.shape[1], x.shape[2], out.size
    out, v, x, y = pointer(out), pointer(v), pointer(x), pointer(y)
    none = zeros_like(x)
    for line in range(planes * rows):
        plane, i = line // rows, line % rows
        for block in range(0, columns, lanes_in(x)):
            j, count = _place(block, columns, lanes_in(x)), min(lanes_in(x), columns)
            best = load_first(y, line * columns + j, count)
            upper = (plane * height + 2 * i) * width + 2 * j
            a, b = _pairs(x, upper, 2 * count)
            c, d = _pairs(x, upper + width, 2 * count)
            of_a, of_b = _pairs(v, upper, 2 * count)
            of_c, of_d = _pairs(v, upper + width, 2 * count)
            found = where_less(c, best, where_less(d, best, none, of_d), of_c)
            found = where_less(a, best, where_less(b, best, found, of_b), of_a)
            _put(out, line * columns + j, found, count, end)


@inlined
def _pairs(x: Any, at: int, count: int) -> Any:
    """The first and the second elements of pairs."""
    lanes = lanes_in(x)
    p, q = load_first(x, at, count), load_first(x, at + lanes, count - lanes)
    return evens(p, q), odds(p, q)


@inlined
def _put_pairs(out: Any, at: int, left: Any, right: Any, count: int, end: int) -> None:
    """The inverse of `_pairs`."""
    lanes = lanes_in(out)
    _put(out, at, woven_low(left, right), min(count, lanes), end)
    if count > lanes:
        _put(out, at + lanes, woven_high(left, right), count - lanes, end)


@inlined
def _put(out: Any, at: int, vector: Any, count: int, end: int) -> None:
    """Store a vector, or, where that would reach over the end of the array, its first elements."""
    if at + lanes_in(out) <= end:
        store(out, at, vector)
    else:
        store_first(out, at, vector, count)


@inlined
def _place(block: int, columns: int, lanes: int) -> int:
    """The first column of a block of a row: the last one begins earlier, so that it ends with the row."""
    return max(0, min(block, columns - lanes))
