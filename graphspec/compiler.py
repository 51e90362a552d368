"""From a file to a program: the phases, in their order.

    text -> lower -> push selections -> expand gradients -> differentiate
    `load`           `derive`
         -> optimise, push once more -> plan and emit -> run
            `simplify`                  `assemble`       the program

Up to `simplify` sizes are symbols; a program is made for one set of numbers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, TypeAlias

from graphspec.diagnostics import Diagnostic, GraphSpecError
from graphspec.diagnostics.catalogue import requests as say
from graphspec.ir import DType, Graph, Input, Value, apply, reachable
from graphspec.ir.collector import collector_at_rest
from graphspec.lowering.lower import lower_file, lower_text
from graphspec.lowering.module import Module
from graphspec.optimisations import POOL, PUSH
from graphspec.requests import (
    Request,
    Target,
    find_objectives,
    find_targets,
    find_values,
    not_reached,
    span_of,
)
from graphspec.runtime.means import PLAIN, Means
from graphspec.transforms.broadcasting import filled
from graphspec.transforms.differentiate import cotangents, tangents
from graphspec.transforms.eliminate_dead_code import eliminate_dead_code
from graphspec.transforms.expand_gradients import expand_gradients
from graphspec.transforms.pipeline import optimise, passes_without
from graphspec.transforms.pool_first import pool_first
from graphspec.transforms.push_selections import push_selections
from graphspec.transforms.simplify import simplify as simplify_graph
from graphspec.transforms.simplify_adjoints import simplify_adjoints
from graphspec.transforms.straighten import straighten
from graphspec.transforms.unpack_products import unpack_products

if TYPE_CHECKING:
    from graphspec.runtime.program import Program


@dataclass(frozen=True, slots=True)
class Spec:
    """A text to compile: a file, or a text with the folder that its paths are relative to."""

    path: str | None
    text: str = ""
    base: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What is said from outside when a spec is read: consts and dims, the floating dtype, the mode."""

    sets: Mapping[str, Any]
    dtype: DType | None = None
    training: bool = False


@dataclass(frozen=True, eq=False)
class Derived:
    """The graph that answers a request, and which of its outputs are the answers.

    `gradients` is by objective, then by what it is differentiated by; `updates` by buffer.  `notes` say
    what a pattern left out.
    """

    graph: Graph
    values: Mapping[str, str]
    gradients: Mapping[str, Mapping[str, str]]
    updates: Mapping[str, str]
    notes: tuple[Diagnostic, ...]

    @cached_property
    def inputs(self) -> dict[str, Value]:
        """What must be known to run it, by name."""
        return {node.op.label: node.values[0] for node in self.graph.needed if isinstance(node.op, Input)}

    def weighed(self, graph: Graph, sizes: Mapping[str, int], without: Collection[str] = ()) -> Graph:
        """The simplified graph as it is run for these sizes: what costs decide is decided here.

        `without` are optimisations left out.
        """
        return graph


@collector_at_rest()
def load(spec: Spec, settings: Settings) -> Module:
    """Parse, resolve and type a spec.  Raises GraphSpecError with all errors found."""
    sets, dtype, training = settings.sets, settings.dtype, settings.training
    if spec.path is not None:
        return lower_file(spec.path, sets=sets, dtype=dtype, training=training)
    return lower_text(spec.text, spec.base, sets=sets, dtype=dtype, training=training)


def check(module: Module) -> None:
    """Differentiate what the spec itself differentiates.  Raises GraphSpecError where that cannot be done."""
    expand_gradients(module.graph())


