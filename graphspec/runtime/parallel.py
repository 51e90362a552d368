"""A program that works on pieces of its batch in several threads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from graphspec.ir import Graph, Node, TensorType, Value
from graphspec.runtime.blocks import Pool
from graphspec.runtime.cost import is_shared_by_blas, seconds
from graphspec.runtime.means import PLAIN, Means
from graphspec.runtime.pieces import Pieces, Place, Side, cut, find_symbol
from graphspec.runtime.plan import Stages, nbytes
from graphspec.runtime.program import Played, Program
from graphspec.runtime.threads import blas_in_one_thread, count_threads, run_together

#: what it costs to hand work to other threads and wait for them, once for each stage, in seconds
STAGE = 5e-5
#: the part of the time that pieces must save
GAIN = 0.15
#: bytes from which on sums of pieces are worth several threads
LARGE = 1 << 18


def use_threads(program: Program, threshold: float, threads: int | None = None) -> None:
    """Let a program that takes longer than a threshold, in seconds, work in some threads if that saves time.

    By default they are as many as the BLAS has.
    """
    if program.backend.name != "numpy" or not program.plan.env:  # no dim, no batch
        return
    cost = {node: seconds(node, program.plan.env) for node in program.graph.nodes}
    if sum(cost.values()) < threshold:
        return
    threads = count_threads() if threads is None else threads
    pieces = find_pieces(program.graph, program.plan.env, cost, threads) if threads > 1 else None
    if pieces is not None:
        program.parallel = ParallelProgram(pieces, program.plan.env, threads, program.means)


def find_pieces(
    whole: Graph, env: Mapping[str, int], cost: Mapping[Node, float], threads: int
) -> Pieces | None:
    """The pieces of a graph whose nodes cost so many seconds on one core, if that is well spent.

    The BLAS has threads of its own for large products; pieces save nothing of those.
    """
    symbol = find_symbol(whole)
    if symbol is None or env[symbol] < 2 * threads:
        return None
    share = 1 - 1 / threads
    found = cut(whole, symbol, cost, STAGE / share)
    if found is None:
        return None
    shared = {node for node in cost if is_shared_by_blas(node, env)}
    alone = sum(cost[node] for node in found.done_in_pieces - shared if node in cost)
    total = sum(cost[node] / threads if node in shared else cost[node] for node in cost)
    saved = alone * share - STAGE * (found.count + 1)
    return found if saved > GAIN * total else None


class ParallelProgram:
    """A program for one set of sizes whose batch is worked on in `threads` pieces."""

    def __init__(self, pieces: Pieces, env: Mapping[str, int], threads: int, means: Means = PLAIN) -> None:
        self._pieces = pieces
        self._total = env[pieces.symbol]
        bounds = [self._total * k // threads for k in range(threads + 1)]
        self._bounds = list(pairwise(bounds))
        sizes = [b - a for a, b in self._bounds]
        side, symbol = pieces.pieces, pieces.symbol
        given = {value: place for places in side.gives for value, place in places.items()}
        self._types = {place.value: place.value.type.at(env) for place in given.values()}
        placed = frozenset(
            value
            for value, place in given.items()
            if means.place_pieces and _is_cut_plainly(self._types[place.value], place.axis)
        )
        programs = {
            n: _staged(side, {**env, symbol: n}, env, placed=placed, means=means) for n in sorted(set(sizes))
        }
        self._parts = [programs[n] for n in sizes]
        self._once = _staged(pieces.once, env, env, is_kept=True, means=means)
        #: what the pieces write where it belongs, by what they call it
        self._placed = {value: given[value].value for value in self._parts[0].placed}
        self._pool = Pool(nbytes(type) for type in self._types.values())

    @property
    def threads(self) -> int:
        """How many threads work on pieces."""
        return len(self._parts)

    @property
    def arena_bytes(self) -> int:
        """Working memory of all threads."""
        return sum(program.plan.arena_bytes for program in (*self._parts, self._once))

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The results; they are the caller's own, and alias neither the inputs nor each other."""
        once = self._once.play(inputs)
        parts: list[Played] = []
        try:
            with blas_in_one_thread():
                return self._run(inputs, once, parts)
        finally:
            for played in (once, *parts):
                played.close()

    def release(self) -> None:
        """Give back the memory that no call and no result is using."""
        for program in (*self._parts, self._once):
            program.release()
        self._pool.release()

    def _run(self, inputs: Mapping[str, Any], once: Played, parts: list[Played]) -> dict[str, Any]:
        pieces, side = self._pieces, self._pieces.pieces
        live: dict[Value, Any] = {}  # what is known as a whole
        wholes = {value: self._empty(value) for value in self._placed.values()}
        given = once.go_on()
        for stage in range(pieces.count):
            places = pieces.once.gives[stage].values()
            live.update(zip([place.value for place in places], given, strict=True))
            takes = side.takes[stage]
            if stage == 0:
                for program, bounds in zip(self._parts, self._bounds, strict=True):
                    arrays = {
                        name: self._piece(inputs[name], pieces.axes.get(name), bounds)
                        for name in program.needs
                        if name in inputs
                    }
                    for value, place in takes.items():
                        arrays[_label(value)] = self._piece(live[place.value], place.axis, bounds)
                    parts.append(program.play(arrays, self._places(program, wholes, bounds)))
                tasks = [part.go_on for part in parts]
                made = run_together(tasks)
            else:
                made = run_together(
                    [
                        _resume(part, [self._piece(live[p.value], p.axis, bounds) for p in takes.values()])
                        for part, bounds in zip(parts, self._bounds, strict=True)
                    ]
                )
            live.update(self._join(side.gives[stage].values(), made, wholes))
            given = once.go_on([live[place.value] for place in pieces.once.takes[stage + 1].values()])
        results = dict(zip(self._once.plan.results, given, strict=True))
        taken: set[Value] = set()
        for name, value in pieces.joined.items():
            results[name] = live[value].copy() if value in taken else live[value]
            taken.add(value)
        return results

    def _empty(self, value: Value) -> Any:
        type = self._types[value]
        return self._pool.empty(type.shape, type.dtype.array_name)

    def _places(self, program: Program, wholes: Mapping[Value, Any], bounds: tuple[int, int]) -> list[Any]:
        """Where a piece writes what it is to write in place: its parts of the wholes."""
        given = {value: place for places in self._pieces.pieces.gives for value, place in places.items()}
        return [
            self._piece(wholes[given[value].value], given[value].axis, bounds).reshape(
                program.plan.types[root].shape
            )
            for value, root in program.placed.items()
        ]

    def _join(
        self, places: Iterable[Place], made: Sequence[Sequence[Any]], wholes: Mapping[Value, Any]
    ) -> dict[Value, Any]:
        """What the pieces give, put together: written in place, joined along an axis, or summed in their
        order.
        """
        found: dict[Value, Any] = {}
        large: list[tuple[Any, list[Any]]] = []
        for k, place in enumerate(places):
            value, arrays = place.value, [of_part[k] for of_part in made]
            if value in wholes:
                found[value] = wholes[value]
                continue
            out = found[value] = self._empty(value)
            if place.axis is not None:
                np.concatenate(arrays, axis=place.axis, out=out)
            elif out.nbytes >= LARGE and all(a.flags.c_contiguous for a in arrays):
                large.append((out.reshape(-1), [a.reshape(-1) for a in arrays]))
            else:
                _sum(out, arrays)
        if large:
            count = len(made)
            run_together([_sum_of_parts(large, i, count) for i in range(count)])
        return found

    def _piece(self, array: Any, axis: int | None, bounds: tuple[int, int]) -> Any:
        """The part of an array along its axis of the batch, of which each example may have a block."""
        if axis is None:
            return array
        block = array.shape[axis] // self._total
        start, stop = bounds
        return array[(slice(None),) * axis + (slice(start * block, stop * block),)]


