"""A compiled request, for calling again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from graphspec.answers import Array, Names, as_asked, by_objective, texts
from graphspec.compiler import Derived, cotangent_of
from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue.batching import needless_batch
from graphspec.lowering.module import Module
from graphspec.requests import Request, find_objectives

#: calls of different sizes that a step remembers
LIMIT = 64


class Ready(NamedTuple):
    """A request with its program and the arrays that it is run on.

    `as_given` says that these are the arrays that were given: nothing was cast, read or drawn.
    """

    derived: Derived
    program: Callable[[Mapping[str, Array]], dict[str, Array]]
    arrays: Mapping[str, Array]
    as_given: bool


class Prepare(Protocol):
    """Checks the arrays of a call: parameters, inputs, and others by the names of the graph's inputs."""

    def __call__(
        self,
        request: Request,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        extra: Mapping[str, Array],
        seed: int,
        backend: str | None,
    ) -> Ready: ...


class Weigh(Protocol):
    """Cotangents by objective, from what a caller gives."""

    def __call__(self, of: Names | None, cotangent: Any) -> dict[str, Array]: ...


class Step:
    """A compiled request: `values, grads, state = step(params, inputs, seed=0)`.

    `values` and `grads` are as `value_and_grad` gives them; `state` are the buffers that train mode
    updates, with their new values, else it is empty.  An objective that is not a scalar needs
    `cotangent`.  One step may be called from several threads.
    """

    def __init__(
        self, request: Request, of: Names | None, backend: str | None, prepare: Prepare, weigh: Weigh
    ) -> None:
        self._request = request
        self._of = of
        self._backend = backend
        self._prepare = prepare
        self._weigh = weigh
        # arrays of a kind that has been checked need no further look
        self._known: dict[Any, Ready] = {}

    def __call__(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        *,
        cotangent: Array | Mapping[str, Array] | None = None,
        seed: int = 0,
    ) -> tuple[Any, dict[str, Any], dict[str, Array]]:
        """Run the step on arrays; noise is that of the seed."""
        key = _kinds(params, inputs) if cotangent is None else None
        ready = self._known.get(key) if key is not None else None
        if ready is None:
            weights = self._weigh(self._of, cotangent)
            extra = {cotangent_of(name): array for name, array in weights.items()}
            ready = self._prepare(self._request, params, inputs, extra, seed, self._backend)
            found = ready.program(ready.arrays)
            if key is not None and ready.as_given and len(self._known) < LIMIT:
                self._known[key] = ready._replace(arrays={})
        else:
            found = ready.program({**params, **inputs})
        derived = ready.derived
        values = {name: found[key] for name, key in derived.values.items()}
        state = {name: found[key] for name, key in derived.updates.items()}
        grads = by_objective(derived, found)
        if self._request.kind == "values":
            return values, {}, state
        return as_asked(self._of, values), as_asked(self._of, grads), state


def _kinds(params: Mapping[str, Array], inputs: Mapping[str, Array]) -> tuple[Any, ...] | None:
    """What the checks of a call depend on: names, types, dtypes, shapes; None where something is no array."""
    try:
        return (
            *[(name, type(a), a.dtype, a.shape) for name, a in params.items()],
            None,
            *[(name, type(a), a.dtype, a.shape) for name, a in inputs.items()],
        )
    except AttributeError:
        return None


def step_request(
    module: Module, wrt: tuple[str, ...], of: Names | None, per_example: bool, batch: str | None
) -> Request:
    """The request of a step, which takes a cotangent for each objective that needs one."""
    if batch is not None and not per_example:
        raise GraphSpecError(needless_batch(batch))
    weighted: list[str] = []
    if wrt and per_example:
        from graphspec.per_example import find_weighted

        weighted = find_weighted(module, texts(of), batch)
    elif wrt:
        objectives = find_objectives(module, texts(of))
        weighted = [name for name, value in objectives.items() if value.type.rank]
    return Request(
        texts(of),
        wrt,
        "gradients" if wrt else "values",
        cotangents=frozenset(weighted),
        updates=not per_example,
        per_example="gradients" if per_example else None,
        batch=batch,
    )
