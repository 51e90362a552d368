"""Convolution with windows of 3 x 3 by a quarter of the multiplications: tiles of 4 x 4 results.

Winograd's F(4 x 4, 3 x 3): y = A (G w G' * B d B') A', where d is a tile of 6 x 6 of the image, and the
product * at each of the 36 points is one of matrices, channels by tiles.  Tiles lie in the lanes of vectors;
a portion of them, all their points included, stays in the cache.
Source: Winograd (1980), Arithmetic complexity of computations; Lavin & Gray (2015), arXiv:1509.09308.

In single precision the result is off by about 20 times the rounding of a plain sum: 1e-5 of the largest
element.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from graphspec.ops.portions import Pair, Shape
from graphspec.runtime.kernels.fast.blocks import LANES, gather, rows_of_block
from graphspec.runtime.kernels.fast.compiling import compiled, inlined
from graphspec.runtime.kernels.fast.vectors import (
    add,
    evens,
    fma,
    load,
    odds,
    pointer,
    store,
    subtract,
    woven_high,
    woven_low,
)

#: elements of a portion's points: with the weight they take about the second cache of a core
PORTION = 1 << 16
#: rows and columns of a tile of results, and of the image that it depends on
TILE, SEEN = 4, 6
POINTS = SEEN * SEEN


class Sizes(NamedTuple):
    """The numbers that the compiled function needs."""

    channels: int
    rows: int
    height: int
    width: int
    out_height: int
    out_width: int
    top: int
    left: int
    #: rows of tiles of an image, of all images, and of a portion; tiles in a row, and in a portion's vectors
    down: int
    total: int
    portion: int
    across: int
    tiles: int
    block: int
    #: elements of the weight from one row of the product to the next, and from channel to channel; the
    #: place of a window's first element, and the step from there
    row_step: int
    channel_step: int
    first: int
    step: int


@dataclass(frozen=True, eq=False)
class Tiles:
    """A convolution of known sizes, worked on in tiles."""

    sizes: Sizes
    #: where each channel begins at a point
    offsets: Any
    #: elements of working storage: the weight, rows, a tile's points, and the points of image and result
    shapes: tuple[tuple[int], ...]


@cache
def tiles(x: Shape, y: Shape, padding: Pair, is_mirrored: bool) -> Tiles | None:
    """y = the convolution of x, or with mirrored weights the other way round; None where it does not pay."""
    channels, rows = x[1], y[1]
    down, across = -(-y[2] // TILE), -(-y[3] // TILE)
    # with these conditions products take most of the time
    if min(channels, rows) < 16 or min(padding) < 0 or 3 * POINTS * down * across > 2 * 9 * y[2] * y[3]:
        return None
    portion = max(1, max(LANES, PORTION // (POINTS * (channels + rows)) // LANES * LANES) // across)
    portion = min(portion, max(1, x[0] * down))
    count = -(-portion * across // LANES) * LANES
    steps = (9, 9 * rows, 8, -1) if is_mirrored else (9 * channels, 9, 0, 1)
    block = rows_of_block(rows)
    sizes = Sizes(
        *(channels, rows, *x[2:], *y[2:], *padding, down, x[0] * down, portion, across, count, block, *steps)
    )
    shapes = (
        (POINTS * -(-rows // block) * block * channels,),
        (2 * SEEN * TILE * count,),
        (POINTS * LANES,),
        (POINTS * channels * count,),
        (POINTS * rows * count,),
    )
    return Tiles(sizes, np.arange(channels, dtype=np.int64) * count, shapes)


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
    sizes: Sizes,
) -> None:
    """out = the convolution of x with weight."""
    _weight_points(pointer(packed), pointer(weight), sizes)
    for i in range(lines.size):
        lines[i] = 0
    for q in range(0, sizes.total, sizes.portion):
        count = min(sizes.portion, sizes.total - q)
        for channel in range(sizes.channels):
            cut(pointer(lines), pointer(x), channel, q, count, sizes)
            image_points(pointer(image), channel, pointer(lines), pointer(spare), sizes)
        _multiply(pointer(result), pointer(packed), pointer(image), pointer(offsets), sizes)
        for row in range(sizes.rows):
            _interpolate(pointer(lines), row, pointer(result), pointer(spare), sizes)
            _put(pointer(out), pointer(lines), row, q, count, sizes)


@inlined
def _weight_points(packed: Any, weight: Any, sizes: Any) -> None:
    """packed[point, tile of rows, channel, row] = G w G'."""
    block, channels = sizes.block, sizes.channels
    blocks = (sizes.rows + block - 1) // block
    for row in range(blocks * block):
        for channel in range(channels):
            at = (row // block * channels + channel) * block + row % block
            point_step = blocks * block * channels
            if row >= sizes.rows:
                for point in range(36):
                    packed[at + point * point_step] = 0
                continue
            w = row * sizes.row_step + channel * sizes.channel_step + sizes.first
            s = sizes.step
            a = _at_points(weight[w], weight[w + s], weight[w + 2 * s])
            b = _at_points(weight[w + 3 * s], weight[w + 4 * s], weight[w + 5 * s])
            c = _at_points(weight[w + 6 * s], weight[w + 7 * s], weight[w + 8 * s])
            for k in range(6):
                p = _at_points(a[k], b[k], c[k])
                for i in range(6):
                    packed[at + (6 * i + k) * point_step] = p[i]


@inlined
def _at_points(a: Any, b: Any, c: Any) -> Any:
    """The polynomial a + b*z + c*z**2 at 0, 1, -1, 2, -2 and infinity, scaled."""
    kind = type(a)
    sixth, twelfth = kind(1 / 6), kind(1 / 12)
    even, odd = (a + c) * -sixth, b * sixth
    far, turn = a * kind(1 / 24) + c * sixth, b * twelfth
    return a * kind(1 / 4), even - odd, even + odd, far + turn, far - turn, c


@inlined
def cut(lines: Any, x: Any, channel: int, q: int, count: int, sizes: Any) -> None:
    """lines[0, i] = row i of each tile, tiles side by side; lines[1, i] = that from the fifth column on."""
    line, length = TILE * sizes.across, TILE * sizes.tiles
    for k in range(count):
        image, ty = (q + k) // sizes.down, (q + k) % sizes.down
        plane = (image * sizes.channels + channel) * sizes.height * sizes.width
        for i in range(6):
            row = TILE * ty + i - sizes.top
            for half in range(2):
                to = (half * 6 + i) * length + k * line
                ahead = TILE * half - sizes.left
                copy_line(lines, to, line, x, plane, row, ahead, sizes.height, sizes.width)


@inlined
def copy_line(
    lines: Any, to: int, line: int, x: Any, plane: int, row: int, ahead: int, height: int, width: int
) -> None:
    """A row of an image, from the column `ahead` on, with zeros outside of the image."""
    start, end = min(line, max(0, -ahead)), max(0, min(line, width - ahead))
    if row < 0 or row >= height:
        start = end = 0
    at = plane + row * width + ahead
    for j in range(start):
        lines[to + j] = 0
    for j in range(start, end):
        lines[to + j] = x[at + j]
    for j in range(end, line):
        lines[to + j] = 0


@inlined
def _seen(d0: Any, d1: Any, d2: Any, d3: Any, d4: Any, d5: Any) -> Any:
    """B d: what six elements are at the points."""
    a, b = fma(-4.0, d2, d4), fma(-4.0, d1, d3)
    c, d = subtract(d4, d2), subtract(d3, d1)
    e = fma(4.0, d0, fma(-5.0, d2, d4))
    f = fma(4.0, d1, fma(-5.0, d3, d5))
    return e, add(a, b), subtract(a, b), fma(2.0, d, c), fma(-2.0, d, c), f


@inlined
def image_points(image: Any, channel: int, lines: Any, spare: Any, sizes: Any) -> None:
    """image[point, channel, tile] = B d B'."""
    length = TILE * sizes.tiles
    for tile in range(0, sizes.tiles, LANES):
        for i in range(6):
            at = i * length + TILE * tile
            p, q, r, s = load(lines, at), load(lines, at + 16), load(lines, at + 32), load(lines, at + 48)
            e, f, g, h = evens(p, q), evens(r, s), odds(p, q), odds(r, s)
            d0, d1, d2, d3 = evens(e, f), evens(g, h), odds(e, f), odds(g, h)
            at += 6 * length
            p, q, r, s = load(lines, at), load(lines, at + 16), load(lines, at + 32), load(lines, at + 48)
            d4, d5 = evens(evens(p, q), evens(r, s)), evens(odds(p, q), odds(r, s))
            z0, z1, z2, z3, z4, z5 = _seen(d0, d1, d2, d3, d4, d5)
            to = i * 6 * LANES
            store(spare, to, z0)
            store(spare, to + 16, z1)
            store(spare, to + 32, z2)
            store(spare, to + 48, z3)
            store(spare, to + 64, z4)
            store(spare, to + 80, z5)
        step = sizes.channels * sizes.tiles
        for k in range(6):
            at = 16 * k
            d0, d1, d2 = load(spare, at), load(spare, at + 96), load(spare, at + 192)
            d3, d4, d5 = load(spare, at + 288), load(spare, at + 384), load(spare, at + 480)
            z0, z1, z2, z3, z4, z5 = _seen(d0, d1, d2, d3, d4, d5)
            to = k * step + channel * sizes.tiles + tile
            store(image, to, z0)
            store(image, to + 6 * step, z1)
            store(image, to + 12 * step, z2)
            store(image, to + 18 * step, z3)
            store(image, to + 24 * step, z4)
            store(image, to + 30 * step, z5)


@inlined
def _multiply(result: Any, packed: Any, image: Any, offsets: Any, sizes: Any) -> None:
    """result[point, row, tile] = the sum over the channels of weight and image."""
    weight = 0
    for point in range(36):
        for row in range(0, sizes.rows, sizes.block):
            rows = min(sizes.block, sizes.rows - row)
            for tile in range(0, sizes.tiles, LANES):
                at = (point * sizes.rows + row) * sizes.tiles + tile
                base = point * sizes.channels * sizes.tiles + tile
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
def _interpolate(lines: Any, row: int, result: Any, spare: Any, sizes: Any) -> None:
    """lines[r] = row r of each tile of A m A', tiles side by side."""
    length, step = TILE * sizes.tiles, sizes.rows * sizes.tiles
    for tile in range(0, sizes.tiles, LANES):
        for k in range(6):
            at = k * step + row * sizes.tiles + tile
            m0, m1, m2 = load(result, at), load(result, at + 6 * step), load(result, at + 12 * step)
            m3, m4 = load(result, at + 18 * step), load(result, at + 24 * step)
            y0, y1, y2, y3 = _made(m0, m1, m2, m3, m4, load(result, at + 30 * step))
            to = k * LANES
            store(spare, to, y0)
            store(spare, to + 96, y1)
            store(spare, to + 192, y2)
            store(spare, to + 288, y3)
        for r in range(4):
            at = 96 * r
            m0, m1, m2 = load(spare, at), load(spare, at + 16), load(spare, at + 32)
            m3, m4, m5 = load(spare, at + 48), load(spare, at + 64), load(spare, at + 80)
            y0, y1, y2, y3 = _made(m0, m1, m2, m3, m4, m5)
            a, b, c, d = woven_low(y0, y2), woven_low(y1, y3), woven_high(y0, y2), woven_high(y1, y3)
            to = r * length + TILE * tile
            store(lines, to, woven_low(a, b))
            store(lines, to + 16, woven_high(a, b))
            store(lines, to + 32, woven_low(c, d))
            store(lines, to + 48, woven_high(c, d))


@inlined
def _put(out: Any, lines: Any, row: int, q: int, count: int, sizes: Any) -> None:
    """The rows of tiles where they belong, without what lies beyond the result."""
    line, length = TILE * sizes.across, TILE * sizes.tiles
    for k in range(count):
        image, ty = (q + k) // sizes.down, (q + k) % sizes.down
        for r in range(min(TILE, sizes.out_height - TILE * ty)):
            to = ((image * sizes.rows + row) * sizes.out_height + TILE * ty + r) * sizes.out_width
            at = r * length + k * line
            for j in range(sizes.out_width):
                out[to + j] = lines[at + j]
