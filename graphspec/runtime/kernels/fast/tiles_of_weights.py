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
    POINTS,
    Sizes,
    Tiles,
    copy_rows,
    image_points,
    tiles_in_portions,
)
from graphspec.runtime.kernels.fast.vectors import (
    add,
    evens,
    fma,
    load,
    odds,
    pointer,
    store,
    subtract,
)

#: tiles of a portion: sums over fewer would spend their time on adding the lanes of vectors up
PORTION = 64


@cache
def weight_tiles(x: Shape, y: Shape, padding: Pair) -> Tiles | None:
    """The weight adjoint for the cotangent of y; None where it does not pay."""
    made = tiles_in_portions(x, y, padding, False, PORTION)
    if made is None:
        return None
    sums = POINTS * made.sizes.rows * made.sizes.channels
    return replace(made, shapes=((sums,), *made.shapes[1:]))


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
    _weight(pointer(out), pointer(sums), sizes)


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
            z0, z1, z2, z3, z4, z5 = _powers(evens(e, f), evens(g, h), odds(e, f), odds(g, h))
            to = 96 * r
            store(spare, to, z0)
            store(spare, to + 16, z1)
            store(spare, to + 32, z2)
            store(spare, to + 48, z3)
            store(spare, to + 64, z4)
            store(spare, to + 80, z5)
        for k in range(6):
            at = 16 * k
            g0, g1, g2, g3 = (
                load(spare, at),
                load(spare, at + 96),
                load(spare, at + 192),
                load(spare, at + 288),
            )
            z0, z1, z2, z3, z4, z5 = _powers(g0, g1, g2, g3)
            to = k * step + row * sizes.tiles + tile
            store(given, to, z0)
            store(given, to + 6 * step, z1)
            store(given, to + 12 * step, z2)
            store(given, to + 18 * step, z3)
            store(given, to + 24 * step, z4)
            store(given, to + 30 * step, z5)


@inlined
def _multiply(sums: Any, given: Any, image: Any, sizes: Any) -> None:
    """sums[point, row, channel] += the sum over the tiles of given and image."""
    rows, channels, tiles = sizes.rows, sizes.channels, sizes.tiles
    for point in range(36):
        for channel in range(0, channels, 2):
            right = point * sizes.image_step + channel * tiles
            right_step = tiles if channel + 1 < channels else 0
            for row in range(0, rows, 3):
                left = point * sizes.result_step + row * tiles
                at = (point * rows + row) * channels + channel
                add_dots(sums, at, channels, given, left, min(3, rows - row), image, right, right_step, tiles)


@inlined
def _from_points(m0: Any, m1: Any, m2: Any, m3: Any, m4: Any, m5: Any) -> Any:
    """G' m: the adjoint of taking a polynomial at the points."""
    kind = type(m0)
    near, far = (m1 + m2) * kind(-1 / 6), (m3 + m4) * kind(1 / 24)
    odd = (m2 - m1) * kind(1 / 6) + (m3 - m4) * kind(1 / 12)
    return m0 * kind(1 / 4) + near + far, odd, near + far * kind(4) + m5


@inlined
def _weight(out: Any, sums: Any, sizes: Any) -> None:
    """out[row, channel] = G' m G."""
    step = sizes.rows * sizes.channels
    for i in range(step):
        a0, a1, a2 = _column(sums, i, step)
        b0, b1, b2 = _column(sums, i + step, step)
        c0, c1, c2 = _column(sums, i + 2 * step, step)
        d0, d1, d2 = _column(sums, i + 3 * step, step)
        e0, e1, e2 = _column(sums, i + 4 * step, step)
        f0, f1, f2 = _column(sums, i + 5 * step, step)
        out[9 * i], out[9 * i + 1], out[9 * i + 2] = _from_points(a0, b0, c0, d0, e0, f0)
        out[9 * i + 3], out[9 * i + 4], out[9 * i + 5] = _from_points(a1, b1, c1, d1, e1, f1)
        out[9 * i + 6], out[9 * i + 7], out[9 * i + 8] = _from_points(a2, b2, c2, d2, e2, f2)


@inlined
def _column(sums: Any, at: int, step: int) -> Any:
    """G' m for the points of one column."""
    down = 6 * step
    m0, m1, m2 = sums[at], sums[at + down], sums[at + 2 * down]
    return _from_points(m0, m1, m2, sums[at + 3 * down], sums[at + 4 * down], sums[at + 5 * down])
