"""Choosing between two arrays element by element."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphspec.runtime.kernels.registry import kernel

#: below this many elements branching is faster than several calls
FEW = 1024


@kernel("where", "numpy")
def where(xp: Any, out: Any, condition: Any, x: Any, y: Any) -> None:
    """out = x where condition, else y, by masks of bits: `numpy.where` branches, up to 15 times as slow.

    `out` may be the storage of one of the operands.
    """
    if isinstance(condition, bool):
        np.copyto(out, x if condition else y)
        return
    if out.size < FEW:
        np.copyto(out, np.where(condition, x, y))
        return
    a, b = _bits(x, out), _bits(y, out)
    result = out.view(a.dtype)
    if a.ndim == 0 and a == 0:
        np.bitwise_and(b, np.subtract(condition.view(np.int8), np.int8(1)), out=result)
        return
    chosen = np.negative(condition.view(np.int8))
    if b.ndim == 0 and b == 0:
        np.bitwise_and(a, chosen, out=result)
        return
    change = np.bitwise_xor(a, b, out=None if np.may_share_memory(b, result) else result)
    np.bitwise_and(change, chosen, out=change)
    np.bitwise_xor(change, b, out=result)


def _bits(x: Any, out: Any) -> Any:
    """The bits of x, an array or a number, in the dtype of `out`, as signed integers."""
    x = np.asarray(x, dtype=out.dtype)
    return x.view(f"i{out.dtype.itemsize}")


@kernel("where", "cupy")
def where_on_device(xp: Any, out: Any, condition: Any, x: Any, y: Any) -> None:
    """out = x where condition, else y."""
    if isinstance(condition, bool):
        out[...] = x if condition else y
    else:
        out[...] = xp.where(condition, x, y)
