"""The command that says where the time goes: bench."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from graphspec.cli import options, texts
from graphspec.cli.cotangents import read_cotangents
from graphspec.cli.report import Report
from graphspec.cli.running import arguments, load_model, read_options, require_backend


class Sort(StrEnum):
    """What the rows of the tables are sorted by."""

    time = "time"
    flops = "flops"
    bytes = "bytes"
    order = "order"


def bench(
    spec: options.SpecPath,
    *,
    wrt: options.WrtOrValues = None,
    of: options.Of = None,
    cotangent: options.Cotangents = None,
    per_example: options.PerExample = False,
    per_example_norms: options.PerExampleNorms = False,
    batch: options.Batch = None,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", metavar="S", min=0.0, help="How long to measure.  [default: 1]"),
    ] = None,
    repeat: Annotated[
        int | None,
        typer.Option("--repeat", metavar="N", min=1, help="So many calls, however long they take."),
    ] = None,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=0, help="Rows of each table; the others are one row.")
    ] = 10,
    sort: Annotated[
        Sort, typer.Option("--sort", help="Of the rows; `order` is that of execution.")
    ] = Sort.time,
    arrays: options.ArrayOptions,
    set: options.Sets = None,
    dtype: options.DTypeOption = None,
    mode: options.ModeOption = options.Mode.eval,
    backend: options.BackendOption = options.Backend.numpy,
    max_memory: options.MaxMemory = None,
    no_opt: options.NoOpt = False,
    json: options.JsonFlag = False,
) -> None:
    """Say where the time goes: by line of the spec, by node, by kernel.

    With --wrt it is that of values and gradients.  Calls are those of a compiled step, in as many threads as
    it uses; nodes are timed in other runs of the same program.  `of limit` is the part of the time that this
    machine needs in any case: as measured in products of matrices and in copies of memory, or in calls of the
    array library that do nothing where these take longer.
    """
    if repeat is not None and seconds is not None:
        raise typer.BadParameter("so many calls or so many seconds, not both", param_hint="--repeat")
    if wrt is None:
        of_gradients = {
            "--cotangent": cotangent,
            "--per-example": per_example,
            "--per-example-norms": per_example_norms,
            "--batch": batch,
        }
        for option, is_given in of_gradients.items():
            if is_given:
                raise typer.BadParameter("that is for gradients: by what?  --wrt says it", param_hint=option)
    if per_example and per_example_norms:
        raise typer.BadParameter("gradients or their norms, not both", param_hint="--per-example-norms")
    given = read_options(arrays)
    limit = texts.read_bytes(max_memory)
    sets = texts.read_sets(set)
    targets = None if wrt is None else texts.split_names(wrt)
    with Report("bench", as_json=json) as report:
        require_backend(backend)
        model = load_model(report, spec, sets, dtype, mode, simplify=not no_opt, max_memory=limit)
        objectives = of if targets is None else model.objectives(of)
        weights = None if targets is None else read_cotangents(cotangent, objectives or ())
        each = per_example or per_example_norms
        needed = model.needs(objectives, targets, cotangent=weights, per_example=each, batch=batch)
        parameters, inputs = arguments(report, model, given, needed)
        report.be_still()
        found = model.profile(
            parameters,
            inputs,
            targets,
            objectives,
            cotangent=weights,
            per_example="norms" if per_example_norms else per_example,
            batch=batch,
            calls=repeat,
            seconds=1.0 if seconds is None else seconds,
            seed=given.seed,
            backend=backend.value,
        )
        report.result = found.as_dict()
        report.line(found.text(top=top, sort=sort.value))
