"""The commands that run a spec: forward, grad, init."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from graphspec.cli import options, texts
from graphspec.cli.cotangents import read_cotangents
from graphspec.cli.report import Report
from graphspec.cli.running import (
    arguments,
    load_model,
    read_options,
    require_backend,
    require_writable,
    write,
)


def forward(
    spec: options.SpecPath,
    *,
    of: options.Of = None,
    arrays: options.ArrayOptions,
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
    given = read_options(arrays)
    limit = texts.read_bytes(max_memory)
    sets = texts.read_sets(set)
    with Report("forward", as_json=json) as report:
        require_backend(backend)
        require_writable(out)
        model = load_model(
            report, spec, sets, dtype, mode, simplify=not no_opt, verify=verify, max_memory=limit
        )
        parameters, inputs = arguments(report, model, given, model.needs(of))
        values = model.forward(
            parameters, inputs, of=of, seed=given.seed, backend=backend.value, check_finite=check_finite
        )
        report.result = {"values": report.arrays(values)}
        write(out, values)


def grad(
    spec: options.SpecPath,
    *,
    wrt: options.Wrt,
    of: options.Of = None,
    cotangent: options.Cotangents = None,
    arrays: options.ArrayOptions,
    set: options.Sets = None,
    dtype: options.DTypeOption = None,
    mode: options.ModeOption = options.Mode.eval,
    backend: options.BackendOption = options.Backend.numpy,
    allow_zero: options.AllowZero = False,
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
    given = read_options(arrays)
    limit = texts.read_bytes(max_memory)
    sets = texts.read_sets(set)
    targets = texts.split_names(wrt)
    with Report("grad", as_json=json) as report:
        require_backend(backend)
        require_writable(out)
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
                seed=given.seed,
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
            seed=given.seed,
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
    sets = texts.read_sets(set)
    with Report("init", as_json=json) as report:
        require_writable(out)
        model = load_model(report, spec, sets, dtype, options.Mode.eval)
        values = model.init(seed=seed)
        report.result = {"seed": seed, "parameters": report.arrays(values)}
        write(out, values)


def _flat(grads: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Gradients by name; with several objectives by `objective/name`."""
    if len(grads) == 1:
        return dict(*grads.values())
    return {f"{of}/{name}": g for of, found in grads.items() for name, g in found.items()}


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
