"""The commands that run a spec: forward, grad, init."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphspec.cli import options
from graphspec.cli.cotangents import Cotangents, read_cotangents
from graphspec.cli.report import Report

if TYPE_CHECKING:
    from graphspec.model import Model


@dataclass(frozen=True, slots=True)
class ParameterFile:
    """Where parameters come from, and how its names become the spec's."""

    path: Path
    prefix: str
    rename: dict[str, str]
    transpose: list[str]


@dataclass(frozen=True, slots=True)
class Given:
    """What the options say about where arrays come from."""

    archives: list[Path]
    files: dict[str, Path]
    take: slice | None
    draw: list[str]
    params: ParameterFile | None
    seed: int
    backend: str


def forward(
    spec: options.SpecPath,
    of: options.Of = None,
    data: options.Data = None,
    input: options.InputFiles = None,
    take: options.Take = None,
    draw: options.DrawNames = None,
    params: options.Params = None,
    params_prefix: options.ParamsPrefix = "",
    rename: options.Rename = None,
    transpose: options.Transpose = None,
    seed: options.Seed = 0,
    set: options.Sets = None,
    dtype: options.DTypeOption = None,
    mode: options.ModeOption = options.Mode.eval,
    backend: options.BackendOption = options.Backend.numpy,
    check_finite: options.CheckFinite = False,
    max_memory: options.MaxMemory = None,
    out: options.Out = None,
    no_opt: options.NoOpt = False,
    verify: options.Verify = False,
    json: options.JsonFlag = False,
) -> None:
    """Compute values: the spec's results, or --of.

    Without data, inputs are drawn by the spec's own samplers, and stderr says so with the seed.
    """
    parameter_file = parameter_file_by(params, params_prefix, rename, transpose)
    given = given_by(data, input, take, draw, parameter_file, seed, backend)
    limit = options.read_bytes(max_memory)
    sets = options.read_sets(set)
    with Report("forward", as_json=json) as report:
        require_backend(backend)
        model = load_model(
            report, spec, sets, dtype, mode, simplify=not no_opt, verify=verify, max_memory=limit
        )
        parameters, inputs = arguments(report, model, given, model.needs(of))
        values = model.forward(
            parameters, inputs, of=of, seed=seed, backend=backend.value, check_finite=check_finite
        )
        report.result = {"values": report.arrays(values)}
        write(out, values)


def grad(
    spec: options.SpecPath,
    wrt: options.Wrt,
    of: options.Of = None,
    cotangent: Cotangents = None,
    data: options.Data = None,
    input: options.InputFiles = None,
    take: options.Take = None,
    draw: options.DrawNames = None,
    params: options.Params = None,
    params_prefix: options.ParamsPrefix = "",
    rename: options.Rename = None,
    transpose: options.Transpose = None,
    seed: options.Seed = 0,
    set: options.Sets = None,
    dtype: options.DTypeOption = None,
    mode: options.ModeOption = options.Mode.eval,
    backend: options.BackendOption = options.Backend.numpy,
    allow_zero: Annotated[
        bool, typer.Option("--allow-zero", help="Zeros where the objective does not depend on a name.")
    ] = False,
    per_example: options.PerExample = False,
    per_example_norms: options.PerExampleNorms = False,
    batch: options.Batch = None,
    chunk: options.Chunk = None,
    check_finite: options.CheckFinite = False,
    max_memory: options.MaxMemory = None,
    out: options.Out = None,
    plot: options.Plot = None,
    no_opt: options.NoOpt = False,
    verify: options.Verify = False,
    json: options.JsonFlag = False,
) -> None:
    """Compute gradients of anything by anything.

    Without data, inputs are drawn by the spec's own samplers, and stderr says so with the seed.
    """
    if per_example and per_example_norms:
        raise typer.BadParameter("gradients or their norms, not both", param_hint="--per-example-norms")
    parameter_file = parameter_file_by(params, params_prefix, rename, transpose)
    given = given_by(data, input, take, draw, parameter_file, seed, backend)
    limit = options.read_bytes(max_memory)
    sets = options.read_sets(set)
    targets = options.split_names(wrt)
    with Report("grad", as_json=json) as report:
        require_backend(backend)
        if plot is not None:
            from graphspec.runtime.plot import require_plotting

            require_plotting(plot)
        model = load_model(
            report, spec, sets, dtype, mode, simplify=not no_opt, verify=verify, max_memory=limit
        )
        objectives = model.objectives(of)
        weights = read_cotangents(cotangent, objectives)
        each = per_example or per_example_norms
        needed = model.needs(
            objectives, targets, cotangent=weights, allow_zero=allow_zero, per_example=each, batch=batch
        )
        parameters, inputs = arguments(report, model, given, needed)
        if per_example_norms:
            norms = model.per_example_norms(
                parameters,
                inputs,
                wrt=targets,
                of=objectives,
                cotangent=weights,
                allow_zero=allow_zero,
                batch=batch,
                chunk=chunk,
                seed=seed,
                backend=backend.value,
                check_finite=check_finite,
            )
            report.result = {"objectives": {}}
            for objective in objectives:
                report.line(f"norm of the gradient of {objective}, example by example")
                report.result["objectives"][objective] = {"norms": report.arrays(norms[objective])}
            write(out, _flat(norms))
            _plot(plot, norms, {}, parameters, "norm of every example's gradient")
            return
        values, grads = model.value_and_grad(
            parameters,
            inputs,
            wrt=targets,
            of=objectives,
            cotangent=weights,
            allow_zero=allow_zero,
            per_example=per_example,
            batch=batch,
            chunk=chunk,
            seed=seed,
            backend=backend.value,
            check_finite=check_finite,
        )
        report.result = {"objectives": {}}
        for objective in objectives:
            value = values[objective]
            shown = f" = {float(value):.9g}" if value.ndim == 0 else ""
            report.line(f"gradient of {objective}" + (", example by example" if per_example else shown))
            report.result["objectives"][objective] = {
                "value": report.facts(value),
                "gradients": report.arrays(grads[objective]),
            }
        write(out, _flat(grads))
        _plot(plot, grads, inputs, parameters)


