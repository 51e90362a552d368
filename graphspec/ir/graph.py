"""The graph: named outputs and everything they need, immutable, with passes written as rewrites."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from graphspec.ir.op import Node, Value, made_at

if TYPE_CHECKING:
    import networkx as nx

Rule = Callable[[Node, tuple[Value, ...]], "Value | tuple[Value, ...] | None"]


@dataclass(frozen=True, eq=False)
class Graph:
    """A typed DAG: `outputs` are what is asked for, `names` a table from the user's names to values.

    The nodes are those reachable from the outputs and the named values.
    """

    outputs: Mapping[str, Value]
    names: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, in topological order."""
        return reachable([*self.outputs.values(), *self.names.values()])

    @cached_property
    def labels(self) -> dict[Value, str]:
        """One name for each named value: the first that the table gives it."""
        found: dict[Value, str] = {}
        for name, value in self.names.items():
            found.setdefault(value, name)
        return found

    def networkx(self) -> nx.MultiDiGraph:
        """A view for drawing and analysis: nodes are `Node`s, edges are keyed by argument position."""
        import networkx as nx  # 60 ms that most runs do not need

        graph = nx.MultiDiGraph()
        graph.add_nodes_from(self.nodes)
        graph.add_edges_from((v.node, node, i) for node in self.nodes for i, v in enumerate(node.inputs))
        return graph


def reachable(values: Iterable[Value], stop: frozenset[Value] = frozenset()) -> tuple[Node, ...]:
    """The nodes that `values` depend on, in topological order; nothing above the values of `stop`."""
    seen: set[Node] = set()
    todo = [v.node for v in values if v not in stop]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo.extend(v.node for v in node.inputs if v not in stop)
    return tuple(sorted(seen, key=lambda n: n.serial))


class Rewriter:
    """Maps values of an old graph to values of a new one, node by node, keeping origins."""

    def __init__(self, mapping: Mapping[Value, Value] | None = None) -> None:
        self.mapping: dict[Value, Value] = dict(mapping or {})

    def __call__(self, value: Value) -> Value:
        return self.mapping.get(value, value)

    def run(self, nodes: Iterable[Node], rule: Rule | None = None) -> None:
        """Rewrite `nodes` (in topological order).

        `rule(node, new_inputs)` gives the new value (or one per result), or None to keep the node;
        a kept node whose inputs did not change is the old object itself.
        """
        mapping = self.mapping
        for node in nodes:
            if all(v in mapping for v in node.values):
                continue
            inputs = tuple([mapping.get(v, v) for v in node.inputs])
            with made_at(node.origin):
                made = rule(node, inputs) if rule else None
                if made is None:
                    if inputs == node.inputs:
                        continue
                    made = Node(node.op, inputs).values
            results = (made,) if isinstance(made, Value) else made
            for old, new in zip(node.values, results, strict=True):
                mapping[old] = new


def rebuild(graph: Graph, rule: Rule, mapping: Mapping[Value, Value] | None = None) -> Graph:
    """The graph with each node replaced by what `rule` gives for it (see `Rewriter.run`)."""
    rewriter = Rewriter(mapping)
    rewriter.run(graph.nodes, rule)
    return Graph(
        {name: rewriter(v) for name, v in graph.outputs.items()},
        {name: rewriter(v) for name, v in graph.names.items()},
    )


def verify(graph: Graph) -> None:
    """Check what must hold of every graph; an AssertionError here is a bug in the pass that made it."""
    seen: set[Node] = set()
    for node in graph.nodes:
        for value in node.inputs:
            assert value.node in seen, f"{node!r} uses {value!r} before it is made"
        types = node.op.infer(*(v.type for v in node.inputs))
        types = types if isinstance(types, tuple) else (types,)
        assert types == node.types, f"{node!r} has types {node.types}, its rule gives {types}"
        seen.add(node)
