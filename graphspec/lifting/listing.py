"""A graph as a list of lines, one for each node, for people and programs to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from graphspec.ir import Call, Graph, Input, Literal, Node, Size, Tap, Value
from graphspec.lifting.facts import Measured


@dataclass(frozen=True, slots=True)
class Line:
    """A node: its names (one for each result), what it does, to what, its types, the parameters it holds.

    What the user did not name is `%1`, `%2`, ... in the order of the lines.  After a run, `measured` says of
    each result what it was, and types have numbers for dims.
    """

    names: tuple[str, ...]
    op: str
    attributes: Mapping[str, str]
    inputs: tuple[str, ...]
    types: tuple[str, ...]
    parameters: Size | None
    measured: tuple[Measured, ...] = ()

    @property
    def text(self) -> str:
        """The op with its attributes: `conv2d(stride=[1, 1])`."""
        listed = ", ".join(f"{name}={value}" for name, value in self.attributes.items())
        return f"{self.op}({listed})" if listed else self.op


def list_nodes(
    graph: Graph, kinds: Mapping[str, str], measured: Mapping[Value, Measured] | None = None
) -> list[Line]:
    """The lines of a graph, in topological order; numbers stand where they are used.

    `kinds` says of declared names what they are: an input, a parameter, a buffer, noise.  `measured` is what
    the values of all nodes were in a run.
    """
    names = _Names(graph)
    lines = {node: _line(node, names, kinds) for node in graph.nodes if not isinstance(node.op, Literal)}
    if not measured:
        return list(lines.values())
    return [_with_values(line, [measured[value] for value in node.values]) for node, line in lines.items()]


def _with_values(line: Line, measured: Sequence[Measured]) -> Line:
    return replace(line, types=tuple(str(m.type) for m in measured), measured=tuple(measured))


class _Names:
    """The words for values: the user's names, numbers, or a count of the rest."""

    def __init__(self, graph: Graph) -> None:
        self._known: dict[Value, str] = dict(graph.labels)
        for name, value in graph.outputs.items():
            self._known.setdefault(value, name)
        self._count = 0

    def __call__(self, value: Value) -> str:
        if isinstance(value.node.op, Literal):
            return format_attribute(value.node.op.value)
        if value not in self._known:
            self._count += 1
            self._known[value] = f"%{self._count}"
        return self._known[value]


def _line(node: Node, names: _Names, kinds: Mapping[str, str]) -> Line:
    inputs = tuple(map(names, node.inputs))
    results = tuple(map(names, node.values))
    types = tuple(str(t) for t in node.types)
    if isinstance(node.op, Input):
        kind = kinds.get(node.op.label, "input")
        return Line(results, kind, {}, inputs, types, node.types[0].size if kind == "param" else None)
    if isinstance(node.op, Call):
        shown = {name: format_attribute(value) for name, value in node.op.statics}
        return Line(results, node.op.definition, shown, inputs, types, None)
    if isinstance(node.op, Tap):
        return Line(results, node.op.name, {}, inputs, types, None)
    shown = {name: format_attribute(value) for name, value in node.op.attributes().items()}
    return Line(results, node.op.name, shown, inputs, types, None)


def format_attribute(value: Any) -> str:
    """An attribute as the language writes it: `[1, 2]`, `true`, `"mean"`, `none`."""
    match value:
        case None:
            return "none"
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case tuple() | list():
            return f"[{', '.join(map(format_attribute, value))}]"
    return str(value)
