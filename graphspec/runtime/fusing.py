"""Fusing what a program computes, in each of its stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from graphspec.ir import Graph, Node, Op, TensorType
from graphspec.ops.blocks import BLOCK
from graphspec.ops.comparison import Where
from graphspec.runtime.kernels.registry import find_scratch
from graphspec.runtime.loops import accepts
from graphspec.runtime.means import Means
from graphspec.runtime.plan import Stages, nbytes
from graphspec.transforms.changed import Changed
from graphspec.transforms.epilogues import epilogues
from graphspec.transforms.fuse import Style, fuse
from graphspec.transforms.order_products import order_products
from graphspec.transforms.recompute import recompute

LOOPS = Style(accepts, is_compiled=True)
#: in a chain no step is called by itself
STEPS = Style(accepts, is_compiled=True, least=1, singles=True)


def _is_array_call(op: Op, operands: Sequence[TensorType], result: TensorType) -> bool:
    """Whether an op works on a part of an array that is no array of its own in memory."""
    return not op.kernel or isinstance(op, Where)


#: blocks are worth their loop where a whole array does not stay in the cache
BLOCKS = Style(_is_array_call, is_compiled=False, least=4 * BLOCK)


#: nodes that are fused and compiled in any case, and bytes of values from which on more are
FEW, HEAVY = 2000, 1 << 26


def is_worth_it(graph: Graph, env: Mapping[str, int]) -> bool:
    """Whether a graph saves more time than it takes to fuse and compile it.

    A graph of very many nodes does only if its arrays are large.
    """
    if len(graph.nodes) <= FEW:
        return True
    taken = 0
    for type, count in Counter(type for node in graph.nodes for type in node.types).items():
        taken += count * nbytes(type.at(env))
    return taken >= HEAVY


#: takes a graph, the dims, and the stages of its nodes
Transform: TypeAlias = "Callable[[Graph, Mapping[str, int], Mapping[Node, int]], Changed]"


def fused(
    graph: Graph, env: Mapping[str, int], stages: Stages | None, means: Means, *, chained: bool = False
) -> tuple[Graph, Stages | None]:
    """The graph with its groups fused, and what is held too long made again; and its stages, whose values
    are others then.  Groups that are `chained` are parts of chains (see `runtime.chains`).
    """
    if chained:
        return _changed(graph, env, stages, partial(fuse, style=STEPS))
    if means.epilogues and means.fast:
        from graphspec.runtime.kernels.fast.convolution import has_epilogue

        graph, stages = _changed(graph, env, stages, partial(epilogues, accepts=has_epilogue))
    if means.order_products:
        graph, stages = _changed(graph, env, stages, order_products)
    for style in (LOOPS, BLOCKS) if means.fast else (BLOCKS,):
        graph, stages = _changed(graph, env, stages, partial(fuse, style=style))
    if not means.recompute:
        return graph, stages

    def storage(node: Node) -> int:
        types = [value.type.at(env) for value in node.inputs]
        return sum(map(nbytes, find_scratch(node.op.at(env), types, fast=means.fast)))

    return _changed(graph, env, stages, partial(recompute, storage=storage))


def _changed(
    graph: Graph, env: Mapping[str, int], stages: Stages | None, transform: Transform
) -> tuple[Graph, Stages | None]:
    if stages is None:
        return transform(graph, env, {}).graph, None
    given = {f"{s} gives {i}": v for s, gives in enumerate(stages.gives) for i, v in enumerate(gives)}
    whole = Graph({**graph.outputs, **given}, graph.names)
    changed = transform(whole, env, stages.of)
    became, made = changed.became, changed.graph
    of = dict(changed.stages)
    for node, stage in stages.of.items():
        for value in node.values:
            of[became.get(value, value).node] = stage
    gives = [[became.get(v, v) for v in values] for values in stages.gives]
    outputs = {name: made.outputs[name] for name in graph.outputs}
    placed = frozenset(became.get(v, v) for v in stages.placed)
    return Graph(outputs, made.names), replace(stages, of=of, gives=gives, placed=placed)
