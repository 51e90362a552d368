"""Replaces some calls of definitions by their bodies, one level after the other."""

from __future__ import annotations

from collections.abc import Callable

from graphspec.ir import Call, Graph, Node, Rewriter, Value, reachable, rebuild


def open_calls(graph: Graph, choose: Callable[[Call, Node], bool]) -> Graph:
    """Replace the calls that `choose(op, node)` takes by the nodes of their bodies, and so the calls therein.

    Needs nothing before it.  `node` has its operands in the new graph, so whoever chooses may keep them.
    Nodes carry the origin of their line in the body: this is for looking, not for running (see
    `inline_calls`).  It recurses as deep as definitions are nested, which the language bounds.

        y = f(g(x))   becomes, where only f is chosen and f(z) = z * z,   z = g(x); y = z * z
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not isinstance(node.op, Call):
            return None
        arrived = node if inputs == node.inputs else Node(node.op, inputs)
        if not choose(node.op, arrived):
            return arrived.values
        body = node.op.body
        rewriter = Rewriter(dict(zip(body.parameters, inputs, strict=True)))
        rewriter.run(reachable(body.results, frozenset(body.parameters)), rule)
        return tuple(map(rewriter, body.results))

    return rebuild(graph, rule)
