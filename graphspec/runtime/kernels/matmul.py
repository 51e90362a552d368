"""The matrix product, laid out so that the BLAS does the work."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphspec.runtime.kernels.registry import kernel


@kernel("matmul", "numpy")
def matmul(xp: Any, out: Any, x: Any, y: Any) -> None:
    """out = x @ y."""
    if x.ndim > 1 and y.ndim > 1 and x.shape[-1] == 1:
        np.multiply(x, y, out=out)  # an outer product; the BLAS is called once for each leading index
        return
    x, y = _blas_ready(x), _blas_ready(y)
    if x.ndim > 2 and y.ndim <= 2 and out.flags.c_contiguous and x.flags.c_contiguous:
        # one product for all rows, instead of one for each leading index
        rows = x.reshape(-1, x.shape[-1])
        np.matmul(rows, y, out=out.reshape(rows.shape[0], *y.shape[1:]))
    else:
        np.matmul(x, y, out=out)


@kernel("product_in_order", "numpy")
def product_in_order(xp: Any, out: Any, x: Any, y: Any, *, axes: tuple[int, ...]) -> None:
    """out = (x @ y).transpose(axes)."""
    matmul(xp, out.transpose([axes.index(k) for k in range(len(axes))]), x, y)


def _blas_ready(x: Any) -> Any:
    """x, or a copy where its strides would send numpy into its own slow loops."""
    if x.ndim < 2 or x.dtype.kind != "f":
        return x
    item = x.itemsize
    down, across = x.strides[-2:]
    rows, columns = x.shape[-2:]
    plain = across == item and down % item == 0 and down >= columns * item
    transposed = down == item and across % item == 0 and across >= rows * item
    return x if plain or transposed else np.ascontiguousarray(x)


@kernel("matmul", "cupy")
def matmul_on_device(xp: Any, out: Any, x: Any, y: Any) -> None:
    """out = x @ y."""
    xp.matmul(x, y, out=out)
