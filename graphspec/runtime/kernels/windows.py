"""Where the elements of sliding windows lie: one pair of slices for each element of the window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

Pair: TypeAlias = tuple[int, int]
#: an index over the last two axes
Region: TypeAlias = tuple[Any, slice, slice]


def window_elements(
    size: Pair, count: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> Iterator[tuple[int, int, tuple[Region, Region]]]:
    """For each element (k, m) of the window: the windows that have it within the array, and where it lies.

    `size` is that of the array, `count` how many windows there are, over the last two axes.
    """
    across = [
        _places(size[1], count[1], stride[1], m * dilation[1] - padding[1]) for m in range(kernel_size[1])
    ]
    for k in range(kernel_size[0]):
        down = _places(size[0], count[0], stride[0], k * dilation[0] - padding[0])
        for m, right in enumerate(across):
            yield k, m, ((..., down[0], right[0]), (..., down[1], right[1]))


def _places(size: int, windows: int, stride: int, offset: int) -> tuple[slice, slice]:
    """For the windows i with 0 <= i * stride + offset < size: the slice of i, the slice of positions."""
    first = max(0, -(offset // stride))
    last = min(windows - 1, (size - 1 - offset) // stride)
    if last < first:
        return slice(0, 0), slice(0, 0)
    start = first * stride + offset
    return slice(first, last + 1), slice(start, last * stride + offset + 1, stride)


def all_windows(xp: Any, x: Any, windows: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Any:
    """A view of x[n, c, h, w] as [n, c, k, m, i, j]: the element (k, m) of the window at (i, j).

    No window reaches over a border.
    """
    down, across = x.strides[2:]
    shape = (*x.shape[:2], *kernel, *windows)
    strides = (
        *x.strides[:2],
        dilation[0] * down,
        dilation[1] * across,
        stride[0] * down,
        stride[1] * across,
    )
    return xp.lib.stride_tricks.as_strided(x, shape, strides)


def are_apart(
    size: Pair, count: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> bool:
    """Whether windows have no element in common, and none reaches over a border."""
    return all(
        p == 0 and d * (k - 1) < s and (n - 1) * s + d * (k - 1) < length
        for length, n, k, s, p, d in zip(size, count, kernel_size, stride, padding, dilation, strict=True)
    )
