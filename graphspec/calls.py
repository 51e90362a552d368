"""Calls from outside: the request that arguments mean, and the arrays that a caller gives for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphspec.answers import Array, Names, backend_of, by_objective, texts
from graphspec.compiler import Derived, cotangent_of
from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue import requests as say
from graphspec.diagnostics.catalogue.batching import needless_batch
from graphspec.engine import Engine
from graphspec.requests import Request, find_objectives
from graphspec.step import Form, Ready, is_as_given


class Calls:
    """The calls of one engine: arguments are checked, completed by the spec's own files, and run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def request(
        self,
        of: Names | None,
        wrt: Names,
        cotangent: Any,
        allow_zero: bool,
        *,
        values: bool = True,
        per_example: Form = None,
        batch: str | None = None,
    ) -> Request:
        """The request for gradients."""
        if batch is not None and per_example is None:
            raise GraphSpecError(needless_batch(batch))
        return Request(
            texts(of),
            texts(wrt) or (),
            "gradients",
            cotangents=frozenset(self.cotangents(of, cotangent)),
            ones=is_ones(cotangent),
            allow_zero=allow_zero,
            values=values,
            per_example=per_example,
            batch=batch,
        )

    def gradients(
        self,
        request: Request,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        of: Names | None,
        cotangent: Any,
        seed: int,
        backend: str | None,
        check_finite: bool,
        chunk: int | None,
    ) -> tuple[dict[str, Array], dict[str, dict[str, Array]]]:
        """The values of the objectives and their gradients, by objective."""
        weights = self.cotangents(of, cotangent)
        extra = {cotangent_of(name): array for name, array in weights.items()}
        derived, found = self.run(request, params, inputs, extra, seed, backend, check_finite, chunk)
        return {name: found[key] for name, key in derived.values.items()}, by_objective(derived, found)

    def cotangents(self, of: Names | None, cotangent: Any) -> dict[str, Array]:
        """Cotangents by objective."""
        if cotangent is None or is_ones(cotangent):
            return {}
        objectives = list(find_objectives(self._engine.module, texts(of)))
        if not isinstance(cotangent, Mapping):
            if len(objectives) == 1:
                return {objectives[0]: cotangent}
            raise GraphSpecError(say.cotangents_by_name(objectives, ()))
        if not cotangent.keys() <= set(objectives):
            raise GraphSpecError(say.cotangents_by_name(objectives, list(cotangent)))
        return dict(cotangent)

    def run(
        self,
        request: Request,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        extra: Mapping[str, Array],
        seed: int,
        backend: str | None,
        check_finite: bool = False,
        chunk: int | None = None,
    ) -> tuple[Derived, dict[str, Array]]:
        """What the request is in the graph, and its results; `extra` are arrays by the compiler's names."""
        given = {**self.arrays(request, params, inputs), **extra}
        where = backend or backend_of(given)
        return self._engine.run(
            request, given, seed=seed, backend=where, check_finite=check_finite, chunk=chunk
        )

    def ready(
        self,
        request: Request,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        extra: Mapping[str, Array],
        seed: int,
        backend: str | None,
    ) -> Ready:
        """The request's program, to be called often, with the arrays of a first call."""
        given = {**self.arrays(request, params, inputs), **extra}
        where = backend or backend_of(given)
        prepared = self._engine.prepare(request, given, seed=seed, backend=where, often=True)
        as_given = is_as_given(prepared.arrays, params, inputs)
        return Ready(prepared.derived, prepared.program, prepared.arrays, as_given)

    def arrays(
        self, request: Request, params: Mapping[str, Array], inputs: Mapping[str, Array]
    ) -> dict[str, Array]:
        """What a caller gives, and the arrays of the spec's own files for what else a request needs."""
        self._check_places(params, "params", ("param", "buffer"))
        self._check_places(inputs, "inputs", ("input", "noise"))
        given = {**params, **inputs}
        declared = self._engine.module.declared
        needed = self._engine.derive(request).inputs
        missing = (n for n in needed if n not in given and n in declared and declared[n].kind == "input")
        return given | self._engine.read(missing)

    def _check_places(self, given: Mapping[str, Array], place: str, kinds: tuple[str, ...]) -> None:
        """That a mapping holds what belongs into it: `grad(inputs, params)` is a mistake easily made."""
        if not isinstance(given, Mapping):
            raise GraphSpecError(say.not_a_mapping(place, given.__class__.__name__))
        declared = self._engine.module.declared
        wrong = [name for name in given if name in declared and declared[name].kind not in kinds]
        if wrong:
            expected = [f"{name}: {d.value.type}" for name, d in declared.items() if d.kind in kinds]
            raise GraphSpecError(say.argument_in_wrong_place(wrong, declared[wrong[0]].kind, place, expected))


def is_ones(cotangent: object) -> bool:
    """Whether a caller asks for cotangents of ones."""
    return isinstance(cotangent, str) and cotangent == "ones"
