"""The check as a whole: from a request to a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from graphspec.diagnostics import Diagnostic, GraphSpecError
from graphspec.diagnostics.catalogue import checks as say
from graphspec.engine import Engine
from graphspec.finiteness import check_results
from graphspec.gradcheck.held import hold
from graphspec.gradcheck.point import Point, Wanted
from graphspec.gradcheck.report import GradcheckReport
from graphspec.gradcheck.targets import check_targets
from graphspec.gradcheck.units import check_units
from graphspec.ir import Graph, Input, apply, rebuild
from graphspec.requests import Request, find_objectives
from graphspec.runtime.backends import backend as find_backend
from graphspec.runtime.differences import numeric_jacobian
from graphspec.transforms.expand_gradients import expand_gradients

Array: TypeAlias = Any


def gradcheck(
    engine: Engine, wanted: Wanted, given: Mapping[str, Any], *, seed: int, backend: str
) -> GradcheckReport:
    """Check derivatives at the arrays `given`; noise is drawn from `seed`.

    `engine` compiles in double precision.  Raises GraphSpecError where the request or the data are wrong,
    and where the objective itself is not finite.
    """
    objectives = tuple(find_objectives(engine.module, wanted.of))
    point = _point(engine, objectives, given, seed, backend, full=wanted.full)
    names, notes = _targets(point, objectives, wanted)
    graph = _graph(point, objectives, names)
    of_ops = check_units(point, graph, wanted.ops, wanted.order)
    rows, said = of_ops.rows, of_ops.diagnostics
    if wanted.ops is None or wanted.wrt is not None:
        found = check_targets(point, hold(graph, point), wanted.order, are_asked=wanted.wrt is not None)
        rows = (*found.rows, *rows)
        # what is wrong in an op is wrong in all that it is used for, and said once
        consequences = [d for d in found.diagnostics if d.severity == "error" and not said]
        said = (*said, *consequences, *(d for d in found.diagnostics if d.severity != "error"))
    if not rows:
        raise GraphSpecError(say.nothing_to_check())
    return GradcheckReport(rows, (*said, *notes))


def jacobian_by_differences(
    engine: Engine, of: str, wrt: str, given: Mapping[str, Any], *, seed: int, backend: str
) -> Array:
    """The Jacobian of a value by a parameter, an input or another value, by central differences.

    An array of the value's shape and that of `wrt`, in double precision as `engine` compiles; what
    gradients hold fixed is fixed.
    """
    point = _point(engine, (of,), given, seed, backend)
    held = hold(_graph(point, (of,), [wrt]), point).graph
    x, y = held.names[wrt], held.outputs[of]
    point.arrays.update(point.program({"at": x})(point.arrays))
    graph = rebuild(Graph({"y": y}), lambda node, inputs: None, {x: apply(Input("at", x.type))})
    f = point.program(graph.outputs)
    asarray, to_numpy = point.backend.asarray, point.backend.to_numpy
    at = to_numpy(point.arrays["at"])
    return numeric_jacobian(lambda x: to_numpy(f({**point.arrays, "at": asarray(x)})["y"]), at)


def _point(
    engine: Engine,
    objectives: tuple[str, ...],
    given: Mapping[str, Any],
    seed: int,
    backend: str,
    *,
    full: bool = False,
) -> Point:
    """Where the check takes place; its objectives must be finite there."""
    prepared = engine.prepare(Request(of=objectives), given, seed=seed, backend=backend)
    results = prepared.program(prepared.arrays)
    graph = engine.graph(prepared.derived)
    check_results(prepared.derived, graph, prepared.sizes, backend, prepared.arrays, results)
    arrays = prepared.arrays
    where = find_backend(backend)
    return Point(engine, prepared.module, prepared.sizes, where, dict(arrays), dict(arrays), full)


def _targets(
    point: Point, objectives: tuple[str, ...], wanted: Wanted
) -> tuple[list[str], tuple[Diagnostic, ...]]:
    """The names to differentiate by, and what patterns leave out; those of the request must be right."""
    if wanted.wrt is None:
        declared = [d for d in point.module.declared.values() if d.kind in ("param", "input")]
        return [d.name for d in declared if d.value.dtype.is_float and d.name in point.given], ()
    request = Request(objectives, wanted.wrt, "gradients", ones=True)
    derived = point.engine.derive(request, point.module)
    names = dict.fromkeys(name for found in derived.gradients.values() for name in found)
    return list(names), derived.notes


def _graph(point: Point, objectives: tuple[str, ...], names: list[str]) -> Graph:
    """The graph of the objectives with the names that are differentiated by."""
    values = find_objectives(point.module, objectives)
    return expand_gradients(Graph(values, {name: point.module.values[name] for name in names}))
