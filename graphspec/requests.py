"""What a request means: names, patterns, roles and expressions become values of the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from graphspec.diagnostics import Diagnostic, GraphSpecError, Span
from graphspec.diagnostics.catalogue import requests as say
from graphspec.ir import Call, Graph, Node, Value
from graphspec.lowering.lower import lower_expression
from graphspec.lowering.module import Module, Result
from graphspec.lowering.patterns import is_pattern, matches
from graphspec.transforms.differentiate import end_of_path

ROLES = {"@params": "param", "@inputs": "input"}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a model; compiled programs are kept by it.

    `of` are the values wanted (None: those that the spec declares), `wrt` what they are differentiated
    by.  The kinds "jvp" and "hvp" are derivatives along directions, which the caller gives for each of
    `wrt`: of the values, or of the gradient; "rows" and "columns" are blocks of a Jacobian.  `cotangents`
    are the objectives whose cotangent the caller gives; with `ones` the others that are not scalars have a
    cotangent of ones.  `values` adds the values of the objectives, `updates` the new values of buffers.
    `per_example` asks for the gradient of each example, or its norm, along the symbol `batch` (None: the
    one that leads the objective's inputs).
    """

    of: tuple[str, ...] | None = None
    wrt: tuple[str, ...] = ()
    kind: Literal["values", "gradients", "jvp", "hvp", "rows", "columns"] = "values"
    cotangents: frozenset[str] = frozenset()
    ones: bool = False
    allow_zero: bool = False
    values: bool = True
    updates: bool = False
    per_example: Literal["gradients", "norms"] | None = None
    batch: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One element of `wrt`: the names it stands for, and whether it is a name or selects by pattern."""

    asked: str
    names: tuple[str, ...]
    is_exact: bool


def find_values(module: Module, of: Sequence[str] | None) -> dict[str, Value]:
    """The values that `of` names or computes; without `of`, all results of the spec."""
    if of is not None:
        return _each(of, lambda text: _evaluate(module, text))
    if not module.results:
        raise GraphSpecError(say.no_objective())
    return {result.name: result.value for result in module.results.values()}


def find_objectives(module: Module, of: Sequence[str] | None) -> dict[str, Value]:
    """The floating values to differentiate: those of the request, else the one that the spec declares."""
    if of is None:
        result = _declared_objective(module)
        found = {result.name: result.value}
    else:
        found = find_values(module, of)
    wrong = [
        say.objective_not_floating(name, str(value.type), span_of(value))
        for name, value in found.items()
        if not value.dtype.is_float
    ]
    if wrong:
        raise GraphSpecError(wrong)
    return found


def find_targets(module: Module, wrt: Sequence[str]) -> list[Target]:
    """What each element of `wrt` stands for; every element that is wrong is reported."""
    if not wrt:
        raise GraphSpecError(say.empty_request("wrt"))
    return list(_each(wrt, lambda asked: _find_target(module, asked)).values())


def span_of(value: Value) -> Span | None:
    """The place in the text that made a value."""
    return value.node.origin.span if value.node.origin else None


def not_reached(module: Module, graph: Graph, objective: str, target: str) -> Diagnostic:
    """Where the path from a target ends, which the gradient of the objective does not reach.

    `graph` has the objective among its outputs and every name of the spec, with gradients expanded.
    """
    y, x = graph.outputs[objective], graph.names[target]
    stop = end_of_path(y, x)
    if stop is not None:
        op = stop.op.definition if isinstance(stop.op, Call) else stop.op.name
        return say.not_reached(
            target, objective, span_of(x), span_of(stop.values[0]), f"`{op}` passes no gradient"
        )
    below = _descendants(graph, x)
    used = {value.node for node in graph.nodes for value in node.inputs}
    ends = [node for node in graph.nodes if node in below and node not in used]
    labels = graph.labels | {graph.names[r]: r for r in module.results if r in graph.names}
    named = [f"`{labels[v]}`" for node in ends for v in node.values if v in labels and v != x]
    where = f"it leads to {' and '.join(named)} only" if named else "nothing uses it"
    place = span_of(ends[-1].values[0]) if named else None
    return say.not_reached(target, objective, span_of(x), place, where)


def _each(texts: Iterable[str], find: Callable[[str], T]) -> dict[str, T]:
    """`find` of each text; what is wrong with any of them is reported together."""
    found: dict[str, T] = {}
    wrong: list[Diagnostic] = []
    for text in texts:
        try:
            found[text] = find(text)
        except GraphSpecError as error:
            wrong.extend(error.diagnostics)
    if wrong:
        raise GraphSpecError(wrong)
    return found


def _evaluate(module: Module, text: str) -> Value:
    if text in module.values:
        return module.values[text]
    if not text.strip():
        raise GraphSpecError(say.empty_request("of"))
    values = lower_expression(module, text, "--of")
    if len(values) != 1:
        raise GraphSpecError(say.not_one_value(text, len(values)))
    return values[0]


def _declared_objective(module: Module) -> Result:
    of_kind: dict[str, list[Result]] = {"objective": [], "loss": [], "output": []}
    for result in module.results.values():
        of_kind[result.kind].append(result)
    for kind, results in of_kind.items():
        if len(results) == 1:
            return results[0]
        if results:
            names = [r.name for r in results]
            spans = [r.origin.span if r.origin else None for r in results]
            raise GraphSpecError(say.several_objectives(kind, names, spans))
    raise GraphSpecError(say.no_objective())


def _find_target(module: Module, asked: str) -> Target:
    if asked.startswith("@"):
        if asked not in ROLES:
            raise GraphSpecError(say.unknown_role(asked))
        return _select(module, asked, [d.name for d in module.declared.values() if d.kind == ROLES[asked]])
    if is_pattern(asked):
        parameters = [d.name for d in module.declared.values() if d.kind == "param"]
        return _select(module, asked, [name for name in parameters if matches(asked, name)])
    if asked not in module.values:
        raise GraphSpecError(_unknown(module, asked))
    value = module.values[asked]
    if not value.dtype.is_float:
        raise GraphSpecError(say.not_differentiable(asked, str(value.type), span_of(value)))
    return Target(asked, (asked,), is_exact=True)


def _select(module: Module, asked: str, names: list[str]) -> Target:
    if not names:
        parameters = [d.name for d in module.declared.values() if d.kind == "param"]
        raise GraphSpecError(say.nothing_matches(asked, parameters))
    return Target(asked, tuple(names), is_exact=False)


def _unknown(module: Module, asked: str) -> Diagnostic:
    """The diagnostic for a name that is no value; it may be a layer's, which lowering explains best."""
    if asked.replace(".", "_").isidentifier():
        try:
            lower_expression(module, asked, "--wrt")
        except GraphSpecError as error:
            if error.diagnostics[0].id == "value-of-a-layer":
                return error.diagnostics[0]
    return say.unknown_target(asked, list(module.values))


def _descendants(graph: Graph, x: Value) -> set[Node]:
    """The node of `x` and all that depend on `x`."""
    values = {x}
    for node in graph.nodes:
        if not values.isdisjoint(node.inputs):
            values.update(node.values)
    return {value.node for value in values}
