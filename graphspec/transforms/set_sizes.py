"""Replaces dims by sizes throughout a graph, in the bodies of its calls too."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue import batching as say
from graphspec.ir import (
    Body,
    Call,
    Graph,
    Node,
    Op,
    Rewriter,
    Rule,
    Scalar,
    Size,
    Symbolic,
    TensorType,
    TypeRuleError,
    Value,
    compute,
    reachable,
    rebuild,
)
from graphspec.ir.sizes import substitute


def set_sizes(graph: Graph, sizes: Mapping[str, Size]) -> Graph:
    """The graph with some dims replaced: in types, in attributes, and where a size is a number.

    Inputs whose types change are new ones with the old labels.  Needs nothing before it.
    Raises GraphSpecError (`no-example-alone`) where a type rule refuses the new sizes.

        mean(x), x: f32[N], with N = 1   becomes   sum(x) / 1, x: f32[1]
    """
    return rebuild(graph, _rule(sizes, {}))


def _rule(sizes: Mapping[str, Size], bodies: dict[Body, Body]) -> Rule:
    """The rewrite of one node; `bodies` are those rewritten so far, so that calls go on sharing them."""

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        op = node.op
        if isinstance(op, Call):
            for body in _innermost_first(op.body, bodies):
                bodies[body] = _rewritten(body, sizes, bodies)
            body = bodies[op.body]
            if body is op.body:
                return None
            new: Op = Call(op.definition, replaced(op.statics, sizes), body)
        else:
            new = _with_sizes(op, sizes)
        if new is op and inputs == node.inputs:
            return None
        try:
            return Node(new, inputs).values
        except TypeRuleError as error:
            origin = node.origin
            (batch, *_), text = sizes, error.message
            span, trace = (origin.span, origin.trace) if origin else (None, ())
            raise GraphSpecError(say.no_example_alone(batch, text, place=span, trace=trace)) from None

    return rule


def _with_sizes(op: Op, sizes: Mapping[str, Size]) -> Op:
    """The op with the dims in its attributes replaced; the same object where it has none of them."""
    old = op.attributes()
    new = {name: replaced(value, sizes) for name, value in old.items()}
    return op if new == old else dataclasses.replace(op, **new)


def replaced(value: Any, sizes: Mapping[str, Size]) -> Any:
    """An attribute with dims replaced by other sizes."""
    match value:
        case Symbolic():
            return substitute(value, sizes)
        case Scalar():
            return compute(value.function, *(replaced(a, sizes) for a in value.arguments))
        case TensorType():
            return value.with_shape(replaced(value.shape, sizes))
        case tuple():
            return tuple([replaced(item, sizes) for item in value])
    return value


def _rewritten(body: Body, sizes: Mapping[str, Size], bodies: dict[Body, Body]) -> Body:
    """The body with dims replaced; needs those of the calls in it in `bodies`."""
    rewriter = Rewriter()
    by_hand = list(body.gradients.values())
    every = [*body.parameters, *(c for g in by_hand for c in g.cotangents)]
    nodes = reachable([*every, *body.results, *(g.value for g in by_hand)])
    rewriter.run(nodes, _rule(sizes, bodies))
    if not rewriter.mapping:
        return body
    gradients = {
        i: dataclasses.replace(g, value=rewriter(g.value), cotangents=tuple(map(rewriter, g.cotangents)))
        for i, g in body.gradients.items()
    }
    return Body(tuple(map(rewriter, body.parameters)), tuple(map(rewriter, body.results)), gradients)


def _innermost_first(body: Body, known: Mapping[Body, Body]) -> Iterator[Body]:
    """`body` and those of the calls in it that are not known, each after the ones it needs."""
    todo = [(body, False)]
    while todo:
        current, is_ready = todo.pop()
        if current in known:
            continue
        if is_ready:
            yield current
            continue
        todo.append((current, True))
        nodes = reachable([*current.results, *(g.value for g in current.gradients.values())])
        todo.extend((n.op.body, False) for n in nodes if isinstance(n.op, Call))