@collector_at_rest()
def derive(module: Module, request: Request, *, without: Collection[str] = ()) -> Derived:
    """The graph of what a request asks for, with nothing in it that the answer does not need.

    Where there is pooling it is done as early as it can be; values of which the answer needs a part are
    computed there only; `without` are optimisations left out.
    Raises GraphSpecError where a name is unknown, or the objective does not depend on it.
    """
    if request.kind == "values":
        values = find_values(module, request.of)
        graph = _Expansion(module, values, {}, request, without).graph
        return _answer(module, graph, {name: graph.outputs[name] for name in values}, {}, request)
    objectives = find_objectives(module, request.of)
    targets = find_targets(module, request.wrt)
    wanted = {name: module.values[name] for target in targets for name in target.names}
    expansion = _Expansion(module, objectives, wanted, request, without)
    graph = expansion.graph
    outputs = {name: graph.outputs[name] for name in objectives}
    if request.kind == "jvp":
        forward = _push_forward(expansion, outputs, _directions(graph, wanted))
        return _answer(module, graph, {}, forward, request)
    gradients, graph, notes = _gradients(expansion, outputs, targets, request)
    if request.kind == "hvp":
        products = _along(graph, gradients, _directions(graph, wanted))
        return _answer(module, graph, {}, products, request, notes)
    return _answer(module, graph, outputs if request.values else {}, gradients, request, notes)


@collector_at_rest()
def simplify(graph: Graph, *, without: Collection[str] = (), check: bool = False) -> Graph:
    """The graph as it is run: calls inlined, equal nodes merged, algebra done, the dead dropped.

    `without` are optimisations left out; `check` verifies it after each pass.
    """
    return optimise(graph, verify=check, passes=passes_without(without))


def readable(graph: Graph) -> Graph:
    """The graph as it is printed and drawn: simplified, with its calls whole and its taps in place."""
    return simplify_adjoints(graph)


@collector_at_rest()
def assemble(
    graph: Graph,
    sizes: Mapping[str, int],
    backend: str,
    *,
    means: Means = PLAIN,
    threads_from: float = math.inf,
    check: bool = False,
) -> Program:
    """The program that computes a simplified graph's outputs where the dims have these numbers.

    If it takes longer than `threads_from` seconds it works on pieces of its batch, in several threads or so
    that they stay in the cache.
    `check` verifies the graph after each pass.
    """
    from graphspec.runtime.fusing import is_worth_it
    from graphspec.runtime.program import Program

    if backend != "numpy" or not is_worth_it(graph, sizes):
        means = replace(means, fuse=False, fast=False)
    if means.fuse:

        def unpack(graph: Graph) -> Graph:
            return unpack_products(graph, sizes) if means.fast else graph

        graph = optimise(graph, check, (unpack, simplify_graph, straighten))
    program = Program(graph, sizes, backend, means=means, check=check, is_limited=False)
    if threads_from < math.inf:
        from graphspec.runtime.worth import use_pieces

        use_pieces(program, threads_from)
    program.check_memory()
    return program


#: the only entry of a forward derivative, which belongs to no target alone
DERIVATIVE = ""


def cotangent_of(objective: str) -> str:
    """The name of the graph's input for an objective's cotangent: no name in a spec has a space."""
    return f"cotangent of {objective}"


def direction_of(target: str) -> str:
    """The name of the graph's input for the direction in which a target moves."""
    return f"direction of {target}"


#: by objective, then by what it is differentiated by
Gradients: TypeAlias = "dict[str, dict[str, Value]]"


