"""A graph as `.gspec` text, which parses, checks and computes the same."""

from __future__ import annotations

import re
from collections.abc import Iterable

from graphspec.diagnostics import Source
from graphspec.ir import Graph, Input, Literal, Node, Tap, Value, reachable
from graphspec.lifting.definitions import Definitions
from graphspec.lifting.facts import Declaration, Facts
from graphspec.lifting.scope import GENERATED, Scope
from graphspec.lifting.spelling import call, type_text
from graphspec.ops.derivatives import Grad
from graphspec.syntax.format import format_text

_PATH = re.compile(r"[A-Za-z_]\w*(\.([A-Za-z_]\w*|[0-9]+))*\Z")


def print_graph(graph: Graph, facts: Facts | None = None) -> str:
    """The graph as a file: dims, inputs, the definitions it needs, then its nodes in their order.

    Calls keep their names; blocks of the library are written out where they are small, and are ops that
    take the weights as tensors where they are not.  Values that the user named keep these names; of the
    others, those that are used once are folded into the expression that uses them.
    """
    return _Printer(graph, facts or Facts()).text()


class _Printer:
    """One text being written."""

    def __init__(self, graph: Graph, facts: Facts) -> None:
        self.facts = facts
        self.definitions = Definitions(facts.library)
        self.graph = self.definitions.flatten(graph)
        self.nodes = self.graph.nodes
        paths = output_paths(self.graph.outputs)
        self.outputs = {paths[name]: value for name, value in self.graph.outputs.items()}
        self.words = {paths[name]: word for name, word in facts.results.items() if name in paths}
        self.aliases: dict[Value, list[str]] = {}
        self.has_taps = any(isinstance(node.op, Tap) for node in self.nodes)
        self.names = self._choose_names()
        self.forward = self._forward_nodes()

    def text(self) -> str:
        self.definitions.prepare(self.nodes, self._differentiated())
        scope = Scope(
            self.names,
            {*self.graph.names, *self.outputs, *self._dims()},
            lambda node, operands: self.definitions.write(node, operands, scope.size),
            head=self._head,
            tail=self._tail,
            prefix=lambda value: "h" if value.node in self.forward else "g",
            others=self.aliases,
            arguments=self.definitions.arguments,
            kept=self.definitions.kept,
            tap=lambda node, x: call(self.definitions.identity, [x], {}),
        )
        scope.write(self.nodes, list(self.outputs.values()))
        first = [line for node in self.nodes for line in self._given(node, scope)]
        blocks = [
            ["gspec 1", *([f"## {self.facts.title}"] if self.facts.title else []), *self._dim_lines()],
            [*self._inputs(scope.used.union(self.outputs.values()))],
            self.definitions.texts,
            [*first, *scope.lines],
        ]
        text = "\n\n".join("\n".join(block) for block in blocks if block) + "\n"
        return format_text(Source("the printed graph", text))

    # --- names --------------------------------------------------------------------------------------

    def _choose_names(self) -> dict[Value, str]:
        """One name for each value that has any; the others are aliases, which become statements."""
        candidates: dict[Value, list[str]] = {}
        for name, value in self.graph.names.items():
            if _PATH.match(name):
                candidates.setdefault(value, []).append(name)
        owned = {name: value for value, names in candidates.items() for name in names}
        for name, value in self.outputs.items():
            if owned.get(name) is not value:
                candidates.setdefault(value, []).append(name)
        chosen: dict[Value, str] = {}
        for node in self.nodes:
            for value in node.values:
                names = candidates.get(value, [])
                if isinstance(node.op, Input):
                    names = [path_of(node.op.label), *names]
                if not names or isinstance(node.op, Literal):
                    self.aliases[value] = [n for n in names if n in self.outputs]
                    continue
                first = next((n for n in names if self.outputs.get(n) is value), None)
                first = first or min(names, key=lambda n: (bool(GENERATED.match(n)), _depth(n)))
                first = names[0] if isinstance(node.op, Input) else first
                chosen[value] = first
                rest = [n for n in dict.fromkeys(names) if n != first]
                self.aliases[value] = [n for n in rest if n in self.outputs or self._is_alias(n, owned)]
        return chosen

    def _is_alias(self, name: str, owned: dict[str, Value]) -> bool:
        """Whether a further name gets a line of its own.

        An argument of an application has its name anyway (`conv1.x`; where the taps are gone, any name
        that continues another may be one), and one name is enough for a gradient.
        """
        if name.startswith("d.") and name[2:] in owned:
            return False
        owner, _, last = name.rpartition(".")
        return self.has_taps or owner not in owned or last.isdigit()

    def _forward_nodes(self) -> frozenset[Node]:
        """What is there without the gradients, whose names begin with `d.`"""
        named = {**self.graph.names, **self.outputs}
        return frozenset(reachable(v for name, v in named.items() if not name.startswith("d.")))

    # --- statements ---------------------------------------------------------------------------------

    def _head(self, value: Value, name: str) -> str:
        if self.outputs.get(name) is not value:
            return name
        word = self.words.get(name, "output")
        return f"{word} {name}" if word != "output" else f"output {name}: {type_text(value.type)}"

    def _tail(self, value: Value, name: str) -> list[str]:
        return [self._alias(alias, value, name) for alias in self.aliases.get(value, ())]

    def _alias(self, alias: str, value: Value, text: str) -> str:
        word = self.words.get(alias, "output") + " " if self.outputs.get(alias) is value else ""
        return f"{word}{alias} = {text}"

    def _given(self, node: Node, scope: Scope) -> list[str]:
        """Other names for inputs and numbers, and inputs that are outputs."""
        if not isinstance(node.op, Input | Literal):
            return []
        value = node.values[0]
        lines = [self._alias(a, value, scope.expression(value).text) for a in self.aliases.get(value, ())]
        name = self.names.get(value)
        return [f"output {name}", *lines] if name and self.outputs.get(name) is value else lines

    def _differentiated(self) -> set[Value]:
        return {v for n in self.nodes if isinstance(n.op, Grad) for v in n.inputs[1 : 1 + n.op.wrt]}

    # --- declarations -------------------------------------------------------------------------------

    def _dims(self) -> list[str]:
        """The dims that the graph mentions, in the order of the file."""
        found: set[str] = set()
        for node in self.nodes:
            found.update(*(t.symbols for t in node.types))
        known = [name for name in self.facts.dims if name in found]
        return [*known, *sorted(found.difference(known))]

    def _dim_lines(self) -> Iterable[str]:
        for name in self._dims():
            dim = self.facts.dims.get(name)
            if dim is not None and (dim.constraint or dim.default is not None):
                default = "" if dim.default is None else f" = {dim.default}"
                where = f" where {dim.constraint}" if dim.constraint else ""
                yield f"dim {name}{default}{where}"

    def _inputs(self, used: set[Value]) -> Iterable[str]:
        inputs = {n.op.label: n for n in self.nodes if isinstance(n.op, Input)}
        known = [label for label in self.facts.declared if label in inputs]
        for label in [*known, *(label for label in inputs if label not in self.facts.declared)]:
            node = inputs[label]
            said = self.facts.declared.get(label, Declaration("input"))
            if said.word == "buffer" and node.values[0] not in used:
                continue  # it is there for train mode
            line = f"{said.word} {path_of(label)}: {type_text(node.types[0])}"
            yield f"{line} {said.beginning}".rstrip()


def _depth(name: str) -> int:
    """How many words stand before the last: `a` is simpler than `a.ln`, `stage` no simpler than `stage.3`."""
    return sum(not part.isdigit() for part in name.split("."))


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
