"""Reading a window of an array that may lie partly outside it."""

from __future__ import annotations

from typing import Any

from graphspec.runtime.kernels.registry import kernel


@kernel("window", "numpy")
def window(
    xp: Any, out: Any, x: Any, *starts: Any, axes: tuple[int, ...], sizes: tuple[int, ...], fill: float
) -> None:
    """out = x from `starts` on along `axes`, and `fill` where that is outside x."""
    target, source = [slice(None)] * out.ndim, [slice(None)] * out.ndim
    is_inside = True
    for axis, size, start in zip(axes, sizes, map(int, starts), strict=True):
        first, last = max(0, -start), min(size, x.shape[axis] - start)
        is_inside = is_inside and last - first == size
        last = max(first, last)
        target[axis], source[axis] = slice(first, last), slice(start + first, start + last)
    if not is_inside:
        out.fill(fill)
    if all(part.start is None or part.start < part.stop for part in target):
        out[tuple(target)] = x[tuple(source)]


@kernel("window", "cupy")
def window_on_device(
    xp: Any, out: Any, x: Any, *starts: Any, axes: tuple[int, ...], sizes: tuple[int, ...], fill: float
) -> None:
    """out = x from `starts` on along `axes`, and `fill` where that is outside x.

    The starts are known to the device only: an axis after the other is read by a computed index.
    """
    read = x
    for axis, size, start in zip(axes, sizes, starts, strict=True):
        places = start + xp.arange(size)
        inside = (places >= 0) & (places < x.shape[axis])
        shape = (size, *(1,) * (x.ndim - axis - 1))
        read = xp.take(read, xp.where(inside, places, 0), axis=axis) if x.shape[axis] else xp.zeros_like(out)
        read = xp.where(inside.reshape(shape), read, xp.asarray(fill, dtype=x.dtype))
    out[...] = read
