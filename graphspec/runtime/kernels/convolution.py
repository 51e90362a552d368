"""Convolution as matrix products: the windows of a few images at a time become columns of a matrix.

Source: Chellapilla, Puri & Simard (2006), "High performance convolutional neural networks for document
processing".  One copy of a slice fills one row of windows for all places at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from graphspec.runtime.kernels.registry import kernel
from graphspec.runtime.kernels.windows import Pair, all_windows, are_apart, window_elements

Shape: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """The sizes of one convolution: `x` and `y` are shapes, `window` that of the kernel."""

    x: Shape
    y: Shape
    window: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @property
    def column(self) -> int:
        """Rows of the matrix of columns, in one group."""
        return self.x[1] // self.groups * self.window[0] * self.window[1]

    @property
    def is_pointwise(self) -> bool:
        """x itself holds the columns."""
        return self.window == (1, 1) and self.stride == (1, 1) and self.padding == (0, 0)

    @property
    def is_one_copy(self) -> bool:
        """There are fewer windows than elements in one, and none reaches over a border."""
        places = self.y[2] * self.y[3]
        return self.padding == (0, 0) and places < self.window[0] * self.window[1]

    def by_group(self) -> Layout:
        """Of a single image: its groups as images, which have nothing in common."""
        x, y, n = self.x, self.y, self.groups
        return replace(self, x=(n, x[1] // n, *x[2:]), y=(n, y[1] // n, *y[2:]), groups=1)

    def batches(self, columns: Any) -> Iterator[slice]:
        """The images in portions for which there is storage."""
        images = self.x[0]
        per_image = self.groups * self.column * self.y[2] * self.y[3]
        count = images if self.is_pointwise else columns.size // per_image
        for start in range(0, images, max(count, 1)):
            yield slice(start, min(start + count, images))

    def elements(self) -> Iterator[Any]:
        return window_elements(self.x[2:], self.y[2:], self.window, self.stride, self.padding, self.dilation)

    def view(self, columns: Any, count: int) -> Any:
        """The storage as columns[n, c, k, m, i, j] of `count` images."""
        shape = (count, self.x[1], *self.window, *self.y[2:])
        total = self.groups * self.column * self.y[2] * self.y[3] * count
        return columns[:total].reshape(shape)

    def matrices(self, array: Any, rows: int) -> Any:
        """array[n, ...] as [n, groups, rows, places]."""
        return array.reshape(array.shape[0], self.groups, rows, self.y[2] * self.y[3])


def _unfold(xp: Any, layout: Layout, x: Any, columns: Any) -> Any:
    """The windows of some images as matrices of columns [n, groups, column, places]."""
    if layout.is_pointwise:
        return layout.matrices(xp.ascontiguousarray(x), layout.column)
    unfolded = layout.view(columns, x.shape[0])
    if layout.is_one_copy:
        windows = all_windows(xp, x, layout.y[2:], layout.window, layout.stride, layout.dilation)
        xp.copyto(unfolded, windows)
        return layout.matrices(unfolded, layout.column)
    if layout.padding != (0, 0):
        unfolded.fill(0)
    for k, m, (windows, places) in layout.elements():
        unfolded[:, :, k, m][windows] = x[places]
    return layout.matrices(unfolded, layout.column)


@kernel("convolution")
def convolution(
    xp: Any,
    out: Any,
    x: Any,
    weight: Any,
    columns: Any,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> None:
    """out = the convolution of x with weight."""
    layout = Layout(x.shape, out.shape, weight.shape[2:], stride, padding, dilation, groups)
    rows = out.shape[1] // groups
    factor = xp.ascontiguousarray(weight).reshape(groups, rows, layout.column)
    for images in layout.batches(columns):
        matrices = _unfold(xp, layout, x[images], columns)
        xp.matmul(factor, matrices, out=layout.matrices(out[images], rows))


@kernel("convolution_input_adjoint")
def convolution_input_adjoint(
    xp: Any,
    out: Any,
    g: Any,
    weight: Any,
    columns: Any,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    size: Pair,
) -> None:
    """out = the cotangent of x, for the cotangent g of the convolution."""
    layout = Layout(out.shape, g.shape, weight.shape[2:], stride, padding, dilation, groups)
    rows = g.shape[1] // groups
    factor = xp.ascontiguousarray(weight).reshape(groups, rows, layout.column).transpose(0, 2, 1)
    if not layout.is_pointwise:
        out.fill(0)
    for images in layout.batches(columns):
        cotangent = layout.matrices(xp.ascontiguousarray(g[images]), rows)
        if layout.is_pointwise:
            xp.matmul(factor, cotangent, out=layout.matrices(out[images], layout.column))
            continue
        folded = layout.view(columns, cotangent.shape[0])
        xp.matmul(factor, cotangent, out=layout.matrices(folded, layout.column))
        target = out[images]
        if layout.is_one_copy and are_apart(
            layout.x[2:], layout.y[2:], layout.window, stride, padding, dilation
        ):
            xp.copyto(all_windows(xp, target, layout.y[2:], layout.window, stride, dilation), folded)
            continue
        for k, m, (windows, places) in layout.elements():
            target[places] += folded[:, :, k, m][windows]


@kernel("convolution_weight_adjoint")
def convolution_weight_adjoint(
    xp: Any,
    out: Any,
    g: Any,
    x: Any,
    columns: Any,
    products: Any,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    size: Pair,
) -> None:
    """out = the cotangent of weight, for the cotangent g of the convolution."""
    layout = Layout(x.shape, g.shape, size, stride, padding, dilation, groups)
    if x.shape[0] == 1:
        _weight_adjoint_by_group(xp, out, g, x, columns, layout.by_group())
        return
    rows = g.shape[1] // groups
    total = out.reshape(groups, rows, layout.column)
    total.fill(0)
    for start in range(0, x.shape[0], products.shape[0]):
        images = slice(start, min(start + products.shape[0], x.shape[0]))
        matrices = _unfold(xp, layout, x[images], columns)
        cotangent = layout.matrices(xp.ascontiguousarray(g[images]), rows)
        product = products[: cotangent.shape[0]].reshape(-1, *total.shape)
        xp.matmul(cotangent, matrices.transpose(0, 1, 3, 2), out=product)
        total += product.sum(axis=0)


def _weight_adjoint_by_group(xp: Any, out: Any, g: Any, x: Any, columns: Any, layout: Layout) -> None:
    """out = the cotangent of the weights of a single image, whose groups are images of their own."""
    g, x = g.reshape(layout.y), x.reshape(layout.x)
    weights = out.reshape(layout.y[0], layout.y[1], layout.column)
    for images in layout.batches(columns):
        matrices = _unfold(xp, layout, x[images], columns)[:, 0]
        cotangent = layout.matrices(xp.ascontiguousarray(g[images]), layout.y[1])[:, 0]
        xp.matmul(cotangent, matrices.transpose(0, 2, 1), out=weights[images])
