"""How a convolution is cut into tiles for `tiles`: portions, tables of places, working storage."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from graphspec.ops.portions import Pair, Shape
from graphspec.runtime.kernels.fast.blocks import LANES, rows_of_block

#: elements of a portion's points: with the weight they take about the second cache of a core
PORTION = 1 << 16
#: rows and columns of a tile of results, and of the image that it depends on
TILE, SEEN = 4, 6
POINTS = SEEN * SEEN
#: elements for the points of a vector of tiles, or of weights and their taps on the way there
SPARE = 64 * LANES
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
    weight_step: int
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
    weight_step = -(-rows // block) * block * channels + LANES
    steps = (9, 9 * rows, 8, -1) if is_mirrored else (9 * channels, 9, 0, 1)
    sizes = Sizes._make(
        [
            *(channels, rows, *x[2:], *y[2:], padding[1], total, portion, vectors, count),
            *(line, image_step, result_step, weight_step, block, *steps),
        ]
    )
    shapes = (
        (POINTS * weight_step,),
        (portion * SEEN * line,),
        (SPARE,),
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
