"""The command that shows what goes from one phase of the compiler to the next: show."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphspec.cli import options, texts
from graphspec.cli.report import Report, portable
from graphspec.cli.running import Given, arguments, load_model, read_options

if TYPE_CHECKING:
    from graphspec.lifting.facts import Measured
    from graphspec.lifting.listing import Line
    from graphspec.model import Model
    from graphspec.views import View


class Stage(StrEnum):
    """What is handed on: by the parser, by the type checker, by differentiation, by the planner."""

    ast = "ast"
    graph = "graph"
    gradient = "gradient"
    plan = "plan"


class Format(StrEnum):
    """How graphs are written."""

    text = "text"
    gspec = "gspec"
    dot = "dot"
    mermaid = "mermaid"
    svg = "svg"


def show(
    spec: options.SpecPath,
    *,
    stage: Annotated[
        Stage,
        typer.Option("--stage", help="The syntax, the graph as written, that of a gradient, or the program."),
    ] = Stage.graph,
    format: Annotated[
        Format,
        typer.Option("--format", help="Of a graph: lines (a gradient: .gspec text), or a drawing."),
    ] = Format.text,
    names: Annotated[bool, typer.Option("--names", help="Every name that can be asked for.")] = False,
    wrt: options.WrtOfStage = None,
    of: options.Of = None,
    unfold: Annotated[
        bool, typer.Option("--unfold", help="Draw every node, where many would be folded.")
    ] = False,
    values: Annotated[
        bool,
        typer.Option("--values", help="Run it on data: say norms and shapes, and mark what is not finite."),
    ] = False,
    arrays: options.ArrayOptions,
    set: options.Sets = None,
    dtype: options.DTypeOption = None,
    mode: options.ModeOption = options.Mode.eval,
    no_opt: options.NoOpt = False,
    json: options.JsonFlag = False,
) -> None:
    """Show a graph, one line for each node, or draw it.

    With --values it is run as it is written; without data, inputs are drawn by the spec's own samplers.
    """
    sets = texts.read_sets(set)
    if stage is Stage.gradient and not wrt:
        raise typer.BadParameter("the gradient with respect to what?", param_hint="--wrt")
    if wrt and stage not in (Stage.gradient, Stage.plan):
        raise typer.BadParameter("that is for --stage gradient or --stage plan", param_hint="--wrt")
    if stage in (Stage.ast, Stage.plan) and format is not Format.text:
        raise typer.BadParameter(f"--stage {stage.value} is text", param_hint="--format")
    if values and (names or stage in (Stage.ast, Stage.plan) or format is Format.gspec):
        raise typer.BadParameter("a graph has values, as lines or drawn", param_hint="--values")
    given = read_options(arrays)
    if not values and arrays != options.ArrayOptions(seed=arrays.seed):
        raise typer.BadParameter("data are for a run, which --values asks for", param_hint="--values")
    with Report("show", as_json=json) as report:
        if stage is Stage.ast:
            _show_tree(report, str(spec))
            return
        model = load_model(report, spec, sets, dtype, mode, simplify=not (no_opt or values))
        targets = texts.split_names(wrt) if wrt else None
        if names:
            _show_names(report, model)
        elif stage is Stage.plan:
            _show_plan(report, model, targets, of)
        elif values:
            by = (targets or []) if stage is Stage.gradient else []
            graph = _run(report, model, given, by, of)
            _show_graph(report, model, graph, format, unfold, Format.text)
        elif stage is Stage.gradient:
            _show_graph(report, model, model.gradient_graph(targets or (), of), format, unfold, Format.gspec)
        else:
            graph = model.graph if of is None else model.forward_graph(of)
            _show_graph(report, model, graph, format, unfold, Format.text)


def _run(report: Report, model: Model, given: Given, wrt: list[str], of: list[str] | None) -> View:
    """The graph with what its values are on the arrays given or drawn."""
    needed = model.needs(of, wrt, cotangent="ones") if wrt else model.needs(of)
    parameters, inputs = arguments(report, model, given, needed)
    return model.measured_graph(parameters, inputs, wrt, of, seed=given.seed)


def _show_tree(report: Report, path: str) -> None:
    from graphspec.lifting.tree import print_tree
    from graphspec.lowering.definitions import read_source
    from graphspec.syntax.parser import parse

    text = print_tree(parse(read_source(path, path)))
    report.line(text)
    report.result = {"text": text}


def _show_names(report: Report, model: Model) -> None:
    rows = [[name, model.kind(name) or "value", type] for name, type in model.names().items()]
    report.table(("name", "kind", "type"), rows)
    report.result = {"names": [dict(zip(("name", "kind", "type"), row, strict=True)) for row in rows]}


def _show_graph(
    report: Report, model: Model, graph: View, format: Format, unfold: bool, plain: Format
) -> None:
    """The graph as text or as a drawing; `plain` is what `--format text` means."""
    from graphspec.lifting.listing import list_nodes

    limit = len(graph.shown.nodes) if unfold else None
    lines = list_nodes(graph, {name: model.kind(name) or "" for name in model.names()}, graph.measured)
    report.result = {"nodes": [_node(line) for line in lines], "outputs": list(graph.outputs)}
    match plain if format is Format.text else format:
        case Format.gspec:
            text = str(graph)
        case Format.dot:
            text = graph.to_dot(limit=limit)
        case Format.mermaid:
            text = graph.to_mermaid(limit=limit)
        case Format.svg:
            text = graph.to_svg(limit=limit)
        case _:
            header = ["name", "op", "inputs", "type", "parameters"]
            header += ["norm", "min", "max"] if graph.measured else []
            report.table(header, list(map(_cells, lines)), right=range(4, len(header)))
            return
    report.line(text)
    report.result["text"] = text


def _show_plan(report: Report, model: Model, wrt: list[str] | None, of: list[str] | None) -> None:
    from dataclasses import asdict

    from graphspec.runtime.schedule import schedule

    plan = model.plan(wrt, of)
    steps = schedule(plan)
    header = ("step", "name", "op", "inputs", "type", "place", "bytes", "scratch", "until")
    rows = [
        [
            str(s.number),
            ", ".join(s.names),
            s.op,
            ", ".join(s.inputs),
            ", ".join(s.types),
            ", ".join(s.place),
            *(str(number) if number else "" for number in (s.bytes, s.scratch)),
            str(s.last),
        ]
        for s in steps
    ]
    report.table(header, rows, right=(0, 6, 7, 8))
    memory = {
        "arena": plan.arena_bytes,
        "results": plan.result_bytes,
        "inputs": plan.input_bytes,
        "without_reuse": plan.intermediate_bytes,
    }
    report.line()
    sizes = ", ".join(f"{name} = {size}" for name, size in plan.env.items())
    report.line(f"{f'for {sizes}: ' if sizes else ''}{_memory(memory)}")
    report.result = {"steps": [asdict(s) for s in steps], "sizes": dict(plan.env), "bytes": memory}


def _memory(memory: dict[str, int]) -> str:
    return (
        f"arena {memory['arena']:,} bytes ({memory['without_reuse']:,} without reuse), "
        f"results {memory['results']:,}, inputs {memory['inputs']:,}"
    )


def _cells(line: Line) -> list[str]:
    lists = ", ".join(line.names), line.text, ", ".join(line.inputs), ", ".join(line.types)
    return [*lists, str(line.parameters or ""), *(_numbers(line.measured) if line.measured else [])]


def _numbers(measured: Sequence[Measured]) -> list[str]:
    """Norm, least and greatest element, those of several results with commas between them."""
    norms = [f"{m.norm:.6g}" if m.is_finite else "not finite" for m in measured]
    ranges = [["" if bound is None else f"{bound:.6g}" for bound in (m.low, m.high)] for m in measured]
    return [", ".join(norms), *(", ".join(bounds) for bounds in zip(*ranges, strict=True))]


def _node(line: Line) -> dict[str, Any]:
    """A line of the graph as the JSON document has it."""
    document = {
        "names": list(line.names),
        "op": line.op,
        "attributes": dict(line.attributes),
        "inputs": list(line.inputs),
        "types": list(line.types),
        "parameters": None if line.parameters is None else str(line.parameters),
    }
    return document | ({"values": list(map(_value, line.measured))} if line.measured else {})


def _value(measured: Measured) -> dict[str, Any]:
    return {
        "shape": list(measured.type.shape),
        "finite": measured.is_finite,
        "norm": portable(measured.norm),
        "min": portable(measured.low),
        "max": portable(measured.high),
    }
