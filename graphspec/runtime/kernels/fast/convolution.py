"""Convolution, compiled: what the sizes ask for, with the working storage that it needs."""

from __future__ import annotations

from functools import cache
from math import inf
from typing import Any, TypeAlias

import numpy as np

from graphspec.ir import TensorType
from graphspec.ops.convolution import (
    Convolution,
    ConvolutionEpilogue,
    ConvolutionInputAdjoint,
    ConvolutionWeightAdjoint,
    numbers,
)
from graphspec.ops.portions import Pair, Shape
from graphspec.runtime.kernels import convolution_on_cpu as common
from graphspec.runtime.kernels.fast.compiling import is_compiled, is_compiled_for, plain, written
from graphspec.runtime.kernels.fast.direct import slide
from graphspec.runtime.kernels.fast.sliding import Slide, adjoint_slide, forward_slide
from graphspec.runtime.kernels.fast.tiles import tiled_convolution
from graphspec.runtime.kernels.fast.tiles_of_weights import tiled_weight_adjoint, weight_tiles
from graphspec.runtime.kernels.fast.tiling import Tiles, tiles
from graphspec.runtime.kernels.fast.weights import Stretches, stretches, weight_adjoint
from graphspec.runtime.kernels.registry import kernel
from graphspec.runtime.kernels.storage import carve, elements

#: places of an image up to which there are few of them
FEW = 16
#: the smallest number above 0, in single precision: what is less is not positive
SMALLEST = 2.0**-149
#: how the window slides: stride, padding, dilation, groups
Slides: TypeAlias = tuple[Pair, Pair, Pair, int]


def _forward(x: Shape, y: Shape, window: Pair, slides: Slides, itemsize: int) -> Tiles | Slide:
    """How y, the convolution of x, is computed."""
    return _tiles(x, y, window, slides, itemsize) or forward_slide(x, y, window, *slides)


def _tiles(x: Shape, y: Shape, window: Pair, slides: Slides, itemsize: int) -> Tiles | None:
    """The tiles in which y is computed, if it is."""
    return tiles(x, y, slides[1], False) if _is_in_tiles(window, slides, itemsize) else None


def _backward(x: Shape, y: Shape, window: Pair, slides: Slides, itemsize: int) -> Tiles | Slide:
    """How the cotangent of x is computed from that of y."""
    border = 2 - slides[1][0], 2 - slides[1][1]
    found = tiles(y, x, border, True) if _is_in_tiles(window, slides, itemsize) else None
    return found or adjoint_slide(x, y, window, *slides)


def _weights(x: Shape, y: Shape, window: Pair, slides: Slides, itemsize: int) -> Tiles | Stretches:
    """How the cotangent of the weights is computed from that of y."""
    found = weight_tiles(x, y, slides[1]) if _is_in_tiles(window, slides, itemsize) else None
    return found or stretches(x, y, window, *slides)


def _is_in_tiles(window: Pair, slides: Slides, itemsize: int) -> bool:
    """Rounding grows some times: that is what single precision is for, and double is not."""
    stride, _, dilation, groups = slides
    return itemsize == 4 and window == (3, 3) and stride == dilation == (1, 1) and groups == 1


def _are_few(y: Shape, window: Pair, slides: Slides) -> bool:
    """Whether windows are so few that one copy and one product of the BLAS beat loops over rows."""
    stride, padding, _, _ = slides
    places = y[2] * y[3]
    return padding == (0, 0) and stride != (1, 1) and places <= FEW and places < window[0] * window[1]


def _storage(like: TensorType, made: Tiles | Slide | Stretches) -> TensorType:
    return TensorType(like.dtype, (elements(*made.shapes),))


def _forward_scratch(op: Convolution, x: TensorType, weight: TensorType) -> tuple[TensorType, ...]:
    shapes = numbers(x), numbers(op.convolved(x, weight)), numbers(weight)[2:]
    if not is_compiled(x) or _are_few(*shapes[1:], op.slides):
        return op.scratch(x, weight)
    return (_storage(x, _forward(*shapes, op.slides, x.dtype.itemsize)),)


def _epilogue_scratch(
    op: ConvolutionEpilogue, x: TensorType, weight: TensorType, bias: TensorType
) -> tuple[TensorType, ...]:
    return _forward_scratch(op.convolution, x, weight)


def has_epilogue(op: Convolution, x: TensorType, weight: TensorType) -> bool:
    """Whether more is done to the result of a convolution of these sizes where it is stored."""
    shapes = numbers(x), numbers(op.convolved(x, weight)), numbers(weight)[2:]
    return is_compiled(x) and _tiles(*shapes, op.slides, x.dtype.itemsize) is not None


