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
from math import gcd
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
    store_first,
    subtract,
    woven_high,
    woven_low,
    zeros_like,
)

#: elements of a portion's points: with the weight they take about the second cache of a core
PORTION = 1 << 16
#: rows and columns of a tile of results, and of the image that it depends on
TILE, SEEN = 4, 6
POINTS = SEEN * SEEN
#: tiles that a vector of columns holds: a row of tiles has a multiple of them
IN_VECTOR = LANES // TILE


class Sizes(NamedTuple):
    """The numbers that the compiled functions need."""

    channels: int
    rows: int
    height: int
    width: int
    out_height: int
    out_width: int
    left: int
    #: rows of tiles of all images, and of a portion; vectors of columns in each, and tiles of a portion
    total: int
    portion: int
    vectors: int
    tiles: int
    #: from one row of a padded image to the next, and from point to point
    line: int
    image_step: int
    result_step: int
    #: rows of a block of the product
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
    #: where each vector of columns of a portion begins in the rows that its tiles see
    starts: Any
    #: of each row of tiles: the image, -1 if there is none; its first row of x, and of the result
    places: Any
    #: of each vector of columns of the result: its first place in a plane of the result, rows, columns
    targets: Any
    #: elements of working storage: the weight, rows, a tile's points, and the points of image and result
    shapes: tuple[tuple[int], ...]

    @property
    def tables(self) -> tuple[Any, ...]:
        return self.offsets, self.starts, self.places, self.targets


@cache
def tiles(x: Shape, y: Shape, padding: Pair, is_mirrored: bool) -> Tiles | None:
    """y = the convolution of x, or with mirrored weights the other way round; None where it does not pay."""
    most = PORTION // (POINTS * (x[1] + y[1]))
    return tiles_in_portions(x, y, padding, is_mirrored, most)


def tiles_in_portions(x: Shape, y: Shape, padding: Pair, is_mirrored: bool, most: int) -> Tiles | None:
    """As `tiles`, about so many tiles at a time."""
    channels, rows = x[1], y[1]
    down, across = -(-y[2] // TILE), -(-y[3] // LANES) * IN_VECTOR
    # with these conditions the products take most of the time
    if min(channels, rows) < 16 or min(padding) < 0 or 3 * POINTS * down * across > 2 * 9 * y[2] * y[3]:
        return None
    total, vectors = x[0] * down, across // IN_VECTOR
    whole = LANES // gcd(LANES, across)  # rows of tiles that fill vectors of tiles
    portion = max(1, most // across // whole) * whole
    portion = min(portion, -(-max(1, total) // whole) * whole)
    count = portion * across
    line = -(-(TILE * across + TILE) // LANES) * LANES
    # a step that is a power of 2 would have all points compete for the same lines of the cache
    image_step, result_step = channels * count + LANES, rows * count + LANES
    block = rows_of_block(rows)
    steps = (9, 9 * rows, 8, -1) if is_mirrored else (9 * channels, 9, 0, 1)
    sizes = Sizes._make(
        [
            *(channels, rows, *x[2:], *y[2:], padding[1], total, portion, vectors, count),
            *(line, image_step, result_step, block, *steps),
        ]
    )
    shapes = (
        (POINTS * -(-rows // block) * block * channels,),
        (portion * SEEN * line,),
        (POINTS * LANES,),
        (POINTS * image_step,),
        (POINTS * result_step,),
    )
    row, column = np.divmod(np.arange(portion * vectors), vectors)
    starts = row * SEEN * line + column * LANES
    q = np.arange(-(-total // portion) * portion)
    image, ty = np.where(q < total, q // down, -1), q % down
    places = np.stack([image, TILE * ty - padding[0], TILE * ty], axis=1)
    row, column = np.divmod(np.arange(q.size * vectors), vectors)
    target = (image[row] * rows * y[2] + TILE * ty[row]) * y[3] + column * LANES
    height = np.where(image[row] < 0, 0, np.minimum(TILE, y[2] - TILE * ty[row]))
    targets = np.stack([target, height, np.clip(y[3] - column * LANES, 0, LANES)], axis=1)
    offsets = np.arange(channels) * count
    return Tiles(sizes, _table(offsets), _table(starts), _table(places), _table(targets), shapes)


def _table(numbers: Any) -> Any:
    return np.ascontiguousarray(numbers, np.int64)


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
    sizes: Sizes,
) -> None:
    """out = the convolution of x with weight."""
    plane = sizes.height * sizes.width
    _weight_points(pointer(packed), pointer(weight), sizes)
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
            _interpolate(pointer(out), row, q, pointer(result), pointer(targets), pointer(spare), sizes)


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
            z0, z1, z2, z3, z4, z5 = _seen(d0, d1, d2, d3, d4, d5)
            to = i * 6 * LANES
            store(spare, to, z0)
            store(spare, to + 16, z1)
            store(spare, to + 32, z2)
            store(spare, to + 48, z3)
            store(spare, to + 64, z4)
            store(spare, to + 80, z5)
        step = sizes.image_step
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
def _interpolate(out: Any, row: int, q: int, result: Any, targets: Any, spare: Any, sizes: Any) -> None:
    """out[4 rows, columns] = A m A', of all tiles of a portion."""
    step, plane = sizes.result_step, row * sizes.out_height * sizes.out_width
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
        table = 3 * (q * sizes.vectors + tile // 4)
        for r in range(4):
            at = 96 * r
            m0, m1, m2 = load(spare, at), load(spare, at + 16), load(spare, at + 32)
            m3, m4, m5 = load(spare, at + 48), load(spare, at + 64), load(spare, at + 80)
            y0, y1, y2, y3 = _made(m0, m1, m2, m3, m4, m5)
            a, b, c, d = woven_low(y0, y2), woven_low(y1, y3), woven_high(y0, y2), woven_high(y1, y3)
            to = plane + r * sizes.out_width
            _put(out, to, r, targets, table, woven_low(a, b))
            _put(out, to, r, targets, table + 3, woven_high(a, b))
            _put(out, to, r, targets, table + 6, woven_low(c, d))
            _put(out, to, r, targets, table + 9, woven_high(c, d))


@inlined
def _put(out: Any, at: int, r: int, targets: Any, k: int, vector: Any) -> None:
    """A row of four tiles, as far as it is within the result."""
    if r < targets[k + 1]:
        if targets[k + 2] == LANES:
            store(out, at + targets[k], vector)
        else:
            store_first(out, at + targets[k], vector, targets[k + 2])
