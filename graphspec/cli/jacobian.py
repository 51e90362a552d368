"""The command that computes Jacobians."""

from __future__ import annotations

from typing import Annotated

import typer

from graphspec.cli import options
from graphspec.cli.complete import complete_of, complete_wrt
from graphspec.cli.compute import arguments, given_by, load_model, parameter_file_by, require_backend, write
from graphspec.cli.report import Report


def jacobian(
    spec: options.SpecPath,
    of: Annotated[
        str,
        typer.Option(
            "--of",
            metavar="EXPR",
            help="The value to differentiate.",
            show_default=False,
            autocompletion=complete_of,
        ),
    ],
    wrt: Annotated[
        str,
        typer.Option(
            "--wrt",
            metavar="NAME",
            help="What it is differentiated by.",
            show_default=False,
            autocompletion=complete_wrt,
        ),
    ],
    rows: Annotated[
        str | None,
        typer.Option("--rows", metavar="A:B", help="Only these elements of the value; also 3, or 0,2,5."),
    ] = None,
    cols: Annotated[
        str | None, typer.Option("--cols", metavar="A:B", help="Only these elements of --wrt.")
    ] = None,
    chunk: options.Chunk = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare it with finite differences, everything in f64.")
    ] = False,
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
    max_memory: options.MaxMemory = None,
    out: options.Out = None,
    no_opt: options.NoOpt = False,
    verify: options.Verify = False,
    json: options.JsonFlag = False,
) -> None:
    """Compute the derivative of each element of a value by each element of a name.

    Elements are counted in row-major order.  Without data, inputs are drawn by the spec's own samplers.
    """
    parameter_file = parameter_file_by(params, params_prefix, rename, transpose)
    given = given_by(data, input, take, draw, parameter_file, seed, backend)
    limit = options.read_bytes(max_memory)
    sets = options.read_sets(set)
    some_rows, some_columns = options.read_part(rows, "--rows"), options.read_part(cols, "--cols")
    precision = options.DTypeName.f64 if check else dtype
    with Report("jacobian", as_json=json) as report:
        require_backend(backend)
        model = load_model(
            report, spec, sets, precision, mode, simplify=not no_opt, verify=verify, max_memory=limit
        )
        parameters, inputs = arguments(report, model, given, model.needs(of))
        found = model.jacobian(
            parameters,
            inputs,
            of,
            wrt,
            rows=some_rows,
            cols=some_columns,
            chunk=chunk,
            seed=seed,
            backend=backend.value,
        )
        report.line(f"Jacobian of {of} with respect to {wrt}")
        report.result = {"of": of, "wrt": wrt, "jacobian": report.arrays({wrt: found})[wrt]}
        write(out, {wrt: found})
        if check:
            error = model.check_jacobian(
                parameters,
                inputs,
                of,
                wrt,
                rows=some_rows,
                cols=some_columns,
                seed=seed,
                backend=backend.value,
            )
            report.line(f"differences agree, to {error:.1e} of its largest element")
            report.result["error"] = error
