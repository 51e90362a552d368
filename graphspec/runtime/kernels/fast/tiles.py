"""Convolution with windows of 3 x 3 by a quarter of the multiplications: tiles of 4 x 4 results.

Winograd's F(4 x 4, 3 x 3): y = A (G w G' * B d B') A', where d is a tile of 6 x 6 of the image, and the
product * at each of the 36 points is one of matrices, channels by tiles.  Tiles lie in the lanes of vectors;
a portion of them, all their points included, stays in the cache.
Source: Winograd (1980), Arithmetic complexity of computations; Lavin & Gray (2015), arXiv:1509.09308.

In single precision the result is off by some ten times the rounding of a plain sum: by 5e-6 of the largest
element with 64 channels, 1.3e-5 with 256; the weight adjoint by 3e-6.  What is not finite spreads over its
tile.
"""

from __future__ import annotations

from typing import Any

from graphspec.runtime.kernels.fast.blocks import LANES, gather
from graphspec.runtime.kernels.fast.compiling import compiled, inlined
from graphspec.runtime.kernels.fast.tiling import Sizes
from graphspec.runtime.kernels.fast.vectors import (
    add,
    evens,
    filled,
    fma,
    load,
    odds,
    pointer,
    scale,
    store,
    store_first,
    subtract,
    where_less,
    woven_high,
    woven_low,
    zeros_like,
)


@compiled
def tiled_convolution(
    out: Any,
    x: Any,
    weight: Any,
    packed: Any,
    lines: Any,
    spare: Any,
    image: Any,
    result: Any,
    offsets: Any,
    starts: Any,
    places: Any,
    targets: Any,
    bias: Any,
    limit: float,
    sizes: Sizes,
) -> None:
    """out = the convolution of x with weight, plus bias by channel, and 0 where that is less than a limit."""
    plane = sizes.height * sizes.width
    _weight_points(pointer(packed), pointer(weight), pointer(spare), sizes)
    for i in range(lines.size):
        lines[i] = 0
    for q in range(0, sizes.total, sizes.portion):
        for channel in range(sizes.channels):
            for k in range(sizes.portion):
                number, row = places[q + k, 0], places[q + k, 1]
                at = (number * sizes.channels + channel) * plane
                to = k * 6 * sizes.line + sizes.left
                height = sizes.height if number >= 0 else 0
                copy_rows(pointer(lines), to, sizes.line, pointer(x), at, row, 6, height, sizes.width)
            image_points(pointer(image), channel, pointer(lines), pointer(starts), pointer(spare), sizes)
        _multiply(pointer(result), pointer(packed), pointer(image), pointer(offsets), sizes)
        for row in range(sizes.rows):
            after = bias[row], limit
            _interpolate(
                pointer(out), row, q, pointer(result), pointer(targets), pointer(spare), after, sizes
            )


