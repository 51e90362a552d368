"""The weight adjoint of convolution with windows of 3 x 3, in tiles: see `tiles`.

The adjoint in w of y = A (G w G' * B d B') A' is G' (B d B' * A' g A) G, summed over tiles: at each point
a product of matrices, the cotangent's tiles by the image's.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from graphspec.ops.portions import Pair, Shape
from graphspec.runtime.kernels.fast.blocks import LANES, add_dots
from graphspec.runtime.kernels.fast.compiling import compiled, inlined
from graphspec.runtime.kernels.fast.tiles import (
    copy_rows,
    image_points,
    load_six,
    store_six,
)
from graphspec.runtime.kernels.fast.tiling import POINTS, Sizes, Tiles, tiles_in_portions
from graphspec.runtime.kernels.fast.vectors import (
    add,
    evens,
    fma,
    load,
    odds,
    pointer,
    scale,
    store,
    subtract,
)

#: tiles of a portion: sums over fewer would spend their time on adding the lanes of vectors up
PORTION = 128


@cache
def weight_tiles(x: Shape, y: Shape, padding: Pair) -> Tiles | None:
    """The weight adjoint for the cotangent of y; None where it does not pay."""
    made = tiles_in_portions(x, y, padding, False, PORTION)
    if made is None:
        return None
    sums = POINTS * made.sizes.rows * made.sizes.channels
    return replace(made, shapes=((sums + LANES,), *made.shapes[1:]))


@compiled
def tiled_weight_adjoint(
    out: Any,
    g: Any,
    x: Any,
    sums: Any,
    lines: Any,
    spare: Any,
    image: Any,
    given: Any,
    offsets: Any,
    starts: Any,
    places: Any,
    targets: Any,
    sizes: Sizes,
) -> None:
    """out = the weight adjoint for the cotangent g."""
    plane, given_plane = sizes.height * sizes.width, sizes.out_height * sizes.out_width
    for i in range(sums.size):
        sums[i] = 0
    for q in range(0, sizes.total, sizes.portion):
        for i in range(lines.size):
            lines[i] = 0
        for channel in range(sizes.channels):
            for k in range(sizes.portion):
                number, row = places[q + k, 0], places[q + k, 1]
                at = (number * sizes.channels + channel) * plane
                to = k * 6 * sizes.line + sizes.left
                height = sizes.height if number >= 0 else 0
                copy_rows(pointer(lines), to, sizes.line, pointer(x), at, row, 6, height, sizes.width)
            image_points(pointer(image), channel, pointer(lines), pointer(starts), pointer(spare), sizes)
        for i in range(lines.size):
            lines[i] = 0
        for line in range(sizes.rows):
            for k in range(sizes.portion):
                number, row = places[q + k, 0], places[q + k, 2]
                at = (number * sizes.rows + line) * given_plane
                to = k * 6 * sizes.line
                height, width = sizes.out_height if number >= 0 else 0, sizes.out_width
                copy_rows(pointer(lines), to, sizes.line, pointer(g), at, row, 4, height, width)
            _cotangent_points(pointer(given), line, pointer(lines), pointer(starts), pointer(spare), sizes)
        _multiply(pointer(sums), pointer(given), pointer(image), sizes)
    _weight(pointer(out), pointer(sums), pointer(spare), sizes)


@inlined
def _powers(g0: Any, g1: Any, g2: Any, g3: Any) -> Any:
    """A' g: the sum of z**r * g[r] at the points 0, 1, -1, 2, -2 and infinity."""
    even, odd = add(g0, g2), add(g1, g3)
    far, turn = fma(4.0, g2, g0), add(fma(8.0, g3, g1), g1)
    return g0, add(even, odd), subtract(even, odd), add(far, turn), subtract(far, turn), g3


@inlined
def _cotangent_points(given: Any, row: int, lines: Any, starts: Any, spare: Any, sizes: Any) -> None:
    """given[point, row, tile] = A' g A."""
    step = sizes.result_step
    for tile in range(0, sizes.tiles, LANES):
        k = tile // 4
        s0, s1, s2, s3 = starts[k], starts[k + 1], starts[k + 2], starts[k + 3]
        for r in range(4):
            at = r * sizes.line
            p, q, s, t = (
                load(lines, s0 + at),
                load(lines, s1 + at),
                load(lines, s2 + at),
                load(lines, s3 + at),
            )
            e, f, g, h = evens(p, q), evens(s, t), odds(p, q), odds(s, t)
            points = _powers(evens(e, f), evens(g, h), odds(e, f), odds(g, h))
            store_six(spare, 96 * r, LANES, points)
        for k in range(6):
            at = 16 * k
            g0, g1, g2 = load(spare, at), load(spare, at + 96), load(spare, at + 192)
            points = _powers(g0, g1, g2, load(spare, at + 288))
            store_six(given, k * step + row * sizes.tiles + tile, 6 * step, points)


@inlined
def _multiply(sums: Any, given: Any, image: Any, sizes: Any) -> None:
    """sums[point, row, channel] += the sum over the tiles of given and image."""
    rows, channels, tiles = sizes.rows, sizes.channels, sizes.tiles
    for point in range(36):
        for row in range(0, rows, 3):  # three rows stay near, pairs of channels pass by
            left = point * sizes.result_step + row * tiles
            at = (point * rows + row) * channels
            for channel in range(0, channels, 2):
                right = point * sizes.image_step + channel * tiles
                step = tiles if channel + 1 < channels else 0
                add_dots(
                    *(sums, at + channel, channels, given, left),
                    *(min(3, rows - row), image, right, step, tiles),
                )


@inlined
def _from_points(m0: Any, m1: Any, m2: Any, m3: Any, m4: Any, m5: Any) -> Any:
    """G' m: the adjoint of taking a polynomial at the points."""
    near, far = add(m1, m2), add(m3, m4)
    even = fma(1 / 4, m0, fma(-1 / 6, near, scale(1 / 24, far)))
    odd = fma(1 / 6, subtract(m2, m1), scale(1 / 12, subtract(m3, m4)))
    return even, odd, fma(-1 / 6, near, fma(1 / 6, far, m5))


@inlined
def _weight(out: Any, sums: Any, spare: Any, sizes: Any) -> None:
    """out[row, channel] = G' m G.  The vectors of the last channels of a row go on into the next one."""
    step = sizes.rows * sizes.channels
    for first in range(0, step, LANES):
        for k in range(6):
            _store_three(spare, 48 * k, _from_points(*load_six(sums, first + k * step, 6 * step)))
        for j in range(3):
            _store_three(spare, 288 + 48 * j, _from_points(*load_six(spare, 16 * j, 48)))
        for r in range(min(LANES, step - first)):
            for t in range(9):
                out[9 * (first + r) + t] = spare[288 + 16 * t + r]


@inlined
def _store_three(data: Any, at: int, vectors: Any) -> None:
    store(data, at, vectors[0])
    store(data, at + LANES, vectors[1])
    store(data, at + 2 * LANES, vectors[2])
