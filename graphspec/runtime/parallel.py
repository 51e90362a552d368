"""A program that works on pieces of its batch, in several threads and in turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from graphspec.ir import TensorType, Value
from graphspec.runtime.blocks import Pool
from graphspec.runtime.means import PLAIN, Means
from graphspec.runtime.pieces import Pieces, Place, Side
from graphspec.runtime.plan import Stages, nbytes
from graphspec.runtime.program import Played, Program
from graphspec.runtime.threads import Task, blas_in_one_thread, run_together

#: bytes from which on sums of pieces are worth several threads
LARGE = 1 << 18


class ParallelProgram:
    """A program for one set of sizes whose batch is worked on in pieces, in `threads` threads.

    Each thread takes `turns` of them, one after the other, on the same memory; several only where pieces have
    one stage.
    """

    def __init__(
        self, pieces: Pieces, env: Mapping[str, int], threads: int, means: Means = PLAIN, turns: int = 1
    ) -> None:
        assert turns == 1 or pieces.count == 1, "what pieces hold between stages would be lost"
        self._pieces = pieces
        self._total = env[pieces.symbol]
        count = threads * turns
        bounds = list(pairwise(self._total * k // count for k in range(count + 1)))
        self._bounds = [bounds[k : k + turns] for k in range(0, count, turns)]
        side, symbol = pieces.pieces, pieces.symbol
        given = {value: place for places in side.gives for value, place in places.items()}
        self._types = {place.value: place.value.type.at(env) for place in given.values()}
        placed = frozenset(
            value
            for value, place in given.items()
            if means.place_pieces and _is_cut_plainly(self._types[place.value], place.axis)
        )
        self._programs = {
            n: _staged(side, {**env, symbol: n}, env, placed=placed, means=means)
            for n in sorted({b - a for a, b in bounds})
        }
        self._once = _staged(pieces.once, env, env, is_kept=True, means=means)
        #: what the pieces write where it belongs, by what they call it
        program = next(iter(self._programs.values()))
        self._placed = {value: given[value].value for value in program.placed}
        self._pool = Pool(nbytes(type) for type in self._types.values())

    @property
    def threads(self) -> int:
        """How many threads work on pieces."""
        return len(self._bounds)

    @property
    def turns(self) -> int:
        """How many pieces each thread works on, one after the other."""
        return len(self._bounds[0])

    @property
    def arena_bytes(self) -> int:
        """Working memory of all threads."""
        pieces = max(program.plan.arena_bytes for program in self._programs.values())
        return self.threads * pieces + self._once.plan.arena_bytes

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
        for program in (*self._programs.values(), self._once):
            program.release()
        self._pool.release()

    def _run(self, inputs: Mapping[str, Any], once: Played, parts: list[Played]) -> dict[str, Any]:
        pieces, side = self._pieces, self._pieces.pieces
        live: dict[Value, Any] = {}  # what is known as a whole
        written = set(self._placed.values())
        if self.turns > 1:
            written |= {place.value for place in side.gives[0].values() if place.axis is not None}
        wholes = {value: self._empty(value) for value in self._types if value in written}
        given = once.go_on()
        for stage in range(pieces.count):
            places = pieces.once.gives[stage].values()
            live.update(zip([place.value for place in places], given, strict=True))
            if self.turns > 1:
                tasks = [self._turns(inputs, live, wholes, bounds) for bounds in self._bounds]
            elif stage == 0:
                parts += [self._play(inputs, live, wholes, bounds) for (bounds,) in self._bounds]
                tasks = [part.go_on for part in parts]
            else:
                takes = side.takes[stage].values()
                tasks = [
                    _resume(part, [self._piece(live[p.value], p.axis, bounds) for p in takes])
                    for part, (bounds,) in zip(parts, self._bounds, strict=True)
                ]
            live.update(self._join(side.gives[stage].values(), run_together(tasks), wholes))
            given = once.go_on([live[place.value] for place in pieces.once.takes[stage + 1].values()])
        results = dict(zip(self._once.plan.results, given, strict=True))
        taken: set[Value] = set()
        for name, value in pieces.joined.items():
            results[name] = live[value].copy() if value in taken else live[value]
            taken.add(value)
        return results

    def _play(
        self,
        inputs: Mapping[str, Any],
        live: Mapping[Value, Any],
        wholes: Mapping[Value, Any],
        bounds: tuple[int, int],
    ) -> Played:
        """A piece that is about to begin."""
        program, axes = self._programs[bounds[1] - bounds[0]], self._pieces.axes
        arrays = {
            name: self._piece(inputs[name], axes.get(name), bounds)
            for name in program.needs
            if name in inputs
        }
        for value, place in self._pieces.pieces.takes[0].items():
            arrays[_label(value)] = self._piece(live[place.value], place.axis, bounds)
        return program.play(arrays, self._places(program, wholes, bounds))

    def _turns(
        self,
        inputs: Mapping[str, Any],
        live: Mapping[Value, Any],
        wholes: Mapping[Value, Any],
        turns: Sequence[tuple[int, int]],
    ) -> Task:
        """The work of a thread that takes turns: what its pieces give, sums of theirs added up."""
        places = list(self._pieces.pieces.gives[0].values())

        def work() -> list[Any]:
            sums: list[Any] = [wholes.get(place.value) for place in places]
            for bounds in turns:
                part = self._play(inputs, live, wholes, bounds)
                try:
                    for k, (place, array) in enumerate(zip(places, part.go_on(), strict=True)):
                        if place.axis is not None:
                            own = self._piece(wholes[place.value], place.axis, bounds)
                            if not np.may_share_memory(own, array):  # as they do where it was placed
                                np.copyto(own, array)
                        elif sums[k] is None:
                            sums[k] = np.array(array)
                        else:
                            np.add(sums[k], array, out=sums[k])
                finally:
                    part.close()
            return sums

        return work

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
    return Program(side.graph, env, stages=stages, means=means, is_limited=False)


def _resume(part: Played, given: list[Any]) -> Task:
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