def _staged(
    side: Side,
    env: Mapping[str, int],
    numbers: Mapping[str, int],
    *,
    is_kept: bool = False,
    placed: frozenset[Value] = frozenset(),
    means: Means,
) -> Program:
    gives, takes = [list(values) for values in side.gives], [list(values) for values in side.takes]
    stages = Stages(side.stages, gives, takes, numbers, is_kept, placed)
    return Program(side.graph, env, stages=stages, means=means)


def _resume(part: Played, given: list[Any]) -> Any:
    return lambda: part.go_on(given)


def _label(value: Value) -> str:
    label: str = value.node.op.attributes()["label"]
    return label


def _is_cut_plainly(type: TensorType, axis: int | None) -> bool:
    """Whether parts along an axis lie one after the other in memory."""
    return axis is not None and all(size == 1 for size in type.shape[:axis])


def _sum_of_parts(sums: list[tuple[Any, list[Any]]], i: int, count: int) -> Any:
    """The i-th of `count` parts of some sums."""

    def work() -> None:
        for out, arrays in sums:
            part = slice(out.size * i // count, out.size * (i + 1) // count)
            _sum(out[part], [a[part] for a in arrays])

    return work


def _sum(out: Any, arrays: Sequence[Any]) -> None:
    if len(arrays) > 1:
        np.add(arrays[0], arrays[1], out=out)
    else:
        np.copyto(out, arrays[0])
    for array in arrays[2:]:
        np.add(out, array, out=out)
