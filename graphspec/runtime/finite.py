"""Where a number that is not finite came from: the program is run again, and watched step by step.

An infinity that is made and absorbed again (the -inf of a mask, under a softmax) is nobody's mistake, so
what is looked at is decided by the results: from one that is not finite the way leads back, over values
that are not finite, to the first step that made such numbers from finite ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphspec.ir import Graph, Input, Literal, Node, TensorType, Value
from graphspec.runtime.backends import Backend
from graphspec.runtime.backends import backend as find_backend
from graphspec.runtime.program import Program

Array: TypeAlias = Any
Index: TypeAlias = tuple[int, ...]

#: so many offending elements are told one by one
SHOWN = 4


@dataclass(frozen=True, slots=True)
class Facts:
    """An array at a glance: the range of its finite elements (None without any), and the others."""

    type: TensorType
    low: float | None
    high: float | None
    nan: int
    infinite: int


@dataclass(frozen=True, slots=True)
class Element:
    """One offending element: its index, what it is, and the operands' elements that it was made from.

    `operands` is empty where the element depends on more than one of each.
    """

    index: Index
    number: float
    operands: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Culprit:
    """The value that first was not finite, and what it was made from.

    Its node is an `Input` where the numbers were given so, a `Literal` where the spec says them.
    `becomes_nan` is the node that made NaN of an infinity, where that is another one.
    """

    value: Value
    facts: Facts
    elements: tuple[Element, ...]
    operands: tuple[Facts, ...]
    becomes_nan: Node | None = None


def not_finite(arrays: Mapping[str, Array], xp: Any) -> list[str]:
    """The names of the arrays that have NaN or infinite elements."""
    return [
        name for name, array in arrays.items() if array.dtype.kind == "f" and not bool(_isfinite(array, xp))
    ]


def find_culprit(
    graph: Graph, sizes: Mapping[str, int], backend: str, arrays: Mapping[str, Array], wrong: Sequence[str]
) -> Culprit:
    """What made the outputs `wrong` of a graph not finite; `arrays` are what the program is run on.

    The first step in the order of execution that made NaN or infinities from finite numbers, on the way
    to one of these outputs.  Only if there is none, data that were given so, or a number in the spec.
    """
    where = find_backend(backend)
    watcher = _Watcher(where)
    program = Program(graph, sizes, backend, watch=watcher)
    nodes = [step.node for step in program.plan.steps]
    seen: dict[Value, _Kinds] = {
        value: _kinds(arrays[name], where.xp) for name, value in program.plan.inputs.items()
    }
    seen |= {value: _kinds_of_number(number) for value, number in program.plan.numbers.items()}

    def note(step: int, operands: Sequence[Any], results: Sequence[Any]) -> None:
        for value, array in zip(nodes[step].values, results, strict=True):
            seen[value] = _kinds(array, where.xp)

    watcher.look = note
    program(arrays)
    value, becomes_nan = _trace([program.plan.results[name][0] for name in wrong], seen, nodes)
    if isinstance(value.node.op, Input):
        array = arrays[value.node.op.label]
        return Culprit(value, *_describe(array, program.plan.types[value], where), (), becomes_nan)
    if isinstance(value.node.op, Literal):
        array = where.asarray(float(program.plan.numbers[value]))
        return Culprit(value, *_describe(array, program.plan.types[value], where), (), becomes_nan)
    return _inspect(program, watcher, arrays, value, becomes_nan, where)


class _Watcher:
    """What sees the steps of a program; it is told later what to look at."""

    def __init__(self, backend: Backend) -> None:
        self.look: Callable[[int, Sequence[Any], Sequence[Any]], None] = lambda step, operands, results: None

    def __call__(self, step: int, operands: Sequence[Any], results: Sequence[Any]) -> None:
        self.look(step, operands, results)


@dataclass(frozen=True, slots=True)
class _Kinds:
    """Which numbers that are not finite an array has."""

    nan: bool
    infinite: bool


_FINITE = _Kinds(False, False)


def _isfinite(array: Array, xp: Any) -> Any:
    return xp.isfinite(array).all()


def _kinds(array: Array, xp: Any) -> _Kinds:
    if array.dtype.kind != "f" or bool(_isfinite(array, xp)):
        return _FINITE
    return _Kinds(bool(xp.isnan(array).any()), bool(xp.isinf(array).any()))


def _kinds_of_number(number: float) -> _Kinds:
    return _Kinds(math.isnan(number), math.isinf(number))


def _trace(
    results: Iterable[Value], seen: Mapping[Value, _Kinds], order: Sequence[Node]
) -> tuple[Value, Node | None]:
    """The value to blame, and the node that made NaN of an infinity, if that is another.

    NaN is followed back to where it was made.  If that was of infinities, these are followed, unless the
    spec itself says them: then it is the step that made NaN of them.
    """
    moment = {node: i for i, node in enumerate(order)}

    def earliest(values: Iterable[Value]) -> Value:
        return min(values, key=lambda v: moment.get(v.node, -1))

    starts = list(results)
    of_nan = _sources([v for v in starts if seen[v].nan], lambda v: seen[v].nan)
    blamed: list[tuple[Value, Node | None]] = []
    for value in of_nan:
        infinite = [v for v in value.node.inputs if seen[v].infinite]
        made = [
            v for v in _sources(infinite, lambda v: seen[v].infinite) if not isinstance(v.node.op, Literal)
        ]
        computed = [v for v in made if not isinstance(v.node.op, Input)]
        if made:
            blamed.append((earliest(computed or made), value.node))
        else:
            blamed.append((value, None))
    of_infinity = _sources([v for v in starts if seen[v].infinite], lambda v: seen[v].infinite)
    blamed += [(v, None) for v in of_infinity]
    given = (Input, Literal)
    computed_first = [b for b in blamed if not isinstance(b[0].node.op, given)]
    said_last = computed_first or [b for b in blamed if isinstance(b[0].node.op, Input)] or blamed
    return min(said_last, key=lambda b: moment.get(b[0].node, -1))


def _sources(values: Sequence[Value], has: Callable[[Value], bool]) -> list[Value]:
    """Where something in values came from: values above them that have it, made from none that have."""
    found: list[Value] = []
    todo, met = list(values), set(values)
    while todo:
        value = todo.pop()
        above = [v for v in value.node.inputs if has(v)]
        if not above:
            found.append(value)
        todo.extend(v for v in dict.fromkeys(above) if v not in met)
        met.update(above)
    return found


def _inspect(
    program: Program,
    watcher: _Watcher,
    arrays: Mapping[str, Array],
    value: Value,
    becomes_nan: Node | None,
    backend: Backend,
) -> Culprit:
    """Run once more, and look at the step that makes a value."""
    plan = program.plan
    wanted = next(i for i, step in enumerate(plan.steps) if step.node is value.node)
    found: list[Culprit] = []

    def look(step: int, operands: Sequence[Any], results: Sequence[Any]) -> None:
        if step != wanted:
            return
        facts, elements = _describe(results[value.index], plan.types[value], backend)
        if value.node.op.is_elementwise:
            shape = facts.type.shape
            elements = tuple(
                Element(e.index, e.number, tuple(_element(x, e.index, shape, backend) for x in operands))
                for e in elements
            )
        described = tuple(
            _facts(backend.asarray(x), plan.types[v], backend)
            for x, v in zip(operands, value.node.inputs, strict=True)
        )
        found.append(Culprit(value, facts, elements, described, becomes_nan))

    watcher.look = look
    program(arrays)
    return found[0]


def _element(operand: Any, index: Index, shape: tuple[Any, ...], backend: Backend) -> float:
    """The element of an operand, an array or a number, that is broadcast to an index of the result."""
    if isinstance(operand, int | float):
        return float(operand)
    return float(backend.xp.broadcast_to(operand, shape)[index])


def _facts(array: Array, type: TensorType, backend: Backend) -> Facts:
    xp = backend.xp
    is_float = array.dtype.kind == "f"
    finite = array[xp.isfinite(array)] if is_float else array
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    nan, infinite = (int(xp.isnan(array).sum()), int(xp.isinf(array).sum())) if is_float else (0, 0)
    return Facts(type, low, high, nan, infinite)


def _describe(array: Array, type: TensorType, backend: Backend) -> tuple[Facts, tuple[Element, ...]]:
    """An array at a glance, and the first of its elements that are NaN, else of the infinite ones."""
    xp = backend.xp
    facts = _facts(array, type, backend)
    flat = array.reshape(-1)
    wrong = xp.isnan(flat) if facts.nan else xp.isinf(flat)
    places = [int(i) for i in backend.to_numpy(xp.flatnonzero(wrong)[:SHOWN])]
    return facts, tuple(Element(_unravel(i, array.shape), float(flat[i])) for i in places)


def _unravel(place: int, shape: Sequence[int]) -> Index:
    """The index of the element that is number `place` in the order of memory."""
    index: list[int] = []
    for size in reversed(shape):
        place, i = divmod(place, size)
        index.append(i)
    return tuple(reversed(index))
