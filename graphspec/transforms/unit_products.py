"""Reads rows of a matrix where it would be multiplied by unit vectors."""

from __future__ import annotations

from graphspec.ir import Graph, Node, Value, apply, rebuild
from graphspec.ops.comparison import Equal
from graphspec.ops.construction import Arange
from graphspec.ops.contraction import Matmul
from graphspec.ops.indexing import Gather
from graphspec.ops.shape import Reshape
from graphspec.transforms.broadcasting import make


def unit_products(graph: Graph) -> Graph:
    """Replace a product of multiples of unit vectors and a matrix by multiples of rows of the matrix.

    Needs calls inlined, and shapes and algebra simplified.  What is not finite in other rows is not met.

        (cast(reshape(p, [P, 1]) == arange(n), f32) * s) @ w   becomes   reshape(s[p], [P, 1]) * w[p]
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> Value | None:
        if not isinstance(node.op, Matmul) or len(inputs[1].shape) != 2:
            return None
        found = _multiples(inputs[0])
        if found is None:
            return None
        places, factors = found
        rows = apply(Gather(0), inputs[1], places)
        if factors is not None:
            column = make("reshape", apply(Gather(0), factors, places), shape=(*places.shape, 1))
            rows = rows * column
        return make("reshape", rows, shape=node.types[0].shape)

    return rebuild(graph, rule)


def _multiples(x: Value) -> tuple[Value, Value | None] | None:
    """The places p[P] and the factors s[n] (None: 1), where x[P, ..., n] is s times the unit vectors at p."""
    shape = x.shape
    while isinstance(x.node.op, Reshape):
        x = x.node.inputs[0]
    if len(shape) < 2 or _without_ones(x.shape[1:]) != shape[-1:] or _without_ones(shape[1:]) != shape[-1:]:
        return None
    if (places := _units(x)) is not None:
        return places, None
    if x.node.op.name == "mul":
        for units, factors in (x.node.inputs, reversed(x.node.inputs)):
            if _without_ones(factors.shape) == shape[-1:] == factors.shape[-1:]:
                places = _units(units)
                if places is not None:
                    return places, make("reshape", factors, shape=shape[-1:])
    return None


def _units(x: Value) -> Value | None:
    """The places p[P], where x[P, ..., n] is 1 at them and else 0."""
    if x.node.op.name != "cast" or not isinstance(x.node.inputs[0].node.op, Equal):
        return None
    column, index = (_reshaped(operand) for operand in x.node.inputs[0].node.inputs)
    is_column = x.node.inputs[0].node.inputs[0].shape == (*column.shape, *(1,) * (len(x.shape) - 1))
    is_index = isinstance(index.node.op, Arange) and index.shape == x.shape[-1:]
    return column if is_column and is_index and len(column.shape) == 1 else None


def _reshaped(x: Value) -> Value:
    """What a reshape reshapes."""
    return x.node.inputs[0] if isinstance(x.node.op, Reshape) else x


def _without_ones(shape: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(size for size in shape if size != 1)
