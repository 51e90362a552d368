"""Drops what the outputs do not need."""

from __future__ import annotations

from graphspec.ir import Graph, reachable


def eliminate_dead_code(graph: Graph) -> Graph:
    """Keep the nodes that the outputs depend on, and the names of those.  Needs nothing before it.

    y = exp(x);  unused = log(x);  output y   becomes   y = exp(x);  output y
    """
    needed = set(reachable(graph.outputs.values()))
    return Graph(graph.outputs, {name: v for name, v in graph.names.items() if v.node in needed})
