"""Replaces calls of definitions by their bodies."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from graphspec.ir import Body, Call, Graph, Node, Rewriter, Value, made_at, reachable, rebuild, with_inputs


def inline_calls(graph: Graph) -> Graph:
    """Replace every call by the nodes of its body, to the innermost.

    Needs gradients taken before it, else hand-written ones are lost.  The inlined nodes carry the
    origin of the call, so that messages and the emitted program show the user's line and not the
    standard library's.

        y = square(x)   becomes   y = x * x
    """
    if not any(isinstance(node.op, Call) for node in graph.nodes):
        return graph
    flat: dict[Body, _FlatBody] = {}

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not isinstance(node.op, Call):
            return None
        for body in innermost_first(node.op.body, flat):
            flat[body] = _flatten(body, flat)
        return flat[node.op.body].applied(node, inputs)

    return rebuild(graph, rule)


@dataclass(frozen=True, slots=True, eq=False)
class _FlatBody:
    """A body without calls, with its nodes in topological order."""

    parameters: tuple[Value, ...]
    results: tuple[Value, ...]
    nodes: tuple[Node, ...]

    def applied(self, call: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        """The results for these inputs; nodes that depend on no parameter are used as they are."""
        mapping = dict(zip(self.parameters, inputs, strict=True))
        for node in self.nodes:
            arguments = tuple(mapping.get(v, v) for v in node.inputs)
            if arguments != node.inputs:
                with made_at(call.origin or node.origin):
                    made = with_inputs(node, arguments)
                mapping.update(zip(node.values, made.values, strict=True))
        return tuple(mapping.get(v, v) for v in self.results)


def _flatten(body: Body, flat: dict[Body, _FlatBody]) -> _FlatBody:
    """The body with its calls replaced; needs the bodies of these calls in `flat`."""

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        return flat[node.op.body].applied(node, inputs) if isinstance(node.op, Call) else None

    rewriter = Rewriter()
    stop = frozenset(body.parameters)
    rewriter.run(reachable(body.results, stop), rule)
    results = tuple(map(rewriter, body.results))
    return _FlatBody(body.parameters, results, reachable(results, stop))


def innermost_first(body: Body, known: Container[Body]) -> Iterator[Body]:
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
        nodes = reachable(current.results, frozenset(current.parameters))
        todo.extend((n.op.body, False) for n in nodes if isinstance(n.op, Call))
