"""Gradients against finite differences, in double precision: of parameters and inputs, and of each
hand-written derivative by itself.

The function that is differenced is the one whose derivative the spec means: noise is held fixed, and so is
what `stop_gradient` returns.  What an op with a `surrogate` line returns is held fixed too, and what goes
into it is checked as if it were an objective: so everything is checked but the surrogate itself.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, TypeAlias

from graphspec.diagnostics import Diagnostic, GraphSpecError, Span
from graphspec.diagnostics.catalogue import checks as say
from graphspec.engine import Engine, Prepared
from graphspec.finiteness import check_results
from graphspec.ir import (
    Call,
    Graph,
    HandGradient,
    Input,
    Node,
    Op,
    Origin,
    Tap,
    Value,
    apply,
    evaluate,
    literal,
    rebuild,
)
from graphspec.lowering.definitions import LibrarySource
from graphspec.lowering.module import Module
from graphspec.ops.rounding import StopGradient
from graphspec.requests import Request, find_objectives
from graphspec.runtime.backends import backend as find_backend
from graphspec.runtime.differences import (
    Comparison,
    around,
    compare,
    random_directions,
    random_weights,
    unit_directions,
)
from graphspec.runtime.kinks import Kink, find_kink
from graphspec.runtime.program import Program
from graphspec.transforms.broadcasting import filled, make
from graphspec.transforms.differentiate import cotangents
from graphspec.transforms.expand_gradients import expand_gradients
from graphspec.transforms.open_calls import open_calls
from graphspec.verdicts import GradcheckReport, Row, Verdict

Array: TypeAlias = Any

#: random directions for each derivative
DIRECTIONS = 2
#: the seed of directions, weights and points
SEED = 20
#: how far a point lies from the one that is checked, where that has a kink
BESIDE = 1e-3
#: how far random operands of an op lie from those seen in the model, in units of their size
AROUND = (0.1, 1.0)
_KINDS = {"param": "parameter", "input": "input", "buffer": "buffer", "noise": "noise"}


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


def gradcheck(
    engine: Engine, wanted: Wanted, given: Mapping[str, Any], *, seed: int, backend: str
) -> GradcheckReport:
    """Check derivatives at the arrays `given`; noise is drawn from `seed`.

    `engine` compiles in double precision.  Raises GraphSpecError where the request or the data are wrong,
    and where the objective itself is not finite.
    """
    return _Checker(engine, wanted, given, seed, backend).check()


@dataclass(frozen=True, slots=True)
class _Scalar:
    """A number to differentiate: an objective, weighted where it is no scalar, or what replaces one."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class _Unit:
    """An op to check by itself: one application of it, and the arguments whose derivatives are checked.

    `lines` are the hand-written ones among them.
    """

    name: str
    op: Op
    arguments: tuple[str, ...]
    checked: tuple[int, ...]
    lines: Mapping[int, HandGradient]
    operands: tuple[tuple[Value, ...], ...]
    origin: Origin | None


@dataclass(eq=False)
class _Findings:
    """What is collected on the way."""

    rows: list[Row] = field(default_factory=list)
    wrong: list[Diagnostic] = field(default_factory=list)
    notes: list[Diagnostic] = field(default_factory=list)
    kinks: dict[Any, tuple[Kink | None, list[str], tuple[float, float]]] = field(default_factory=dict)
    #: wrong derivatives of the model, which wrong ones of ops explain
    consequences: list[tuple[str, str, Comparison, Span | None]] = field(default_factory=list)


