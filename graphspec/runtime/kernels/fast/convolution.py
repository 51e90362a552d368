"""Convolution, compiled: what the sizes ask for, with the working storage that it needs."""

from __future__ import annotations

from typing import Any

from graphspec.ir import TensorType
from graphspec.ops.convolution import Sliding
from graphspec.ops.portions import Pair
from graphspec.runtime.kernels import convolution_on_cpu as common
from graphspec.runtime.kernels.fast.compiling import is_compiled, is_compiled_for, plain
from graphspec.runtime.kernels.fast.direct import slide
from graphspec.runtime.kernels.fast.sliding import Slide, adjoint_slide, forward_slide
from graphspec.runtime.kernels.fast.weights import stretches, weight_adjoint
from graphspec.runtime.kernels.registry import kernel
from graphspec.runtime.kernels.storage import carve, elements


def _forward_scratch(op: Sliding, x: TensorType, weight: TensorType) -> tuple[TensorType, ...]:
    if not is_compiled(x):
        return op.scratch(x, weight)
    y = op.convolved(x, weight)
    made = forward_slide(x.shape, y.shape, weight.shape[2:], op.stride, op.padding, op.dilation, op.groups)
    return (TensorType(x.dtype, (elements(*made.shapes),)),)


def _input_scratch(op: Sliding, g: TensorType, weight: TensorType) -> tuple[TensorType, ...]:
    if not is_compiled(g):
        return op.scratch(g, weight)
    x = op.infer(g, weight)
    made = adjoint_slide(x.shape, g.shape, weight.shape[2:], op.stride, op.padding, op.dilation, op.groups)
    return (TensorType(g.dtype, (elements(*made.shapes),)),)


def _weight_scratch(op: Sliding, g: TensorType, x: TensorType) -> tuple[TensorType, ...]:
    if not is_compiled(x):
        return op.scratch(g, x)
    weight = op.infer(g, x)
    made = stretches(x.shape, g.shape, weight.shape[2:], op.stride, op.padding, op.dilation, op.groups)
    return (TensorType(x.dtype, (elements(*made.shapes),)), TensorType(x.dtype, (0,)))


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
    if not is_compiled_for(x):
        common.convolution(xp, out, x, weight, storage, stride, padding, dilation, groups)
        return
    made = forward_slide(x.shape, out.shape, weight.shape[2:], stride, padding, dilation, groups)
    _slide(out, x, weight, storage, made)


@kernel("convolution_input_adjoint", "fast", scratch=_input_scratch)
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
    if not is_compiled_for(g):
        common.convolution_input_adjoint(xp, out, g, weight, storage, stride, padding, dilation, groups, size)
        return
    made = adjoint_slide(out.shape, g.shape, weight.shape[2:], stride, padding, dilation, groups)
    _slide(out, g, weight, storage, made)


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
    if not is_compiled_for(x):
        common.convolution_weight_adjoint(
            xp, out, g, x, storage, products, stride, padding, dilation, groups, size
        )
        return
    made = stretches(x.shape, g.shape, size, stride, padding, dilation, groups)
    flat = [plain(array).reshape(-1) for array in (out, g, x)]
    weight_adjoint(*flat, *carve(storage, *made.shapes), made.starts, made.elements, made.sizes)


def _slide(out: Any, x: Any, weight: Any, storage: Any, made: Slide) -> None:
    flat = [plain(array).reshape(-1) for array in (out, x, weight)]
    arrays = carve(storage, *made.shapes)
    slide(*flat, *arrays, made.offsets, made.elements, made.phases, made.sizes, made.is_plain)
