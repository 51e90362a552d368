"""Which step of a program bends: where a function that is not smooth at a point has its kink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphspec.ir import Graph, Node
from graphspec.runtime.backends import backend as find_backend
from graphspec.runtime.program import Program

Array: TypeAlias = Any

#: far below the distance of kinks that are only near, far above rounding
_STEP = 1e-7
#: halving a step halves the bend of a kink, and leaves a quarter of a smooth function's
_HALVED = 0.4
#: what five runs may keep
_MOST_BYTES = 1 << 31


@dataclass(frozen=True, slots=True)
class Kink:
    """A step that bends as its operands do not, at one element of its result (of `count` such)."""

    node: Node
    index: tuple[int, ...]
    count: int


def find_kink(
    graph: Graph,
    sizes: Mapping[str, int],
    backend: str,
    arrays: Mapping[str, Array],
    name: str,
    direction: Array,
) -> Kink | None:
    """The first step of a graph that is not smooth as the input `name` moves along a direction.

    None where there is none, or where it would take too much memory to say.
    """
    runs: list[list[Array]] = []

    def keep(step: int, operands: Sequence[Any], results: Sequence[Any]) -> None:
        runs[-1].append(results[0].copy() if results[0].dtype.kind == "f" else None)

    program = Program(graph, sizes, backend, watch=keep)
    if 5 * program.plan.intermediate_bytes > _MOST_BYTES:
        return None
    for t in (-_STEP, -_STEP / 2, 0.0, _STEP / 2, _STEP):
        runs.append([])
        program({**arrays, name: arrays[name] + t * direction})
    where = find_backend(backend)
    for step, values in zip(program.plan.steps, zip(*runs, strict=True), strict=True):
        if values[0] is None:
            continue
        low, near_low, middle, near_high, high = values
        bend, near_bend = abs(high - 2 * middle + low), abs(near_high - 2 * middle + near_low)
        rounding = 1e-13 * (abs(high) + abs(low) + abs(middle))
        bends = (near_bend > _HALVED * bend) & (near_bend > rounding)
        if bool(bends.any()):
            place = (
                tuple(int(i[0]) for i in map(where.to_numpy, where.xp.nonzero(bends))) if bends.ndim else ()
            )
            return Kink(step.node, place, int(bends.sum()))
    return None
