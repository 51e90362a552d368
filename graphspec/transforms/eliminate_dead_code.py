"""Drops what the outputs do not need."""

from __future__ import annotations

from graphspec.ir import Graph


def eliminate_dead_code(graph: Graph) -> Graph:
    """Keep the nodes that the outputs depend on, and the names of those.  Needs nothing before it.

    y = exp(x);  unused = log(x);  output y   becomes   y = exp(x);  output y
    """
    if not graph.names:
        return graph
    needed = set(graph.needed)
    names = {name: value for name, value in graph.names.items() if value.node in needed}
    kept = graph if len(names) == len(graph.names) else Graph(graph.outputs, names)
    vars(kept).update(needed=graph.needed, nodes=graph.needed)  # which are known, for its names add none
    return kept
