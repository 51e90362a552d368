"""Writes small products of matrices, and looking up one element of each row, as elementwise ops and sums."""

from __future__ import annotations

import math
from collections.abc import Mapping

from graphspec.ir import Graph, Node, Size, Value, apply, evaluate, rebuild, with_inputs
from graphspec.ops.comparison import Equal, where
from graphspec.ops.construction import Arange
from graphspec.ops.contraction import Matmul
from graphspec.ops.indexing import AddAlongAxis, Indexed, TakeAlongAxis
from graphspec.ops.reduction import Sum
from graphspec.ops.shape import Reshape

#: multiplications of one row of a product with a vector up to which a loop is faster than the BLAS
SHORT = 64
#: elements from which on an outer product that is a result is left to a kernel that passes the caches by
LARGE = 1 << 22


def unpack_products(graph: Graph, sizes: Mapping[str, int]) -> Graph:
    """Replace outer products, stacks of short products with one column, and one-element look-ups by loops.

    What stands beside them can then be done in the same loop (`fuse`).  The bounds of look-ups are checked as
    before, by `indexing`.  A large outer product that is a result stays one: nothing would be saved by doing
    more in its loop.  Needs differentiation done.

        x[N, 1] @ w[1, 5]                      becomes   x * w
        take_along_axis(x, index[N, 1], 1)     becomes   sum(where(index == [0, 1, ...], x, 0), axis=1)
    """

    checked: dict[tuple[Value, Size], Value] = {}
    results = {_reshaped(value) for value in graph.outputs.values()}

    def rule(node: Node, inputs: tuple[Value, ...]) -> Value | tuple[Value, ...] | None:
        made = unpacked(node, inputs)
        if made is None and inputs:  # all nodes are made anew: by age they are run
            return with_inputs(node, inputs).values
        return made

    def unpacked(node: Node, inputs: tuple[Value, ...]) -> Value | None:
        if isinstance(node.op, Matmul):
            is_large = node.values[0] in results and _count(node.types[0].shape, sizes) >= LARGE
            return None if is_large else _product(node, inputs, sizes)
        if isinstance(node.op, TakeAlongAxis | AddAlongAxis) and node.types[0].dtype.is_float:
            return _one_of_each_row(node, inputs, sizes, checked)
        return None

    return rebuild(graph, rule)


def _reshaped(value: Value) -> Value:
    """What a value is a reshape of."""
    while isinstance(value.node.op, Reshape):
        value = value.node.inputs[0]
    return value


def _count(shape: tuple[Size, ...], sizes: Mapping[str, int]) -> int:
    return math.prod(evaluate(size, sizes) for size in shape)


def _product(node: Node, inputs: tuple[Value, ...], sizes: Mapping[str, int]) -> Value | None:
    x, y = inputs
    if min(len(x.shape), len(y.shape)) < 2 or not x.dtype.is_float:
        return None
    if x.shape[-1] == 1:  # a dim that is 1 today is none: its name does not broadcast
        made = x * y
        return made if made.type == node.types[0] else None
    is_stack = len(x.shape) > 2 and len(y.shape) == 2
    if y.shape[-1] == 1 and is_stack and evaluate(x.shape[-1], sizes) <= SHORT:
        row = apply(Reshape((y.shape[-2],)), y)
        made = apply(Sum((len(x.shape) - 1,), keepdims=True), x * row)
        return made if made.type == node.types[0] else None
    return None


def _one_of_each_row(
    node: Node,
    inputs: tuple[Value, ...],
    sizes: Mapping[str, int],
    checked: dict[tuple[Value, Size], Value],
) -> Value | None:
    axis: int = node.op.attributes()["axis"]
    source, index = inputs
    rank = len(index.shape)
    if axis != rank - 1 or evaluate(index.shape[axis], sizes) != 1 or index.shape[axis] != 1:
        return None
    row = node.types[0] if isinstance(node.op, AddAlongAxis) else source.type
    size = row.shape[axis]
    places = apply(Reshape((1,) * axis + (size,)), apply(Arange(size)))
    if places.dtype is not index.dtype:
        return None
    if (index, size) not in checked:
        checked[index, size] = apply(Indexed(axis, (size,)), index, index)
    is_there = apply(Equal(), checked[index, size], places)
    made = where(is_there, source, 0)
    if isinstance(node.op, TakeAlongAxis):
        made = apply(Sum((axis,), keepdims=True), made)
    return made if made.type == node.types[0] else None
