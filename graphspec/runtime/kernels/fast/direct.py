"""Convolution by its definition: sums over taps stay in registers, and no columns are ever written."""

from __future__ import annotations

from typing import Any

from graphspec.runtime.kernels.fast.blocks import LANES, gather
from graphspec.runtime.kernels.fast.compiling import compiled, inlined
from graphspec.runtime.kernels.fast.sliding import Phase, Sizes
from graphspec.runtime.kernels.fast.vectors import lanes_in, pointer


@compiled
def slide(
    out: Any,
    x: Any,
    weight: Any,
    packed: Any,
    source: Any,
    wide: Any,
    offsets: Any,
    elements: Any,
    phases: Any,
    sizes: Sizes,
    is_plain: bool,
) -> None:
    """out = a convolution, or an input adjoint, of x with weight; all arrays are flat, but the phases."""
    phase_count, source_size = phases.shape[0], source.size
    out, x, weight, packed = pointer(out), pointer(x), pointer(weight), pointer(packed)
    source, wide, phases = pointer(source), pointer(wide), pointer(phases)
    offsets, elements = pointer(offsets), pointer(elements)
    plane = sizes.height * sizes.width
    out_plane = sizes.out_height * sizes.out_width
    if not is_plain:
        for i in range(source_size):
            source[i] = 0
    for group in range(sizes.groups):
        for number in range(phase_count):
            phase = _phase(phases, number)
            _pack(packed, phase, weight, group * sizes.group_step, elements, sizes)
        for image in range(sizes.images):
            given = (image * sizes.groups + group) * sizes.channels * plane
            target = (image * sizes.groups + group) * sizes.rows * out_plane
            if not is_plain:
                _fill(source, x, given, sizes)
            seen, base = (x, given) if is_plain else (source, 0)
            for number in range(phase_count):
                phase = _phase(phases, number)
                _run(out, target, out_plane, wide, packed, seen, base, offsets, phase, sizes)


@inlined
def _phase(table: Any, i: int) -> Any:
    k = 12 * i
    first, end, packed = table[k], table[k + 1], table[k + 2]
    row, row_step, rows = table[k + 3], table[k + 4], table[k + 5]
    column, column_step, columns = table[k + 6], table[k + 7], table[k + 8]
    lines, length, is_direct = table[k + 9], table[k + 10], table[k + 11]
    return Phase(
        first, end, packed, row, row_step, rows, column, column_step, columns, lines, length, is_direct
    )


@inlined
def _pack(packed: Any, phase: Any, weight: Any, start: int, elements: Any, sizes: Any) -> None:
    """packed[tile, tap, row] = the weight, with zeros in rows that are not there."""
    at = phase.packed
    for tile in range(0, sizes.rows, sizes.block):
        for t in range(phase.first, phase.end):
            for row in range(tile, tile + sizes.block):
                is_there = row < sizes.rows
                packed[at] = weight[start + row * sizes.row_step + elements[t]] if is_there else 0
                at += 1


@inlined
def _fill(source: Any, x: Any, given: int, sizes: Any) -> None:
    """The image within its borders, cut into planes by the stride."""
    down, across, line = sizes.split_down, sizes.split_across, sizes.line
    plane = sizes.lines * line
    for channel in range(sizes.channels):
        for i in range(sizes.height):
            row, a = (i + sizes.top) // down, (i + sizes.top) % down
            if row >= sizes.lines or a >= sizes.used_down:
                continue
            at = given + (channel * sizes.height + i) * sizes.width
            for b in range(sizes.used_across):
                # the first column j >= 0 that is b modulo the stride, and its place in the plane
                j = (b - sizes.left) % across
                place = (j + sizes.left) // across
                count = min((sizes.width - j + across - 1) // across, line - place)
                to = ((channel * down + a) * across + b) * plane + row * line + place
                if across == 1:
                    for k in range(count):
                        source[to + k] = x[at + k]
                else:
                    for k in range(count):
                        source[to + k] = x[at + j + k * across]


@inlined
def _run(
    out: Any,
    target: int,
    out_plane: int,
    wide: Any,
    packed: Any,
    source: Any,
    base: int,
    offsets: Any,
    phase: Any,
    sizes: Any,
) -> None:
    """One phase of one image: straight into the result, or by way of rows as wide as the source's."""
    step = max(LANES, phase.length)
    if phase.is_direct:
        at = target + phase.row * sizes.out_width + phase.column
        made, step, line = out, out_plane, phase.row_step * sizes.out_width
    else:
        made, at, line = wide, 0, 0
    _blocks(made, at, step, line, packed, source, base, offsets, phase, sizes)
    if phase.is_direct:
        return
    for r in range(sizes.rows):
        for i in range(phase.rows):
            at = target + r * out_plane
            at += (phase.row + i * phase.row_step) * sizes.out_width + phase.column
            k = r * step + i * sizes.line
            if phase.column_step == 1:
                for j in range(phase.columns):
                    out[at + j] = wide[k + j]
            else:
                for j in range(phase.columns):
                    out[at + j * phase.column_step] = wide[k + j]


@inlined
def _blocks(
    out: Any,
    at: int,
    step: int,
    line: int,
    packed: Any,
    source: Any,
    base: int,
    offsets: Any,
    phase: Any,
    sizes: Any,
) -> None:
    """All blocks of a phase; the last one of a line begins earlier, so that it ends with it."""
    weight, lanes = phase.packed, lanes_in(source)
    for row in range(0, sizes.rows, sizes.block):
        rows = min(sizes.block, sizes.rows - row)
        for i in range(phase.lines):
            for j in range(0, phase.length, lanes):
                place = max(0, min(j, phase.length - lanes))
                to = at + row * step + i * line + place
                start = base + i * sizes.line + place
                gather(
                    *(out, to, step, rows, packed, weight, source, start),
                    *(offsets, phase.first, phase.end, sizes.block),
                )
        weight += (phase.end - phase.first) * sizes.block
