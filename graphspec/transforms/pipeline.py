"""The passes between differentiation and the plan, in their order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from graphspec.ir import Graph
from graphspec.ir import verify as verify_graph
from graphspec.transforms.eliminate_dead_code import eliminate_dead_code
from graphspec.transforms.inline_calls import inline_calls
from graphspec.transforms.push_selections import push_remaining_selections
from graphspec.transforms.simplify import PARTS, simplify, simplify_without
from graphspec.transforms.transpose_products import transpose_products

Pass: TypeAlias = "Callable[[Graph], Graph]"

PASSES: tuple[Pass, ...] = (
    eliminate_dead_code,  # first: most of what the user named is often not asked for
    inline_calls,
    simplify,  # a call's adjoint computes forward values again: here they become one
    push_remaining_selections,  # after merging: what is there whole anyway is not computed again in boxes
    transpose_products,  # the gradient of a weight comes out as the weight lies
    simplify,  # what became of what was pushed
    eliminate_dead_code,  # last: the others leave orphans
)

#: what a program cannot do without; of `simplify` that taps are dropped
REQUIRED: tuple[Pass, ...] = (eliminate_dead_code, inline_calls, simplify)
#: what may be left out, by name: the other passes, and the parts of `simplify`
OPTIONAL: tuple[str, ...] = (*PARTS, *(p.__name__ for p in PASSES if p not in REQUIRED))


def passes_without(names: Collection[str]) -> tuple[Pass, ...]:
    """The passes, but for what has these names and may be left out."""
    rest = simplify_without(names)
    chosen = (rest if transform is simplify else transform for transform in PASSES)
    return tuple(p for p in chosen if p.__name__ not in OPTIONAL or p.__name__ not in names)


def optimise(graph: Graph, verify: bool = False, passes: Sequence[Pass] = PASSES) -> Graph:
    """The graph after the passes; all derivatives have been taken.

    A pass is not run on what it has made itself: it finds nothing more there.
    `verify` checks it before the first pass and after each: what must hold of every graph, and that the
    outputs have kept their names and types.  An AssertionError names the pass that broke it: a bug in
    graphspec.
    """
    if verify:
        _check(graph, graph, "the graph was broken before the passes")
    made: dict[Pass, Graph] = {}
    for transform in passes:
        if made.get(transform) is graph:
            continue
        before, graph = graph, transform(graph)
        made[transform] = graph
        if verify:
            _check(before, graph, f"the pass `{transform.__name__}` broke the graph")
    return graph


def _check(before: Graph, after: Graph, verdict: str) -> None:
    try:
        verify_graph(after)
        assert list(after.outputs) == list(before.outputs), f"outputs are {list(after.outputs)}"
        for output, value in after.outputs.items():
            found, expected = value.type, before.outputs[output].type
            assert found == expected, f"output `{output}` was {expected} and is {found}"
    except AssertionError as error:
        raise AssertionError(f"{verdict}: {error}") from error
