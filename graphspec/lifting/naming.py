"""Names for what is printed and drawn: paths that the language can say, the plainest of several first."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping

from graphspec.ir import Graph, Input, Tap, Value, reachable
from graphspec.ir.op import Node

_PATH = re.compile(r"[A-Za-z_]\w*(\.([A-Za-z_]\w*|[0-9]+))*\Z")

#: the names that values get which have none
GENERATED = re.compile(r"[gh][0-9]+\Z")


def without_taps(graph: Graph, kept: Container[Value] = ()) -> Graph:
    """The graph with outputs and names for what taps stand for; a tap has its own name only.

    Those in `kept` are values of their own.
    """

    def origin(value: Value) -> Value:
        while isinstance(value.node.op, Tap) and value not in kept:
            value = value.node.inputs[0]
        return value

    outputs = {name: origin(value) for name, value in graph.outputs.items()}
    return Graph(outputs, {name: v if _is_own(name, v) else origin(v) for name, v in graph.names.items()})


def _is_own(name: str, value: Value) -> bool:
    return isinstance(value.node.op, Tap) and value.node.op.label == name


def names_of(graph: Graph, outputs: Mapping[str, Value]) -> dict[Value, list[str]]:
    """All names of each named value, the one to call it by first.

    That is the name of an input, then that of an output, then the one with the fewest words in it.
    `outputs` are the graph's, by path.
    """
    found: dict[Value, list[str]] = {}
    for node in graph.nodes:
        if isinstance(node.op, Input):
            found[node.values[0]] = [path_of(node.op.label)]
    owned: dict[str, Value] = {}
    for name, value in graph.names.items():
        if _PATH.match(name):
            owned[name] = value
            found.setdefault(value, []).append(name)
    for name, value in outputs.items():
        if owned.get(name) is not value:
            found.setdefault(value, []).append(name)
    for value, names in found.items():
        if not isinstance(value.node.op, Input):
            names.sort(key=lambda n: (outputs.get(n) is not value, bool(GENERATED.match(n)), _words(n)))
        found[value] = list(dict.fromkeys(names))
    return found


def _words(name: str) -> int:
    """How many words are in a path: `a` is plainer than `a.ln`, but `stage` no plainer than `stage.3`."""
    return sum(not part.isdigit() for part in name.split("."))


def forward_nodes(graph: Graph, outputs: Mapping[str, Value]) -> frozenset[Node]:
    """What is there without the gradients, whose names begin with `d.`"""
    named = {**graph.names, **outputs}
    return frozenset(reachable(value for name, value in named.items() if not name.startswith("d.")))


def output_paths(outputs: Iterable[str]) -> dict[str, str]:
    """A name that the language can say for each output: `d nll / d fc1.weight` is `d.fc1.weight`.

    Where several objectives are differentiated, it is `d.nll.fc1.weight`.
    """
    found = {name: re.match(r"d (.+) / d (.*)\Z", name) for name in outputs}
    several = len({match[1] for match in found.values() if match}) > 1
    paths: dict[str, str] = {}
    for name, match in found.items():
        path = path_of(name if match is None else ".".join(["d", *([match[1]] if several else []), match[2]]))
        while path in paths.values():
            path += "_"
        paths[name] = path
    return paths


def path_of(name: str) -> str:
    """A name as a path: what is no letter, digit or dot is left out."""
    if _PATH.match(name):
        return name
    cleaned = re.sub(r"[^\w.]+", ".", name).strip(".")
    return cleaned if _PATH.match(cleaned) else "_" + re.sub(r"\W", "_", cleaned)
