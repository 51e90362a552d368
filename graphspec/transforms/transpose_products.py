"""Lets a product come out transposed, instead of transposing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from graphspec.ir import Graph, Node, Value, rebuild, with_inputs
from graphspec.ops.contraction import Matmul
from graphspec.ops.shape import Transpose, swap_last


def transpose_products(graph: Graph) -> Graph:
    """Replace the transposed product of two matrices, or stacks of matrices, by that of the transposed.

    The result then lies in memory in the order in which it is asked for: a gradient of a weight is not
    copied.  Needs calls inlined.  Sums may be taken in another order.

        transpose(transpose(x) @ g)   becomes   transpose(g) @ x
    """
    if not any(isinstance(node.op, Transpose) for node in graph.nodes):
        return graph
    uses = Counter(v for node in graph.nodes for v in node.inputs)
    uses.update(graph.outputs.values())
    chosen = {node for node in graph.nodes if _is_transposed_product(node, uses)}
    if not chosen:
        return graph

    def rule(node: Node, inputs: tuple[Value, ...]) -> Value | tuple[Value, ...] | None:
        if node in chosen:
            x, y = inputs[0].node.inputs
            return _swapped(y) @ _swapped(x)
        # all others are made anew, too: by age nodes are run, and the products would come last
        return with_inputs(node, inputs).values if inputs else None

    return rebuild(graph, rule)


def _is_transposed_product(node: Node, uses: Mapping[Value, int]) -> bool:
    """Whether a node transposes a product of matrices that is used for nothing else."""
    if not isinstance(node.op, Transpose) or not isinstance(node.inputs[0].node.op, Matmul):
        return False
    rank = len(node.op.axes)
    swaps = node.op.axes == (*range(rank - 2), rank - 1, rank - 2)
    x, y = node.inputs[0].node.inputs
    return swaps and uses[node.inputs[0]] == 1 and min(len(x.shape), len(y.shape)) >= 2


def _swapped(x: Value) -> Value:
    """x with its last two axes swapped; if it is itself such a transposition, what it transposes."""
    op = x.node.op
    if isinstance(op, Transpose):
        rank = len(op.axes)
        if op.axes == (*range(rank - 2), rank - 1, rank - 2):
            return x.node.inputs[0]
    return swap_last(x)
