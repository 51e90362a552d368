"""Gradients of objectives by parameters, inputs and values, against differences of the objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from graphspec.diagnostics import Diagnostic
from graphspec.diagnostics.catalogue import checks as say
from graphspec.gradcheck.held import Held
from graphspec.gradcheck.point import VERDICTS, Found, Point, factor, numbers
from graphspec.gradcheck.report import Row
from graphspec.ir import Graph, Input, Value, apply, literal, rebuild
from graphspec.requests import Request, span_of
from graphspec.runtime.differences import Comparison
from graphspec.runtime.kinks import Kink, find_kink
from graphspec.runtime.program import Program
from graphspec.transforms.differentiate import cotangents

Array: TypeAlias = Any

#: how far a point lies from the one that is checked, where that has a kink
BESIDE = 1e-3
_KINDS = {"param": "parameter", "input": "input", "buffer": "buffer", "noise": "noise"}


def check_targets(point: Point, held: Held, order: int, *, are_asked: bool) -> Found:
    """Check the gradients of each output of a graph by each of its names, as far as they reach.

    If the names are asked for one by one, those have a row too whose gradient flows through surrogates only.
    """
    targets = _Targets(point, held, order)
    targets.check()
    if are_asked:
        targets.add_unreached()
    return Found(tuple(targets.rows), (*targets.wrong, *targets.warnings()))


@dataclass(frozen=True, slots=True)
class _Scalar:
    """A number to differentiate.  `is_asked` says that it is an objective of the spec as it stands, whose
    gradients are those that a user gets.
    """

    name: str
    value: Value
    is_asked: bool = False


class _Targets:
    def __init__(self, point: Point, held: Held, order: int) -> None:
        self.point = point
        self.held = held
        self.order = order
        self.rows: list[Row] = []
        self.wrong: list[Diagnostic] = []
        self.kinks: dict[Any, tuple[Kink | None, list[str], tuple[float, float]]] = {}
        self.reached: set[str] = set()

    def check(self) -> None:
        names = self.held.graph.names
        declared = {name: x for name, x in names.items() if isinstance(x.node.op, Input)}
        for name, y in self.held.graph.outputs.items():
            number = _Scalar(name, self.point.weighted(y), self.held.is_whole and not y.shape)
            self.check_number(number, declared)
            for target, x in names.items():
                if target not in declared:
                    self.check_value(number, target, x)

    def add_unreached(self) -> None:
        """A row for each name of which no gradient was compared."""
        objective = next(iter(self.held.graph.outputs))
        for name in self.held.graph.names:
            if name not in self.reached:
                self.rows.append(Row(name, self.kind(name), objective, 1, "nothing", None, "surrogate"))

    def check_value(self, number: _Scalar, target: str, x: Value) -> None:
        """Check the gradient by a value that is computed: from there on it is an input."""
        label = f"value of {target}"
        if label not in self.point.arrays:
            self.point.arrays.update(self.point.program({label: x})(self.point.arrays))
        cut = apply(Input(label, x.type))
        graph = rebuild(Graph({"f": number.value}), lambda node, inputs: None, {x: cut})
        self.check_number(_Scalar(number.name, graph.outputs["f"]), {target: cut})

    def check_number(self, number: _Scalar, targets: Mapping[str, Value]) -> None:
        """Check the gradient of a number by those inputs that it reaches, up to the order asked for."""
        for order in range(1, self.order + 1):
            one = literal(1.0, number.value.dtype)
            made = cotangents({number.value: one}, list(targets.values()))
            gradients = {name: g for name, g in zip(targets, made, strict=True) if g is not None}
            if not gradients:
                break
            self.reached |= gradients.keys()
            arrays = self.gradients(number, gradients)
            f = self.point.program({"f": number.value})
            for name, gradient in gradients.items():
                self.check_target(number, order, name, targets[name], f, arrays[name], gradient)
            number = _Scalar(number.name, self.point.combined(gradients.values()))

    def gradients(self, number: _Scalar, gradients: Mapping[str, Value]) -> Mapping[str, Array]:
        """The gradients as arrays: as a request gives them, where it would be the same."""
        if not number.is_asked:
            return self.point.program(gradients)(self.point.arrays)
        request = Request((number.name,), tuple(gradients), "gradients", values=False)
        backend = self.point.backend.name
        derived, found = self.point.engine.run(request, self.point.given, seed=0, backend=backend)
        return {name: found[key] for name, key in derived.gradients[number.name].items()}

    def check_target(
        self,
        number: _Scalar,
        order: int,
        name: str,
        x: Value,
        f: Program,
        gradient: Array,
        formula: Value,
    ) -> None:
        assert isinstance(x.node.op, Input)
        label, arrays = x.node.op.label, self.point.arrays

        def value(x: Array) -> float:
            return float(f({**arrays, label: x})["f"])

        comparison = self.point.compare(value, arrays[label], gradient)
        verdict, error = VERDICTS[comparison.verdict], comparison.error
        if comparison.verdict == "kink":
            self.note_kink(number.value, name, label, comparison)
            moved = self.point.near(arrays[label], BESIDE)
            at_moved = self.point.program({"g": formula})({**arrays, label: moved})["g"]
            comparison = self.point.compare(value, moved, at_moved)
            verdict = "wrong" if comparison.verdict == "differs" else "kink"
            error = comparison.error
        compared = self.point.compared(arrays[label])
        self.rows.append(Row(name, self.kind(name), number.name, order, compared, error, verdict))
        if verdict == "wrong":
            element = self.point.element(comparison, x)
            place = span_of(self.point.module.values[name])
            self.wrong.append(
                say.gradient_disagrees(
                    name, number.name, numbers(comparison), factor(comparison), element=element, place=place
                )
            )

    def kind(self, name: str) -> str:
        declared = self.point.module.declared.get(name)
        return _KINDS[declared.kind] if declared else "value"

    # --- kinks --------------------------------------------------------------------------------------

    def note_kink(self, number: Value, name: str, label: str, comparison: Comparison) -> None:
        """Remember where the function bends; several gradients may meet the same kink."""
        point = self.point
        way = next(islice(point.directions(point.arrays[label]), comparison.direction, None))
        graph = point.engine.simplified({"f": number})
        kink = find_kink(graph, point.sizes, point.backend.name, point.arrays, label, way)
        key = kink.node.origin if kink else name
        assert comparison.sides is not None
        known = self.kinks.setdefault(key, (kink, [], comparison.sides))
        if name not in known[1]:
            known[1].append(name)

    def warnings(self) -> list[Diagnostic]:
        found = []
        for kink, names, sides in self.kinks.values():
            if kink is None:
                found.append(say.gradient_at_kink(names, "", "", 0, sides, None))
                continue
            element = f"at {list(kink.index)}" if kink.index else ""
            place = span_of(kink.node.values[0])
            found.append(say.gradient_at_kink(names, kink.node.op.name, element, kink.count, sides, place))
        return found
