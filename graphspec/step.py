"""A compiled request, for calling again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from graphspec.answers import Array, Names, as_asked, by_objective, texts
from graphspec.compiler import Derived, cotangent_of
from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue.batching import needless_batch
from graphspec.lowering.module import Module
from graphspec.requests import Request, find_objectives


class Run(Protocol):
    """Runs a request on arrays: parameters, inputs, and further ones by the names of the graph's inputs."""

    def __call__(
        self,
        request: Request,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        extra: Mapping[str, Array],
        seed: int,
        backend: str | None,
    ) -> tuple[Derived, dict[str, Array]]: ...


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
        self, request: Request, of: Names | None, backend: str | None, run: Run, weigh: Weigh
    ) -> None:
        self._request = request
        self._of = of
        self._backend = backend
        self._run = run
        self._weigh = weigh

    def __call__(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        *,
        cotangent: Array | Mapping[str, Array] | None = None,
        seed: int = 0,
    ) -> tuple[Any, dict[str, Any], dict[str, Array]]:
        """Run the step on arrays; noise is that of the seed."""
        weights = self._weigh(self._of, cotangent)
        extra = {cotangent_of(name): array for name, array in weights.items()}
        derived, found = self._run(self._request, params, inputs, extra, seed, self._backend)
        values = {name: found[key] for name, key in derived.values.items()}
        state = {name: found[key] for name, key in derived.updates.items()}
        grads = by_objective(derived, found)
        if self._request.kind == "values":
            return values, {}, state
        return as_asked(self._of, values), as_asked(self._of, grads), state


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
