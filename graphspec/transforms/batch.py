"""Lets a graph work on many sets of inputs at once, along a new leading axis.

Source: Frostig, Johnson & Leary (2018), "Compiling machine learning programs via high-level tracing"
(`vmap`); the rule of each primitive stands in its class.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue import batching as say
from graphspec.ir import Graph, Node, Op, Size, Value, made_at, reachable
from graphspec.ops.shape import spread


def batch(graph: Graph, inputs: Mapping[Value, Value], size: Size) -> Graph:
    """The graph on `size` sets of inputs at once; every output carries the new leading axis.

    `inputs` maps the values that differ between the sets to values with that axis; whatever depends on
    none of them is computed once, and an output among that is repeated.  Needs calls inlined, and
    `Grad` and `Jvp` nodes expanded.  New nodes keep the origin of the node they stand for.

        y = x @ w, with x[3] in 5 sets   becomes   y = xs @ w, with xs[5, 3]
    """
    carrying = dict(inputs)
    values = [*graph.outputs.values(), *graph.names.values()]
    for node in reachable(values, stop=frozenset(inputs)):
        batched = tuple([v in carrying for v in node.inputs])
        if True in batched:
            operands = tuple([carrying.get(v, v) for v in node.inputs])
            with made_at(node.origin):
                made = _batched(node, size, operands, batched)
            carrying.update(zip(node.values, made, strict=True))
    return Graph(
        {name: carrying[v] if v in carrying else spread(v, size) for name, v in graph.outputs.items()},
        {name: carrying.get(v, v) for name, v in graph.names.items()},
    )


def _batched(
    node: Node, size: Size, operands: tuple[Value, ...], batched: tuple[bool, ...]
) -> tuple[Value, ...]:
    op = node.op
    if type(op).batch is Op.batch and not op.is_elementwise:
        origin = node.origin
        span, trace = (origin.span, origin.trace) if origin else (None, ())
        raise GraphSpecError(say.no_batching_rule(op.name, span, trace))
    made = op.batch(size, operands, batched)
    results = (made,) if isinstance(made, Value) else made
    for old, new in zip(node.values, results, strict=True):
        expected = old.type.with_shape((size, *old.shape))
        assert new.type == expected, f"the batching rule of {node!r} gives {new.type}, not {expected}"
    return results
