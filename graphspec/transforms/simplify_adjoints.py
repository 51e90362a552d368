"""Simplifies the derivatives of calls that stay whole: for people to read, not for speed."""

from __future__ import annotations

from dataclasses import replace

from graphspec.ir import Body, Call, Graph, Node, Rule, Value, rebuild
from graphspec.transforms import simplify_algebra as algebra
from graphspec.transforms.adjoints import AdjointBody
from graphspec.transforms.broadcasting import make
from graphspec.transforms.eliminate_dead_code import eliminate_dead_code
from graphspec.transforms.fold_constants import fold_constants
from graphspec.transforms.inline_calls import innermost_first
from graphspec.transforms.merge_equal import merge_equal
from graphspec.transforms.simplify_shapes import simplify_shapes


def simplify_adjoints(graph: Graph) -> Graph:
    """Simplify the graph and the bodies of its adjoint calls; every call is left whole.

    Needs gradients taken before it.  Only what makes the text shorter is done, so `x ** 2` stays; bodies
    that the user or the library wrote stay as they are.  What an adjoint has no use for is not given to it.

        dx = square_adjoint(x, 1 * dy)   becomes   dx = square_adjoint(x, dy)
    """
    known: dict[Body, Body] = {}

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not isinstance(node.op, Call):
            return None
        for body in innermost_first(node.op.body, known):
            known[body] = _simplified(body, rule) if isinstance(body, AdjointBody) else body
        body = known[node.op.body]
        if body is node.op.body:
            return None
        kept = [k for k, p in enumerate(node.op.body.parameters) if p in body.parameters]
        return Node(replace(node.op, body=body), tuple(inputs[k] for k in kept)).values

    return _simplify(rebuild(graph, rule))


def _simplified(body: AdjointBody, rule: Rule) -> AdjointBody:
    """The body with its calls replaced by `rule`, simplified, and without parameters it has no use for."""
    named = {str(i): value for i, value in enumerate(body.results)}
    graph = _simplify(rebuild(Graph(named), rule))
    parameters = tuple(p for p in body.parameters if p.node in graph.nodes)
    results = tuple(graph.outputs[name] for name in named)
    return replace(body, parameters=parameters, results=results, adjoints={})


def _simplify(graph: Graph) -> Graph:
    for _ in range(2):  # constants folded in the first round let terms vanish in the second
        graph = merge_equal(fold_constants(simplify_shapes(eliminate_dead_code(graph))))
        graph = rebuild(graph, _shorter)
    return eliminate_dead_code(merge_equal(graph))


def transpose_of_product(a: Value) -> Value | None:
    """transpose(transpose(x) @ y) = transpose(y) @ x for matrices."""
    if a.node.op.name != "matmul" or any(len(v.shape) != 2 for v in a.node.inputs):
        return None
    x, y = a.node.inputs
    return make("transpose", y) @ x.node.inputs[0] if x.node.op.name == "transpose" else None


#: the identities that leave less to read
IDENTITIES: dict[str, tuple[algebra.Identity, ...]] = {
    "transpose": (transpose_of_product,),
    "mul": (algebra.mul_by_one, algebra.mul_by_minus_one, algebra.mul_of_negatives),
    "div": (algebra.div_by_one,),
    "add": (algebra.add_minus_zero, algebra.add_of_negative),
    "sub": (algebra.sub_zero, algebra.sub_of_negative),
    "neg": (algebra.neg_of_negative,),
    "pow": (algebra.pow_one,),
}


def _shorter(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    for identity in IDENTITIES.get(node.op.name, ()):
        found = identity(*inputs)
        if found is not None and found.type == node.types[0]:
            return found
    return None