class _Expansion:
    """The graph of some values with its `grad` nodes expanded, and with updates of buffers where the request
    has them; of what a part is needed, only that is in it.
    """

    def __init__(
        self,
        module: Module,
        outputs: Mapping[str, Value],
        names: Mapping[str, Value],
        request: Request,
        without: Collection[str],
    ) -> None:
        self.module = module
        updates = {_update_of(name): value for name, value in module.updates.items() if request.updates}
        graph = Graph({**outputs, **updates}, names)
        needed = set(graph.nodes)
        named = {name: value for name, value in module.values.items() if value.node in needed}
        self._all = Graph(graph.outputs, {**named, **names})
        if POOL not in without:
            self._all = pool_first(self._all, keep=names)
        pushed = self._all
        if PUSH not in without:
            pushed = push_selections(self._all, _defaults(module), keep=names)
        try:
            self.graph = expand_gradients(pushed)
        except GraphSpecError:
            # of what `grad` differentiates by, nothing may be left in a part; whether that is wrong, the
            # whole graph says
            pushed = self._all
            self.graph = expand_gradients(pushed)
        self._is_whole = pushed is self._all

    @cached_property
    def whole(self) -> Graph:
        """The graph with every value whole."""
        return self.graph if self._is_whole else expand_gradients(self._all)

    def reached(self, objective: str, names: Sequence[str]) -> list[str]:
        """Those of the names that an objective depends on, but not through the parts that are needed: its
        derivative by them is zero.
        """
        if self._is_whole or not names:
            return []
        y = self.whole.outputs[objective]
        found = cotangents({y: filled(1.0, y.type)}, [self.whole.names[name] for name in names])
        return [name for name, g in zip(names, found, strict=True) if g is not None]

    def explain(self, unreached: list[tuple[str, str]]) -> list[Diagnostic]:
        """Where the paths end from targets to objectives that do not depend on them."""
        whole = expand_gradients(Graph(self._all.outputs, self.module.values))
        return [not_reached(self.module, whole, objective, name) for objective, name in unreached]


def _defaults(module: Module) -> dict[str, int]:
    """The numbers that the dims have unless data say otherwise."""
    return {name: dim.default for name, dim in module.dims.items() if dim.default is not None}


def _gradients(
    expansion: _Expansion, outputs: Mapping[str, Value], targets: Sequence[Target], request: Request
) -> tuple[Gradients, Graph, list[Diagnostic]]:
    """The gradient of each objective by each target that it reaches, and what patterns left out.

    The graph that comes back knows the cotangents of named values on the way, as `d.NAME`.
    """
    graph = expansion.graph
    seeds = _seeds(outputs, request)
    found: Gradients = {}
    unreached: list[tuple[str, str]] = []
    wrong: list[Diagnostic] = []
    notes: list[Diagnostic] = []
    names = list(dict.fromkeys(name for target in targets for name in target.names))
    xs = [graph.names[name] for name in names]
    between = _named_between(graph, xs)
    for objective, y in outputs.items():
        labels = dict(zip(xs, names, strict=True))
        made = cotangents({y: seeds[objective]}, [*xs, *between.values()], labels)
        reached = {name: g for name, g in zip(names, made, strict=False) if g is not None}
        beside = expansion.reached(objective, [name for name in names if name not in reached])
        reached |= {name: filled(0.0, graph.names[name].type) for name in beside}
        passing = zip(between, made[len(xs) :], strict=True)
        graph = _with_names(graph, objective if len(outputs) > 1 else "", passing)
        found[objective] = {}
        for target in targets:
            missing = [name for name in target.names if name not in reached]
            if request.allow_zero:
                zeros = {
                    n: filled(0.0, graph.names[n].type) for n in missing if graph.names[n].dtype.is_float
                }
                reached |= zeros
                missing = [name for name in missing if name not in zeros]
            found[objective] |= {name: reached[name] for name in target.names if name in reached}
            if missing and target.is_exact:
                unreached.append((objective, target.asked))
            elif len(missing) == len(target.names):
                wrong.append(say.nothing_reached(target.asked, objective, missing))
            elif missing:
                notes.append(say.targets_left_out(target.asked, objective, missing))
    if unreached:
        wrong.extend(expansion.explain(unreached))
    if wrong:
        raise GraphSpecError(wrong)
    return found, graph, notes


def _named_between(graph: Graph, xs: Sequence[Value]) -> dict[str, Value]:
    """The named floating values that depend on the xs; their cotangents are there in any case."""
    below = set(xs)
    for node in graph.nodes:
        if not below.isdisjoint(node.inputs):
            below.update(node.values)
    return {name: v for name, v in graph.names.items() if v in below and v not in xs and v.dtype.is_float}


