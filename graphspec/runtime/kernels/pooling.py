"""Pooling: one pass over all windows at once for each element of the window, no loop over windows.

`how` windows lie is their `kernel_size`, `stride`, `padding` and `dilation`; `ceil_mode` has had its say when
their number was found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from graphspec.runtime.kernels.registry import kernel
from graphspec.runtime.kernels.windows import Pair, are_apart, window_elements


@kernel("max_pool2d")
def max_pool2d(xp: Any, out: Any, x: Any, ceil_mode: bool, **how: Pair) -> None:
    """out = the greatest element of each window."""
    elements = window_elements(x.shape[2:], out.shape[2:], **how)
    if are_apart(x.shape[2:], out.shape[2:], **how):
        _, _, (_, places) = next(elements)
        out[...] = x[places]
    else:
        out.fill(-xp.inf)
    for _, _, (windows, places) in elements:
        best = out[windows]
        xp.maximum(best, x[places], out=best)


@kernel("max_pool2d", "numpy")
def max_pool2d_in_lines(xp: Any, out: Any, x: Any, ceil_mode: bool, **how: Pair) -> None:
    """out = the greatest element of each window: of whole rows first, then of what follows in memory."""
    rows, columns = how["kernel_size"]
    height, width = x.shape[2:]
    is_tiled = out.shape[2] * rows == height and out.shape[3] * columns == width
    tiles = {"kernel_size": (rows, columns), "stride": (rows, columns), "padding": (0, 0), "dilation": (1, 1)}
    if not is_tiled or how != tiles or not x.flags.c_contiguous:
        max_pool2d(xp, out, x, ceil_mode, **how)
        return
    best = _greatest(x.reshape(-1, rows, width), np.empty((x.size // (rows * width), width), x.dtype))
    _greatest(best.reshape(-1, columns), out.reshape(-1))


def _greatest(x: Any, out: Any) -> Any:
    """out = the greatest over the second axis of x; gives out."""
    if x.shape[1] == 1:
        np.copyto(out, x[:, 0])
        return out
    np.maximum(x[:, 0], x[:, 1], out=out)
    for i in range(2, x.shape[1]):
        np.maximum(out, x[:, i], out=out)
    return out


@kernel("max_pool2d_scatter", "numpy")
def max_pool2d_scatter(xp: Any, out: Any, g: Any, x: Any, y: Any, ceil_mode: bool, **how: Pair) -> None:
    """out = 0, then out at the first greatest element of each window += g of the window."""
    elements = window_elements(x.shape[2:], y.shape[2:], **how)
    if are_apart(x.shape[2:], y.shape[2:], **how):
        _hand_on(out, g, x, y, [places for _, _, (_, places) in elements])
        return
    out.fill(0)
    for windows, places, wins in _winners(xp, x, y, elements):
        out[places] += _masked(g[windows], wins)


def _hand_on(out: Any, g: Any, x: Any, y: Any, elements: list[Any]) -> None:
    """The scatter for windows that are apart: what an element does not win is left to the next ones."""
    bits = f"int{8 * x.itemsize}"
    target, left = out.view(bits), np.ascontiguousarray(g).view(bits)
    if len(elements) * y.size != x.size:
        out.fill(0)
    for places in elements[:-1]:
        loses = np.less(x[places], y)
        kept = np.bitwise_and(left, np.negative(loses.view("int8")))
        np.bitwise_xor(left, kept, out=target[places])
        left = kept
    target[elements[-1]] = left  # of a window with a maximum some element wins


@kernel("max_pool2d_gather", "numpy")
def max_pool2d_gather(xp: Any, out: Any, v: Any, x: Any, y: Any, ceil_mode: bool, **how: Pair) -> None:
    """out of each window = v at the first greatest element of the window."""
    out.fill(0)
    elements = window_elements(x.shape[2:], y.shape[2:], **how)
    for windows, places, wins in _winners(xp, x, y, elements):
        out[windows] += _masked(v[places], wins)


def _masked(x: Any, mask: Any) -> Any:
    """x where mask, else 0, by masks of bits; a nan or an infinity outside the mask leaves no trace."""
    kept = np.negative(mask.view("int8"))
    return np.bitwise_and(x.view(f"int{8 * x.itemsize}"), kept).view(x.dtype)


@kernel("max_pool2d_scatter", "cupy")
def max_pool2d_scatter_on_device(
    xp: Any, out: Any, g: Any, x: Any, y: Any, ceil_mode: bool, **how: Pair
) -> None:
    """out = 0, then out at the first greatest element of each window += g of the window."""
    out.fill(0)
    elements = window_elements(x.shape[2:], y.shape[2:], **how)
    for windows, places, wins in _winners(xp, x, y, elements):
        out[places] += xp.where(wins, g[windows], xp.zeros((), g.dtype))


@kernel("max_pool2d_gather", "cupy")
def max_pool2d_gather_on_device(
    xp: Any, out: Any, v: Any, x: Any, y: Any, ceil_mode: bool, **how: Pair
) -> None:
    """out of each window = v at the first greatest element of the window."""
    out.fill(0)
    elements = window_elements(x.shape[2:], y.shape[2:], **how)
    for windows, places, wins in _winners(xp, x, y, elements):
        out[windows] += xp.where(wins, v[places], xp.zeros((), v.dtype))


def _winners(xp: Any, x: Any, y: Any, elements: Iterator[Any]) -> Iterator[tuple[Any, Any, Any]]:
    """For each element of the window: in which windows it is the first that is not less than the maximum.

    Where the maximum is nan nothing is less, and the first element wins.
    """
    undecided = xp.ones(y.shape, dtype=bool)
    for _, _, (windows, places) in elements:
        loses = xp.less(x[places], y[windows])
        wins = xp.greater(undecided[windows], loses)
        undecided[windows] &= loses
        yield windows, places, wins


@kernel("window_sum")
def window_sum(xp: Any, out: Any, x: Any, ceil_mode: bool, **how: Pair) -> None:
    """out = the sum of the elements of each window."""
    out.fill(0)
    elements = window_elements(x.shape[2:], out.shape[2:], **how)
    for _, _, (windows, places) in elements:
        out[windows] += x[places]


@kernel("window_spread")
def window_spread(xp: Any, out: Any, g: Any, ceil_mode: bool, size: Pair, **how: Pair) -> None:
    """out = for each element the sum of g over the windows that it is in."""
    out.fill(0)
    elements = window_elements(size, g.shape[2:], **how)
    for _, _, (windows, places) in elements:
        out[places] += g[windows]
