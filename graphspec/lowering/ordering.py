"""The order of statements: names make the graph, networkx sorts it, a cycle is an error listing its edges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from graphspec.diagnostics.catalogue import names as say
from graphspec.lowering.context import POISON, Frame
from graphspec.syntax import ast
from graphspec.syntax.walk import walk

if TYPE_CHECKING:
    import networkx as nx


def writes(statement: ast.Statement) -> list[str]:
    """The names that a statement makes in its own frame."""
    match statement:
        case ast.Assign():
            return [t.path.text for t in statement.targets] + labels(statement.value)
        case ast.Declare():
            return [path.text for path in (statement.path, statement.public) if path is not None]
        case ast.Layer():
            return [statement.path.text]
        case ast.Const():
            return [statement.name.text]
        case ast.Result():
            return [statement.path.text, *labels(statement.value)] if statement.value is not None else []
        case _:
            return []


def labels(expr: ast.Expr) -> list[str]:
    """The `as` names in an expression."""
    return [e.label.text for e in walk(expr) if isinstance(e, ast.Call) and e.label is not None]


class Read(NamedTuple):
    """A name that is used: as a value, or as a function (which waits for a layer of that name only)."""

    name: str
    called: bool = False


def reads(statement: ast.Statement) -> list[Read]:
    """The names that a statement needs."""
    match statement:
        case ast.Assign():
            return reads_of_expression(statement.value) + _reads_of_types([t.type for t in statement.targets])
        case ast.Result():
            value = statement.value
            found = [Read(statement.path.text)] if value is None else reads_of_expression(value)
            return found + _reads_of_types([statement.type])
        case ast.Declare():
            found = _reads_of_types([statement.type])
            return found if statement.start is None else found + reads_of_expression(statement.start.value)
        case ast.Update() | ast.Layer() | ast.Const():
            return reads_of_expression(statement.value)
        case ast.Require():
            return reads_of_expression(statement.condition)
    return []


def reads_of_expression(expr: ast.Expr) -> list[Read]:
    found: list[Read] = []
    for part in walk(expr):
        if isinstance(part, ast.Name):
            found.append(Read(part.path.text))
        elif isinstance(part, ast.Call):
            found.append(Read(part.function.text, called=True))
    return found


def _reads_of_types(types: Iterable[ast.Type | None]) -> list[Read]:
    """The names in the sizes of written types."""
    sizes = [size for type in types if type is not None for size in type.shape.sizes]
    return [r for size in sizes if not isinstance(size, ast.Ellipsis) for r in reads_of_expression(size)]


def in_order(statements: Sequence[ast.Statement], frame: Frame) -> list[ast.Statement]:
    """The statements such that each comes after those whose names it uses, else as they are written.

    Names that the frame has already (arguments, `i` of a repetition) wait for nothing.
    """
    makers: dict[str, int] = {}
    for position, statement in enumerate(statements):
        for name in writes(statement):
            if name not in frame.names or frame.names[name] is POISON:
                makers.setdefault(name, position)
    needed = [reads(statement) for statement in statements]
    users: dict[str, list[int]] = {}  # of layers, by name
    for position, found in enumerate(needed):
        for read in found:
            maker = makers.get(read.name)
            if maker is not None and isinstance(statements[maker], ast.Layer):
                users.setdefault(read.name, []).append(position)
    edges = [
        (maker, position, read.name)
        for position, statement in enumerate(statements)
        for read in needed[position]
        for maker in _makers_of(read, makers, users, statements)
        if maker != position or _own_target(read, statement)
    ]
    if all(maker < position for maker, position, _ in edges):
        return list(statements)  # most files need no sorting, nor the 60 ms that it takes to import networkx
    import networkx as nx

    graph: nx.DiGraph = nx.DiGraph()
    graph.add_nodes_from(range(len(statements)))
    graph.add_edges_from((maker, position, {"name": name}) for maker, position, name in edges)
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
    read: Read, makers: dict[str, int], users: dict[str, list[int]], statements: Sequence[ast.Statement]
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


def _without_cycles(
    graph: nx.DiGraph, statements: Sequence[ast.Statement], frame: Frame
) -> list[ast.Statement]:
    """Report each cycle with its edges, poison the names in it, and order the rest."""
    import networkx as nx

    knots = [
        knot
        for knot in nx.strongly_connected_components(graph)
        if len(knot) > 1 or graph.has_edge(*(list(knot) * 2))
    ]
    for knot in knots:
        # edges lead from makers to users; told the other way round, from the first line on, it reads as needs
        edges = nx.find_cycle(graph.subgraph(knot).reverse(), min(knot))
        steps = [(graph.edges[made, by]["name"], statements[by].span) for by, made in edges]
        frame.ctx.report([say.cycle(steps, frame.trace)])
        for position in knot:
            for name in writes(statements[position]):
                frame.names[name] = POISON
        graph.remove_nodes_from(list(knot))
    return [statements[i] for i in nx.lexicographical_topological_sort(graph)]
