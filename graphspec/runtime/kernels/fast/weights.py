"""The weight adjoint of convolution: sums of outer products, the taps of a row of the window side by side.

In an image whose channels lie innermost, what a row of the window sees is one stretch of memory: a vector
of it, times the cotangents of several results at that place, is added to sums that stay in registers over
the whole image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from graphspec.ops.portions import Pair, Shape
from graphspec.runtime.kernels.fast.blocks import LANES, add_products
from graphspec.runtime.kernels.fast.compiling import compiled, inlined
from graphspec.runtime.kernels.fast.vectors import lanes_in, pointer

#: rows of a block
ROWS = 6


class Sizes(NamedTuple):
    """The numbers that the compiled function needs."""

    images: int
    groups: int
    #: in a group
    channels: int
    rows: int
    height: int
    width: int
    #: windows
    lines: int
    places: int
    #: elements of a stretch, and what is stored for it
    run: int
    run_step: int
    #: of the padded image
    padded: int
    top: int
    left: int
    #: from one window to the next
    line_step: int
    place_step: int


@dataclass(frozen=True, eq=False)
class Stretches:
    """A weight adjoint of known sizes: where the stretches of a window begin, and their elements' places."""

    sizes: Sizes
    starts: Any
    #: of each element of each stretch: its place in one row of the weight
    elements: Any
    #: elements of working storage: sums, and an image with its borders
    shapes: tuple[tuple[int], tuple[int]]


@cache
def stretches(
    x: Shape, y: Shape, window: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Stretches:
    """The stretches of a window: a row of it, or, with dilation, each of its places."""
    channels, rows = x[1] // groups, y[1] // groups
    height, width = x[2] + 2 * padding[0], x[3] + 2 * padding[1]
    across = window[1] if dilation[1] == 1 else 1
    down, side, place = np.ogrid[: window[0], : window[1] : across, : across * channels]
    starts = (down * dilation[0] * width + side * dilation[1]) * channels
    elements = (place % channels * window[0] + down) * window[1] + side + place // channels
    run = across * channels
    run_step = -(-run // LANES) * LANES
    sizes = Sizes(
        *(x[0], groups, channels, rows, x[2], x[3], y[2], y[3], run, run_step, width, *padding),
        *(stride[0] * width * channels, stride[1] * channels),
    )
    shapes = (rows * starts.size * run_step,), (height * width * channels + LANES,)
    return Stretches(sizes, starts.astype(np.int64).ravel(), elements.astype(np.int64).ravel(), shapes)


@compiled
def weight_adjoint(
    out: Any, g: Any, x: Any, sums: Any, source: Any, starts: Any, elements: Any, sizes: Sizes
) -> None:
    """out = the weight adjoint for the cotangent g; all arrays are flat."""
    sums_size, source_size, count, column = sums.size, source.size, starts.size, elements.size
    out, g, x, sums = pointer(out), pointer(g), pointer(x), pointer(sums)
    source, starts, elements = pointer(source), pointer(starts), pointer(elements)
    places, plane = sizes.lines * sizes.places, sizes.height * sizes.width
    step = count * sizes.run_step
    for i in range(source_size):
        source[i] = 0
    for group in range(sizes.groups):
        for i in range(sums_size):
            sums[i] = 0
        for image in range(sizes.images):
            _fill(source, x, (image * sizes.groups + group) * sizes.channels * plane, sizes)
            given = (image * sizes.groups + group) * sizes.rows * places
            for number in range(count):
                for first in range(0, sizes.run, lanes_in(source)):
                    at, base = number * sizes.run_step + first, starts[number] + first
                    for row in range(0, sizes.rows, ROWS):
                        rows = min(ROWS, sizes.rows - row)
                        add_products(
                            *(sums, at + row * step, step, rows, g, given + row * places, places),
                            *(source, base, sizes.lines, sizes.places, sizes.line_step, sizes.place_step),
                        )
        made = group * sizes.rows * column
        for row in range(sizes.rows):
            for i in range(column):
                at = row * step + i // sizes.run * sizes.run_step + i % sizes.run
                out[made + row * column + elements[i]] = sums[at]


@inlined
def _fill(source: Any, x: Any, given: int, sizes: Any) -> None:
    """The image within its borders, channels innermost."""
    for channel in range(sizes.channels):
        for i in range(sizes.height):
            at = given + (channel * sizes.height + i) * sizes.width
            to = ((i + sizes.top) * sizes.padded + sizes.left) * sizes.channels + channel
            for j in range(sizes.width):
                source[to + j * sizes.channels] = x[at + j]
