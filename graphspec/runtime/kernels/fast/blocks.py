"""Blocks of a product of matrices whose sums stay in registers: a few rows by a vector of columns.

Every convolution comes down to them.  With 6 rows there are 12 sums in registers of AVX2, which hide how
long a multiplication takes; with 4 rows there are 8, which is just enough.
"""

from __future__ import annotations

from typing import Any

from graphspec.runtime.kernels.fast.compiling import inlined
from graphspec.runtime.kernels.fast.vectors import (
    add,
    fma,
    lanes_in,
    load,
    store,
    total_of,
    zeros_like,
)

#: columns of a block at most: the elements of a vector in single precision
LANES = 16


def rows_of_block(rows: int) -> int:
    """The rows of blocks that waste the least on this many: 1, 4 or 6."""
    if rows == 1:
        return 1
    return 4 if -(-rows // 4) * 4 < -(-rows // 6) * 6 else 6


@inlined
def _store_rows(out: Any, at: int, step: int, rows: int, s0: Any, s1: Any, s2: Any, s3: Any) -> None:
    """The first of four rows."""
    if rows > 0:
        store(out, at, s0)
    if rows > 1:
        store(out, at + step, s1)
    if rows > 2:
        store(out, at + 2 * step, s2)
    if rows > 3:
        store(out, at + 3 * step, s3)


@inlined
def gather_6(
    out: Any,
    at: int,
    step: int,
    rows: int,
    weight: Any,
    first: int,
    source: Any,
    base: int,
    offsets: Any,
    start: int,
    end: int,
) -> None:
    """out[at + r * step + lane] = the sum over the taps t from start to end of
    weight[first + 6 * (t - start) + r] * source[base + offsets[t] + lane], for the first `rows` of 6 rows r.
    """
    s0 = s1 = s2 = s3 = s4 = s5 = zeros_like(source)
    for t in range(start, end):
        vector = load(source, base + offsets[t])
        w = first + 6 * (t - start)
        s0 = fma(weight[w], vector, s0)
        s1 = fma(weight[w + 1], vector, s1)
        s2 = fma(weight[w + 2], vector, s2)
        s3 = fma(weight[w + 3], vector, s3)
        s4 = fma(weight[w + 4], vector, s4)
        s5 = fma(weight[w + 5], vector, s5)
    _store_rows(out, at, step, rows, s0, s1, s2, s3)
    if rows > 4:
        store(out, at + 4 * step, s4)
    if rows > 5:
        store(out, at + 5 * step, s5)


@inlined
def gather_4(
    out: Any,
    at: int,
    step: int,
    rows: int,
    weight: Any,
    first: int,
    source: Any,
    base: int,
    offsets: Any,
    start: int,
    end: int,
) -> None:
    """As `gather_6`, with 4 rows."""
    s0 = s1 = s2 = s3 = zeros_like(source)
    for t in range(start, end):
        vector = load(source, base + offsets[t])
        w = first + 4 * (t - start)
        s0 = fma(weight[w], vector, s0)
        s1 = fma(weight[w + 1], vector, s1)
        s2 = fma(weight[w + 2], vector, s2)
        s3 = fma(weight[w + 3], vector, s3)
    _store_rows(out, at, step, rows, s0, s1, s2, s3)


@inlined
def gather_1(
    out: Any, at: int, weight: Any, first: int, source: Any, base: int, offsets: Any, start: int, end: int
) -> None:
    """As `gather_6`, with 1 row."""
    total = zeros_like(source)
    for t in range(start, end):
        total = fma(weight[first + t - start], load(source, base + offsets[t]), total)
    store(out, at, total)


@inlined
def gather(
    out: Any,
    at: int,
    step: int,
    rows: int,
    weight: Any,
    first: int,
    source: Any,
    base: int,
    offsets: Any,
    start: int,
    end: int,
    block: int,
) -> None:
    """As `gather_6`, with blocks of 1, 4 or 6 rows."""
    if block == 6:
        gather_6(out, at, step, rows, weight, first, source, base, offsets, start, end)
    elif block == 4:
        gather_4(out, at, step, rows, weight, first, source, base, offsets, start, end)
    else:
        gather_1(out, at, weight, first, source, base, offsets, start, end)


@inlined
def add_products(
    total: Any,
    at: int,
    step: int,
    rows: int,
    g: Any,
    given: int,
    g_step: int,
    source: Any,
    base: int,
    lines: int,
    length: int,
    line_step: int,
    place_step: int,
) -> None:
    """total[at + r * step + lane] += sum over lines i and places j of
    g[given + r * g_step + i * length + j] * source[base + i * line_step + j * place_step + lane],
    for the first `rows` of 6 rows r.
    """
    # a row that is not there is read as the last one, and not stored
    g1, g2, g3 = g_step * min(1, rows - 1), g_step * min(2, rows - 1), g_step * min(3, rows - 1)
    g4, g5 = g_step * min(4, rows - 1), g_step * min(5, rows - 1)
    s0 = s1 = s2 = s3 = s4 = s5 = zeros_like(source)
    for i in range(lines):
        for j in range(length):
            vector = load(source, base + i * line_step + j * place_step)
            k = given + i * length + j
            s0 = fma(g[k], vector, s0)
            s1 = fma(g[k + g1], vector, s1)
            s2 = fma(g[k + g2], vector, s2)
            s3 = fma(g[k + g3], vector, s3)
            s4 = fma(g[k + g4], vector, s4)
            s5 = fma(g[k + g5], vector, s5)
    _add_row(total, at, 0, rows, s0)
    _add_row(total, at + step, 1, rows, s1)
    _add_row(total, at + 2 * step, 2, rows, s2)
    _add_row(total, at + 3 * step, 3, rows, s3)
    _add_row(total, at + 4 * step, 4, rows, s4)
    _add_row(total, at + 5 * step, 5, rows, s5)


@inlined
def _add_row(total: Any, at: int, row: int, rows: int, sums: Any) -> None:
    if row < rows:
        store(total, at, add(load(total, at), sums))


@inlined
def add_dots(
    total: Any,
    at: int,
    step: int,
    left: Any,
    first: int,
    rows: int,
    right: Any,
    base: int,
    right_step: int,
    length: int,
) -> None:
    """total[at + r * step + c] += the sum over t of left[first + r * length + t] * right[base + c *
    right_step + t], for the first `rows` of 3 rows r, and c = 0 and 1; only 0 where `right_step` is 0.
    """
    # a row that is not there is read as the last one, and not stored
    row1, row2 = first + length * min(1, rows - 1), first + length * min(2, rows - 1)
    s00 = s01 = s10 = s11 = s20 = s21 = zeros_like(left)
    for t in range(0, length, lanes_in(left)):
        r0, r1 = load(right, base + t), load(right, base + right_step + t)
        l0, l1, l2 = load(left, first + t), load(left, row1 + t), load(left, row2 + t)
        s00, s01 = fma(l0, r0, s00), fma(l0, r1, s01)
        s10, s11 = fma(l1, r0, s10), fma(l1, r1, s11)
        s20, s21 = fma(l2, r0, s20), fma(l2, r1, s21)
    is_two = right_step > 0
    _add_two(total, at, s00, s01, is_two)
    if rows > 1:
        _add_two(total, at + step, s10, s11, is_two)
    if rows > 2:
        _add_two(total, at + 2 * step, s20, s21, is_two)


@inlined
def _add_two(total: Any, at: int, left: Any, right: Any, is_two: bool) -> None:
    total[at] += total_of(left)
    if is_two:
        total[at + 1] += total_of(right)
