"""Whether a program should work on pieces of its batch, and on how many of them."""

from __future__ import annotations

from collections.abc import Mapping

from graphspec.ir import Graph, Node
from graphspec.runtime.cost import is_shared_by_blas, seconds
from graphspec.runtime.parallel import ParallelProgram
from graphspec.runtime.pieces import Pieces, cut, find_symbols
from graphspec.runtime.plan import Plan, nbytes
from graphspec.runtime.program import Program
from graphspec.runtime.threads import count_threads

#: what it costs to hand work to other threads and wait for them, once for each stage, in seconds
STAGE = 5e-5
#: the part of the time that pieces must save
GAIN = 0.15
#: of the time, what may as well be done once for all if pieces have a stage less then
LITTLE = 0.01
#: working memory of a piece that stays in the cache, in bytes; and of what is worth being worked on in turns
CACHE, BEYOND = 1 << 22, 1 << 24
#: the part of the time, and of the memory that is read and written, that turns may cost
COST = 0.1
#: what numpy's call of a step takes, in seconds
STEP = 2e-6


def use_pieces(program: Program, threshold: float, threads: int | None = None) -> None:
    """Let a program that takes longer than a threshold, in seconds, work on pieces if that saves time.

    Several threads work on them, by default as many as the BLAS has, each on one or in turns on some.
    """
    plan = program.plan
    if program.backend.name != "numpy" or not plan.env:  # no dim, no batch
        return
    cost = {node: seconds(node, plan.env) for node in program.graph.nodes}
    if sum(cost.values()) < threshold:
        return
    threads = count_threads() if threads is None else threads
    if threads == 1 and plan.arena_bytes < BEYOND:
        return
    pieces = find_pieces(program.graph, plan.env, cost, threads)
    if pieces is None:
        return
    turns = 1
    if program.means.turns and pieces.count == 1:
        turns = count_turns(plan, pieces.symbol, threads, sum(cost.values()))
    if turns > 1 or is_worth_it(pieces, plan.env, cost, threads):
        program.parallel = ParallelProgram(pieces, plan.env, threads, program.means, turns)


def find_pieces(
    graph: Graph, env: Mapping[str, int], cost: Mapping[Node, float], threads: int
) -> Pieces | None:
    """A graph cut along the dim that lets the most be done in pieces, for so many threads at least."""
    found = [
        cut(graph, symbol, cost, a_stage=2 * STAGE, all_stages=LITTLE * sum(cost.values()))
        for symbol in find_symbols(graph)
        if env[symbol] >= 2 * threads
    ]
    return max(
        (pieces for pieces in found if pieces is not None),
        key=lambda pieces: sum(cost.get(node, 0.0) for node in pieces.done_in_pieces) - STAGE * pieces.count,
        default=None,
    )


def is_worth_it(pieces: Pieces, env: Mapping[str, int], cost: Mapping[Node, float], threads: int) -> bool:
    """Whether threads save time in working on pieces of nodes that cost so many seconds on one core.

    The BLAS has threads of its own for large products; pieces save nothing of those.
    """
    shared = {node for node in cost if is_shared_by_blas(node, env)}
    alone = sum(cost[node] for node in pieces.done_in_pieces - shared if node in cost)
    total = sum(cost[node] / threads if node in shared else cost[node] for node in cost)
    return alone * (1 - 1 / threads) - STAGE * (pieces.count + 1) > GAIN * total


def count_turns(plan: Plan, symbol: str, threads: int, seconds: float) -> int:
    """How many pieces each thread takes in turns, so that what they work on stays in the cache.

    One where that is the case anyway, or where it costs as much as it saves: in each turn the weights are
    read, the gradients of weights added up, and all steps called.
    """
    if plan.arena_bytes < BEYOND:
        return 1
    of_batch = whole = calls = 0
    for step in plan.steps:
        if step.op.is_view:
            continue
        calls += 1
        for value in (*step.node.inputs, *step.node.values):
            if symbol in value.type.symbols:
                of_batch += nbytes(plan.types[value])
            else:
                whole += nbytes(plan.types[value])
    most = [
        plan.arena_bytes // (threads * CACHE),
        int(COST * of_batch / max(1, whole)) // threads,
        int(COST * seconds / (calls * STEP)) // threads,
        plan.env[symbol] // threads,
    ]
    return max(1, min(most))
