"""Jacobians: whole, or some rows and columns, by whichever mode takes fewer passes, in blocks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from graphspec.answers import Array
from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue import batching as say
from graphspec.engine import Binding, Engine
from graphspec.ir import TensorType, evaluate
from graphspec.jacobian_blocks import BLOCK, COUNT, PLACES, JacobianBlock
from graphspec.requests import Request

if TYPE_CHECKING:
    from graphspec.runtime.jacobians import Structure
    from graphspec.runtime.program import Program

#: some rows or columns, counted in row-major order; None is all of them
Part: TypeAlias = "slice | int | Sequence[int] | None"

#: bytes that the passes of a block may work in, where the caller does not say how many there are
WORKSPACE = 64 << 20


def jacobian(
    engine: Engine,
    of: str,
    wrt: str,
    given: Mapping[str, Array],
    *,
    rows: Part,
    cols: Part,
    chunk: int | None,
    seed: int,
    backend: str,
) -> Array:
    """The Jacobian of a value: of.shape + wrt.shape; chosen rows or columns are a single axis instead."""
    asked = Asked(of, wrt, rows, cols, chunk)
    bound = engine.bind(Request((of,)), given, seed=seed, backend=backend)
    return prepare(engine, asked, bound, backend)(bound.arrays)


class Asked(NamedTuple):
    """What is asked for: of what by what, which rows and columns of it, and how many at a time."""

    of: str
    wrt: str
    rows: Part
    cols: Part
    chunk: int | None


@dataclass(frozen=True, eq=False)
class Passes:
    """The passes that a Jacobian takes, for arrays of certain sizes."""

    block: JacobianBlock
    structure: Structure
    #: how many are done at a time, by the program for so many
    chunk: int
    program: Callable[[int], Program]
    backend: str
    shape: tuple[int, ...]

    def __call__(self, arrays: Mapping[str, Array]) -> Array:
        """The Jacobian at these arrays, which have been checked."""
        from graphspec.runtime.jacobians import assemble

        def passes(places: Array) -> Array:
            return self.program(len(places))({**arrays, PLACES: places})[BLOCK]

        dtype = self.block.y.dtype.array_name
        matrix = assemble(self.structure, passes, self.chunk, dtype, self.backend)
        return (matrix if self.block.by_rows else matrix.T).reshape(self.shape)


def prepare(engine: Engine, asked: Asked, bound: Binding, backend: str, *, often: bool = False) -> Passes:
    """How a Jacobian is computed: by rows or columns, whichever takes fewer passes.

    Raises GraphSpecError where there are no such rows or columns, or not enough memory.
    """
    from graphspec.runtime.jacobians import count_passes, structures

    of, wrt, rows, cols, chunk = asked
    if chunk is not None and chunk < 1:
        raise GraphSpecError(say.no_chunks(chunk))
    block = _block(engine, bound.module, "rows", of, wrt)
    y, x = (_shape(type, bound.sizes) for type in (block.y, block.x))
    chosen = _indices("rows", of, rows, y), _indices("cols", wrt, cols, x)
    structure, by_columns = structures(y, x, block.links, *chosen)
    shape = *(y if rows is None else structure.shape[:1]), *(x if cols is None else structure.shape[1:])
    if count_passes(by_columns) < count_passes(structure):
        structure, block = by_columns, _block(engine, bound.module, "columns", of, wrt)
    engine.reserve(structure.shape[0] * structure.shape[1] * block.y.dtype.itemsize, backend)

    def program(count: int) -> Program:
        return engine.program(bound.module, block, {**bound.sizes, COUNT: count}, backend, often=often)

    if chunk is None:
        chunk = max(1, WORKSPACE // max(1, program(1).plan.bytes_needed))
    return Passes(block, structure, chunk, program if not often else cache(program), backend, shape)


def check_jacobian(
    engine: Engine,
    of: str,
    wrt: str,
    given: Mapping[str, Array],
    *,
    rows: Part,
    cols: Part,
    seed: int,
    backend: str,
) -> float:
    """The largest difference between a Jacobian and central differences, relative to its largest element.

    Raises GraphSpecError where an element is wrong by more than differences are.
    """
    from graphspec.gradcheck import jacobian_by_differences
    from graphspec.runtime.jacobians import compare, part

    found = jacobian(engine, of, wrt, given, rows=rows, cols=cols, chunk=None, seed=seed, backend=backend)
    whole = jacobian_by_differences(engine, of, wrt, given, seed=seed, backend=backend)
    block = _block(engine, engine.module, "rows", of, wrt)
    y, x = whole.shape[: block.y.rank], whole.shape[block.y.rank :]
    chosen = _indices("rows", of, rows, y), _indices("cols", wrt, cols, x)
    comparison = compare(found, part(whole, y, x, *chosen), backend)
    if comparison.wrong:
        place = (
            comparison.place[i] if indices is None else indices[comparison.place[i]]
            for i, indices in enumerate(chosen)
        )
        row, column = place
        raise GraphSpecError(
            say.jacobian_differs(
                of,
                wrt,
                comparison.wrong,
                comparison.size,
                (row, column),
                comparison.found,
                comparison.expected,
            )
        )
    return comparison.error


def _block(engine: Engine, module: Any, kind: Any, of: str, wrt: str) -> JacobianBlock:
    derived = engine.derive(Request((of,), (wrt,), kind), module)
    assert isinstance(derived, JacobianBlock)
    return derived


def _shape(type: TensorType, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(evaluate(size, sizes) for size in type.shape)


def _indices(part: str, what: str, chosen: Part, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The flat indices of some rows or columns.  Raises GraphSpecError where there are none of them."""
    size = 1
    for n in shape:
        size *= n
    if chosen is None:
        return None
    if isinstance(chosen, slice):
        ends = [end for end in (chosen.start, chosen.stop) if end is not None]
        asked = ":".join("" if end is None else str(end) for end in (chosen.start, chosen.stop))
        wrong = [asked] if any(not 0 <= end <= size for end in ends) else []
        wanted = tuple(range(size)[chosen])
    else:
        asked = str(chosen)
        wanted = tuple(map(index, chosen if isinstance(chosen, Iterable) else (chosen,)))
        wrong = [str(number) for number in wanted if not 0 <= number < size]
    if wrong:
        raise GraphSpecError(say.jacobian_part(part, what, size, f"`{wrong[0]}`"))
    if not wanted:
        raise GraphSpecError(say.empty_jacobian_part(part, asked))
    return wanted
