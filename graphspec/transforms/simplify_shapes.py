"""Drops reshapes, transpositions, broadcasts, sums and casts that change nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from graphspec.ir import Graph, Node, Size, TypeRuleError, Value, apply, literal, rebuild
from graphspec.ops.indexing import AddAlongAxis
from graphspec.ops.reduction import Reduction
from graphspec.ops.shape import Concat, Embed
from graphspec.transforms.broadcasting import make

Identity: TypeAlias = "Callable[[Node, tuple[Value, ...]], Value | None]"


def simplify_shapes(graph: Graph) -> Graph:
    """Replace movements of elements that cancel, and broadcasts that the next op does by itself.

    Needs calls inlined to see through them; each identity is a function below.

        y = reshape(reshape(x, [6]), [2, 3])   becomes   y = reshape(x, [2, 3])
    """

    return rebuild(graph, with_less_movement)


def with_less_movement(node: Node, inputs: tuple[Value, ...]) -> Value | tuple[Value, ...] | None:
    """What the identity that fits a node makes of it."""
    if node.op.is_elementwise and (implied := broadcast_implied(node, inputs)) is not None:
        return implied
    identity = IDENTITIES.get(node.op.name)
    return identity(node, inputs) if identity else None


def sum_of_parts(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """embed(x, at 0) + embed(y, behind x) = concat(x, y), where together they fill the whole.

    It is what a derivative makes of `split`.  A -0.0 stays one, which the sum with 0.0 would not leave.
    """
    parts: list[Value] = []
    todo = list(inputs)
    while todo:
        value = todo.pop()
        if value.node.op.name == "add":
            todo.extend(value.node.inputs)
        elif isinstance(value.node.op, Embed) and len(parts) < MOST_PARTS:
            parts.append(value)
        else:
            return None
    first = parts[0].node.op
    assert isinstance(first, Embed)
    axis = next(
        (
            k
            for k, s in enumerate(first.starts)
            if s != 0 or parts[0].node.inputs[0].shape[k] != first.shape[k]
        ),
        None,
    )
    if axis is None:
        return None
    by_start: dict[Size, Value] = {}
    for part in parts:
        op, x = part.node.op, part.node.inputs[0]
        assert isinstance(op, Embed)
        others = [k for k in range(len(op.shape)) if k != axis]
        if any(op.starts[k] != 0 or x.shape[k] != op.shape[k] for k in others):
            return None
        if op.value != 0 or set(op.steps) != {1} or op.starts[axis] in by_start:
            return None
        by_start[op.starts[axis]] = x
    ordered: list[Value] = []
    place: Size = 0
    while place != first.shape[axis]:
        found = by_start.pop(place, None)
        if found is None:
            return None
        ordered.append(found)
        place = place + found.shape[axis]
    return None if by_start else apply(Concat(axis), *ordered)


#: parts that `sum_of_parts` puts together at the most
MOST_PARTS = 64


def reshape_of_reshape(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """reshape(reshape(x, s), t) = reshape(x, t), and reshape(x, shape(x)) = x."""
    source = _through("reshape", inputs[0])
    shape = node.types[0].shape
    if source.shape == shape:
        return source
    if (kept := reduction_kept(source, shape)) is not None:
        return kept
    return None if source is inputs[0] else make("reshape", source, shape=shape)


def reduction_kept(reduced: Value, shape: tuple[Size, ...]) -> Value | None:
    """reshape(sum(x, axis=1), [N, 1]) = sum(x, axis=1, keepdims=true), and so for `max` and `min`."""
    op = reduced.node.op
    if not isinstance(op, Reduction) or op.keepdims:
        return None
    kept = apply(replace(op, keepdims=True), *reduced.node.inputs)
    return kept if kept.shape == shape else None


def transpose_of_transpose(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """transpose(transpose(x, p), q) = transpose(x, p[q]), and transpose(x, [0, 1, ...]) = x."""
    axes: tuple[int, ...] = node.op.attributes()["axes"]
    source = inputs[0]
    if source.node.op.name == "transpose":
        inner: tuple[int, ...] = source.node.op.attributes()["axes"]
        source, axes = source.node.inputs[0], tuple(inner[axis] for axis in axes)
    if axes == tuple(range(len(axes))):
        return source
    return None if source is inputs[0] else make("transpose", source, axes=axes)


def broadcast_of_broadcast(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """broadcast_to(broadcast_to(x, s), t) = broadcast_to(x, t), and broadcast_to(x, shape(x)) = x.

    A reshape that only puts axes of size 1 in front is done by broadcasting, too.
    """
    source = inputs[0]
    while _is_broadcast(source):
        source = source.node.inputs[0]
    shape = node.types[0].shape
    if source.shape == shape:
        return source
    return None if source is inputs[0] else make("broadcast_to", source, shape=shape)


def sum_of_one(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """sum(x, axis=[]) = x, hence the sum of a scalar too; what was put between zeros is their sum.

        sum(add_along_axis(g, i, axis=1), axis=1) = g + 0.0, where one g was put into each row

    That is half of the derivative of a cross entropy, and a look at all classes less; -0.0 becomes 0.0 as in
    the sum.
    """
    op, (x,) = node.op, inputs
    assert isinstance(op, Reduction)
    if not op.axis:
        return x if x.type == node.types[0] else None
    scattered = x.node.op
    if not isinstance(scattered, AddAlongAxis) or scattered.axis not in op.axis:
        return None
    g = x.node.inputs[0]
    if g.shape[scattered.axis] != 1:
        return None
    rest = tuple(axis for axis in op.axis if axis != scattered.axis)
    value = g + literal(0.0, g.dtype)
    if rest:
        value = apply(replace(op, axis=rest, keepdims=True), value)
    return make("reshape", value, shape=node.types[0].shape)


def cast_to_own_dtype(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """cast(x, dtype(x)) = x."""
    return inputs[0] if inputs[0].type == node.types[0] else None


IDENTITIES: dict[str, Identity] = {
    "add": sum_of_parts,
    "reshape": reshape_of_reshape,
    "transpose": transpose_of_transpose,
    "broadcast_to": broadcast_of_broadcast,
    "sum": sum_of_one,
    "cast": cast_to_own_dtype,
}


def broadcast_implied(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
    """x * broadcast_to(c, shape(x)) = x * c: elementwise ops broadcast their operands by themselves."""
    changed = inputs
    for i, value in enumerate(inputs):
        if not _is_broadcast(value):
            continue
        trial = (*changed[:i], value.node.inputs[0], *changed[i + 1 :])
        if _has_types(node, trial):
            changed = trial
    return None if changed is inputs else Node(node.op, changed).values


def _has_types(node: Node, inputs: tuple[Value, ...]) -> bool:
    try:
        types = node.op.infer(*(v.type for v in inputs))
    except TypeRuleError:  # an outer product, which only a written-out axis may make
        return False
    return (types if isinstance(types, tuple) else (types,)) == node.types


def _is_broadcast(value: Value) -> bool:
    """Whether a value is its node's operand as numpy broadcasts it."""
    if value.node.op.name != "reshape":
        return value.node.op.name == "broadcast_to"
    shape = value.node.inputs[0].shape
    return value.shape == (1,) * (len(value.shape) - len(shape)) + shape


def _through(name: str, value: Value) -> Value:
    """What stands before a chain of ops of one name."""
    while value.node.op.name == name:
        value = value.node.inputs[0]
    return value
