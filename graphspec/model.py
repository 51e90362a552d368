"""The Python interface: a spec as a model whose values and gradients are asked for by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from graphspec.answers import Array, Names, as_asked, backend_of, by_objective, texts
from graphspec.calls import Calls, is_ones
from graphspec.compiler import DERIVATIVE, Settings, Spec, cotangent_of, direction_of
from graphspec.engine import Engine
from graphspec.jacobian import Asked, Part, check_jacobian, jacobian
from graphspec.lowering.module import Module
from graphspec.notices import Notify, warn
from graphspec.requests import Request, find_objectives
from graphspec.step import CompiledJacobian, Step, form_of, step_request
from graphspec.views import View

if TYPE_CHECKING:
    from graphspec.gradcheck.report import GradcheckReport
    from graphspec.profiling.report import ProfileReport
    from graphspec.runtime.plan import Plan


class Model:
    """A compiled spec.  Made by `load` or `loads`; safe to use from several threads.

    Wherever names are asked for, `of` takes names of values and results, and any expression in the
    spec's scope (`"sum(score)"`, `"smooth_l1_loss(map[1, 2, 3], 0.7)"`).  `wrt` takes names, patterns
    over parameters (`"conv*.weight"`; `*` stays within a dot, `**` crosses it) and the roles `"@params"`
    and `"@inputs"`.  `params` and `inputs` are mappings from name to array, and only what a request
    needs must be in them.  Arrays of results belong to the caller.

    `backend` is what computes, "numpy" or "cupy"; without it that is where the arrays given are.

    Every method raises GraphSpecError where the request or the data are wrong.
    """

    def __init__(
        self,
        spec: Spec,
        settings: Settings,
        *,
        without: frozenset[str],
        verify: bool,
        notify: Notify | None,
        max_memory: int | None,
    ) -> None:
        self._notify = notify or warn
        self._mode: str = "train" if settings.training else "eval"
        self._engine = Engine(
            spec, settings, without=without, verify=verify, notify=self._notify, max_memory=max_memory
        )
        self._calls = Calls(self._engine)
        for warning in self._module.warnings:
            self._notify(warning)

    # --- what is there ------------------------------------------------------------------------------

    @property
    def graph(self) -> View:
        """The whole graph as it is written, with every name."""
        graph = self._module.graph()
        return View(graph.outputs, graph.names, self._module, self._module.doc)

    def forward_graph(self, of: Names | None = None) -> View:
        """The graph that computes values, as it is run; printed and drawn, its calls are in one piece."""
        return self._engine.view(Request(of=texts(of)))

    def gradient_graph(self, wrt: Names, of: Names | None = None, *, allow_zero: bool = False) -> View:
        """The graph that computes gradients, as it is run; objectives that are no scalars are summed.

        Printed and drawn, its calls are in one piece, and derivatives of calls are ops: it is `.gspec` text
        that computes the same.
        """
        request = Request(texts(of), texts(wrt) or (), "gradients", ones=True, allow_zero=allow_zero)
        return self._engine.view(request)

    def measured_graph(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        wrt: Names = (),
        of: Names | None = None,
        *,
        seed: int = 0,
        backend: str | None = None,
    ) -> View:
        """The graph of values, or with `wrt` of gradients, with what each node's value is on these arrays.

        Drawn, each box says shape and norm, and those with NaN or infinite elements are red.
        """
        from graphspec.measuring import measured_view

        kind: Literal["values", "gradients"] = "gradients" if texts(wrt) else "values"
        request = Request(texts(of), texts(wrt) or (), kind, ones=bool(texts(wrt)))
        given = self._calls.arrays(request, params, inputs)
        return measured_view(self._engine, request, given, seed=seed, backend=backend or backend_of(given))

    def plan(self, wrt: Names | None = None, of: Names | None = None, *, allow_zero: bool = False) -> Plan:
        """The order and the memory of a program, for the sizes that the dims have by default.

        That is the program for the gradients in `wrt`, without them the one for values.
        """
        kind: Literal["values", "gradients"] = "gradients" if wrt else "values"
        request = Request(texts(of), texts(wrt) or (), kind, ones=True, allow_zero=allow_zero)
        return self._engine.plan(request, {})[0]

    def names(self, kind: str | None = None) -> dict[str, str]:
        """Every name that may be asked for, with its type; or those of a kind (see `kind`)."""
        values = self._module.values
        return {name: str(v.type) for name, v in values.items() if kind in (None, self.kind(name))}

    def kind(self, name: str) -> str | None:
        """What has the name: an "input", "param", "buffer", "noise" or another "value"; None for nothing."""
        if name in self._module.declared:
            return self._module.declared[name].kind
        return "value" if name in self._module.values else None

    def objectives(self, of: Names | None = None) -> list[str]:
        """The names of what would be differentiated: `of`, else what the spec declares."""
        return list(find_objectives(self._module, texts(of)))

    def needs(
        self,
        of: Names | None = None,
        wrt: Names | None = None,
        *,
        cotangent: Any = None,
        allow_zero: bool = False,
        per_example: bool = False,
        batch: str | None = None,
    ) -> dict[str, str]:
        """What a request depends on, by name, with its kind: what must be in `params` and `inputs`.

        The arguments are those of `value_and_grad`; without `wrt` those of `forward`.
        """
        if wrt is None:
            request = Request(texts(of))
        else:
            form = form_of(per_example)
            request = self._calls.request(of, wrt, cotangent, allow_zero, per_example=form, batch=batch)
        kinds = {name: self.kind(name) for name in self._engine.derive(request).inputs}
        return {name: kind for name, kind in kinds.items() if kind}

    def check(self) -> None:
        """Check what loading leaves open: gradients in the spec, constraints on sizes that are known."""
        self._engine.check()

    @property
    def mode(self) -> str | None:
        """The mode that the graph was built for, where it depends on it; else None."""
        return self._mode if self._module.mode_matters else None

    # --- where arrays come from ---------------------------------------------------------------------

    def init(
        self,
        seed: int = 0,
        *,
        names: Iterable[str] | None = None,
        inputs: Mapping[str, Array] | None = None,
        backend: str | None = None,
    ) -> dict[str, Array]:
        """Parameters and buffers by name, drawn by their initialisers; or those of `names`.

        Each tensor has its own stream, from the seed and its name.  Sizes that the spec leaves open are
        those of `inputs`.
        """
        where = backend or backend_of(inputs or {})
        return self._engine.start(texts(names), ("param", "buffer"), inputs or {}, seed=seed, backend=where)

    def load_params(
        self,
        path: str | os.PathLike[str],
        *,
        prefix: str = "",
        rename: Mapping[str, str] | None = None,
        transpose: Iterable[str] = (),
        names: Iterable[str] | None = None,
    ) -> dict[str, Array]:
        """Parameters and buffers by name, from a `.safetensors` or `.npz` file; or those of `names`.

        Names and layouts are PyTorch's, so a `state_dict` fits as it is.  Of the file only what begins with
        `prefix` counts, without it; `rename` maps names (or their leading parts, up to a dot) to those of the
        spec; `transpose` are names or patterns of the spec whose last two axes are swapped.  One error lists
        all that is missing or does not fit.
        """
        return self._engine.load_parameters(
            path, texts(names), prefix=prefix, rename=rename or {}, transpose=texts(transpose) or ()
        )

    def draw(
        self,
        seed: int = 0,
        *,
        names: Iterable[str] | None = None,
        inputs: Mapping[str, Array] | None = None,
        backend: str | None = None,
    ) -> dict[str, Array]:
        """Inputs by name, drawn by their samplers or read from the files that the spec names.

        Sizes are those of `inputs` that are there already, else the defaults of the dims.
        """
        where = backend or backend_of(inputs or {})
        return self._engine.start(texts(names), ("input",), inputs or {}, seed=seed, backend=where)

    def default_data(self, names: Iterable[str]) -> dict[str, Array]:
        """The arrays of those names that the spec itself reads from files (`= file(...)`)."""
        return self._engine.read(names)

    def batched(self, names: Iterable[str]) -> list[str]:
        """Those of the names whose first axis is a dim of the spec, not a number."""
        types = {name: self._module.values[name].type for name in names if name in self._module.values}
        return [name for name, type in types.items() if type.rank and not isinstance(type.shape[0], int)]

    # --- values and derivatives ---------------------------------------------------------------------

    def forward(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        of: Names | None = None,
        *,
        seed: int = 0,
        backend: str | None = None,
        check_finite: bool = False,
    ) -> dict[str, Array]:
        """Values by name: those of `of`, else all results of the spec.

        `seed` is that of the noise in the graph, as in every method below.  With `check_finite` a result
        with NaN or infinite elements is an error, which names the step that first made one: in the forward
        pass or in the backward pass, of which line and operands.
        """
        request = Request(of=texts(of))
        derived, found = self._calls.run(request, params, inputs, {}, seed, backend, check_finite)
        return {name: found[key] for name, key in derived.values.items()}

    def grad(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        wrt: Names,
        of: Names | None = None,
        *,
        cotangent: Array | Mapping[str, Array] | Literal["ones"] | None = None,
        allow_zero: bool = False,
        per_example: bool = False,
        batch: str | None = None,
        chunk: int | None = None,
        seed: int = 0,
        backend: str | None = None,
        check_finite: bool = False,
    ) -> dict[str, Any]:
        """Gradients by name, each of the shape of what it belongs to.

        An objective that is not a scalar needs a cotangent of its shape, or `"ones"`; the result is then
        the vector-Jacobian product.  With a list of objectives the result is a dict of dicts, by
        objective, and cotangents are a mapping by objective.  A name that the objective does not depend
        on is an error, or zeros with `allow_zero`; what a pattern selects is left out.  With
        `check_finite` a gradient or an objective that is not finite is an error (see `forward`).

        With `per_example` each gradient is that of the objective computed on one example alone, for every
        example along a new first axis; of what carries the batch, each example's own part.  The batch is
        the symbol that leads the inputs which the objective uses; where several do, `batch` names it.  An
        objective with one element for each example needs no cotangent.  At most `chunk` examples are
        computed at a time.  Examples that depend on one another are an error.
        """
        form = form_of(per_example)
        request = self._calls.request(
            of, wrt, cotangent, allow_zero, values=check_finite, per_example=form, batch=batch
        )
        _, found = self._calls.gradients(
            request, params, inputs, of, cotangent, seed, backend, check_finite, chunk
        )
        grads: dict[str, Any] = as_asked(of, found)
        return grads

    def value_and_grad(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        wrt: Names,
        of: Names | None = None,
        *,
        cotangent: Array | Mapping[str, Array] | Literal["ones"] | None = None,
        allow_zero: bool = False,
        per_example: bool = False,
        batch: str | None = None,
        chunk: int | None = None,
        seed: int = 0,
        backend: str | None = None,
        check_finite: bool = False,
    ) -> tuple[Any, dict[str, Any]]:
        """The objective's value and its gradients, as `grad` gives them; computed together.

        With `per_example` the value, too, is that of every example.
        """
        form = form_of(per_example)
        request = self._calls.request(of, wrt, cotangent, allow_zero, per_example=form, batch=batch)
        values, found = self._calls.gradients(
            request, params, inputs, of, cotangent, seed, backend, check_finite, chunk
        )
        return as_asked(of, values), as_asked(of, found)

    def jvp(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        tangents: Mapping[str, Array],
        of: Names | None = None,
        *,
        seed: int = 0,
        backend: str | None = None,
    ) -> Any:
        """The derivative of a value as what `tangents` names moves along them: Jacobian times vector.

        The result has the shape of the value; with a list of values it is a dict.
        """
        request = Request(texts(of), tuple(tangents), "jvp")
        directions = {direction_of(name): array for name, array in tangents.items()}
        derived, found = self._calls.run(request, params, inputs, directions, seed, backend)
        return as_asked(of, {name: found[keys[DERIVATIVE]] for name, keys in derived.gradients.items()})

    def hvp(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        vectors: Mapping[str, Array],
        of: Names | None = None,
        *,
        seed: int = 0,
        backend: str | None = None,
    ) -> dict[str, Any]:
        """The Hessian of a scalar objective, over all that `vectors` names, times these vectors."""
        request = Request(texts(of), tuple(vectors), "hvp")
        directions = {direction_of(name): array for name, array in vectors.items()}
        derived, found = self._calls.run(request, params, inputs, directions, seed, backend)
        products: dict[str, Any] = as_asked(of, by_objective(derived, found))
        return products

    def per_example_norms(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        wrt: Names,
        of: Names | None = None,
        *,
        cotangent: Array | Mapping[str, Array] | Literal["ones"] | None = None,
        allow_zero: bool = False,
        batch: str | None = None,
        chunk: int | None = None,
        seed: int = 0,
        backend: str | None = None,
        check_finite: bool = False,
    ) -> dict[str, Any]:
        """The Euclidean norm of every example's gradient, by name: of what `grad(per_example=True)` gives.

        Where that is cheaper the gradients themselves are not computed.
        """
        request = self._calls.request(of, wrt, cotangent, allow_zero, per_example="norms", batch=batch)
        _, found = self._calls.gradients(
            request, params, inputs, of, cotangent, seed, backend, check_finite, chunk
        )
        norms: dict[str, Any] = as_asked(of, found)
        return norms

    def jacobian(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        of: str,
        wrt: str,
        *,
        rows: Part = None,
        cols: Part = None,
        chunk: int | None = None,
        seed: int = 0,
        backend: str | None = None,
    ) -> Array:
        """The derivative of every element of a value by every element of `wrt`: of.shape + wrt.shape.

        `rows` are elements of the value, `cols` of `wrt`, counted in row-major order: a slice, a number or
        numbers; what is chosen is a single axis of the result.  Rows or columns are computed, whichever
        take fewer passes, at most `chunk` at a time (without it, as many as little memory holds).  What is
        zero by the structure of the graph is not computed: other examples of a batch, the other elements of
        elementwise functions.
        """
        given = self._calls.arrays(Request((of,)), params, inputs)
        where = backend or backend_of(given)
        return jacobian(
            self._engine, of, wrt, given, rows=rows, cols=cols, chunk=chunk, seed=seed, backend=where
        )

    def compile_jacobian(
        self,
        of: str,
        wrt: str,
        *,
        rows: Part = None,
        cols: Part = None,
        chunk: int | None = None,
        backend: str | None = None,
    ) -> CompiledJacobian:
        """What computes a Jacobian again and again: `matrix = compiled(params, inputs, seed=0)`.

        The arguments are those of `jacobian`.  What can be checked without arrays is checked here.
        """
        self._engine.derive(Request((of,), (wrt,), "rows"))
        return CompiledJacobian(self._engine, Asked(of, wrt, rows, cols, chunk), backend, self._calls.arrays)

    def check_jacobian(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        of: str,
        wrt: str,
        *,
        rows: Part = None,
        cols: Part = None,
        seed: int = 0,
        backend: str | None = None,
    ) -> float:
        """Compare a Jacobian, as `jacobian` gives it, with central differences; both in double precision.

        The result is the largest difference, relative to the largest element.  Raises GraphSpecError where
        it is more than differences are wrong by.
        """
        given = self._calls.arrays(Request((of,)), params, inputs)
        where = backend or backend_of(given)
        engine = self._engine.in_double()
        return check_jacobian(engine, of, wrt, given, rows=rows, cols=cols, seed=seed, backend=where)

    def hessian(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        wrt: str,
        of: str | None = None,
        *,
        chunk: int | None = None,
        seed: int = 0,
        backend: str | None = None,
    ) -> Array:
        """The second derivatives of a scalar objective: wrt.shape + wrt.shape."""
        (objective,) = self.objectives(of)
        gradient = f"grad({objective}, {wrt})"
        return self.jacobian(params, inputs, gradient, wrt, chunk=chunk, seed=seed, backend=backend)

    def gradcheck(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        wrt: Names | None = None,
        of: Names | None = None,
        *,
        ops: Names | None = None,
        order: int = 1,
        full: bool = False,
        seed: int = 0,
        backend: str | None = None,
    ) -> GradcheckReport:
        """Compare gradients with finite differences, in double precision whatever the spec says.

        Checked are the gradients by `wrt` (by default by every parameter and floating input), and each
        hand-written derivative by itself; or the derivatives of `ops` by themselves, of any operation that
        the objective uses.  Derivatives are compared along random directions, with `full` by each element;
        with `order=2` second derivatives too.  The report is true where nothing is wrong, and prints as a
        table; kinks and surrogates are reported and are not wrong.
        """
        from graphspec.gradcheck import Wanted, gradcheck

        if order not in (1, 2):
            raise ValueError(f"order is 1 or 2, not {order!r}")
        given = self._calls.arrays(Request(of=tuple(self.objectives(of))), params, inputs)
        wanted = Wanted(texts(of), texts(wrt), texts(ops), order, full)
        engine = self._engine.in_double()
        return gradcheck(engine, wanted, given, seed=seed, backend=backend or backend_of(given))

    def compile(
        self,
        wrt: Names = (),
        of: Names | None = None,
        *,
        backend: str | None = None,
        per_example: bool | Literal["norms"] = False,
        batch: str | None = None,
    ) -> Step:
        """A step that computes values and gradients, and the new buffers in train mode, again and again.

        What can be checked without arrays is checked here.  See `Step`; with `per_example` values and
        gradients are those of every example, as `grad` gives them, or with "norms" the norms of these.
        """
        request = step_request(self._module, texts(wrt) or (), of, form_of(per_example), batch)
        self._engine.derive(request)
        return Step(request, of, backend, self._calls.ready, self._calls.cotangents)

    def profile(
        self,
        params: Mapping[str, Array],
        inputs: Mapping[str, Array],
        wrt: Names | None = None,
        of: Names | None = None,
        *,
        cotangent: Array | Mapping[str, Array] | Literal["ones"] | None = None,
        per_example: bool | Literal["norms"] = False,
        batch: str | None = None,
        calls: int | None = None,
        seconds: float = 1.0,
        seed: int = 0,
        backend: str | None = None,
    ) -> ProfileReport:
        """Where the time of a compiled step goes (see `compile`), by line of the spec, by node and by kernel.

        It is called, and run with a look at the clock after each node, `calls` times each, or as often as
        takes about so many `seconds`.  The report prints as tables; without `wrt` it is about values.  With
        `per_example` it is about the gradient of every example, or `"norms"` of them.
        """
        from graphspec.profiling import profile

        if wrt is None:
            request = Request(texts(of))
        else:
            request = self._calls.request(
                of, wrt, cotangent, False, per_example=form_of(per_example), batch=batch
            )
        request = replace(request, updates=request.per_example is None)
        given = self._calls.arrays(request, params, inputs)
        there = {name: array for name, array in given.items() if name not in params}
        weights = self._calls.cotangents(of, cotangent)
        extra = {cotangent_of(name): array for name, array in weights.items()}
        step = Step(request, of, backend, self._calls.ready, self._calls.cotangents)
        return profile(
            self._engine,
            request,
            {**given, **extra},
            lambda: step(params, there, cotangent=weights or None, seed=seed),
            calls=calls,
            seconds=seconds,
            seed=seed,
            backend=backend or backend_of(given),
        )

    def emit(
        self,
        wrt: Names,
        of: Names | None = None,
        *,
        inputs: Mapping[str, Array] | None = None,
        cotangent: Literal["ones"] | None = None,
        allow_zero: bool = False,
    ) -> str:
        """The text of a program that computes gradients with numpy alone.

        It is for the sizes of `inputs`, else for the defaults of the dims.  An objective that is not a scalar
        has its cotangent among the arrays that the program asks for, or `"ones"`.
        """
        from graphspec import __version__

        objectives = find_objectives(self._module, texts(of))
        weighted = [] if is_ones(cotangent) else [name for name, v in objectives.items() if v.type.rank]
        request = Request(
            texts(of),
            texts(wrt) or (),
            "gradients",
            cotangents=frozenset(weighted),
            ones=is_ones(cotangent),
            allow_zero=allow_zero,
        )
        return self._engine.write_program(request, inputs or {}, __version__)

    @property
    def _module(self) -> Module:
        return self._engine.module