def init(
    spec: options.SpecPath,
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FILE", help="Where they go: a .npz or .safetensors file.", show_default=False
        ),
    ],
    seed: options.Seed = 0,
    set: options.Sets = None,
    dtype: options.DTypeOption = None,
    json: options.JsonFlag = False,
) -> None:
    """Write initial parameters and buffers to a file."""
    sets = options.read_sets(set)
    with Report("init", as_json=json) as report:
        model = load_model(report, spec, sets, dtype, options.Mode.eval)
        values = model.init(seed=seed)
        report.result = {"seed": seed, "parameters": report.arrays(values)}
        write(out, values)


def given_by(
    data: list[Path] | None,
    files: list[str] | None,
    take: str | None,
    draw: list[str] | None,
    params: ParameterFile | None,
    seed: int,
    backend: options.Backend,
) -> Given:
    rows, names = options.read_take(take), options.split_names(draw)
    return Given(data or [], options.read_files(files), rows, names, params, seed, backend.value)


def parameter_file_by(
    path: Path | None, prefix: str, rename: list[str] | None, transpose: list[str] | None
) -> ParameterFile | None:
    if path is None:
        for option, value in (("--params-prefix", prefix), ("--rename", rename), ("--transpose", transpose)):
            if value:
                raise typer.BadParameter("there is no --params that it would be for", param_hint=option)
        return None
    return ParameterFile(path, prefix, options.read_renames(rename), options.split_names(transpose))


def require_backend(backend: options.Backend) -> None:
    """End here, before anything is read or drawn, where the backend cannot run."""
    from graphspec.runtime.backends import backend as find_backend

    find_backend(backend.value)


def load_model(
    report: Report,
    spec: Path,
    sets: dict[str, Any],
    dtype: options.DTypeName | None,
    mode: options.Mode,
    *,
    simplify: bool = True,
    verify: bool = False,
    max_memory: int | None = None,
) -> Model:
    from graphspec.diagnostics.catalogue import requests as say
    from graphspec.loading import load

    model = load(
        spec,
        consts=sets,
        dtype=dtype.value if dtype else None,
        mode=mode.value,
        simplify=simplify,
        verify=verify or None,
        notify=report.tell,
        max_memory=max_memory,
    )
    if model.mode:
        report.tell(say.mode_matters(model.mode))
    return model


def arguments(
    report: Report, model: Model, given: Given, needed: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and inputs of a request: from files, or drawn, which is said with the seed."""
    from graphspec.diagnostics.catalogue import requests as say

    wanted = [name for name, kind in needed.items() if kind == "input"]
    inputs = _read_inputs(report, model, given, wanted)
    drawn = given.draw
    if not (given.archives or given.files):
        drawn = [*drawn, *(name for name in wanted if name not in inputs and name not in drawn)]
    if drawn:
        inputs |= model.draw(given.seed, names=drawn, inputs=inputs)
        report.tell(say.inputs_drawn(drawn, given.seed))
    owned = [name for name, kind in needed.items() if kind in ("param", "buffer")]
    if given.params is not None:
        source = given.params
        parameters = model.load_params(
            source.path, prefix=source.prefix, rename=source.rename, transpose=source.transpose, names=owned
        )
    else:
        parameters = model.init(given.seed, names=owned, inputs=inputs)
        if owned:
            report.tell(say.parameters_drawn(len(owned), given.seed))
    return parameters, inputs


def _read_inputs(report: Report, model: Model, given: Given, wanted: list[str]) -> dict[str, Any]:
    """The arrays of files: those of the options, and those that the spec names for what is wanted."""
    from graphspec.diagnostics import GraphSpecError
    from graphspec.diagnostics.catalogue import requests as say
    from graphspec.runtime.data import read_array
    from graphspec.runtime.parameters import read_arrays, read_header

    inputs: dict[str, Any] = {}
    for path in given.archives:
        there = read_header(path)
        known = [name for name in there if model.kind(name) in ("input", "noise")]
        if len(known) < len(there):
            report.tell(say.extra_arrays(str(path), sorted(there.keys() - set(known))))
        inputs |= read_arrays(path, known)
    inputs |= {name: read_array(path) for name, path in given.files.items()}
    inputs |= model.default_data([name for name in wanted if name not in inputs and name not in given.draw])
    if given.take is not None:
        rows = [name for name in model.batched(inputs) if inputs[name].ndim]
        if not rows:
            raise GraphSpecError(say.nothing_to_take())
        inputs |= {name: inputs[name][given.take] for name in rows}
    return inputs


def _flat(grads: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Gradients by name; with several objectives by `objective/name`."""
    if len(grads) == 1:
        return dict(*grads.values())
    return {f"{of}/{name}": g for of, found in grads.items() for name, g in found.items()}


def write(out: Path | None, arrays: Mapping[str, Any]) -> None:
    from graphspec.loading import save_params

    if out is not None:
        save_params(out, arrays)


def _plot(
    path: Path | None,
    grads: Mapping[str, Mapping[str, Any]],
    inputs: Mapping[str, Any],
    parameters: Mapping[str, Any],
    what: str = "gradient",
) -> None:
    if path is not None:
        from graphspec.runtime.plot import plot_gradients

        plot_gradients(path, grads, inputs, parameters, what)
