"""Lets a product come out transposed, instead of transposing it."""

from __future__ import annotations

from collections import Counter

from graphspec.ir import Graph, Node, Value, rebuild
from graphspec.ops.contraction import Matmul
from graphspec.ops.shape import Transpose, swap_last


def transpose_products(graph: Graph) -> Graph:
    """Replace the transposed product of two matrices, or stacks of matrices, by that of the transposed.

    The result then lies in memory in the order in which it is asked for: a gradient of a weight is not
    copied.  Needs calls inlined.  Sums may be taken in another order.

        transpose(transpose(x) @ g)   becomes   transpose(g) @ x
    """
    uses = Counter(v for node in graph.nodes for v in node.inputs)
    uses.update(graph.outputs.values())

    def rule(node: Node, inputs: tuple[Value, ...]) -> Value | None:
        if not isinstance(node.op, Transpose) or not isinstance(inputs[0].node.op, Matmul):
            return None
        rank = len(node.op.axes)
        swaps = node.op.axes == (*range(rank - 2), rank - 1, rank - 2)
        x, y = inputs[0].node.inputs
        if not swaps or uses[node.inputs[0]] > 1 or min(len(x.shape), len(y.shape)) < 2:
            return None
        return _swapped(y) @ _swapped(x)

    return rebuild(graph, rule)


def _swapped(x: Value) -> Value:
    """x with its last two axes swapped; if it is itself such a transposition, what it transposes."""
    op = x.node.op
    if isinstance(op, Transpose):
        rank = len(op.axes)
        if op.axes == (*range(rank - 2), rank - 1, rank - 2):
            return x.node.inputs[0]
    return swap_last(x)
