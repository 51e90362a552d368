"""Which clusters of a drawing are worth a frame, and which can have one: no edge may leave and come back."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias, TypeVar

import networkx as nx

#: the words of a dotted name
Path: TypeAlias = "tuple[str, ...]"
#: the clusters around something, from the outermost on
Chain: TypeAlias = "tuple[Path, ...]"

M = TypeVar("M", bound=Hashable)


def heads(path: Path) -> Chain:
    """The clusters that a path names: `a`, `a.b` and `a.b.c` for `a.b.c`."""
    return tuple(path[:i] for i in range(1, len(path) + 1))


def without_lone_clusters(chains: Mapping[M, Chain]) -> dict[M, Chain]:
    """The chains without clusters that hold a single thing, be it a cluster."""
    chains = dict(chains)
    while True:
        content: dict[object, set[object]] = {}
        for member, chain in chains.items():
            for outer, inner in pairwise((*chain, member)):
                content.setdefault(outer, set()).add(inner)
        lone = {path for path, things in content.items() if len(things) < 2}
        if not lone:
            return chains
        # of clusters that hold one another and nothing else, the innermost has the longest name
        chains = {member: _opened(chain, lone) for member, chain in chains.items()}


def without_cycles(
    chains: Mapping[M, Chain], links: Sequence[tuple[M, M]], leaving: Sequence[Iterable[M]]
) -> dict[M, Chain]:
    """The chains with no edges that go round between clusters.

    What closes a cycle leaves its cluster: the members of the first of `leaving`, if that does not help those
    of the next; in the end the clusters in question are opened.
    """
    chains = dict(chains)
    steps = [frozenset(members) for members in leaving]
    while knots := _knots(chains, links):
        ends, clusters = knots
        movable = next((found for step in steps if (found := [m for m in ends if m in step])), None)
        if movable is None:
            chains = {member: _opened(chain, clusters) for member, chain in chains.items()}
            continue
        for member in movable:
            chain = chains[member]
            first = next(i for i, path in enumerate(chain) if path in clusters)
            chains[member] = chain[:first]
    return chains


def _opened(chain: Chain, gone: Container[object]) -> Chain:
    return tuple(path for path in chain if path not in gone)


def _knots(chains: Mapping[M, Chain], links: Sequence[tuple[M, M]]) -> tuple[list[M], set[Path]] | None:
    """What lies on cycles at some level, when each cluster is one thing; None if nothing does.

    The members of clusters at which a link of a cycle enters or leaves, and these clusters.
    """
    levels: dict[Path | None, list[tuple[M, M, object, object]]] = {}
    for source, target in links:
        one, other = (*chains[source], source), (*chains[target], target)
        common = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
        if common is not None:
            around = chains[source][common - 1] if common else None
            levels.setdefault(around, []).append((source, target, one[common], other[common]))
    ends: dict[M, None] = {}
    clusters: set[Path] = set()
    for crossing in levels.values():
        graph = nx.DiGraph((a, b) for _, _, a, b in crossing)
        knot_of = {
            thing: number
            for number, knot in enumerate(nx.strongly_connected_components(graph))
            for thing in knot
        }
        for source, target, a, b in crossing:
            if knot_of[a] != knot_of[b]:
                continue
            for member, thing in ((source, a), (target, b)):
                if isinstance(thing, tuple):
                    ends[member] = None
                    clusters.add(thing)
    return (list(ends), clusters) if clusters else None
