"""Derivatives of single ops against differences of the op by itself: the lines that are written by hand,
operations from outside, and what else is asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from graphspec.diagnostics import Diagnostic, GraphSpecError
from graphspec.diagnostics.catalogue import checks as say
from graphspec.gradcheck.point import SEED, VERDICTS, Found, Point, factor, numbers
from graphspec.gradcheck.report import Row, Verdict
from graphspec.ir import Call, Graph, HandGradient, Input, Node, Op, Origin, Tap, Value, apply, literal
from graphspec.lowering.definitions import LibrarySource
from graphspec.runtime.differences import Comparison
from graphspec.runtime.program import Program
from graphspec.transforms.broadcasting import filled
from graphspec.transforms.differentiate import cotangents
from graphspec.transforms.open_calls import open_calls

Array: TypeAlias = Any

#: how far random operands lie from those seen in the model, in units of their size
AROUND = (0.1, 1.0)
#: applications of an op whose operands are taken
APPLICATIONS = 2


def check_units(point: Point, graph: Graph, names: Sequence[str] | None, order: int) -> Found:
    """Check the ops of these names by themselves; without names, those whose derivative somebody wrote.

    Raises GraphSpecError where the graph does not use an op that is asked for.
    """
    units = _units(graph)
    known = {unit.name for unit in units}
    missing = [name for name in names or () if name not in known]
    if missing:
        raise GraphSpecError([say.op_not_applied(name, sorted(known)) for name in missing])
    if names is None:
        chosen = list(_written(units))
    else:
        chosen = [unit for unit in units if unit.name in names]
    rows: list[Row] = []
    wrong: list[Diagnostic] = []
    for unit in chosen:
        found = _Check(point, unit, order).check()
        rows += [row for row in found.rows if row not in rows]
        wrong += found.diagnostics
    return Found(tuple(rows), tuple(wrong))


@dataclass(frozen=True, slots=True)
class _Unit:
    """An op: the arguments of an application of it, and those by which it is to be checked.

    `lines` are the derivatives written by hand, `operands` those of its first applications.
    """

    name: str
    op: Op
    arguments: tuple[str, ...]
    checked: tuple[int, ...]
    lines: Mapping[int, HandGradient]
    operands: tuple[tuple[Value, ...], ...]
    origin: Origin | None

    def kind(self, argument: int) -> str:
        if not isinstance(self.op, Call):
            return "primitive"
        return "by hand" if argument in self.lines else "derived"


def _units(graph: Graph) -> list[_Unit]:
    """Every op of a graph, definitions and primitives, also those inside others."""
    applied: dict[Any, list[Node]] = {}

    def note(op: Call, node: Node) -> bool:
        applied.setdefault(op.body, []).append(node)
        return True

    for node in open_calls(graph, note).nodes:
        if node.inputs and not isinstance(node.op, Call | Tap):
            applied.setdefault((node.op, tuple(v.type for v in node.inputs)), []).append(node)
    return [_unit(nodes) for nodes in applied.values()]


def _unit(nodes: Sequence[Node]) -> _Unit:
    op = nodes[0].op
    operands = tuple(node.inputs for node in nodes[:APPLICATIONS])
    floats = tuple(i for i, v in enumerate(nodes[0].inputs) if v.dtype.is_float)
    if isinstance(op, Call):
        labels = [p.node.op.label for p in op.body.parameters if isinstance(p.node.op, Input)]
        return _Unit(op.definition, op, tuple(labels), floats, op.body.gradients, operands, nodes[0].origin)
    return _Unit(op.name, op, _operand_names(op, len(operands[0])), floats, {}, operands, nodes[0].origin)


def _operand_names(op: Op, count: int) -> tuple[str, ...]:
    """The operands of a primitive as its type rule names them."""
    names: list[str] = []
    for p in inspect.signature(op.infer).parameters.values():
        if p.kind is p.VAR_POSITIONAL:
            names += [f"{p.name}[{i}]" for i in range(count - len(names))]
        elif p.kind is not p.VAR_KEYWORD:
            names.append(p.name)
    return tuple(names)


def _written(units: Sequence[_Unit]) -> Iterator[_Unit]:
    """The ops with a derivative that somebody wrote, by these arguments; those of the library are tested."""
    for unit in units:
        lines = [i for i, line in unit.lines.items() if not _is_std(line)]
        if lines:
            yield replace(unit, checked=tuple(lines))
        elif unit.op.plugin:
            yield unit


def _is_std(line: HandGradient) -> bool:
    return line.origin is not None and isinstance(line.origin.span.source, LibrarySource)


class _Check:
    def __init__(self, point: Point, unit: _Unit, order: int) -> None:
        self.point = point
        self.unit = unit
        self.order = order
        self.labels = [f"operand {i + 1}" for i in range(len(unit.arguments))]
        self.rows: list[Row] = []
        self.wrong: list[Diagnostic] = []

    def check(self) -> Found:
        unit = self.unit
        types = [v.type for v in unit.operands[0]]
        xs = [apply(Input(label, type)) for label, type in zip(self.labels, types, strict=True)]
        results = [y for y in Node(unit.op, tuple(xs)).values if y.dtype.is_float]
        has_derivative = isinstance(unit.op, Call) or type(unit.op).vjp is not Op.vjp
        if not results or not has_derivative:
            return Found((), ())
        points = self.points()
        number = self.point.combined(results)
        for order in range(1, self.order + 1):
            floats = [i for i, x in enumerate(xs) if x.dtype.is_float]
            flowing = self.check_order(order, number, xs, unit.checked if order == 1 else floats, points)
            if not flowing:
                break
            number = self.point.combined(flowing)
        return Found(tuple(self.rows), tuple(self.wrong))

    def check_order(
        self,
        order: int,
        number: Value,
        xs: Sequence[Value],
        checked: Sequence[int],
        points: Sequence[Mapping[str, Array]],
    ) -> list[Value]:
        """Check the derivatives of a number by some operands; those that there are."""
        f = self.point.program({"f": number})
        flowing: list[Value] = []
        for i in checked:
            line = self.unit.lines.get(i)
            if line is not None and line.surrogate:
                self.add_row(i, order, "nothing", None, "surrogate")
                continue
            (g,) = cotangents({number: literal(1.0, number.dtype)}, [xs[i]])
            if g is not None:
                flowing.append(g)
            elif line is None:
                continue  # no derivative passes, as for the place of a maximum
            self.check_argument(i, order, f, filled(0.0, xs[i].type) if g is None else g, points)
        return flowing

    def points(self) -> list[dict[str, Array]]:
        """Operands: those seen in the model, and random ones around the first of them."""
        outputs = {
            f"{k} {label}": value
            for k, operands in enumerate(self.unit.operands)
            for label, value in zip(self.labels, operands, strict=True)
        }
        seen = self.point.program(outputs)(self.point.arrays)
        points = [
            {label: seen[f"{k} {label}"] for label in self.labels} for k in range(len(self.unit.operands))
        ]
        for n, distance in enumerate(AROUND):
            moved = {
                label: self.point.near(a, distance, SEED + n + i) if a.dtype.kind == "f" else a
                for i, (label, a) in enumerate(points[0].items())
            }
            points.append(moved)
        return points

    def check_argument(
        self, i: int, order: int, f: Program, formula: Value, points: Sequence[Mapping[str, Array]]
    ) -> None:
        """Check one derivative of an op at several points."""
        label, gradient = self.labels[i], self.point.program({"g": formula})
        found: list[Comparison] = []
        for at in points:
            arrays = {**self.point.arrays, **at}

            def value(x: Array, arrays: Mapping[str, Array] = arrays) -> float:
                return float(f({**arrays, label: x})["f"])

            if value(at[label]) - value(at[label]) == 0:  # else it is not finite: outside the domain
                found.append(self.point.compare(value, at[label], gradient(arrays)["g"]))
        wrong = next((c for c in found if c.verdict == "differs"), None)
        told = [wrong] if wrong else [c for c in found if c.verdict == "agrees"] or found
        verdict: Verdict = VERDICTS[told[0].verdict] if told else "unknown"
        error = max((c.error for c in told), default=None)
        self.add_row(i, order, f"{len(found)} points", error, verdict)
        if wrong is not None:
            self.report(i, order, wrong)

    def add_row(self, i: int, order: int, compared: str, error: float | None, verdict: Verdict) -> None:
        name = f"{self.unit.name}: {self.unit.arguments[i]}"
        self.rows.append(Row(name, self.unit.kind(i), "", order, compared, error, verdict))

    def report(self, i: int, order: int, comparison: Comparison) -> None:
        line = self.unit.lines.get(i)
        origin = line.origin if line is not None and line.origin is not None else self.unit.origin
        self.wrong.append(
            say.gradient_wrong(
                self.unit.name,
                self.unit.arguments[i],
                numbers(comparison),
                factor(comparison),
                order=order,
                module=self.unit.op.plugin,
                element=self.point.element(comparison, self.unit.operands[0][i]),
                place=origin.span if origin else None,
            )
        )
