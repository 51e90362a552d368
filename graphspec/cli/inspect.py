"""The commands that look at specs and at graphspec itself: check, explain, ops."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from graphspec.cli import options, texts
from graphspec.cli.complete import complete_function, complete_id
from graphspec.cli.documents import DOCUMENT, RESULTS, schema_page
from graphspec.cli.report import Report
from graphspec.cli.running import load_model


class Format(StrEnum):
    """How findings are written."""

    text = "text"
    github = "github"


def check(
    specs: Annotated[list[Path], typer.Argument(metavar="SPEC...", help="Spec files.", show_default=False)],
    format: Annotated[
        Format, typer.Option("--format", help="Text, or annotations that GitHub shows beside the lines.")
    ] = Format.text,
    set: options.Sets = None,
    dtype: options.DTypeOption = None,
    mode: options.ModeOption = options.Mode.eval,
    json: options.JsonFlag = False,
) -> None:
    """Report all errors and warnings of specs."""
    sets = texts.read_sets(set)
    if json and format is not Format.text:
        raise typer.BadParameter("--json is a format of its own", param_hint="--format")
    with Report("check", as_json=json, annotate=format is Format.github) as report:
        from graphspec.diagnostics import GraphSpecError

        report.result = {"specs": {}}
        for spec in specs:
            try:
                model = load_model(report, spec, sets, dtype, mode)
                model.check()
            except GraphSpecError as error:
                report.fail(error)
                report.result["specs"][str(spec)] = {"ok": False}
                continue
            nodes, parameters = len(model.graph.nodes), len(model.names("param"))
            report.line(f"{spec}: fine, {nodes} nodes, {parameters} parameters")
            report.result["specs"][str(spec)] = {"ok": True, "nodes": nodes, "parameters": parameters}


def explain(
    id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="A diagnostic, as in error[ID]; or `json`, the documents of --json.",
            autocompletion=complete_id,
        ),
    ] = None,
    json: options.JsonFlag = False,
) -> None:
    """Explain a diagnostic, or list all of them."""
    with Report("explain", as_json=json) as report:
        if id == "json":
            report.line(schema_page())
            report.result = {"schema": {"document": DOCUMENT, "results": RESULTS}}
            return
        from graphspec.diagnostics import GraphSpecError
        from graphspec.diagnostics.catalogue import catalogue
        from graphspec.diagnostics.catalogue.requests import unknown_diagnostic

        entries = catalogue()
        if id is None:
            report.table(
                ("id", "severity", "meaning"),
                [[e.id, e.severity, _first_line(e.explanation)] for e in entries.values()],
            )
        elif id not in entries:
            raise GraphSpecError(unknown_diagnostic(id, list(entries)))
        else:
            report.line(f"{entries[id].severity}[{id}]")
            report.line()
            report.line(entries[id].explanation)
        wanted = entries.values() if id is None else [entries[id]]
        report.result = {"diagnostics": [asdict(e) for e in wanted]}


def ops(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A function of the language.", autocompletion=complete_function),
    ] = None,
    json: options.JsonFlag = False,
) -> None:
    """Print the definition of a function, or list all."""
    with Report("ops", as_json=json) as report:
        from graphspec.diagnostics import GraphSpecError
        from graphspec.diagnostics.catalogue.requests import unknown_operation
        from graphspec.lowering.plugins import failures
        from graphspec.lowering.reference import reference

        functions = reference()
        for failure in failures():
            report.tell(failure)
        if name is None:
            rows = [[f.name, f.kind, _first_line(f.text)] for f in functions.values()]
            report.table(("name", "kind", "summary"), rows)
        elif name not in functions:
            raise GraphSpecError(unknown_operation(name, list(functions)))
        else:
            report.line(functions[name].text)
        wanted = functions.values() if name is None else [functions[name]]
        report.result = {"functions": [asdict(f) for f in wanted]}


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].removeprefix("## ")
