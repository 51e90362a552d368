"""Fusing what a program computes, in each of its stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphspec.ir import Graph, Node, Op, TensorType
from graphspec.ops.blocks import BLOCK
from graphspec.ops.comparison import Where
from graphspec.runtime.loops import accepts
from graphspec.runtime.plan import Stages
from graphspec.transforms.fuse import Style, fuse

LOOPS = Style(accepts, is_compiled=True)
#: in a chain no step is called by itself
STEPS = Style(accepts, is_compiled=True, least=1, singles=True)


def _is_array_call(op: Op, operands: Sequence[TensorType], result: TensorType) -> bool:
    """Whether an op works on a part of an array that is no array of its own in memory."""
    return not op.kernel or isinstance(op, Where)


#: blocks are worth their loop where a whole array does not stay in the cache
BLOCKS = Style(_is_array_call, is_compiled=False, least=4 * BLOCK)


def fused(
    graph: Graph, env: Mapping[str, int], stages: Stages | None, *, compiled: bool, chained: bool = False
) -> tuple[Graph, Stages | None]:
    """The graph with its groups fused, and its stages, whose values are others then.

    `compiled` groups are loops; `chained` ones are parts of chains (see `runtime.chains`).
    """
    for style in (STEPS,) if chained else (LOOPS, BLOCKS) if compiled else (BLOCKS,):
        graph, stages = _fused(graph, env, stages, style)
    return graph, stages


def _fused(
    graph: Graph, env: Mapping[str, int], stages: Stages | None, style: Style
) -> tuple[Graph, Stages | None]:
    if stages is None:
        return fuse(graph, env, style)[0], None
    given = {f"{s} gives {i}": v for s, gives in enumerate(stages.gives) for i, v in enumerate(gives)}
    whole = Graph({**graph.outputs, **given}, graph.names)
    made, became = fuse(whole, env, style, stages.of)
    of: dict[Node, int] = {}
    for node, stage in stages.of.items():
        for value in node.values:
            of[became.get(value, value).node] = stage
    gives = [[became.get(v, v) for v in values] for values in stages.gives]
    outputs = {name: made.outputs[name] for name in graph.outputs}
    placed = frozenset(became.get(v, v) for v in stages.placed)
    return Graph(outputs, made.names), replace(stages, of=of, gives=gives, placed=placed)