class _Checker:
    def __init__(
        self, engine: Engine, wanted: Wanted, given: Mapping[str, Any], seed: int, backend: str
    ) -> None:
        self.engine = engine
        self.wanted = wanted
        self.backend = find_backend(backend)
        objectives = tuple(find_objectives(engine.module, wanted.of))
        prepared = engine.prepare(Request(of=objectives), given, seed=seed, backend=backend)
        self._require_finite(prepared)
        self.module: Module = prepared.module
        self.sizes = prepared.sizes
        self.arrays: dict[str, Array] = dict(prepared.arrays)
        self.findings = _Findings()
        self.objectives = {name: prepared.derived.graph.outputs[name] for name in objectives}
        values = find_objectives(self.module, objectives)
        names = {name: self.module.values[name] for name in self._targets(objectives)}
        self.graph = expand_gradients(Graph(values, names))

    def check(self) -> GradcheckReport:
        held = self._hold(open_calls(self.graph, lambda op, node: not op.body.gradients))
        if self.wanted.ops is None or self.wanted.wrt is not None:
            self._check_targets(held)
        self._check_units()
        found = self.findings
        if not found.rows:
            raise GraphSpecError(say.nothing_to_check())
        if not found.wrong:
            found.wrong += [
                say.gradient_disagrees(
                    name,
                    of,
                    _numbers(c),
                    _factor(c),
                    element=self._element(c, self.module.values[name]),
                    place=place,
                )
                for name, of, c, place in found.consequences
            ]
        return GradcheckReport(tuple(found.rows), (*found.wrong, *self._kink_warnings(), *found.notes))

    # --- what is there ------------------------------------------------------------------------------

    def _require_finite(self, prepared: Prepared) -> None:
        results = prepared.program(prepared.arrays)
        graph = self.engine.graph(prepared.derived)
        name = self.backend.name
        check_results(prepared.derived, graph, prepared.sizes, name, prepared.arrays, results)

    def _targets(self, objectives: tuple[str, ...]) -> list[str]:
        """The names to differentiate by; those of the request must be right."""
        if self.wanted.wrt is None:
            kinds = ("param", "input")
            declared = self.module.declared.values()
            return [
                d.name
                for d in declared
                if d.kind in kinds and d.value.dtype.is_float and d.name in self.arrays
            ]
        request = Request(objectives, self.wanted.wrt, "gradients", ones=True)
        derived = self.engine.derive(request, self.module)
        self.findings.notes += derived.notes
        return list(dict.fromkeys(name for found in derived.gradients.values() for name in found))

    def _hold(self, graph: Graph) -> Graph:
        """The graph with fixed values for what no derivative passes through, and for what surrogates give.

        What goes into a surrogate becomes an output of its own.
        """
        fixed: dict[str, Value] = {}
        entries: dict[str, Value] = {}

        def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
            if isinstance(node.op, Call) and _has_surrogate(node.op):
                for i, line in node.op.body.gradients.items():
                    if line.surrogate and not isinstance(inputs[i].node.op, Input):
                        entries.setdefault(f"what goes into `{node.op.definition}`", inputs[i])
            elif not isinstance(node.op, StopGradient) and not (
                isinstance(node.op, Call) and _stops(node.op)
            ):
                return None
            made = []
            for value in node.values:
                label = f"held value {len(fixed) + 1}"
                fixed[label] = value
                made.append(apply(Input(label, value.type)))
            return tuple(made)

        held = rebuild(graph, rule)
        if fixed:
            self.arrays |= self._program(fixed)(self.arrays)
        return Graph({**held.outputs, **entries}, held.names)

    def _program(self, outputs: Mapping[str, Value]) -> Program:
        return self.engine.assemble(outputs, self.sizes, self.backend.name)

    def _weighted(self, y: Value) -> Value:
        """The value itself, or the sum of its elements with random weights."""
        if y.type.rank == 0:
            return y
        label = f"weights {len(self.arrays)}"
        shape = [evaluate(size, self.sizes) for size in y.shape]
        self.arrays[label] = random_weights(shape, SEED + len(self.arrays), self.backend.asarray)
        return make("sum", y * apply(Input(label, y.type)), axis=tuple(range(y.type.rank)))

    # --- parameters, inputs, values -----------------------------------------------------------------

    def _check_targets(self, held: Graph) -> None:
        reached: set[str] = set()
        for name, y in held.outputs.items():
            scalar = _Scalar(name, self._weighted(y))
            declared = {n: x for n, x in held.names.items() if isinstance(x.node.op, Input)}
            reached |= self._check_scalar(scalar, declared)
            for target, x in held.names.items():
                if target not in declared:
                    reached |= self._check_value(scalar, target, x)
        for target in held.names:
            if target not in reached and self.wanted.wrt is not None:
                kind = self._kind(target)
                self.findings.rows.append(
                    Row(target, kind, next(iter(self.objectives)), 1, "nothing", None, "surrogate")
                )

    def _check_value(self, scalar: _Scalar, target: str, x: Value) -> set[str]:
        """Check the gradient by a value that is computed: from there on it is an input."""
        label = f"value of {target}"
        if label not in self.arrays:
            self.arrays |= self._program({label: x})(self.arrays)
        cut = apply(Input(label, x.type))
        graph = rebuild(Graph({scalar.name: scalar.value}), lambda node, inputs: None, {x: cut})
        return self._check_scalar(_Scalar(scalar.name, graph.outputs[scalar.name]), {target: cut})

    def _check_scalar(self, scalar: _Scalar, targets: Mapping[str, Value]) -> set[str]:
        """Check the gradient of a number by some inputs, up to the order asked for; those that it reaches."""
        found: set[str] = set()
        for order in range(1, self.wanted.order + 1):
            one = literal(1.0, scalar.value.dtype)
            made = cotangents({scalar.value: one}, list(targets.values()))
            gradients = {name: g for name, g in zip(targets, made, strict=True) if g is not None}
            if not gradients:
                break
            found |= gradients.keys()
            arrays = self._program(gradients)(self.arrays)
            f = self._program({"f": scalar.value})
            for name, gradient in gradients.items():
                label = targets[name].node.op.label  # type: ignore[attr-defined]
                self._check_target(scalar, order, name, label, f, arrays[name], gradient)
            scalar = _Scalar(scalar.name, self._combined(gradients.values()))
        return found

    def _combined(self, values: Iterable[Value]) -> Value:
        """A number that depends on every element of every value."""
        return reduce(operator.add, map(self._weighted, values))

    def _check_target(
        self, scalar: _Scalar, order: int, name: str, label: str, f: Program, gradient: Array, formula: Value
    ) -> None:
        x = self.arrays[label]
        ways, compared = self._directions(x)
        comparison = compare(self._along(f, label), x, gradient, ways)
        verdict, error = _VERDICTS[comparison.verdict], comparison.error
        if comparison.verdict == "kink":
            beside = self._beside(f, label, formula)
            if beside.verdict == "differs":
                comparison, verdict = beside, "wrong"
            error = beside.error
            self._note_kink(scalar.value, name, label, comparison, x)
        self.findings.rows.append(Row(name, self._kind(name), scalar.name, order, compared, error, verdict))
        if verdict == "wrong":
            declared = self.module.values[name].node.origin
            self.findings.consequences.append(
                (name, scalar.name, comparison, declared.span if declared else None)
            )

    def _beside(self, f: Program, label: str, formula: Value) -> Comparison:
        """The comparison at a random point near by."""
        x = around(self.arrays[label], BESIDE, SEED, self.backend.asarray)
        gradient = self._program({"g": formula})({**self.arrays, label: x})["g"]
        return compare(self._along(f, label), x, gradient, self._directions(x)[0])

    def _directions(self, x: Array) -> tuple[Iterable[Array], str]:
        asarray = self.backend.asarray
        if self.wanted.full:
            return unit_directions(x, asarray), f"{x.size} element{'s' * (x.size != 1)}"
        return random_directions(x, DIRECTIONS, SEED, asarray), f"{DIRECTIONS} directions"

    def _along(self, f: Program, label: str) -> Callable[[Array], float]:
        return lambda x: float(f({**self.arrays, label: x})["f"])

    def _element(self, comparison: Comparison, x: Value) -> str:
        """The element that disagrees most, where elements were compared."""
        if not self.wanted.full or not x.shape:
            return ""
        place = comparison.direction
        index: list[int] = []
        for size in reversed([evaluate(size, self.sizes) for size in x.shape]):
            place, i = divmod(place, size)
            index.insert(0, i)
        return str(index)

    def _kind(self, name: str) -> str:
        declared = self.module.declared.get(name)
        return _KINDS[declared.kind] if declared else "value"

    # --- ops by themselves --------------------------------------------------------------------------

    def _check_units(self) -> None:
        units = list(self._units())
        known = {unit.name for unit in self._all_units()}
        missing = [name for name in self.wanted.ops or () if name not in known]
        if missing:
            raise GraphSpecError([say.op_not_applied(name, sorted(known)) for name in missing])
        for unit in units:
            self._check_unit(unit)

    def _units(self) -> Iterator[_Unit]:
        """The ops to check: those asked for, else those with a derivative that somebody wrote."""
        for unit in self._all_units():
            if self.wanted.ops is not None:
                if unit.name in self.wanted.ops:
                    yield unit
            elif unit.lines and not all(_is_std(line) for line in unit.lines.values()):
                yield replace(unit, checked=tuple(unit.lines))
            elif unit.op.plugin:
                yield unit

    def _all_units(self) -> list[_Unit]:
        """Every op of the model, a definition or a primitive, with the operands of its first applications."""
        applied: dict[Any, list[Node]] = {}

        def note(op: Call, node: Node) -> bool:
            applied.setdefault(op.body, []).append(node)
            return True

        for node in open_calls(self.graph, note).nodes:
            if not isinstance(node.op, Call | Tap) and node.inputs:
                applied.setdefault((node.op, tuple(v.type for v in node.inputs)), []).append(node)
        return [_unit(nodes) for nodes in applied.values()]

    def _check_unit(self, unit: _Unit) -> None:
        types = [v.type for v in unit.operands[0]]
        xs = [apply(Input(f"operand {i + 1}", type)) for i, type in enumerate(types)]
        results = [y for y in Node(unit.op, tuple(xs)).values if y.dtype.is_float]
        has_derivative = isinstance(unit.op, Call) or type(unit.op).vjp is not Op.vjp
        if not results or not has_derivative:
            return
        points = self._points(unit, xs)
        number = self._combined(results)
        for order in range(1, self.wanted.order + 1):
            flowing: list[Value] = []
            f = self._program({"f": number})
            for i in unit.checked if order == 1 else range(len(xs)):
                line = unit.lines.get(i)
                if not xs[i].dtype.is_float:
                    continue
                (g,) = cotangents({number: literal(1.0, number.dtype)}, [xs[i]])
                if line is not None and line.surrogate:
                    self._add_unit_row(unit, i, order, None, "surrogate")
                    continue
                if g is not None:
                    flowing.append(g)
                elif line is None:
                    continue  # derived: no derivative passes
                formula = filled(0.0, xs[i].type) if g is None else g
                self._check_argument(unit, i, order, f, formula, points)
            if not flowing:
                break
            number = self._combined(flowing)

    def _points(self, unit: _Unit, xs: Sequence[Value]) -> list[dict[str, Array]]:
        """Operands: those seen in the model, and random ones around the first of them."""
        labels = [x.node.op.label for x in xs]  # type: ignore[attr-defined]
        outputs = {
            f"{k} {label}": value
            for k, operands in enumerate(unit.operands)
            for label, value in zip(labels, operands, strict=True)
        }
        seen = self._program(outputs)(self.arrays)
        points = [{label: seen[f"{k} {label}"] for label in labels} for k in range(len(unit.operands))]
        for n, distance in enumerate(AROUND):
            points.append(
                {
                    label: around(a, distance, SEED + n + i, self.backend.asarray)
                    if a.dtype.kind == "f"
                    else a
                    for i, (label, a) in enumerate(points[0].items())
                }
            )
        return points

    def _check_argument(
        self, unit: _Unit, i: int, order: int, f: Program, formula: Value, points: list[dict[str, Array]]
    ) -> None:
        """Check one derivative of an op at several points."""
        label = f"operand {i + 1}"
        gradient = self._program({"g": formula})
        found: list[Comparison] = []
        for point in points:
            arrays = {**self.arrays, **point}

            def value(x: Array, arrays: Mapping[str, Array] = arrays) -> float:
                return float(f({**arrays, label: x})["f"])

            if value(point[label]) - value(point[label]) == 0:  # else it is not finite: outside the domain
                g = gradient(arrays)["g"]
                found.append(compare(value, point[label], g, self._directions(point[label])[0]))
        wrong = next((c for c in found if c.verdict == "differs"), None)
        told = [c for c in found if c.verdict == "agrees"]
        verdict: Verdict = (
            "wrong" if wrong else "right" if told else _VERDICTS[found[0].verdict] if found else "unknown"
        )
        shown = [wrong] if wrong else told or found
        self._add_unit_row(
            unit, i, order, max((c.error for c in shown), default=None), verdict, points, found
        )
        if wrong is not None:
            self._report_line(unit, i, order, wrong)

    def _add_unit_row(
        self,
        unit: _Unit,
        i: int,
        order: int,
        error: float | None,
        verdict: Verdict,
        points: Sequence[Mapping[str, Array]] = (),
        found: Sequence[Comparison] = (),
    ) -> None:
        line = unit.lines.get(i)
        kind = "primitive" if not isinstance(unit.op, Call) else "derived" if line is None else "by hand"
        compared = f"{len(found)} points" if found else "nothing"
        row = Row(f"{unit.name}: {unit.arguments[i]}", kind, "", order, compared, error, verdict)
        if row not in self.findings.rows:
            self.findings.rows.append(row)

    def _report_line(self, unit: _Unit, i: int, order: int, comparison: Comparison) -> None:
        line = unit.lines.get(i)
        origin = line.origin if line is not None and line.origin is not None else unit.origin
        self.findings.wrong.append(
            say.gradient_wrong(
                unit.name,
                unit.arguments[i],
                _numbers(comparison),
                _factor(comparison),
                order=order,
                module=unit.op.plugin,
                element=self._element(comparison, unit.operands[0][i]),
                place=origin.span if origin else None,
            )
        )

    # --- kinks --------------------------------------------------------------------------------------

    def _note_kink(self, value: Value, name: str, label: str, comparison: Comparison, x: Array) -> None:
        """Remember where the function bends; several gradients may meet the same kink."""
        ways = list(self._directions(x)[0]) if not self.wanted.full else None
        way = ways[comparison.direction] if ways else random_directions(x, 1, SEED, self.backend.asarray)[0]
        graph = self.engine.simplified({"f": value})
        kink = find_kink(graph, self.sizes, self.backend.name, self.arrays, label, way)
        key = kink.node.origin if kink else name
        known = self.findings.kinks.setdefault(key, (kink, [], comparison.sides or (0.0, 0.0)))
        if name not in known[1]:
            known[1].append(name)

    def _kink_warnings(self) -> list[Diagnostic]:
        found = []
        for kink, names, sides in self.findings.kinks.values():
            origin = kink.node.origin if kink else None
            op = kink.node.op.name if kink else ""
            element = f"at {list(kink.index)}" if kink and kink.index else ""
            count = kink.count if kink else 0
            found.append(
                say.gradient_at_kink(names, op, element, count, sides, origin.span if origin else None)
            )
        return found


