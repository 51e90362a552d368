"""Gradients of single examples: differentiate on one example alone, then let the result run over the batch.

Done in this order, the gradient of each example is by construction that of the objective on this example:
means are not divided by the size of the batch, and weights keep their own denominators.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace

from graphspec.compiler import Derived, cotangent_of
from graphspec.compiler import derive as derive_summed
from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue import batching as say
from graphspec.diagnostics.catalogue.requests import cotangent_needed
from graphspec.ir import Graph, Input, Size, Value, apply, reachable, symbol
from graphspec.ir.sizes import product, substitute
from graphspec.lowering.module import Module
from graphspec.ops.shape import cut_axis, move_axis
from graphspec.optimisations import GRAM, TRANSPOSE
from graphspec.requests import Request, find_objectives, find_targets, span_of
from graphspec.transforms.batch import batch
from graphspec.transforms.broadcasting import make
from graphspec.transforms.coupling import (
    Carried,
    Coupled,
    Mixed,
    State,
    batches,
    explain_coupling,
    follow_examples,
)
from graphspec.transforms.drop_taps import drop_taps
from graphspec.transforms.expand_gradients import expand_gradients
from graphspec.transforms.gram_products import gram_products
from graphspec.transforms.inline_calls import inline_calls
from graphspec.transforms.set_sizes import set_sizes
from graphspec.transforms.transpose_products import transpose_products


@dataclass(frozen=True, eq=False)
class PerExample(Derived):
    """What answers a request for gradients of single examples; every output leads with `batch`.

    `axes` says along which axis an input holds the examples.
    """

    batch: str
    axes: Mapping[str, int]
    are_norms: bool

    def weighed(self, graph: Graph, sizes: Mapping[str, int], without: Collection[str] = ()) -> Graph:
        return gram_products(graph, sizes) if self.are_norms and GRAM not in without else graph


def find_batch(module: Module, request: Request) -> str:
    """The symbol of the batch: the one of the request, else the one that leads the inputs of the objective.

    Raises GraphSpecError where there is none, or several.
    """
    objectives = find_objectives(module, request.of)
    graph = Graph(objectives)
    shown = ", ".join(objectives)
    if request.batch is not None:
        known = sorted({name for node in graph.nodes for type in node.types for name in type.symbols})
        if request.batch not in known:
            raise GraphSpecError(say.unknown_batch(request.batch, shown, known))
        return request.batch
    inputs = {d.name: d.value for d in module.declared.values() if d.kind == "input"}
    found = batches(graph, inputs)
    if len(found) > 1:
        raise GraphSpecError(say.several_batches(shown, found))
    if not found:
        used = {node.values[0] for node in graph.nodes}
        raise GraphSpecError(say.no_batch(shown, {n: str(v.type) for n, v in inputs.items() if v in used}))
    return next(iter(found))


def find_weighted(module: Module, of: tuple[str, ...] | None, batch: str | None) -> list[str]:
    """The objectives that are not one number for each example: they need a cotangent."""
    name = find_batch(module, Request(of, batch=batch))
    return [n for n, y in find_objectives(module, of).items() if not _is_one_each(y, name)]


def _is_one_each(y: Value, batch: str) -> bool:
    return substitute(product(y.shape), {batch: 1}) == 1


def derive(module: Module, alone: Module, request: Request, *, without: Collection[str] = ()) -> PerExample:
    """The graph of the gradients of every example, stacked along a new first axis; or of their norms.

    `alone` is the module as it is lowered for one example: another one than `module` only where the batch
    decides the graph.  Raises GraphSpecError where examples depend on one another.
    """
    name = find_batch(module, request)
    objectives = find_objectives(alone, request.of)
    wanted = {n: alone.values[n] for target in find_targets(alone, request.wrt) for n in target.names}
    states = _states(alone, objectives, wanted, name)
    _check_objectives(objectives, states, name, request)
    single = _one_example(alone, objectives, wanted, name)
    asked = replace(request, per_example=None, batch=None, ones=True, values=True, updates=False)
    answer = derive_summed(single, asked, without=without)
    full = {d.name: d.value for d in module.declared.values()}
    full |= {cotangent_of(n): apply(Input(cotangent_of(n), y.type)) for n, y in objectives.items()}
    cut = {d.name: _declared_state(d.value, name) for d in module.declared.values()}
    cut |= {cotangent_of(n): states[n] for n in objectives}
    targets = {key: n for places in answer.gradients.values() for n, key in places.items()}
    dropped = {key: _axis(states[targets.get(key, key)]) for key in answer.graph.outputs}
    given = {n: (full[n], state) for n, state in cut.items() if isinstance(state, Carried)}
    graph = _over_batch(answer.graph, given, dropped, name)
    if TRANSPOSE not in without:
        graph = transpose_products(graph)
    are_norms = request.per_example == "norms"
    if are_norms:
        norms = {key: _norm(v) if key in targets else v for key, v in graph.outputs.items()}
        graph = Graph(norms, graph.names)
    parts = {field.name: getattr(answer, field.name) for field in fields(answer)}
    cut_at = {n: state.axis for n, (_, state) in given.items()}
    return PerExample(**{**parts, "graph": graph}, batch=name, axes=cut_at, are_norms=are_norms)


def _states(
    module: Module, objectives: Mapping[str, Value], wanted: Mapping[str, Value], batch: str
) -> dict[str, State]:
    """What is known of the objectives and of what they are differentiated by.

    Raises GraphSpecError where the examples of an objective are coupled.
    """
    values = {**wanted, **objectives}
    nodes = set(reachable(values.values()))
    named = {name: v for name, v in module.values.items() if v.node in nodes}
    flat = inline_calls(expand_gradients(Graph(values, named)))
    states = follow_examples(flat, batch)
    found = {name: states.get(value) for name, value in flat.outputs.items()}
    for n, y in objectives.items():
        state = found[n]
        if isinstance(state, Mixed) and batch in y.type.symbols:  # an element for each example, of several
            found[n] = Coupled(state.node, "meets")
    coupled = [state for n in objectives if isinstance(state := found[n], Coupled)]
    if coupled:
        raise GraphSpecError([explain_coupling(flat, batch, state) for state in dict.fromkeys(coupled)])
    return found


def _check_objectives(
    objectives: Mapping[str, Value], states: Mapping[str, State], batch: str, request: Request
) -> None:
    """That each objective is one number for each example, or has a cotangent."""
    wrong = [
        cotangent_needed(name, str(y.type), span_of(y))
        for name, y in objectives.items()
        if name not in request.cotangents and not request.ones and not _is_one_each(y, batch)
    ]
    if wrong:
        raise GraphSpecError(wrong)


def _one_example(
    module: Module, objectives: Mapping[str, Value], wanted: Mapping[str, Value], batch: str
) -> Module:
    """The part of the module that a request needs, with a batch of one example."""
    needed = set(reachable([*objectives.values(), *wanted.values()]))
    values = {name: v for name, v in module.values.items() if v.node in needed}
    graph = set_sizes(Graph({}, {**values, **wanted, **objectives}), {batch: 1})
    declared = {
        name: replace(d, value=graph.names[name]) for name, d in module.declared.items() if name in values
    }
    results = {
        name: replace(r, value=graph.names[name]) for name, r in module.results.items() if name in objectives
    }
    return replace(module, values=graph.names, declared=declared, results=results, updates={})


def _over_batch(
    graph: Graph,
    full: Mapping[str, tuple[Value, Carried]],
    dropped: Mapping[str, int | None],
    name: str,
) -> Graph:
    """The graph of one example over all examples of the inputs `full`, which are given with where these are.

    `dropped` says at which axis an output has the one example.
    """
    flat = drop_taps(inline_calls(graph))
    given: dict[Value, Value] = {}
    for node in reachable(flat.outputs.values()):
        if isinstance(node.op, Input) and node.op.label in full:
            given[node.values[0]] = _split(*full[node.op.label], name, node.types[0].shape)
    stacked = batch(flat, given, symbol(name))
    outputs = {key: _drop(v, dropped[key]) for key, v in stacked.outputs.items()}
    inputs = {n: x for n, (x, _) in full.items() if n in stacked.names}
    return Graph(outputs, {**stacked.names, **inputs})


def _split(x: Value, state: Carried, batch: str, shape: tuple[Size, ...]) -> Value:
    """x[..., outer * N * inner, ...] as N examples of `shape`, along a new first axis."""
    axis = state.axis
    x = cut_axis(x, axis, (state.outer, symbol(batch), state.inner))
    return make("reshape", move_axis(x, axis + 1, 0), shape=(symbol(batch), *shape))


def _drop(x: Value, axis: int | None) -> Value:
    """x[N, ..., 1, ...] without the axis of the one example."""
    if axis is None:
        return x
    return make("reshape", x, shape=(*x.shape[: axis + 1], *x.shape[axis + 2 :]))


def _norm(g: Value) -> Value:
    """The Euclidean norm of each example's part of g[N, ...]."""
    squares = make("sum", g * g, axis=tuple(range(1, len(g.shape))))
    return make("sqrt", squares)


def _declared_state(x: Value, batch: str) -> State:
    """Where a declared value carries the examples."""
    return next((Carried(k) for k, size in enumerate(x.shape) if size == symbol(batch)), None)


def _axis(state: State) -> int | None:
    """The axis that holds one example where the batch is 1 and nothing else is on that axis."""
    return state.axis if isinstance(state, Carried) and state.outer == state.inner == 1 else None
