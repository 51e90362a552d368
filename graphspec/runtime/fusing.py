"""Fusing what a program computes, in each of its stages."""

from __future__ import annotations

from collections.abc import Mapping

from graphspec.ir import Graph, Node
from graphspec.runtime.link import LONG
from graphspec.runtime.loops import accepts
from graphspec.runtime.plan import Stages
from graphspec.transforms.fuse import Style, fuse
from graphspec.transforms.unpack_products import unpack_products

LOOPS = Style(lambda op, operands, result: accepts(op, operands, result), is_compiled=True)


def fuse_loops(graph: Graph, env: Mapping[str, int], stages: Stages | None) -> tuple[Graph, Stages | None]:
    """The graph with groups that are compiled as loops, and its stages, whose values are others then.

    A program of very many steps is left as it is: it would wait for the compiler too long.
    """
    if len(graph.nodes) > LONG:
        return graph, stages
    if stages is None:
        return fuse(unpack_products(graph, env), env, LOOPS)[0], None
    given = {f"{s} gives {i}": v for s, gives in enumerate(stages.gives) for i, v in enumerate(gives)}
    whole = Graph({**graph.outputs, **given}, graph.names)
    fused, became = fuse(whole, env, LOOPS, stages.of)
    of: dict[Node, int] = {}
    for node, stage in stages.of.items():
        for value in node.values:
            of[became.get(value, value).node] = stage
    gives = [[became.get(v, v) for v in gives] for gives in stages.gives]
    outputs = {name: fused.outputs[name] for name in graph.outputs}
    return Graph(outputs, fused.names), Stages(of, gives, stages.takes, stages.numbers, stages.is_kept)
