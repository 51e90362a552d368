"""Convolution with windows of three rows by half the multiplications, four rows of the result at a time.

Source: Winograd (1980), Arithmetic complexity of computations; Lavin & Gray (2015), arXiv:1509.09308, whose
F(4, 3) is used along the columns only.  Along the rows windows are shifted copies, as in `flat`.

Four rows y of the result depend on six rows d of the image: y = A (G w * B d), with polynomials taken at the
points 0, 1, -1, 2, -2 and infinity.  In single precision the result is off by about 5 times the rounding of
a plain sum: 2e-6 of the largest element.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphspec.ops.portions import POINTS, TILE, Geometry, Work
from graphspec.runtime.kernels.storage import carve

#: the polynomial w[0] + w[1]*z + w[2]*z**2 at the points, scaled so that `_interpolated` needs no quotients
AT_POINTS = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)


def tall_convolution(out: Any, x: Any, weight: Any, storage: Any, sizes: Geometry, work: Work) -> None:
    """out = the convolution of x with weight."""
    results, width = out.shape[1], sizes.padded[1]
    points = np.array(AT_POINTS, dtype=weight.dtype)
    factors = np.matmul(points, weight.transpose(2, 0, 3, 1).reshape(3, -1)).reshape(POINTS, results, -1)
    for start in range(0, x.shape[0], work.images):
        target, image = out[start : start + work.images], x[start : start + work.images]
        padded, columns, rest = carve(storage, *_fewer(work.shapes, image.shape[0]))
        products = rest[: POINTS * results].reshape(POINTS, results, *rest.shape[1:])
        _unfold(image, padded, columns, rest, sizes)
        np.matmul(factors, _matrix(columns, 2), out=_matrix(products, 1))
        _interpolate(target, products, columns, width)


def tall_weight_adjoint(out: Any, g: Any, x: Any, storage: Any, sizes: Geometry, work: Work) -> None:
    """out = the cotangent of weight, for the cotangent g of the convolution."""
    results = g.shape[1]
    total, product = carve(storage, work.shapes[0])[0]
    total.fill(0)
    for start in range(0, x.shape[0], work.images):
        image, cotangent = x[start : start + work.images], g[start : start + work.images]
        shapes = _fewer(work.shapes[1:], image.shape[0])
        _, padded, columns, rest, rows = carve(storage, work.shapes[0], *shapes)
        _unfold(image, padded, columns, rest, sizes)
        at_points = rest[: POINTS * results].reshape(POINTS, results, *rest.shape[1:])
        _at_points(cotangent, rows, at_points)
        np.matmul(_matrix(at_points, 1), _matrix(columns, 2).transpose(0, 2, 1), out=product)
        np.add(total, product, out=total)
    points = np.array(AT_POINTS, dtype=out.dtype)
    weight = np.matmul(points.T, total.reshape(POINTS, -1))
    shape = (3, results, sizes.window[1], x.shape[1])
    np.copyto(out, weight.reshape(shape).transpose(1, 3, 0, 2))


def _fewer(shapes: Sequence[tuple[int, ...]], count: int) -> list[tuple[int, ...]]:
    """The shapes of padded images, columns, results and rows for `count` images, as in the last portion."""
    axes = (2, 3, 1, 2)
    return [(*s[:axis], count, *s[axis + 1 :]) for s, axis in zip(shapes, axes, strict=False)]


def _matrix(array: Any, lead: int) -> Any:
    """array[points, ..., images, places] as [points, rows, images * places], rows of `lead` axes."""
    rows = 1
    for size in array.shape[1 : 1 + lead]:
        rows *= size
    return array.reshape(array.shape[0], rows, -1)


def _unfold(x: Any, padded: Any, columns: Any, work: Any, sizes: Geometry) -> None:
    """columns[p, m, c] = the rows of x[:, c] at point p, shifted by m: the columns of the product.

    `padded[k, c, n, q]` is the row 4*q + k of an image with its padding.
    """
    count, channels, _, width = x.shape
    top, left = sizes.padding
    planes = x.transpose(1, 0, 2, 3)
    padded.fill(0)
    for k in range(TILE):
        first = (k - top) % TILE
        rows = planes[:, :, first::TILE]
        place = (first + top) // TILE
        padded[k, :, :, place : place + rows.shape[2], left : left + width] = rows
    length = columns.shape[-1]
    flat = padded.reshape(TILE, channels, count, -1)
    d = [flat[k % TILE, :, :, k // TILE * sizes.padded[1] :][..., :length] for k in range(POINTS)]
    a, b, c = work[: 3 * channels].reshape(3, channels, count, length)
    at = columns[:, 0]
    np.subtract(d[4], d[2], out=a)
    np.subtract(d[3], d[1], out=b)
    np.add(b, b, out=b)
    np.add(a, b, out=at[3])
    np.subtract(a, b, out=at[4])
    np.subtract(d[0], d[2], out=c)
    np.multiply(c, 4, out=c)
    np.add(c, a, out=at[0])
    np.subtract(d[5], d[3], out=c)
    np.add(b, b, out=b)
    np.subtract(c, b, out=at[5])
    np.multiply(d[2], 4, out=a)
    np.subtract(d[4], a, out=a)
    np.multiply(d[1], 4, out=b)
    np.subtract(d[3], b, out=b)
    np.add(a, b, out=at[1])
    np.subtract(a, b, out=at[2])
    # past the end of a row lies the next one: what is computed there is not looked at
    lines = columns.reshape(POINTS, columns.shape[1], -1)
    for m in range(1, lines.shape[1]):
        lines[:, m, :-m] = lines[:, 0, m:]
        lines[:, m, -m:] = 0


def _interpolate(out: Any, products: Any, spare: Any, width: int) -> None:
    """out[n, o, 4*q + r] = the sum over the points z of z**r * products."""
    e, f = spare.reshape(-1)[: 2 * products[0].size].reshape(2, *products.shape[1:])
    m0, m1, m2, m3, m4, m5 = products
    np.add(m1, m2, out=e)
    np.subtract(m1, m2, out=f)
    np.add(m3, m4, out=m1)
    np.subtract(m3, m4, out=m2)
    np.add(m0, e, out=m0)
    _add_rows(out, 0, m0, m1, width)
    np.multiply(m1, 4, out=m1)
    _add_rows(out, 2, e, m1, width)
    np.add(m2, m2, out=m2)
    _add_rows(out, 1, f, m2, width)
    np.multiply(m2, 4, out=m2)
    np.add(f, m2, out=f)
    _add_rows(out, 3, f, m5, width)


def _add_rows(out: Any, r: int, a: Any, b: Any, width: int) -> None:
    """out[n, o, 4*q + r] = the rows of a + b, without what lies beyond them."""
    count, results = out.shape[:2]
    rows = out.transpose(1, 0, 2, 3)[:, :, r::TILE]
    part = (slice(None), slice(None), slice(rows.shape[2]), slice(out.shape[3]))
    np.add(a.reshape(results, count, -1, width)[part], b.reshape(results, count, -1, width)[part], out=rows)


def _at_points(g: Any, rows: Any, at: Any) -> None:
    """at[p, o] = the sum over r of z**r * g[:, o, 4*q + r], with zeros where there is no place."""
    rows.fill(0)
    planes = g.transpose(1, 0, 2, 3)
    for r in range(TILE):
        lines = planes[:, :, r::TILE]
        rows[r, :, :, : lines.shape[2], : g.shape[3]] = lines
    g0, g1, g2, g3 = rows.reshape(TILE, *at.shape[1:])
    even, odd = at[3], at[4]
    np.add(g0, g2, out=even)
    np.add(g1, g3, out=odd)
    np.add(even, odd, out=at[1])
    np.subtract(even, odd, out=at[2])
    np.copyto(at[0], g0)
    np.copyto(at[5], g3)
    np.multiply(g2, 4, out=g2)
    np.add(g0, g2, out=g0)
    np.multiply(g3, 4, out=g3)
    np.add(g1, g3, out=g1)
    np.add(g1, g1, out=g1)
    np.add(g0, g1, out=even)
    np.subtract(g0, g1, out=odd)
