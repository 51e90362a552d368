"""Convolution on the CPU: the method that `ops.portions` has chosen, else the one of all backends."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphspec.ops.portions import Geometry, Pair, forward_work, geometry, weight_work
from graphspec.runtime.kernels import convolution as common
from graphspec.runtime.kernels.flat import flat_convolution, flat_weight_adjoint
from graphspec.runtime.kernels.registry import kernel
from graphspec.runtime.kernels.winograd import tall_convolution, tall_weight_adjoint


@kernel("convolution", "numpy")
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
    sizes = geometry(x.shape, out.shape, weight.shape[2:], stride, padding, dilation, groups)
    if sizes is None:
        common.convolution(xp, out, x, weight, columns, stride, padding, dilation, groups)
    else:
        _convolve(out, x, weight, columns, sizes)


@kernel("convolution_epilogue", "numpy")
def convolution_epilogue(
    xp: Any, out: Any, x: Any, weight: Any, bias: Any, columns: Any, *, is_rectified: bool, **slides: Any
) -> None:
    """out = the convolution of x with weight, plus bias, with 0 where it is negative if `is_rectified`."""
    convolution(xp, out, x, weight, columns, **slides)
    add_bias(out, bias, is_rectified)


def add_bias(y: Any, bias: Any, is_rectified: bool) -> None:
    """y += bias by channel; and 0 where that is not positive, if `is_rectified`."""
    np.add(y, bias[:, None, None], out=y)
    if is_rectified:
        np.copyto(y, 0, where=y <= 0)


@kernel("convolution_input_adjoint", "numpy")
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
    """out = the cotangent of x, for the cotangent g of the convolution: g convolved with mirrored weights."""
    window: Pair = weight.shape[2:]
    sizes = geometry(out.shape, g.shape, window, stride, padding, dilation, groups)
    mirrored = sizes.mirrored() if sizes else None
    if mirrored is None:
        common.convolution_input_adjoint(xp, out, g, weight, columns, stride, padding, dilation, groups, size)
        return
    by_group = weight.reshape(groups, g.shape[1] // groups, -1, *window).transpose(0, 2, 1, 3, 4)
    turned = by_group[..., ::-1, ::-1].reshape(out.shape[1], -1, *window)
    _convolve(out, g, turned, columns, mirrored)


@kernel("convolution_weight_adjoint", "numpy")
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
    sizes = geometry(x.shape, g.shape, size, stride, padding, dilation, groups)
    if sizes is None:
        common.convolution_weight_adjoint(
            xp, out, g, x, columns, products, stride, padding, dilation, groups, size
        )
        return
    sizes = sizes.by_group()
    g, x = g.reshape(sizes.y), x.reshape(sizes.x)
    work = weight_work(sizes, x.itemsize)
    if work.method == "tall":
        tall_weight_adjoint(out, g, x, columns, sizes, work)
    else:
        flat_weight_adjoint(out, g, x, columns, sizes, work)


def _convolve(out: Any, x: Any, weight: Any, storage: Any, sizes: Geometry) -> None:
    sizes = sizes.by_group()
    work = forward_work(sizes, x.itemsize)
    method = tall_convolution if work.method == "tall" else flat_convolution
    method(out.reshape(sizes.y), x.reshape(sizes.x), weight, storage, sizes, work)