def _with_names(graph: Graph, objective: str, cotangents: Iterable[tuple[str, Value | None]]) -> Graph:
    """The graph with names for cotangents: `d.fc1` is that of `fc1`, of several objectives `d.nll.fc1`."""
    prefix = f"d.{objective}." if objective else "d."
    made = {f"{prefix}{name}": value for name, value in cotangents if value is not None}
    return Graph(graph.outputs, {**made, **graph.names})


def _directions(graph: Graph, names: Iterable[str]) -> dict[str, Value]:
    """An input for each target: the direction in which it moves."""
    return {name: apply(Input(direction_of(name), graph.names[name].type)) for name in names}


def _seeds(outputs: Mapping[str, Value], request: Request) -> dict[str, Value]:
    """The cotangent that each objective starts with: 1, ones, or an input of the program."""
    seeds: dict[str, Value] = {}
    wrong: list[Diagnostic] = []
    for name, y in outputs.items():
        if name in request.cotangents:
            seeds[name] = apply(Input(cotangent_of(name), y.type))
        elif y.type.rank == 0 or request.ones:
            seeds[name] = filled(1.0, y.type)
        else:
            wrong.append(say.cotangent_needed(name, str(y.type), span_of(y)))
    if wrong:
        raise GraphSpecError(wrong)
    return seeds


def _push_forward(
    expansion: _Expansion, outputs: Mapping[str, Value], directions: Mapping[str, Value]
) -> Gradients:
    """The derivative of each value as all targets move along their directions: the sum over targets."""
    found: Gradients = {}
    unreached: list[tuple[str, str]] = []
    for objective, y in outputs.items():
        parts = {name: tangents(y, expansion.graph.names[name], v) for name, v in directions.items()}
        beside = expansion.reached(objective, [name for name, part in parts.items() if part is None])
        parts |= {name: filled(0.0, y.type) for name in beside}
        unreached += [(objective, name) for name, part in parts.items() if part is None]
        reached = [part for part in parts.values() if part is not None]
        if reached:
            found[objective] = {DERIVATIVE: reduce(operator.add, reached)}
    if unreached:
        raise GraphSpecError(expansion.explain(unreached))
    return found


def _along(graph: Graph, gradients: Gradients, directions: Mapping[str, Value]) -> Gradients:
    """The derivative of each gradient as its targets move: the Hessian's product, the gradient of <g, v>."""
    found: Gradients = {}
    for objective, of_objective in gradients.items():
        seeds: dict[Value, Value] = {}
        for name, g in of_objective.items():
            seeds[g] = seeds[g] + directions[name] if g in seeds else directions[name]
        xs = [graph.names[name] for name in of_objective]
        found[objective] = {
            name: filled(0.0, x.type) if product is None else product
            for name, x, product in zip(of_objective, xs, cotangents(seeds, xs), strict=True)
        }
    return found


def _answer(
    module: Module,
    expanded: Graph,
    values: Mapping[str, Value],
    gradients: Gradients,
    request: Request,
    notes: Sequence[Diagnostic] = (),
) -> Derived:
    """The graph with the answers as outputs, and of the names those that it contains."""
    outputs = dict(values)
    places: dict[str, dict[str, str]] = {}
    for objective, of_objective in gradients.items():
        places[objective] = {}
        for name, g in of_objective.items():
            places[objective][name] = key = f"d {objective} / d {name}"
            outputs[key] = g
    updates: dict[str, str] = {}
    if request.updates:
        known = (
            {n for n in reachable(outputs.values()) if isinstance(n.op, Input)} if module.updates else set()
        )
        for name in module.updates:
            value = expanded.outputs[_update_of(name)]
            own = module.declared[name].value.node
            if all(n in known or n is own for n in reachable([value]) if isinstance(n.op, Input)):
                updates[name] = _update_of(name)
                outputs[updates[name]] = value
    graph = eliminate_dead_code(Graph(outputs, expanded.names))
    return Derived(graph, {name: name for name in values}, places, updates, tuple(notes))


def _update_of(buffer: str) -> str:
    return f"update of {buffer}"
