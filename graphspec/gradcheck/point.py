"""Where derivatives are compared: a spec with all its arrays, and what is computed there."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

from graphspec.diagnostics import Diagnostic
from graphspec.engine import Engine
from graphspec.gradcheck.report import Row, Verdict
from graphspec.ir import Input, Value, apply, evaluate
from graphspec.lowering.module import Module
from graphspec.runtime.backends import Backend
from graphspec.runtime.differences import (
    Comparison,
    around,
    compare,
    random_directions,
    random_weights,
    unit_directions,
)
from graphspec.runtime.program import Program
from graphspec.transforms.broadcasting import make

Array: TypeAlias = Any

#: random directions for each derivative
DIRECTIONS = 2
#: the seed of directions, weights and points
SEED = 20

VERDICTS: dict[str, Verdict] = {"agrees": "right", "differs": "wrong", "small": "too small", "kink": "kink"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a check is asked for.

    `wrt` None: every parameter and floating input that an objective depends on.  `ops` None: every
    hand-written derivative; else the ops of these names, and `wrt` only where it is given.
    """

    of: tuple[str, ...] | None = None
    wrt: tuple[str, ...] | None = None
    ops: tuple[str, ...] | None = None
    order: int = 1
    full: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What a part of the check found: rows of the table, and what is to be said of them."""

    rows: tuple[Row, ...]
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, eq=False)
class Point:
    """A spec, compiled in double precision, at certain arrays.

    `given` are the spec's own arrays by name; `arrays` are these and what the check adds: weights, values
    that are held fixed.
    """

    engine: Engine
    module: Module
    sizes: Mapping[str, int]
    backend: Backend
    given: Mapping[str, Array]
    arrays: dict[str, Array]
    full: bool = False

    def program(self, outputs: Mapping[str, Value]) -> Program:
        """The program that computes some values."""
        return self.engine.assemble(outputs, self.sizes, self.backend.name)

    def shape(self, value: Value) -> list[int]:
        """The shape of a value, in numbers."""
        return [evaluate(size, self.sizes) for size in value.shape]

    def weighted(self, y: Value) -> Value:
        """The value itself, or the sum of its elements with random weights."""
        if y.type.rank == 0:
            return y
        label = f"weights {len(self.arrays)}"
        seed = SEED + len(self.arrays)
        self.arrays[label] = random_weights(self.shape(y), seed, self.backend.asarray)
        return make("sum", y * apply(Input(label, y.type)), axis=tuple(range(y.type.rank)))

    def combined(self, values: Iterable[Value]) -> Value:
        """A number that depends on every element of every value."""
        return reduce(operator.add, map(self.weighted, values))

    def compare(self, f: Callable[[Array], float], x: Array, gradient: Array) -> Comparison:
        """A gradient of f at x with finite differences."""
        return compare(f, x, gradient, self.directions(x))

    def directions(self, x: Array) -> Iterable[Array]:
        """The directions in which x moves for a comparison."""
        if self.full:
            return unit_directions(x, self.backend.asarray)
        return random_directions(x, DIRECTIONS, SEED, self.backend.asarray)

    def compared(self, x: Array) -> str:
        """How much is compared, in words."""
        return f"{x.size} element{'s' * (x.size != 1)}" if self.full else f"{DIRECTIONS} directions"

    def near(self, x: Array, distance: float, seed: int = SEED) -> Array:
        """A random point near x."""
        return around(x, distance, seed, self.backend.asarray)

    def element(self, comparison: Comparison, x: Value) -> str:
        """The element that disagrees most, where elements were compared."""
        if not self.full or not x.shape:
            return ""
        place, index = comparison.direction, list[int]()
        for size in reversed(self.shape(x)):
            place, i = divmod(place, size)
            index.insert(0, i)
        return str(index)


def numbers(c: Comparison) -> tuple[float, float, float]:
    """The symmetric relative error, and the derivatives that disagree most."""
    return c.error, c.analytic[c.worst], c.numeric[c.worst]


def factor(c: Comparison) -> float | None:
    """The number by which all derivatives are too large, if it is one."""
    ratios = [a / n for a, n in zip(c.analytic, c.numeric, strict=True) if n]
    if len(ratios) < 2 or len(ratios) < len(c.numeric):
        return None
    return ratios[0] if max(ratios) - min(ratios) <= 1e-5 * abs(ratios[0]) else None
