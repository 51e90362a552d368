"""The commands that look at specs and at graphspec itself: check, show, explain, ops."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphspec.cli import options
from graphspec.cli.complete import complete_function, complete_id, complete_wrt
from graphspec.cli.compute import load_model
from graphspec.cli.documents import DOCUMENT, RESULTS, schema_page
from graphspec.cli.report import Report

if TYPE_CHECKING:
    from graphspec.lifting.listing import Line


class Stage(StrEnum):
    """The graphs that can be shown."""

    graph = "graph"
    gradient = "gradient"


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
    sets = options.read_sets(set)
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


def show(
    spec: options.SpecPath,
    stage: Annotated[
        Stage, typer.Option("--stage", help="The graph as it is written, or that of a gradient.")
    ] = Stage.graph,
    names: Annotated[bool, typer.Option("--names", help="Every name that can be asked for.")] = False,
    wrt: Annotated[
        list[str] | None,
        typer.Option(
            "--wrt",
            metavar="NAME",
            help=f"For --stage gradient.  {options.WRT_HELP}",
            autocompletion=complete_wrt,
        ),
    ] = None,
    of: options.Of = None,
    set: options.Sets = None,
    dtype: options.DTypeOption = None,
    mode: options.ModeOption = options.Mode.eval,
    no_opt: options.NoOpt = False,
    json: options.JsonFlag = False,
) -> None:
    """Show a graph, one line for each node."""
    sets = options.read_sets(set)
    if stage is Stage.gradient and not wrt:
        raise typer.BadParameter("the gradient with respect to what?", param_hint="--wrt")
    with Report("show", as_json=json) as report:
        from graphspec.lifting.listing import list_nodes

        model = load_model(report, spec, sets, dtype, mode, simplify=not no_opt)
        if names:
            rows = [[name, model.kind(name) or "value", type] for name, type in model.names().items()]
            report.table(("name", "kind", "type"), rows)
            report.result = {"names": [dict(zip(("name", "kind", "type"), row, strict=True)) for row in rows]}
            return
        if stage is Stage.gradient:
            graph = model.gradient_graph(options.split_names(wrt), of)
        else:
            graph = model.graph if of is None else model.forward_graph(of)
        lines = list_nodes(graph, {name: model.kind(name) or "" for name in model.names()})
        report.table(
            ("name", "op", "inputs", "type", "parameters"),
            [_cells(line) for line in lines],
            right=(4,),
        )
        report.result = {"nodes": [_node(line) for line in lines], "outputs": list(graph.outputs)}


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
        from graphspec.lowering.reference import reference

        functions = reference()
        if name is None:
            rows = [[f.name, f.kind, _first_line(f.text)] for f in functions.values()]
            report.table(("name", "kind", "summary"), rows)
        elif name not in functions:
            raise GraphSpecError(unknown_operation(name, list(functions)))
        else:
            report.line(functions[name].text)
        wanted = functions.values() if name is None else [functions[name]]
        report.result = {"functions": [asdict(f) for f in wanted]}


def _cells(line: Line) -> list[str]:
    lists = ", ".join(line.names), line.text, ", ".join(line.inputs), ", ".join(line.types)
    return [*lists, str(line.parameters or "")]


def _node(line: Line) -> dict[str, Any]:
    """A line of the graph as the JSON document has it."""
    return {
        "names": list(line.names),
        "op": line.op,
        "attributes": dict(line.attributes),
        "inputs": list(line.inputs),
        "types": list(line.types),
        "parameters": None if line.parameters is None else str(line.parameters),
    }


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].removeprefix("## ")