def _backward_scratch(
    op: ConvolutionInputAdjoint, g: TensorType, weight: TensorType
) -> tuple[TensorType, ...]:
    shapes = numbers(op.infer(g, weight)), numbers(g), numbers(weight)[2:]
    if not is_compiled(g) or _are_few(*shapes[1:], op.slides):
        return op.scratch(g, weight)
    return (_storage(g, _backward(*shapes, op.slides, g.dtype.itemsize)),)


def _weight_scratch(op: ConvolutionWeightAdjoint, g: TensorType, x: TensorType) -> tuple[TensorType, ...]:
    shapes = numbers(x), numbers(g), numbers(op.infer(g, x))[2:]
    if not is_compiled(x) or _are_few(*shapes[1:], op.slides):
        return op.scratch(g, x)
    return _storage(x, _weights(*shapes, op.slides, x.dtype.itemsize)), TensorType(x.dtype, (0,))


@kernel("convolution", "fast", scratch=_forward_scratch)
def convolution(
    xp: Any,
    out: Any,
    x: Any,
    weight: Any,
    storage: Any,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> None:
    """out = the convolution of x with weight."""
    slides = stride, padding, dilation, groups
    if is_compiled_for(x) and not _are_few(out.shape, weight.shape[2:], slides):
        made = _forward(x.shape, out.shape, weight.shape[2:], slides, x.itemsize)
        _convolve(out, x, weight, storage, made)
    else:
        common.convolution(xp, out, x, weight, storage, *slides)


@kernel("convolution_epilogue", "fast", scratch=_epilogue_scratch)
def convolution_epilogue(
    xp: Any,
    out: Any,
    x: Any,
    weight: Any,
    bias: Any,
    storage: Any,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    is_rectified: bool,
) -> None:
    """out = the convolution of x with weight, plus bias, with 0 where that is negative if `is_rectified`."""
    slides = stride, padding, dilation, groups
    made = _tiles(x.shape, out.shape, weight.shape[2:], slides, x.itemsize) if is_compiled_for(x) else None
    if made is None:
        convolution(xp, out, x, weight, storage, *slides)
        common.add_bias(out, bias, is_rectified)
    else:
        arrays = [*_flat(written(out), x, weight), *carve(storage, *made.shapes)]
        limit = SMALLEST if is_rectified else -inf
        tiled_convolution(*arrays, *made.tables, plain(bias), limit, made.sizes)


@kernel("convolution_input_adjoint", "fast", scratch=_backward_scratch)
def convolution_input_adjoint(
    xp: Any,
    out: Any,
    g: Any,
    weight: Any,
    storage: Any,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    size: Pair,
) -> None:
    """out = the cotangent of x, for the cotangent g of the convolution."""
    slides = stride, padding, dilation, groups
    if is_compiled_for(g) and not _are_few(g.shape, weight.shape[2:], slides):
        made = _backward(out.shape, g.shape, weight.shape[2:], slides, g.itemsize)
        _convolve(out, g, weight, storage, made)
    else:
        common.convolution_input_adjoint(xp, out, g, weight, storage, *slides, size)


@kernel("convolution_weight_adjoint", "fast", scratch=_weight_scratch)
def convolution_weight_adjoint(
    xp: Any,
    out: Any,
    g: Any,
    x: Any,
    storage: Any,
    products: Any,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    size: Pair,
) -> None:
    """out = the cotangent of weight, for the cotangent g of the convolution."""
    slides = stride, padding, dilation, groups
    if is_compiled_for(x) and not _are_few(g.shape, size, slides):
        made = _weights(x.shape, g.shape, size, slides, x.itemsize)
        arrays = [*_flat(written(out), g, x), *carve(storage, *made.shapes)]
        if isinstance(made, Tiles):
            tiled_weight_adjoint(*arrays, *made.tables, made.sizes)
        else:
            weight_adjoint(*arrays, made.starts, made.elements, made.sizes)
    else:
        common.convolution_weight_adjoint(xp, out, g, x, storage, products, *slides, size)


def _convolve(out: Any, x: Any, weight: Any, storage: Any, made: Tiles | Slide) -> None:
    arrays = [*_flat(written(out), x, weight), *carve(storage, *made.shapes)]
    if isinstance(made, Tiles):
        tiled_convolution(*arrays, *made.tables, _nothing(made.sizes.rows), -inf, made.sizes)
    else:
        slide(*arrays, made.offsets, made.elements, made.phases, made.sizes, made.is_plain)


@cache
def _nothing(count: int) -> Any:
    """A bias that changes nothing: x + -0.0 is x, for x = -0.0 too."""
    return np.full(count, -0.0, np.float32)


def _flat(*arrays: Any) -> list[Any]:
    return [plain(array).reshape(-1) for array in arrays]
