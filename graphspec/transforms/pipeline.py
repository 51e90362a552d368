"""The passes between differentiation and the plan, in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from graphspec.ir import Graph
from graphspec.ir import verify as verify_graph
from graphspec.transforms.drop_taps import drop_taps
from graphspec.transforms.eliminate_dead_code import eliminate_dead_code
from graphspec.transforms.inline_calls import inline_calls
from graphspec.transforms.push_selections import push_remaining_selections
from graphspec.transforms.simplify import simplify
from graphspec.transforms.transpose_products import transpose_products

Pass: TypeAlias = "Callable[[Graph], Graph]"

#: what a program cannot do without; all that `--no-opt` leaves
REQUIRED: tuple[Pass, ...] = (eliminate_dead_code, inline_calls, drop_taps, eliminate_dead_code)

PASSES: tuple[Pass, ...] = (
    eliminate_dead_code,  # first: most of what the user named is often not asked for
    inline_calls,
    simplify,  # a call's adjoint computes forward values again: here they become one
    transpose_products,  # the gradient of a weight as it is laid out, not its transpose
    push_remaining_selections,  # after merging: what is there whole anyway is not computed again in boxes
    eliminate_dead_code,  # last: the others leave orphans
)


def optimise(graph: Graph, verify: bool = False, passes: Sequence[Pass] = PASSES) -> Graph:
    """The graph after the passes; all derivatives have been taken.

    `verify` checks it after each pass: what must hold of every graph, and that the outputs have kept
    their names and types.  An AssertionError names the pass that broke it: a bug in graphspec.
    """
    for transform in passes:
        before, graph = graph, transform(graph)
        if verify:
            _check(before, graph, transform.__name__)
    return graph


def _check(before: Graph, after: Graph, name: str) -> None:
    try:
        verify_graph(after)
        assert list(after.outputs) == list(before.outputs), f"outputs are {list(after.outputs)}"
        for output, value in after.outputs.items():
            found, expected = value.type, before.outputs[output].type
            assert found == expected, f"output `{output}` was {expected} and is {found}"
    except AssertionError as error:
        raise AssertionError(f"the pass `{name}` broke the graph: {error}") from error
