"""Replaces `grad(y, x)` and `jvp(y, x, v)` by the graphs they stand for, innermost first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue import derivatives
from graphspec.ir import (
    Body,
    Call,
    Graph,
    Input,
    Node,
    Rewriter,
    Rule,
    TensorType,
    Value,
    literal,
    reachable,
    rebuild,
)
from graphspec.ops.derivatives import Grad, Jvp
from graphspec.transforms.broadcasting import filled
from graphspec.transforms.differentiate import cotangents, end_of_path, tangents


def expand_gradients(graph: Graph) -> Graph:
    """Replace each `Grad` and `Jvp` node by the derivative it stands for.

    Needs nothing before it; differentiation of the graph needs it.  In topological order, so that a
    gradient of a gradient differentiates the expanded inner one; bodies of calls are expanded too.
    Raises GraphSpecError (`unreachable-gradient`) where y does not depend on x.

        g = grad(sum(x ** 2), x)   becomes   g = 1 * 2 * x
    """
    if not any(isinstance(node.op, Grad | Jvp | Call) for node in graph.nodes):
        return graph
    return rebuild(graph, _rule(graph.labels, {}))


def _rule(labels: Mapping[Value, str], bodies: dict[Body, Body]) -> Rule:
    """The rewrite of one node; `bodies` are those expanded so far, so that calls go on sharing them."""

    def rule(node: Node, inputs: tuple[Value, ...]) -> Value | tuple[Value, ...] | None:
        match node.op:
            case Grad():
                return _gradients(node, node.op, inputs, labels)
            case Jvp():
                return _tangent(node, node.op, inputs, labels)
            case Call():
                body = _expanded(node.op.body, bodies)
                if body is not node.op.body:
                    return Node(replace(node.op, body=body), inputs).values
        return None

    return rule


def _expanded(body: Body, bodies: dict[Body, Body]) -> Body:
    """The body without `Grad` and `Jvp` nodes; the same object where it has none."""
    if body in bodies:
        return bodies[body]
    by_hand = [g.value for g in body.gradients.values()]
    rewriter = Rewriter()
    labels = {p: p.node.op.label for p in body.parameters if isinstance(p.node.op, Input)}
    rewriter.run(reachable([*body.results, *by_hand], frozenset(body.parameters)), _rule(labels, bodies))
    if rewriter.mapping:
        gradients = {i: replace(g, value=rewriter(g.value)) for i, g in body.gradients.items()}
        bodies[body] = Body(body.parameters, tuple(map(rewriter, body.results)), gradients)
    return bodies.setdefault(body, body)


def _gradients(
    node: Node, grad: Grad, inputs: tuple[Value, ...], labels: Mapping[Value, str]
) -> tuple[Value, ...]:
    y, xs = inputs[0], inputs[1 : 1 + grad.wrt]
    seed = inputs[-1] if grad.has_cotangent else literal(1.0, y.dtype)
    names = _names(node, inputs, labels)
    made: list[Value] = []
    for x, gradient in zip(xs, cotangents({y: seed}, xs, names), strict=True):
        if gradient is None:
            gradient = _zeros(node, y, x, x.type, grad.allow_zero, names)
        made.append(gradient)
    return tuple(made)


def _tangent(node: Node, jvp: Jvp, inputs: tuple[Value, ...], labels: Mapping[Value, str]) -> Value:
    y, x, v = inputs
    names = _names(node, inputs, labels)
    tangent = tangents(y, x, v, names)
    return _zeros(node, y, x, y.type, jvp.allow_zero, names) if tangent is None else tangent


def _names(node: Node, inputs: tuple[Value, ...], labels: Mapping[Value, str]) -> dict[Value, str]:
    """The user's names for the rewritten inputs of a node."""
    return {new: labels[old] for new, old in zip(inputs, node.inputs, strict=True) if old in labels}


def _zeros(
    node: Node, y: Value, x: Value, type: TensorType, allow_zero: bool, names: Mapping[Value, str]
) -> Value:
    """A derivative that is structurally zero: zeros if that is allowed, else an error with the path's end."""
    if allow_zero:
        return filled(0.0, type)
    end = end_of_path(y, x)
    place, made, stop = (n.origin if n else None for n in (node, x.node, end))
    raise GraphSpecError(
        derivatives.unreachable_gradient(
            node.op.name,
            f"`{names[y]}`" if y in names else "the value",
            f"`{names[x]}`" if x in names else "what it is differentiated by",
            place=place.span if place else None,
            made=made.span if made else None,
            end=stop.span if stop else None,
            ends_in=end.op.name if end else "",
            trace=place.trace if place else (),
        )
    )