_VERDICTS: dict[str, Verdict] = {"agrees": "right", "differs": "wrong", "small": "too small", "kink": "kink"}


def _has_surrogate(op: Call) -> bool:
    return any(line.surrogate for line in op.body.gradients.values())


def _stops(op: Call) -> bool:
    """Whether a derivative that is derived stops within a call that has hand-written ones."""
    parameters = op.body.parameters
    derived = [i for i, p in enumerate(parameters) if p.dtype.is_float and i not in op.body.gradients]
    if not derived:
        return False
    inside = open_calls(Graph({str(i): v for i, v in enumerate(op.body.results)}), lambda op, node: True)
    return any(isinstance(node.op, StopGradient) for node in inside.nodes)


def _is_std(line: HandGradient) -> bool:
    return line.origin is not None and isinstance(line.origin.span.source, LibrarySource)


def _unit(nodes: Sequence[Node]) -> _Unit:
    """An op with the operands of its first two applications."""
    op = nodes[0].op
    operands = tuple(node.inputs for node in nodes[:2])
    floats = tuple(i for i, v in enumerate(nodes[0].inputs) if v.dtype.is_float)
    if isinstance(op, Call):
        names = tuple(p.node.op.label for p in op.body.parameters)  # type: ignore[attr-defined]
        return _Unit(op.definition, op, names, floats, op.body.gradients, operands, nodes[0].origin)
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


def _numbers(c: Comparison) -> tuple[float, float, float]:
    """The symmetric relative error, and the derivatives that disagree most."""
    return c.error, c.analytic[c.worst], c.numeric[c.worst]


def _factor(c: Comparison) -> float | None:
    """The number by which all derivatives are too large, if it is one."""
    ratios = [a / n for a, n in zip(c.analytic, c.numeric, strict=True) if n]
    if len(ratios) < len(c.numeric) or not ratios:
        return None
    spread = max(ratios) - min(ratios)
    return ratios[0] if len(ratios) > 1 and spread <= 1e-5 * abs(ratios[0]) else None
