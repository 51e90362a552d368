"""Brings what passes over the same elements into the same shape, so that it can be fused."""

from __future__ import annotations

from dataclasses import replace

from graphspec.ir import Graph, Node, Size, TypeRuleError, Value, apply, rebuild, with_inputs
from graphspec.ops.reduction import Max, Min, Sum
from graphspec.ops.shape import Reshape, Transpose
from graphspec.transforms.eliminate_dead_code import eliminate_dead_code
from graphspec.transforms.merge_equal import merge_equal
from graphspec.transforms.simplify_shapes import reshape_of_reshape


def straighten(graph: Graph) -> Graph:
    """Do elementwise ops before reshapes instead of after them, and let reductions keep their axes.

    Reshapes cost nothing, but what is computed in two shapes cannot be done together.  Needs shapes
    simplified; equal nodes are merged.

        relu(reshape(x * 2, [N, 4]))    becomes   reshape(relu(x * 2), [N, 4])
        sum(x, axis=0)                  becomes   reshape(sum(x, axis=0, keepdims=true), ...)
    """
    return eliminate_dead_code(merge_equal(rebuild(graph, _Rule())))


class _Rule:
    def __call__(self, node: Node, inputs: tuple[Value, ...]) -> Value | tuple[Value, ...] | None:
        op = node.op
        if isinstance(op, Reshape):
            return reshape_of_reshape(node, inputs)
        if isinstance(op, Transpose) and _keeps_order(op.axes, inputs[0].shape):
            return apply(Reshape(node.types[0].shape), *inputs)
        if isinstance(op, Sum | Max | Min) and not op.keepdims and 0 < len(op.axis) < len(inputs[0].shape):
            kept = apply(replace(op, keepdims=True), *inputs)
            return apply(Reshape(node.types[0].shape), kept)
        if op.is_elementwise and len(node.values) == 1 and node.types[0].shape:
            wide = _with_leading_axes(node, inputs)
            moved = _before_reshape(node, wide)
            return moved or with_inputs(node, wide).values
        # all nodes are made anew: by age they are run
        return with_inputs(node, inputs).values if inputs else None


def _with_leading_axes(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    """Operands without a reshape that only takes axes of size 1 from the front: broadcasting does without."""
    rank = len(node.types[0].shape)
    made: list[Value] = []
    for value in inputs:
        if isinstance(value.node.op, Reshape):
            source = value.node.inputs[0]
            extra = len(source.shape) - len(value.shape)
            if extra > 0 and len(source.shape) <= rank and source.shape == (1,) * extra + value.shape:
                value = source
        made.append(value)
    return tuple(made)


def _before_reshape(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """op(reshape(x), reshape(y), z) as reshape(op(x, y, reshape(z))).

    Operands are of one size, or numbers; smaller ones, which are broadcast, where the reshape only moves axes
    of size 1.
    """
    shape = node.types[0].shape
    source = next((v.node.inputs[0] for v in inputs if _is_computed(v) and v.shape == shape), None)
    if source is None:
        return None
    made: list[Value] = []
    for value in inputs:
        if not value.shape:
            made.append(value)
        elif value.shape != shape:
            moved = _with_axes_of(source.shape, shape, value.shape)
            if moved is None:
                return None
            made.append(value if moved == value.shape else apply(Reshape(moved), value))
        elif isinstance(value.node.op, Reshape) and value.node.inputs[0].shape == source.shape:
            made.append(value.node.inputs[0])
        else:
            made.append(apply(Reshape(source.shape), value))
    try:
        result = Node(node.op, tuple(made)).values[0]
    except TypeRuleError:  # an op that knows its shape
        return None
    return apply(Reshape(shape), result)


def _with_axes_of(
    source: tuple[Size, ...], shape: tuple[Size, ...], small: tuple[Size, ...]
) -> tuple[Size, ...] | None:
    """The shape of a small operand of `shape` beside one of `source`, which differs by axes of size 1."""
    if _without_ones(source) != _without_ones(shape):
        return None
    wide = (1,) * (len(shape) - len(small)) + small
    sizes = iter([own for own, size in zip(wide, shape, strict=True) if size != 1])
    return tuple(1 if size == 1 else next(sizes) for size in source)


def _without_ones(shape: tuple[Size, ...]) -> list[Size]:
    return [size for size in shape if size != 1]


def _keeps_order(axes: tuple[int, ...], shape: tuple[Size, ...]) -> bool:
    """Whether a transposition only moves axes of size 1."""
    moved = [axis for axis in axes if shape[axis] != 1]
    return moved == sorted(moved)


def _is_computed(value: Value) -> bool:
    """Whether a value is a reshape of what an op computes that could be fused."""
    if not isinstance(value.node.op, Reshape):
        return False
    op = value.node.inputs[0].node.op
    return op.is_elementwise or isinstance(op, Sum | Max | Min)
