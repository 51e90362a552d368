"""Pooling, compiled: one pass over the windows, row by row, with a short way for 2 x 2 side by side.

Arrays of images are [planes, rows, columns] here: pooling does not know images from channels.
"""

from __future__ import annotations

from typing import Any

from graphspec.runtime.kernels import pooling as common
from graphspec.runtime.kernels.fast.compiling import compiled, inlined, is_compiled_for, plain
from graphspec.runtime.kernels.registry import kernel
from graphspec.runtime.kernels.windows import Pair


def _planes(array: Any) -> Any:
    return plain(array).reshape(-1, *array.shape[-2:])


def _is_two_by_two(
    size: Pair, windows: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> bool:
    """Whether windows of 2 x 2 lie side by side, and none reaches over a border."""
    fits = 2 * windows[0] <= size[0] and 2 * windows[1] <= size[1]
    return fits and kernel_size == stride == (2, 2) and padding == (0, 0) and dilation == (1, 1)


@inlined
def _windows(size: int, windows: int, stride: int, offset: int) -> Any:
    """The windows i, from the first to before the last, with 0 <= i * stride + offset < size."""
    first = max(0, -(offset // stride))
    last = min(windows - 1, (size - 1 - offset) // stride)
    return first, max(first, last + 1)


@inlined
def _keep_greatest(best: Any, x: Any, stride: int) -> None:
    if stride == 2:  # a known step is vectorised
        for j in range(best.size):
            a, b = x[2 * j], best[j]
            best[j] = a if (a > b) | (a != a) else b
    else:
        for j in range(best.size):
            a, b = x[j * stride], best[j]
            best[j] = a if (a > b) | (a != a) else b


@inlined
def _add(total: Any, x: Any, stride: int) -> None:
    if stride == 2:
        for j in range(total.size):
            total[j] += x[2 * j]
    else:
        for j in range(total.size):
            total[j] += x[j * stride]


@compiled
def _max(out: Any, x: Any, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> None:
    for plane in range(out.shape[0]):
        for i in range(out.shape[1]):
            best = out[plane, i]
            best[:] = -float("inf")
            for k in range(kernel_size[0]):
                row = i * stride[0] - padding[0] + k * dilation[0]
                if row < 0 or row >= x.shape[1]:
                    continue
                line = x[plane, row]
                for m in range(kernel_size[1]):
                    offset = m * dilation[1] - padding[1]
                    first, end = _windows(x.shape[2], out.shape[2], stride[1], offset)
                    _keep_greatest(best[first:end], line[first * stride[1] + offset :], stride[1])


@compiled
def _max_two_by_two(out: Any, x: Any) -> None:
    for plane in range(out.shape[0]):
        for i in range(out.shape[1]):
            for j in range(out.shape[2]):
                a, b = x[plane, 2 * i, 2 * j], x[plane, 2 * i, 2 * j + 1]
                c, d = x[plane, 2 * i + 1, 2 * j], x[plane, 2 * i + 1, 2 * j + 1]
                a = b if (b > a) | (b != b) else a
                c = d if (d > c) | (d != d) else c
                out[plane, i, j] = c if (c > a) | (c != c) else a


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
def _scatter_two_by_two(out: Any, g: Any, x: Any, y: Any) -> None:
    """`out` and `g` are the bits of numbers: masks need no branches, which could not be foreseen."""
    none = out.dtype.type(0)
    for plane in range(out.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                best, left = y[plane, i, j], g[plane, i, j]
                a, b = x[plane, 2 * i, 2 * j], x[plane, 2 * i, 2 * j + 1]
                c, d = x[plane, 2 * i + 1, 2 * j], x[plane, 2 * i + 1, 2 * j + 1]
                loses = none - out.dtype.type(a < best)
                out[plane, 2 * i, 2 * j] = left & ~loses
                left &= loses
                loses = none - out.dtype.type(b < best)
                out[plane, 2 * i, 2 * j + 1] = left & ~loses
                left &= loses
                loses = none - out.dtype.type(c < best)
                out[plane, 2 * i + 1, 2 * j] = left & ~loses
                left &= loses
                loses = none - out.dtype.type(d < best)
                out[plane, 2 * i + 1, 2 * j + 1] = left & ~loses
            for j in range(2 * y.shape[2], out.shape[2]):
                out[plane, 2 * i, j] = none
                out[plane, 2 * i + 1, j] = none
        for i in range(2 * y.shape[1], out.shape[1]):
            for j in range(out.shape[2]):
                out[plane, i, j] = none


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
def _sum(out: Any, x: Any, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> None:
    for plane in range(out.shape[0]):
        for i in range(out.shape[1]):
            total = out[plane, i]
            total[:] = 0
            for k in range(kernel_size[0]):
                row = i * stride[0] - padding[0] + k * dilation[0]
                if row < 0 or row >= x.shape[1]:
                    continue
                line = x[plane, row]
                for m in range(kernel_size[1]):
                    offset = m * dilation[1] - padding[1]
                    first, end = _windows(x.shape[2], out.shape[2], stride[1], offset)
                    _add(total[first:end], line[first * stride[1] + offset :], stride[1])


@compiled
def _spread(out: Any, g: Any, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> None:
    for plane in range(out.shape[0]):
        out[plane, :, :] = 0
        for i in range(g.shape[1]):
            for k in range(kernel_size[0]):
                row = i * stride[0] - padding[0] + k * dilation[0]
                if row < 0 or row >= out.shape[1]:
                    continue
                line, given = out[plane, row], g[plane, i]
                for m in range(kernel_size[1]):
                    offset = m * dilation[1] - padding[1]
                    first, end = _windows(out.shape[2], g.shape[2], stride[1], offset)
                    target = line[first * stride[1] + offset :]
                    for j in range(end - first):
                        target[j * stride[1]] += given[first + j]


@kernel("max_pool2d", "fast")
def max_pool2d(
    xp: Any,
    out: Any,
    x: Any,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> None:
    """out = the greatest element of each window."""
    if not is_compiled_for(x):
        common.max_pool2d(xp, out, x, kernel_size, stride, padding, dilation, ceil_mode)
    elif _is_two_by_two(x.shape[-2:], out.shape[-2:], kernel_size, stride, padding, dilation):
        _max_two_by_two(_planes(out), _planes(x))
    else:
        _max(_planes(out), _planes(x), kernel_size, stride, padding, dilation)


@kernel("max_pool2d_scatter", "fast")
def max_pool2d_scatter(
    xp: Any,
    out: Any,
    g: Any,
    x: Any,
    y: Any,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> None:
    """out = 0, then out at the first greatest element of each window += g of the window."""
    if not is_compiled_for(x):
        common.max_pool2d_scatter(xp, out, g, x, y, kernel_size, stride, padding, dilation, ceil_mode)
    elif _is_two_by_two(x.shape[-2:], y.shape[-2:], kernel_size, stride, padding, dilation):
        bits = f"int{8 * x.itemsize}"
        _scatter_two_by_two(_planes(out).view(bits), _planes(g).view(bits), _planes(x), _planes(y))
    else:
        planes = _planes(out), _planes(g), _planes(x), _planes(y)
        _scatter(*planes, kernel_size, stride, padding, dilation)


@kernel("max_pool2d_gather", "fast")
def max_pool2d_gather(
    xp: Any,
    out: Any,
    v: Any,
    x: Any,
    y: Any,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> None:
    """out of each window = v at the first greatest element of the window."""
    if not is_compiled_for(x):
        common.max_pool2d_gather(xp, out, v, x, y, kernel_size, stride, padding, dilation, ceil_mode)
    else:
        planes = _planes(out), _planes(v), _planes(x), _planes(y)
        _gather(*planes, kernel_size, stride, padding, dilation)


@kernel("window_sum", "fast")
def window_sum(
    xp: Any,
    out: Any,
    x: Any,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> None:
    """out = the sum of the elements of each window."""
    if not is_compiled_for(x):
        common.window_sum(xp, out, x, kernel_size, stride, padding, dilation, ceil_mode)
    else:
        _sum(_planes(out), _planes(x), kernel_size, stride, padding, dilation)


@kernel("window_spread", "fast")
def window_spread(
    xp: Any,
    out: Any,
    g: Any,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
    size: Pair,
) -> None:
    """out = for each element the sum of g over the windows that it is in."""
    if not is_compiled_for(g):
        common.window_spread(xp, out, g, kernel_size, stride, padding, dilation, ceil_mode, size)
    else:
        _spread(_planes(out), _planes(g), kernel_size, stride, padding, dilation)
