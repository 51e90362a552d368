"""What a convolution, or its input adjoint, reads and writes: places in flat arrays, from plain arithmetic.

Both are sums over taps of weight[r, t] * source[place + offset[t]], where the source is one image with its
borders, cut by the stride into planes in which neighbouring windows are neighbours.  A convolution is one
phase; its input adjoint has one for each place of the result modulo the stride, and each tap of the kernel
belongs to one of them.  Source of that view of strides: Shi et al. (2016), arXiv:1609.07009.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from graphspec.ops.portions import Pair, Shape
from graphspec.runtime.kernels.fast.blocks import LANES, rows_of_block

#: how much more places a row may have in whole blocks than the padded row has, to be written where it belongs
WASTE = 1.15


class Sizes(NamedTuple):
    """The numbers that the compiled function needs."""

    images: int
    groups: int
    #: channels of the source, and rows of the result, in a group
    channels: int
    rows: int
    #: of a plane of the source array
    height: int
    width: int
    #: the planes that the stride cuts it into, and the height and width of each
    split_down: int
    split_across: int
    #: how many of them the taps may visit
    used_down: int
    used_across: int
    lines: int
    line: int
    #: border before the first element
    top: int
    left: int
    #: of a plane of the result
    out_height: int
    out_width: int
    #: elements of the weight from one row of the product to the next, and in a group
    row_step: int
    group_step: int
    #: rows of a block
    block: int


class Phase(NamedTuple):
    """A part of the result: every `step`-th place from a first one, and the taps that reach it."""

    #: in the arrays of offsets, and where the packed weight begins
    first: int
    end: int
    packed: int
    row: int
    row_step: int
    rows: int
    column: int
    column_step: int
    columns: int
    #: how it is worked on: lines of so many places; whether they belong into the result itself
    lines: int
    length: int
    is_direct: int


@dataclass(frozen=True, eq=False)
class Slide:
    """A convolution or input adjoint of known sizes.

    Tap t of the product reads the source at `offsets[t]`, and has the weight's element `elements[t]`.
    """

    sizes: Sizes
    phases: Any
    offsets: Any
    elements: Any
    #: whether the source array itself will do
    is_plain: bool
    #: elements of working storage: the packed weight, one source, and results with the source's rows
    shapes: tuple[tuple[int], tuple[int], tuple[int]]


@cache
def forward_slide(
    x: Shape, y: Shape, window: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Slide:
    """y = the convolution of x."""
    size = x[2] + 2 * padding[0], x[3] + 2 * padding[1]
    lines, line = -(-size[0] // stride[0]), -(-size[1] // stride[1])
    channels, rows = x[1] // groups, y[1] // groups
    taps = window[0] * window[1]
    used = [1 + max(k * dilation[i] % stride[i] for k in range(window[i])) for i in (0, 1)]
    sizes = Sizes._make(
        [
            *(x[0], groups, channels, rows, x[2], x[3], *stride, *used, lines, line, *padding, *y[2:]),
            *(channels * taps, rows * channels * taps, rows_of_block(rows)),
        ]
    )
    places = []
    for k in range(window[0]):
        down, a = divmod(k * dilation[0], stride[0])
        for m in range(window[1]):
            across, b = divmod(m * dilation[1], stride[1])
            place = ((a * stride[1] + b) * lines + down) * line + across
            places.append((place, k * window[1] + m))
    phase = (0, 1, y[2], 0, 1, y[3])
    return _slide(sizes, [(phase, places)], taps)


@cache
def adjoint_slide(
    x: Shape, y: Shape, window: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Slide:
    """x = the input adjoint for the cotangent of y.

    x[a + s*u] has weight[k] * y[u + e] for each tap k that divides: a + p - k*d = s*e.
    """
    reached = [
        [_reached(a, window[i], stride[i], padding[i], dilation[i]) for a in range(min(stride[i], x[2 + i]))]
        for i in (0, 1)
    ]
    borders, size = [0, 0], [0, 0]
    for i in (0, 1):
        steps = [e for taps in reached[i] for _, e in taps]
        borders[i] = max(0, -min(steps, default=0))
        last = max(
            (e + (x[2 + i] - a - 1) // stride[i] for a, taps in enumerate(reached[i]) for _, e in taps),
            default=0,
        )
        size[i] = borders[i] + max(y[2 + i], last + 1)
    channels, rows = y[1] // groups, x[1] // groups
    count = window[0] * window[1]
    sizes = Sizes._make(
        [
            *(x[0], groups, channels, rows, *y[2:], 1, 1, 1, 1, *size, *borders, *x[2:]),
            *(count, channels * rows * count, rows_of_block(rows)),
        ]
    )
    phases = []
    for a, down in enumerate(reached[0]):
        for b, across in enumerate(reached[1]):
            places = [
                ((borders[0] + e) * size[1] + borders[1] + f, k * window[1] + m)
                for k, e in down
                for m, f in across
            ]
            counts = [(x[2 + i] - c - 1) // stride[i] + 1 for i, c in ((0, a), (1, b))]
            phases.append(((a, stride[0], counts[0], b, stride[1], counts[1]), places))
    return _slide(sizes, phases, rows * count)


def _reached(a: int, window: int, stride: int, padding: int, dilation: int) -> list[tuple[int, int]]:
    """The taps that reach the places a, a + stride, ... and how many windows ahead."""
    found = []
    for k in range(window):
        ahead, rest = divmod(a + padding - k * dilation, stride)
        if rest == 0:
            found.append((k, ahead))
    return found


def _slide(sizes: Sizes, phases: list[tuple[Any, list[tuple[int, int]]]], channel_step: int) -> Slide:
    """Put the taps of all channels together; `channel_step` is that of the weight."""
    plane = sizes.split_down * sizes.split_across * sizes.lines * sizes.line
    tiles = -(-sizes.rows // sizes.block)
    table: list[Phase] = []
    offsets: list[int] = []
    elements: list[int] = []
    for place, taps in phases:
        first = len(offsets)
        for c in range(sizes.channels):
            offsets += [c * plane + offset for offset, _ in taps]
            elements += [c * channel_step + element for _, element in taps]
        lines, length, is_direct = _lines(sizes, *place)
        packed = first * tiles * sizes.block
        table.append(Phase._make([first, len(offsets), packed, *place, lines, length, is_direct]))
    longest = [max(LANES, p.length) for p in table if not p.is_direct]
    is_plain = (
        (sizes.split_down, sizes.split_across, sizes.top, sizes.left) == (1, 1, 0, 0)
        and (sizes.lines, sizes.line) == (sizes.height, sizes.width)
        and all(p.length >= LANES for p in table)
    )
    shapes = (
        (len(offsets) * tiles * sizes.block,),
        (1 if is_plain else sizes.channels * plane + LANES,),
        (sizes.rows * max(longest, default=0) + 1,),
    )
    kind = np.int64
    phase_table = np.array(table, kind).reshape(-1, len(Phase._fields))
    return Slide(sizes, phase_table, np.array(offsets, kind), np.array(elements, kind), is_plain, shapes)


def _lines(
    sizes: Sizes, row: int, row_step: int, rows: int, column: int, column_step: int, columns: int
) -> tuple[int, int, bool]:
    """Lines, places in each, and whether they are written into the result itself."""
    is_whole = columns == sizes.line == sizes.out_width and row_step == column_step == 1
    if is_whole and rows * columns >= LANES:
        return 1, rows * columns, True
    in_blocks = -(-columns // LANES) * LANES
    if column_step == 1 and columns >= LANES and in_blocks <= WASTE * sizes.line:
        return rows, columns, True
    return 1, (rows - 1) * sizes.line + columns, False
