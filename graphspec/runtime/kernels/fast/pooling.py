"""Pooling, compiled: one pass over the windows, row by row, with a short way for 2 x 2 side by side.

Arrays of images are [planes, rows, columns] here: pooling does not know images from channels.  `how`
windows lie is their `kernel_size`, `stride`, `padding` and `dilation`.
"""

from __future__ import annotations

from typing import Any

from graphspec.runtime.kernels import pooling as common
from graphspec.runtime.kernels.fast.compiling import compiled, inlined, is_compiled_for, plain, written
from graphspec.runtime.kernels.fast.two_by_two import (
    gather_two_by_two,
    max_two_by_two,
    scatter_two_by_two,
    sum_two_by_two,
)
from graphspec.runtime.kernels.fast.vectors import pointer
from graphspec.runtime.kernels.registry import kernel
from graphspec.runtime.kernels.windows import Pair


def _planes(array: Any) -> Any:
    return plain(array).reshape(-1, *array.shape[-2:])


#: windows of 2 x 2 side by side
_TWO_BY_TWO = {"kernel_size": (2, 2), "stride": (2, 2), "padding": (0, 0), "dilation": (1, 1)}


def _is_two_by_two(x: Any, pooled: Any, how: dict[str, Pair]) -> bool:
    """Whether windows of 2 x 2 lie side by side, and none reaches over a border."""
    if how != _TWO_BY_TWO:
        return False
    *_, height, width = x.shape
    *_, rows, columns = pooled.shape
    return bool(2 * rows <= height and 2 * columns <= width)


