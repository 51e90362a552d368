"""The graph: named outputs and everything they need, immutable, with passes written as rewrites."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING

from graphspec.ir.op import Node, Value, made_at, place, with_inputs

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
    def needed(self) -> tuple[Node, ...]:
        """The nodes that the outputs depend on, in topological order."""
        return reachable(self.outputs.values())

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
    todo = [v.node for v in values if v not in stop]
    seen = set(todo)
    while todo:
        for value in todo.pop().inputs:
            node = value.node
            if node not in seen and not (stop and value in stop):
                seen.add(node)
                todo.append(node)
    return in_order(seen)


def in_order(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The nodes in topological order: by age, for what a node uses is older than it is."""
    return tuple(sorted(nodes, key=_SERIAL))


_SERIAL = attrgetter("serial")


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
        new_of = mapping.get
        with made_at(None):
            for node in nodes:
                values = node.values
                if values[0] in mapping and all(v in mapping for v in values):
                    continue
                inputs = tuple([new_of(v, v) for v in node.inputs])
                place(node.origin)
                made = rule(node, inputs) if rule else None
                if made is None:
                    if inputs == node.inputs:
                        continue
                    made = with_inputs(node, inputs).values
                if isinstance(made, Value):
                    made = (made,)
                for old, new in zip(values, made, strict=True):
                    mapping[old] = new


def rebuild(graph: Graph, rule: Rule, mapping: Mapping[Value, Value] | None = None) -> Graph:
    """The graph with each node replaced by what `rule` gives for it (see `Rewriter.run`)."""
    rewriter = Rewriter(mapping)
    rewriter.run(graph.nodes, rule)
    outputs = {name: rewriter(v) for name, v in graph.outputs.items()}
    names = {name: rewriter(v) for name, v in graph.names.items()}
    return graph if (outputs, names) == (graph.outputs, graph.names) else Graph(outputs, names)


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
