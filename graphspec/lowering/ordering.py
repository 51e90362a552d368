"""The order of statements: names make the graph, networkx sorts it, a cycle is an error listing its edges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import networkx as nx

from graphspec.diagnostics.catalogue import names as say
from graphspec.lowering.context import POISON, Frame
from graphspec.syntax import ast
from graphspec.syntax.walk import walk


def writes(statement: ast.Statement) -> list[str]:
    """The names that a statement makes in its own frame."""
    match statement:
        case ast.Assign():
            return [t.path.text for t in statement.targets] + labels(statement.value)
        case ast.Declare():
            return [(statement.public or statement.path).text]
        case ast.Layer():
            return [statement.path.text]
        case ast.Result():
            return [statement.path.text, *labels(statement.value)] if statement.value is not None else []
        case _:
            return []


def labels(expr: ast.Expr) -> list[str]:
    """The `as` names in an expression."""
    return [e.label.text for e in walk(expr) if isinstance(e, ast.Call) and e.label is not None]


@dataclass(frozen=True, slots=True)
class Read:
    """A name that is used: as a value, or as a function (which waits for a layer of that name only)."""

    name: str
    called: bool = False


def reads(statement: ast.Statement) -> Iterator[Read]:
    """The names that a statement needs."""
    match statement:
        case ast.Assign() | ast.Update() | ast.Layer():
            yield from reads_of_expression(statement.value)
        case ast.Declare():
            for size in statement.type.shape.sizes:
                if not isinstance(size, ast.Ellipsis):
                    yield from reads_of_expression(size)
            if statement.start is not None:
                yield from reads_of_expression(statement.start.value)
        case ast.Result():
            if statement.value is not None:
                yield from reads_of_expression(statement.value)
            else:
                yield Read(statement.path.text)
        case ast.Require():
            yield from reads_of_expression(statement.condition)
    written = getattr(statement, "targets", ())
    for typed in (*(t.type for t in written), getattr(statement, "type", None)):
        if typed is not None and not isinstance(statement, ast.Declare):
            for size in typed.shape.sizes:
                if not isinstance(size, ast.Ellipsis):
                    yield from reads_of_expression(size)


def reads_of_expression(expr: ast.Expr) -> Iterator[Read]:
    for part in walk(expr):
        if isinstance(part, ast.Name):
            yield Read(part.path.text)
        elif isinstance(part, ast.Call):
            yield Read(part.function.text, called=True)


def in_order(statements: list[ast.Statement], frame: Frame) -> Iterable[ast.Statement]:
    """The statements such that each comes after those whose names it uses, else as they are written."""
    makers: dict[str, int] = {}
    for position, statement in enumerate(statements):
        for name in writes(statement):
            makers.setdefault(name, position)
    users: dict[str, list[int]] = {}  # of layers, by name
    for position, statement in enumerate(statements):
        for read in reads(statement):
            maker = makers.get(read.name)
            if read.called and maker is not None and isinstance(statements[maker], ast.Layer):
                users.setdefault(read.name, []).append(position)
    graph: nx.DiGraph = nx.DiGraph()
    graph.add_nodes_from(range(len(statements)))
    for position, statement in enumerate(statements):
        for read in reads(statement):
            for maker in _makers_of(read, makers, users, statements):
                if maker != position or _own_target(read, statement):
                    graph.add_edge(maker, position, name=read.name)
    try:
        return [statements[i] for i in nx.lexicographical_topological_sort(graph)]
    except nx.NetworkXUnfeasible:
        return _without_cycles(graph, statements, frame)


def _own_target(read: Read, statement: ast.Statement) -> bool:
    """A name defined by the very value that uses it."""
    name = read.name
    if isinstance(statement, ast.Assign):
        return name in [t.path.text for t in statement.targets] and name not in labels(statement.value)
    return isinstance(statement, ast.Result) and statement.value is not None and name == statement.path.text


def _makers_of(
    read: Read, makers: dict[str, int], users: dict[str, list[int]], statements: list[ast.Statement]
) -> list[int]:
    """The statements that a path waits for: `conv1.weight` for the one that makes `conv1`.

    A part of a layer (`enc.embed.weight`) exists once the layer has been applied.
    """
    if read.called:
        maker = makers.get(read.name)
        return [maker] if maker is not None and isinstance(statements[maker], ast.Layer) else []
    if read.name in makers:
        return [makers[read.name]]
    head = read.name
    while "." in head:
        head = head.rpartition(".")[0]
        if head in makers:
            maker = makers[head]
            return [maker, *users.get(head, [])] if isinstance(statements[maker], ast.Layer) else [maker]
    return []


def _without_cycles(graph: nx.DiGraph, statements: list[ast.Statement], frame: Frame) -> list[ast.Statement]:
    """Report each cycle with its edges, poison the names in it, and order the rest."""
    for knot in [
        k for k in nx.strongly_connected_components(graph) if len(k) > 1 or graph.has_edge(*(list(k) * 2))
    ]:
        edges = nx.find_cycle(graph.subgraph(knot))
        steps = [(graph.edges[a, b]["name"], statements[b].span) for a, b in edges]
        frame.ctx.report([say.cycle(steps, frame.trace)])
        for position in knot:
            for name in writes(statements[position]):
                frame.names[name] = POISON
        graph.remove_nodes_from(list(knot))
    return [statements[i] for i in nx.lexicographical_topological_sort(graph)]