def _in_order(kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> tuple[Pair, ...]:
    """What compiled functions take: they are called faster without names."""
    return kernel_size, stride, padding, dilation


@inlined
def _windows(size: int, windows: int, stride: int, offset: int) -> Any:
    """The windows i, from the first to before the last, with 0 <= i * stride + offset < size."""
    first = max(0, -(offset // stride))
    last = min(windows - 1, (size - 1 - offset) // stride)
    return first, max(first, last + 1)


@inlined
def _keep_greatest(best: Any, at: int, x: Any, first: int, stride: int, count: int) -> None:
    if stride == 2:  # a known step is vectorised
        for j in range(count):
            a, b = x[first + 2 * j], best[at + j]
            best[at + j] = a if (a > b) | (a != a) else b
    else:
        for j in range(count):
            a, b = x[first + j * stride], best[at + j]
            best[at + j] = a if (a > b) | (a != a) else b


@inlined
def _add(total: Any, at: int, x: Any, first: int, stride: int, count: int) -> None:
    if stride == 2:
        for j in range(count):
            total[at + j] += x[first + 2 * j]
    else:
        for j in range(count):
            total[at + j] += x[first + j * stride]


@inlined
def _over_windows(
    is_max: bool,
    out: Any,
    x: Any,
    planes: int,
    pooled: Pair,
    size: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
) -> None:
    for line in range(planes * pooled[0]):
        plane, i = line // pooled[0], line % pooled[0]
        at = line * pooled[1]
        for j in range(pooled[1]):
            out[at + j] = -float("inf") if is_max else 0
        for k in range(kernel_size[0]):
            row = i * stride[0] - padding[0] + k * dilation[0]
            if row < 0 or row >= size[0]:
                continue
            for m in range(kernel_size[1]):
                offset = m * dilation[1] - padding[1]
                first, end = _windows(size[1], pooled[1], stride[1], offset)
                place = (plane * size[0] + row) * size[1] + first * stride[1] + offset
                if is_max:
                    _keep_greatest(out, at + first, x, place, stride[1], end - first)
                else:
                    _add(out, at + first, x, place, stride[1], end - first)


@compiled
def _max(out: Any, x: Any, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> None:
    windows = kernel_size, stride, padding, dilation
    _over_windows(True, pointer(out), pointer(x), out.shape[0], out.shape[1:], x.shape[1:], *windows)


@compiled
def _sum(out: Any, x: Any, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> None:
    windows = kernel_size, stride, padding, dilation
    _over_windows(False, pointer(out), pointer(x), out.shape[0], out.shape[1:], x.shape[1:], *windows)


@inlined
def _winner(
    x: Any, plane: int, i: int, j: int, y: Any, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Any:
    """Row and column of the first element of a window that is not less than its maximum, or -1."""
    for k in range(kernel_size[0]):
        row = i * stride[0] - padding[0] + k * dilation[0]
        if row < 0 or row >= x.shape[1]:
            continue
        for m in range(kernel_size[1]):
            column = j * stride[1] - padding[1] + m * dilation[1]
            if 0 <= column < x.shape[2] and not x[plane, row, column] < y[plane, i, j]:
                return row, column
    return -1, -1


@compiled
def _scatter(
    out: Any, g: Any, x: Any, y: Any, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    for plane in range(out.shape[0]):
        out[plane, :, :] = 0
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                row, column = _winner(x, plane, i, j, y, kernel_size, stride, padding, dilation)
                if row >= 0:
                    out[plane, row, column] += g[plane, i, j]


@compiled
def _gather(
    out: Any, v: Any, x: Any, y: Any, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    for plane in range(out.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                row, column = _winner(x, plane, i, j, y, kernel_size, stride, padding, dilation)
                out[plane, i, j] = v[plane, row, column] if row >= 0 else v.dtype.type(0)


@compiled
def _spread(out: Any, g: Any, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> None:
    planes, height, width = out.shape
    rows, columns = g.shape[1:]
    out, g = pointer(out), pointer(g)
    for plane in range(planes):
        for k in range(plane * height * width, (plane + 1) * height * width):
            out[k] = 0
        for i in range(rows):
            for k in range(kernel_size[0]):
                row = i * stride[0] - padding[0] + k * dilation[0]
                if row < 0 or row >= height:
                    continue
                for m in range(kernel_size[1]):
                    offset = m * dilation[1] - padding[1]
                    first, end = _windows(width, columns, stride[1], offset)
                    at = (plane * height + row) * width + first * stride[1] + offset
                    given = (plane * rows + i) * columns + first
                    for j in range(end - first):
                        out[at + j * stride[1]] += g[given + j]


@kernel("max_pool2d", "fast")
def max_pool2d(xp: Any, out: Any, x: Any, ceil_mode: bool, **how: Pair) -> None:
    """out = the greatest element of each window."""
    if not is_compiled_for(x):
        common.max_pool2d(xp, out, x, ceil_mode, **how)
    elif _is_two_by_two(x, out, how):
        max_two_by_two(_planes(written(out)), _planes(x))
    else:
        _max(_planes(written(out)), _planes(x), *_in_order(**how))


@kernel("max_pool2d_scatter", "fast")
def max_pool2d_scatter(xp: Any, out: Any, g: Any, x: Any, y: Any, ceil_mode: bool, **how: Pair) -> None:
    """out = 0, then out at the first greatest element of each window += g of the window."""
    if not is_compiled_for(x):
        common.max_pool2d_scatter(xp, out, g, x, y, ceil_mode, **how)
    elif _is_two_by_two(x, y, how):
        scatter_two_by_two(_planes(written(out)), _planes(g), _planes(x), _planes(y))
    else:
        planes = _planes(written(out)), _planes(g), _planes(x), _planes(y)
        _scatter(*planes, *_in_order(**how))


@kernel("max_pool2d_gather", "fast")
def max_pool2d_gather(xp: Any, out: Any, v: Any, x: Any, y: Any, ceil_mode: bool, **how: Pair) -> None:
    """out of each window = v at the first greatest element of the window."""
    if not is_compiled_for(x):
        common.max_pool2d_gather(xp, out, v, x, y, ceil_mode, **how)
    elif _is_two_by_two(x, y, how):
        gather_two_by_two(_planes(written(out)), _planes(v), _planes(x), _planes(y))
    else:
        planes = _planes(written(out)), _planes(v), _planes(x), _planes(y)
        _gather(*planes, *_in_order(**how))


@kernel("window_sum", "fast")
def window_sum(xp: Any, out: Any, x: Any, ceil_mode: bool, **how: Pair) -> None:
    """out = the sum of the elements of each window."""
    if not is_compiled_for(x):
        common.window_sum(xp, out, x, ceil_mode, **how)
    elif _is_two_by_two(x, out, how):
        sum_two_by_two(_planes(written(out)), _planes(x))
    else:
        _sum(_planes(written(out)), _planes(x), *_in_order(**how))


@kernel("window_spread", "fast")
def window_spread(xp: Any, out: Any, g: Any, ceil_mode: bool, size: Pair, **how: Pair) -> None:
    """out = for each element the sum of g over the windows that it is in."""
    if not is_compiled_for(g):
        common.window_spread(xp, out, g, ceil_mode, size, **how)
    else:
        _spread(_planes(written(out)), _planes(g), *_in_order(**how))
