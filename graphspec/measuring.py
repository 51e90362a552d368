"""The graph of a request with what each of its values is on certain arrays: to look at where numbers go."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from graphspec import compiler
from graphspec.engine import Engine
from graphspec.ir import Graph, Literal, TensorType
from graphspec.lifting.facts import Measured
from graphspec.optimisations import ALL
from graphspec.requests import Request
from graphspec.runtime.norms import norm
from graphspec.views import View


def measured_view(
    engine: Engine, request: Request, given: Mapping[str, Any], *, seed: int, backend: str
) -> View:
    """The request's graph, to look at, with the value of every node in one run, not simplified."""
    ready = engine.prepare(request, given, seed=seed, backend=backend)
    graph = ready.derived.graph
    if request.wrt:
        graph = compiler.readable(graph)
    values = [value for node in graph.nodes if not isinstance(node.op, Literal) for value in node.values]
    outputs = {str(i): value for i, value in enumerate(values)}
    written = compiler.simplify(Graph(outputs), without=ALL)
    arrays = compiler.assemble(written, ready.sizes, backend)(ready.arrays)
    measured = {value: _measure(arrays[key], value.type) for key, value in outputs.items()}
    module = ready.module
    title = f"Gradients of {module.name}" if request.wrt else module.doc
    return View(graph.outputs, graph.names, module, title, measured=measured)


def _measure(array: Any, type: TensorType) -> Measured:
    """An array of numpy or cupy in plain numbers."""
    low, high = (float(array.min()), float(array.max())) if array.size else (None, None)
    is_finite = all(
        math.isfinite(bound) for bound in (low, high) if bound is not None
    )  # NaN is its own bound
    return Measured(TensorType(type.dtype, tuple(array.shape)), norm(array), low, high, is_finite)