@inlined
def _weight_points(packed: Any, weight: Any, spare: Any, sizes: Any) -> None:
    """packed[point, tile of rows, channel, row] = G w G', with zeros in rows that are not there."""
    block, channels, taps = sizes.block, sizes.channels, 54 * LANES
    blocks = (sizes.rows + block - 1) // block
    together = LANES // block * block
    step = sizes.weight_step
    for row in range(0, blocks * block, together):
        for channel in range(channels):
            for r in range(together):
                w = (row + r) * sizes.row_step + channel * sizes.channel_step + sizes.first
                for t in range(9):
                    is_there = row + r < sizes.rows
                    spare[taps + t * LANES + r] = weight[w + t * sizes.step] if is_there else 0
            for i in range(3):
                at = taps + 48 * i
                store_six(spare, 96 * i, LANES, _at_points(*_load_three(spare, at, LANES)))
            for k in range(6):
                at = 16 * (18 + k)
                store_six(spare, at, 96, _at_points(*_load_three(spare, 16 * k, 96)))
            for r in range(0, min(together, blocks * block - row), block):
                to = ((row + r) // block * channels + channel) * block
                for point in range(36):  # a block has 4 rows or 6
                    at, made = to + point * step, 16 * (18 + point) + r
                    packed[at], packed[at + 1] = spare[made], spare[made + 1]
                    packed[at + 2], packed[at + 3] = spare[made + 2], spare[made + 3]
                    if block == 6:
                        packed[at + 4], packed[at + 5] = spare[made + 4], spare[made + 5]


@inlined
def _at_points(a: Any, b: Any, c: Any) -> Any:
    """G w: the polynomial a + b*z + c*z**2 at 0, 1, -1, 2, -2 and infinity, scaled."""
    even, near = scale(-1 / 6, add(a, c)), scale(1 / 6, b)
    far, turn = fma(1 / 24, a, scale(1 / 6, c)), scale(1 / 12, b)
    points = subtract(even, near), add(even, near), add(far, turn), subtract(far, turn)
    return scale(1 / 4, a), points[0], points[1], points[2], points[3], c


@inlined
def _load_three(data: Any, at: int, step: int) -> Any:
    return load(data, at), load(data, at + step), load(data, at + 2 * step)


@inlined
def load_six(data: Any, at: int, step: int) -> Any:
    """Six vectors, one every `step` elements."""
    first = _load_three(data, at, step)
    last = _load_three(data, at + 3 * step, step)
    return first[0], first[1], first[2], last[0], last[1], last[2]


@inlined
def store_six(data: Any, at: int, step: int, vectors: Any) -> None:
    """The inverse of `load_six`."""
    store(data, at, vectors[0])
    store(data, at + step, vectors[1])
    store(data, at + 2 * step, vectors[2])
    store(data, at + 3 * step, vectors[3])
    store(data, at + 4 * step, vectors[4])
    store(data, at + 5 * step, vectors[5])


@inlined
def copy_rows(
    lines: Any, to: int, line: int, x: Any, plane: int, first: int, count: int, height: int, width: int
) -> None:
    """Some rows of an image from the row `first` on, with zeros for those outside of it."""
    for i in range(first, first + count):
        is_zero = i < 0 or i >= height
        at = plane + i * width
        if width < LANES:
            for j in range(width):
                lines[to + j] = 0 if is_zero else x[at + j]
        else:
            for j in range(0, width, LANES):
                place = min(j, width - LANES)
                if is_zero:
                    store(lines, to + place, zeros_like(lines))
                else:
                    store(lines, to + place, load(x, at + place))
        to += line


@inlined
def _seen(d0: Any, d1: Any, d2: Any, d3: Any, d4: Any, d5: Any) -> Any:
    """B d: what six elements are at the points."""
    a, b = fma(-4.0, d2, d4), fma(-4.0, d1, d3)
    c, d = subtract(d4, d2), subtract(d3, d1)
    e = fma(4.0, d0, fma(-5.0, d2, d4))
    f = fma(4.0, d1, fma(-5.0, d3, d5))
    return e, add(a, b), subtract(a, b), fma(2.0, d, c), fma(-2.0, d, c), f


@inlined
def image_points(image: Any, channel: int, lines: Any, starts: Any, spare: Any, sizes: Any) -> None:
    """image[point, channel, tile] = B d B'."""
    for tile in range(0, sizes.tiles, LANES):
        k = tile // 4
        s0, s1, s2, s3 = starts[k], starts[k + 1], starts[k + 2], starts[k + 3]
        for i in range(6):
            at = i * sizes.line
            p, q, r, s = (
                load(lines, s0 + at),
                load(lines, s1 + at),
                load(lines, s2 + at),
                load(lines, s3 + at),
            )
            e, f, g, h = evens(p, q), evens(r, s), odds(p, q), odds(r, s)
            d0, d1, d2, d3 = evens(e, f), evens(g, h), odds(e, f), odds(g, h)
            at += 4
            p, q, r, s = (
                load(lines, s0 + at),
                load(lines, s1 + at),
                load(lines, s2 + at),
                load(lines, s3 + at),
            )
            d4, d5 = evens(evens(p, q), evens(r, s)), evens(odds(p, q), odds(r, s))
            store_six(spare, 96 * i, LANES, _seen(d0, d1, d2, d3, d4, d5))
        step = sizes.image_step
        for k in range(6):
            to = k * step + channel * sizes.tiles + tile
            store_six(image, to, 6 * step, _seen(*load_six(spare, 16 * k, 96)))


@inlined
def _multiply(result: Any, packed: Any, image: Any, offsets: Any, sizes: Any) -> None:
    """result[point, row, tile] = the sum over the channels of weight and image."""
    for point in range(36):
        weight = point * sizes.weight_step
        for row in range(0, sizes.rows, sizes.block):
            rows = min(sizes.block, sizes.rows - row)
            for tile in range(0, sizes.tiles, LANES):
                at = point * sizes.result_step + row * sizes.tiles + tile
                base = point * sizes.image_step + tile
                gather(
                    result,
                    at,
                    sizes.tiles,
                    rows,
                    packed,
                    weight,
                    image,
                    base,
                    offsets,
                    0,
                    sizes.channels,
                    sizes.block,
                )
            weight += sizes.channels * sizes.block


@inlined
def _made(m0: Any, m1: Any, m2: Any, m3: Any, m4: Any, m5: Any) -> Any:
    """A m: four elements from what they are at the points."""
    a, b, c, d = add(m1, m2), subtract(m1, m2), add(m3, m4), subtract(m3, m4)
    return add(m0, add(a, c)), fma(2.0, d, b), fma(4.0, c, a), fma(8.0, d, add(b, m5))


@inlined
def _interpolate(
    out: Any, row: int, q: int, result: Any, targets: Any, spare: Any, after: Any, sizes: Any
) -> None:
    """out[4 rows, columns] = A m A', of all tiles of a portion, and what is done after that."""
    step, plane = sizes.result_step, row * sizes.out_height * sizes.out_width
    for tile in range(0, sizes.tiles, LANES):
        for k in range(6):
            at = k * step + row * sizes.tiles + tile
            y0, y1, y2, y3 = _made(*load_six(result, at, 6 * step))
            to = k * LANES
            store(spare, to, y0)
            store(spare, to + 96, y1)
            store(spare, to + 192, y2)
            store(spare, to + 288, y3)
        table = 3 * (q * sizes.vectors + tile // 4)
        for r in range(4):
            y0, y1, y2, y3 = _made(*load_six(spare, 96 * r, LANES))
            a, b, c, d = woven_low(y0, y2), woven_low(y1, y3), woven_high(y0, y2), woven_high(y1, y3)
            to = plane + r * sizes.out_width
            _put(out, to, r, targets, table, woven_low(a, b), after)
            _put(out, to, r, targets, table + 3, woven_high(a, b), after)
            _put(out, to, r, targets, table + 6, woven_low(c, d), after)
            _put(out, to, r, targets, table + 9, woven_high(c, d), after)


@inlined
def _put(out: Any, at: int, r: int, targets: Any, k: int, vector: Any, after: Any) -> None:
    """A row of four tiles, as far as it is within the result."""
    if r < targets[k + 1]:
        vector = add(vector, filled(after[0], vector))
        vector = where_less(vector, filled(after[1], vector), zeros_like(out), vector)
        if targets[k + 2] == LANES:
            store(out, at + targets[k], vector)
        else:
            store_first(out, at + targets[k], vector, targets[k + 2])
