"""Convolution whose windows follow place by place: columns are shifted copies of whole images.

In an image whose rows lie one after the other, the places that one element of the window visits are one
stretch of memory, which is copied at once; it also visits those that reach beyond the end of a row, whose
results are left out.  Source of the product of columns: Chellapilla, Puri & Simard (2006).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphspec.ops.portions import Geometry, Work
from graphspec.runtime.kernels.storage import carve


def flat_convolution(out: Any, x: Any, weight: Any, storage: Any, sizes: Geometry, work: Work) -> None:
    """out = the convolution of x with weight: one for all images, or (see `by_group`) one for each."""
    rows = out.shape[1] // sizes.groups
    factors = np.ascontiguousarray(weight).reshape(-1, sizes.groups, rows, sizes.column)
    padded, columns, results = carve(storage, *work.shapes)
    padded.fill(0)
    matrices = _by_group(results, sizes)
    for start in range(0, x.shape[0], work.images):
        images = slice(start, start + work.images)
        target = out[images]
        count = target.shape[0]
        _unfold(x[images], padded[:count], columns[:count], sizes)
        # a product for each image: small ones are fast without being packed
        factor = factors if len(factors) == 1 else factors[images]
        np.matmul(factor, columns[:count], out=matrices[:count])
        np.copyto(target, results[:count, :, :, : out.shape[3]])


def flat_weight_adjoint(out: Any, g: Any, x: Any, storage: Any, sizes: Geometry, work: Work) -> None:
    """out = the cotangent of weight, of each image its own or their sum, for the cotangent g of y."""
    padded, columns, results, products = carve(storage, *work.shapes)
    padded.fill(0)
    results.fill(0)
    matrices = _by_group(results, sizes)
    of_each = out.reshape(-1, *products.shape[1:])
    is_sum = len(of_each) != x.shape[0]
    if is_sum:
        out.fill(0)
    for start in range(0, x.shape[0], work.images):
        images = slice(start, start + work.images)
        cotangent = g[images]
        count = cotangent.shape[0]
        _unfold(x[images], padded[:count], columns[:count], sizes)
        np.copyto(results[:count, :, :, : g.shape[3]], cotangent)
        product = products[:count] if is_sum else of_each[images]
        np.matmul(matrices[:count], columns[:count].transpose(0, 1, 3, 2), out=product)
        if is_sum:
            of_each += np.add.reduce(product, axis=0)


def _by_group(results: Any, sizes: Geometry) -> Any:
    """results[n, o, i, j], as wide as the padded images, as [n, group, o, place]."""
    count, channels = results.shape[:2]
    lines = results.reshape(count, sizes.groups, channels // sizes.groups, -1)
    return lines[..., : sizes.length]


def _unfold(x: Any, padded: Any, columns: Any, sizes: Geometry) -> None:
    """columns[n, group, (c, k, m), place] = the element (k, m) of each window; `padded` has zeros around."""
    top, left = sizes.padding
    height, width = x.shape[2:]
    if top or left or not x.flags.c_contiguous:
        np.copyto(padded[:, :, top : top + height, left : left + width], x)
        x = padded
    count, channels, height, width = x.shape
    item = x.itemsize
    line, plane = width * item, height * width * item
    strides = (channels * plane, plane, sizes.dilation[0] * line, sizes.dilation[1] * item, item)
    shape = (count, channels, *sizes.window, sizes.length)
    stretches: Any = np.ndarray(shape, x.dtype, x, 0, strides)
    np.copyto(columns.reshape(shape), stretches)
