"""Lets a product write its result in the order in which it is needed, instead of copying it."""

from __future__ import annotations

from collections.abc import Mapping

from graphspec.ir import Graph, Node, Rewriter, Value, made_at, with_inputs
from graphspec.ops.contraction import Matmul, ProductInOrder
from graphspec.ops.shape import Reshape, Transpose
from graphspec.transforms.changed import Changed


def order_products(graph: Graph, env: Mapping[str, int], stages: Mapping[Node, int]) -> Changed:
    """Replace products of stacks of matrices that are transposed, for being reshaped, by one op for both.

    The reshape is a view then: heads of attention are joined without a copy.  Only where a row or a column
    of each matrix still lies in one piece, as the BLAS needs it, and where nothing else uses the product.

        reshape(transpose(a @ b, [0, 2, 1, 3]), ...)   becomes   reshape(product_in_order(a, b), ...)
    """
    users: dict[Value, list[Node]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            users.setdefault(value, []).append(node)
    outputs = set(graph.outputs.values())
    chosen = {
        node
        for node in graph.nodes
        if _is_ordered_product(node)
        and len(users[node.inputs[0]]) == 1
        and node.inputs[0] not in outputs
        and any(isinstance(user.op, Reshape) for user in users.get(node.values[0], ()))
    }
    if not chosen:
        return Changed(graph)
    products = {node.inputs[0].node for node in chosen}
    rewriter = Rewriter()
    for node in graph.nodes:
        if not node.inputs or node in products:
            continue
        with made_at(node.origin):
            if node in chosen:
                assert isinstance(node.op, Transpose)
                product = node.inputs[0].node
                made = Node(ProductInOrder(node.op.axes), tuple(map(rewriter, product.inputs)))
            else:  # all are made anew: by age nodes are run
                made = with_inputs(node, tuple(map(rewriter, node.inputs)))
        rewriter.mapping.update(zip(node.values, made.values, strict=True))
    names = {name: rewriter(v) for name, v in graph.names.items() if v.node not in products}
    return Changed(Graph({name: rewriter(v) for name, v in graph.outputs.items()}, names), rewriter.mapping)


def _is_ordered_product(node: Node) -> bool:
    """Whether a node transposes a product of stacks, and rows or columns of the matrices stay whole."""
    if not isinstance(node.op, Transpose) or not isinstance(node.inputs[0].node.op, Matmul):
        return False
    axes, (x, y) = node.op.axes, node.inputs[0].node.inputs
    rank = len(axes)
    return min(x.type.rank, y.type.rank) > 2 and axes[-1] >= rank - 2 and axes != tuple(range(rank))
