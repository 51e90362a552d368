"""Compiled requests, for calling again and again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

from graphspec.answers import Array, Names, as_asked, backend_of, texts
from graphspec.compiler import Derived, cotangent_of
from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue.batching import needless_batch
from graphspec.engine import Engine
from graphspec.ir.collector import collector_at_rest
from graphspec.jacobian import Asked, Passes, prepare
from graphspec.lowering.module import Module
from graphspec.requests import Request, find_objectives

if TYPE_CHECKING:
    from graphspec.runtime.program import Program
    from graphspec.runtime.shortcut import Shortcut

#: what is wanted of every example: its gradients, their norms, or nothing
Form: TypeAlias = "Literal['gradients', 'norms'] | None"
#: the arrays that a request needs: what a caller gives, completed by the spec's own files
Complete: TypeAlias = "Callable[[Request, Mapping[str, Array], Mapping[str, Array]], Mapping[str, Array]]"
#: calls of different sizes that a step remembers
LIMIT = 64


class Ready(NamedTuple):
    """A request with its program and the arrays that it is run on.

    `as_given` says that these are the arrays that were given: nothing was cast, read or drawn.
    """

    derived: Derived
    program: Program
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
        self._known: dict[Any, Shortcut] = {}
        self._latest: Shortcut = _fits_nothing

    def __call__(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        *,
        cotangent: Array | Mapping[str, Array] | None = None,
        seed: int = 0,
    ) -> tuple[Any, dict[str, Any], dict[str, Array]]:
        """Run the step on arrays; noise is that of the seed."""
        key = None
        if cotangent is None:
            answer = self._latest(params, inputs)
            if answer is None and (key := _kinds(params, inputs)) in self._known:
                self._latest = self._known[key]
                answer = self._latest(params, inputs)
            if answer is not None:
                return answer  # type: ignore[no-any-return]  # as the request has it
        weights = self._weigh(self._of, cotangent)
        extra = {cotangent_of(name): array for name, array in weights.items()}
        with collector_at_rest():
            ready = self._prepare(self._request, params, inputs, extra, seed, self._backend)
            found = ready.program(ready.arrays)
        answer = self._answer(ready.derived)
        if key is not None and ready.as_given and len(self._known) < LIMIT:
            from graphspec.runtime.shortcut import make_shortcut

            self._latest = self._known[key] = make_shortcut(ready.program, params, inputs, answer)
        return _filled(answer, found)  # type: ignore[no-any-return]  # as the request has it

    def _answer(self, derived: Derived) -> tuple[Any, Any, Any]:
        """What a call gives, with names of the program's outputs for arrays."""
        values, updates = dict(derived.values), dict(derived.updates)
        if self._request.kind == "values":
            return values, {}, updates
        grads = {objective: dict(keys) for objective, keys in derived.gradients.items()}
        return as_asked(self._of, values), as_asked(self._of, grads), updates


class CompiledJacobian:
    """A Jacobian of a model, for calling again and again: `matrix = jacobian(params, inputs)`.

    It may be called from several threads.
    """

    def __init__(self, engine: Engine, asked: Asked, backend: str | None, arrays: Complete) -> None:
        self._engine = engine
        self._asked = asked
        self._backend = backend
        self._arrays = arrays
        # arrays of a kind that has been checked need no further look
        self._known: dict[Any, Passes] = {}

    def __call__(self, params: Mapping[str, Array], inputs: Mapping[str, Array], *, seed: int = 0) -> Array:
        """The derivative of every element by every element at these arrays; noise is that of the seed."""
        key = _kinds(params, inputs)
        known = self._known.get(key)
        if known is not None:
            return known({**params, **inputs})
        request = Request((self._asked.of,))
        given = self._arrays(request, params, inputs)
        where = self._backend or backend_of(given)
        bound = self._engine.bind(request, given, seed=seed, backend=where)
        passes = prepare(self._engine, self._asked, bound, where, often=True)
        if key is not None and is_as_given(bound.arrays, params, inputs) and len(self._known) < LIMIT:
            self._known[key] = passes
        return passes(bound.arrays)


def is_as_given(
    arrays: Mapping[str, Array], params: Mapping[str, Array], inputs: Mapping[str, Array]
) -> bool:
    """Whether arrays are those that a caller gave: nothing was cast, read or drawn."""
    own = {**params, **inputs}
    return all(own.get(name) is array for name, array in arrays.items())


def _filled(answer: Any, found: Mapping[str, Array]) -> Any:
    """An answer with the arrays of its names."""
    if isinstance(answer, str):
        return found[answer]
    if isinstance(answer, tuple):
        return tuple(_filled(part, found) for part in answer)
    return {name: _filled(part, found) for name, part in answer.items()}


def _fits_nothing(params: Mapping[str, Array], inputs: Mapping[str, Array]) -> None:
    """The shortcut of a step that has not been called yet."""


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


def form_of(per_example: bool | Literal["norms"]) -> Form:
    """What is wanted of every example, as callers say it."""
    return "norms" if per_example == "norms" else "gradients" if per_example else None


def step_request(
    module: Module, wrt: tuple[str, ...], of: Names | None, per_example: Form, batch: str | None
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
        per_example=per_example,
        batch=batch,
    )
