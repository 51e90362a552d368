"""Puts a Jacobian together from blocks of its rows, and leaves its structural zeros alone.

Everything here is about rows; a Jacobian by columns is the transposed one by rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, TypeAlias

import numpy as np

from graphspec.runtime.backends import backend as find_backend
from graphspec.runtime.chunks import cut
from graphspec.runtime.differences import TOLERANCE

Array: TypeAlias = Any
Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Structure:
    """A Jacobian of rows of shape `row`, one for each element of shape `lead`.

    `links` are pairs of an axis of `lead` and an axis of `row` along which an element is zero unless it is
    at one place of both: the rows that differ along linked axes only come from one pass, at the place
    that they have in common.  `rows` and `columns` are those wanted, as flat indices; None is all.
    """

    lead: Shape
    row: Shape
    links: tuple[tuple[int, int], ...]
    rows: Any = None
    columns: Any = None

    @property
    def shape(self) -> tuple[int, int]:
        return (
            math.prod(self.lead) if self.rows is None else len(self.rows),
            math.prod(self.row) if self.columns is None else len(self.columns),
        )

    @property
    def is_plain(self) -> bool:
        """Whether the matrix is just what the passes give: every row whole, and each from its own pass."""
        return not self.links and self.rows is None and self.columns is None

    @cached_property
    def passes(self) -> tuple[Any, Any, list[Any]]:
        """The places of the passes, which of them each wanted row needs, and the row's linked coordinates."""
        flat = np.arange(math.prod(self.lead)) if self.rows is None else np.asarray(self.rows)
        at = np.unravel_index(flat, self.lead) if self.lead else ()
        linked = {k for k, _ in self.links}
        place = np.zeros(flat.shape, dtype=np.int64)
        for k, size in enumerate(self.lead):
            if k not in linked:
                place = place * size + at[k]
        places, needs = np.unique(place, return_inverse=True)
        return places, needs.reshape(-1), [at[k] for k, _ in self.links]


def count_passes(structure: Structure) -> int:
    """How many vector-Jacobian products it takes."""
    return len(structure.passes[0])


Indices: TypeAlias = "tuple[int, ...] | None"


@lru_cache(maxsize=16)
def structures(
    y: Shape, x: Shape, links: tuple[tuple[int, int], ...], rows: Indices, columns: Indices
) -> tuple[Structure, Structure]:
    """The Jacobian of a value of shape y by one of shape x: by rows, and by columns (the transposed one)."""
    by_columns = Structure(x, y, tuple((a, k) for k, a in links), columns, rows)
    return Structure(y, x, links, rows, columns), by_columns


def assemble(
    structure: Structure, block: Callable[[Array], Array], chunk: int, dtype: str, backend: str
) -> Array:
    """The Jacobian as a matrix of the wanted rows and columns.

    `block` gives for some places the rows [count, *row] of their passes; at most `chunk` at a time.
    """
    xp = find_backend(backend).xp
    places, needs, coordinates = structure.passes
    if structure.is_plain and 0 < len(places) <= chunk:
        return block(xp.asarray(places)).reshape(structure.shape)
    matrix = xp.zeros(structure.shape, dtype=dtype)
    order = np.argsort(needs, kind="stable")
    for start, stop in cut(len(places), chunk):
        if start == stop:
            continue
        rows = block(xp.asarray(places[start:stop])).reshape(stop - start, -1)
        wanted = order[np.searchsorted(needs[order], start) : np.searchsorted(needs[order], stop)]
        _put(xp, structure, matrix, wanted, rows, needs[wanted] - start, [c[wanted] for c in coordinates])
    return matrix


def _put(
    xp: Any, structure: Structure, matrix: Array, wanted: Any, rows: Array, needs: Any, at: list[Any]
) -> None:
    """Write rows into the matrix: row `wanted[i]` is what the pass `needs[i]` has where the coordinates
    `at` of its linked axes are.
    """
    columns = structure.columns
    if not structure.links:
        picked = rows[xp.asarray(needs)]
        matrix[xp.asarray(wanted)] = picked if columns is None else picked[:, xp.asarray(columns)]
        return
    if columns is not None:
        where = np.unravel_index(np.asarray(columns), structure.row)
        meets = np.ones((len(wanted), len(columns)), dtype=bool)
        for (_, axis), coordinate in zip(structure.links, at, strict=True):
            meets &= coordinate[:, None] == where[axis][None, :]
        i, j = np.nonzero(meets)
        values = rows[xp.asarray(needs[i]), xp.asarray(np.asarray(columns)[j])]
        matrix[xp.asarray(wanted[i]), xp.asarray(j)] = values
        return
    strides = [math.prod(structure.row[k + 1 :]) for k in range(len(structure.row))]
    linked = {axis for _, axis in structure.links}
    first = np.zeros(len(wanted), dtype=np.int64)
    for (_, axis), coordinate in zip(structure.links, at, strict=True):
        first += coordinate * strides[axis]
    rest = np.zeros(1, dtype=np.int64)
    for axis, size in enumerate(structure.row):
        if axis not in linked:
            rest = (rest[:, None] + np.arange(size) * strides[axis]).reshape(-1)
    places = xp.asarray(first[:, None] + rest)
    matrix[xp.asarray(wanted)[:, None], places] = rows[xp.asarray(needs)[:, None], places]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two matrices: how many of their elements differ, where the most, and the largest difference relative to
    the largest element expected.
    """

    size: int
    wrong: int
    place: tuple[int, int]
    found: float
    expected: float
    error: float


def part(whole: Array, lead: Shape, row: Shape, rows: Any, columns: Any) -> Array:
    """Some rows and columns of a Jacobian of shape lead + row, as a matrix."""
    matrix = whole.reshape(math.prod(lead), math.prod(row))
    matrix = matrix if rows is None else matrix[list(rows)]
    return matrix if columns is None else matrix[:, list(columns)]


def compare(found: Array, expected: Array, backend: str) -> Comparison:
    """How a Jacobian, of any shape, differs from a matrix of differences."""
    matrix = find_backend(backend).to_numpy(found).reshape(expected.shape)
    gap = np.abs(matrix - expected)
    gap = np.where(np.isnan(gap) & np.isnan(matrix) & np.isnan(expected), 0, gap)
    scale = float(np.max(np.abs(expected), initial=0.0)) or 1.0
    wrong = int(np.sum(~(gap <= TOLERANCE * scale)))
    worst = int(np.argmax(np.where(np.isnan(gap), np.inf, gap))) if gap.size else 0
    place = divmod(worst, expected.shape[1]) if gap.size else (0, 0)
    at = (float(matrix[place]), float(expected[place])) if gap.size else (0.0, 0.0)
    return Comparison(gap.size, wrong, place, *at, float(np.max(gap, initial=0.0)) / scale)
