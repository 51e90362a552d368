"""The command that compares derivatives with finite differences: gradcheck."""

from __future__ import annotations

from typing import Annotated

import typer

from graphspec.cli import options, texts
from graphspec.cli.report import Report
from graphspec.cli.running import arguments, load_model, read_options, require_backend


def gradcheck(
    spec: options.SpecPath,
    *,
    wrt: options.WrtOrAll = None,
    of: options.Of = None,
    op: Annotated[
        list[str] | None,
        typer.Option(
            "--op", metavar="NAME", help="Check this operation of the spec by itself; may be repeated."
        ),
    ] = None,
    order: Annotated[int, typer.Option("--order", min=1, max=2, help="2: second derivatives too.")] = 1,
    full: Annotated[
        bool, typer.Option("--full", help="Compare by each element, not along random directions.")
    ] = False,
    arrays: options.ArrayOptions,
    set: options.Sets = None,
    mode: options.ModeOption = options.Mode.eval,
    backend: options.BackendOption = options.Backend.numpy,
    max_memory: options.MaxMemory = None,
    no_opt: options.NoOpt = False,
    verify: options.Verify = False,
    json: options.JsonFlag = False,
) -> None:
    """Compare gradients with finite differences, in f64.

    Checked are every parameter and floating input, and each hand-written derivative by itself.
    """
    given = read_options(arrays)
    sets = texts.read_sets(set)
    targets = texts.split_names(wrt) if wrt else None
    ops = texts.split_names(op) if op else None
    with Report("gradcheck", as_json=json) as report:
        require_backend(backend)
        model = load_model(
            report,
            spec,
            sets,
            options.DTypeName.f64,
            mode,
            simplify=not no_opt,
            verify=verify,
            max_memory=texts.read_bytes(max_memory),
        )
        objectives = model.objectives(of)
        parameters, inputs = arguments(report, model, given, model.needs(objectives))
        found = model.gradcheck(
            parameters,
            inputs,
            targets,
            objectives,
            ops=ops,
            order=order,
            full=full,
            seed=given.seed,
            backend=backend.value,
        )
        report.result = {"ok": bool(found), "derivatives": [row.as_dict() for row in found.rows]}
        report.table(found.header, [row.cells for row in found.rows], right=(5,))
        for diagnostic in found.diagnostics:
            report.tell(diagnostic)
        report.exit_code = 0 if found else 1
