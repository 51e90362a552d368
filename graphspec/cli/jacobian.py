"""The command that computes Jacobians."""

from __future__ import annotations

from typing import Annotated

import typer

from graphspec.cli import options, texts
from graphspec.cli.report import Report
from graphspec.cli.running import (
    arguments,
    load_model,
    read_options,
    require_backend,
    require_writable,
    write,
)


def jacobian(
    spec: options.SpecPath,
    *,
    of: options.OneOf,
    wrt: options.OneWrt,
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
    arrays: options.ArrayOptions,
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
    given = read_options(arrays)
    limit = texts.read_bytes(max_memory)
    sets = texts.read_sets(set)
    some_rows, some_columns = texts.read_part(rows, "--rows"), texts.read_part(cols, "--cols")
    precision = options.DTypeName.f64 if check else dtype
    with Report("jacobian", as_json=json) as report:
        require_backend(backend)
        require_writable(out)
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
            seed=given.seed,
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
                seed=given.seed,
                backend=backend.value,
            )
            report.line(f"differences agree, to {error:.1e} of its largest element")
            report.result["error"] = error
