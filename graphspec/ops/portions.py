"""How a convolution whose windows follow place by place is worked on: the method, portions, storage.

Plain arithmetic on sizes: the planner reserves what the kernels in `runtime/kernels` will use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import TypeAlias

Pair: TypeAlias = tuple[int, int]
Shape: TypeAlias = tuple[int, int, int, int]
#: the shapes of the arrays that some images need
Shapes: TypeAlias = tuple[tuple[int, ...], ...]

#: bytes of working storage at a time: a portion of the images stays in the cache
CACHE = 1 << 20
#: elements of a cache line: arrays in the storage begin at multiples of it
LINE = 16
#: rows of the result that one step of `winograd` computes, from two more rows of the image
TILE = 4
#: products of matrices for one tile of rows: one for each point of the interpolation
POINTS = TILE + 2


@dataclass(frozen=True)
class Geometry:
    """The sizes of one convolution with stride 1: `x` and `y` are shapes, `window` that of the kernel."""

    x: Shape
    y: Shape
    window: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @property
    def column(self) -> int:
        """Elements of a window, in one group."""
        return self.x[1] // self.groups * self.window[0] * self.window[1]

    @property
    def padded(self) -> Pair:
        """Height and width of an image with its padding."""
        return self.x[2] + 2 * self.padding[0], self.x[3] + 2 * self.padding[1]

    @property
    def length(self) -> int:
        """Places from the first window to the last one, in the rows of a padded image."""
        return (self.y[2] - 1) * self.padded[1] + self.y[3]

    @property
    def tiles(self) -> int:
        """Tiles of rows of the result."""
        return -(-self.y[2] // TILE)

    def mirrored(self) -> Geometry | None:
        """The convolution of the cotangent of y with the mirrored kernel: it gives the cotangent of x.

        None where the padding is wider than the kernel reaches.
        """
        reach = [d * (k - 1) for d, k in zip(self.dilation, self.window, strict=True)]
        padding = reach[0] - self.padding[0], reach[1] - self.padding[1]
        return replace(self, x=self.y, y=self.x, padding=padding) if min(padding) >= 0 else None

    def by_group(self) -> Geometry:
        """Of a single image: its groups as images, each of which has its own weights."""
        x, y, n = self.x, self.y, self.groups
        if x[0] != 1:
            return self
        return replace(self, x=(n, x[1] // n, *x[2:]), y=(n, y[1] // n, *y[2:]), groups=1)


def geometry(
    x: Shape, y: Shape, window: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Geometry | None:
    """The sizes, where windows follow place by place and hold more than one element; else None."""
    if stride != (1, 1) or (window == (1, 1) and padding == (0, 0)):
        return None
    return Geometry(x, y, window, padding, dilation, groups)


@dataclass(frozen=True)
class Work:
    """A method, how many images it takes at a time, and the arrays that it needs for those."""

    method: str
    images: int
    shapes: Shapes

    @property
    def elements(self) -> int:
        """The size of one array that holds them all."""
        return sum(-(-prod(shape) // LINE) * LINE for shape in self.shapes)


@cache
def forward_work(sizes: Geometry, itemsize: int) -> Work:
    """How the convolution itself is computed."""
    if _is_tall(sizes, itemsize):
        return _portion("tall", sizes.x[0], itemsize, lambda images: _tall(sizes, images))
    return _portion("flat", sizes.x[0], itemsize, lambda images: _flat(sizes, images))


@cache
def weight_work(sizes: Geometry, itemsize: int) -> Work:
    """How the derivative in the weights is computed: products of portions of the images, which are summed."""
    if _is_tall(sizes, itemsize):
        products = (2, POINTS, sizes.y[1], sizes.window[1] * sizes.x[1])
        return _portion("tall", sizes.x[0], itemsize, lambda images: _tall(sizes, images, products))

    def shapes(images: int) -> Shapes:
        product = (images, sizes.groups, sizes.y[1] // sizes.groups, sizes.column)
        return (*_flat(sizes, images), product)

    return _portion("flat", sizes.x[0], itemsize, shapes)


def _is_tall(sizes: Geometry, itemsize: int) -> bool:
    """Whether the windows have three rows and there is enough to do for the shorter product to pay.

    Rounding grows a few times: that is what single precision is for, and double is not.
    """
    is_plain = sizes.groups == 1 and sizes.dilation == (1, 1) and sizes.window[0] == 3
    return itemsize == 4 and is_plain and min(sizes.x[1], sizes.y[1]) >= 16 and sizes.y[2] >= TILE


def _flat(sizes: Geometry, images: int) -> Shapes:
    """Padded images, windows as columns, and a result as wide as the padded images."""
    height, width = sizes.padded
    return (
        (images, sizes.x[1], height, width),
        (images, sizes.groups, sizes.column, sizes.length),
        (images, sizes.y[1], sizes.y[2], width),
    )


def _tall(sizes: Geometry, images: int, *products: tuple[int, ...]) -> Shapes:
    """The rows of padded images by their place in a tile, columns, and results, by point; see `winograd`."""
    width, tiles, results = sizes.padded[1], sizes.tiles, sizes.y[1]
    shapes = (
        (TILE, sizes.x[1], images, tiles + 1, width),
        (POINTS, sizes.window[1], sizes.x[1], images, tiles * width),
        (max(POINTS * results, 3 * sizes.x[1]), images, tiles * width),
    )
    return (*products, *shapes, (TILE, results, images, tiles, width)) if products else shapes


def _portion(method: str, total: int, itemsize: int, shapes: Callable[[int], Shapes]) -> Work:
    """As many images as the cache has room for, at least one, in portions of about one size."""
    limit = 3 * CACHE if method == "tall" else CACHE
    most = max(1, min(total, limit // (Work(method, 1, shapes(1)).elements * itemsize)))
    images = -(-total // -(-total // most)) if total else 1
    return Work(method, images, shapes(images))
