"""A graph as `.gspec` text, which parses, checks and computes the same."""

from __future__ import annotations

from collections.abc import Iterable

from graphspec.diagnostics import Source
from graphspec.ir import Graph, Input, Literal, Node, Tap, Value
from graphspec.lifting.definitions import Definitions
from graphspec.lifting.facts import Declaration, Facts
from graphspec.lifting.naming import forward_nodes, names_of, output_paths, path_of, without_taps
from graphspec.lifting.scope import Scope
from graphspec.lifting.spelling import call, type_text
from graphspec.ops.derivatives import Grad
from graphspec.syntax.format import format_text


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
        flat = self.definitions.flatten(graph)
        self.differentiated = {
            v for n in flat.nodes if isinstance(n.op, Grad) for v in n.inputs[1 : 1 + n.op.wrt]
        }
        self.graph = without_taps(flat, self.differentiated)
        self.nodes = self.graph.nodes
        paths = output_paths(self.graph.outputs)
        self.outputs = {paths[name]: value for name, value in self.graph.outputs.items()}
        self.words = {paths[name]: word for name, word in facts.results.items() if name in paths}
        self.aliases: dict[Value, list[str]] = {}
        self.has_taps = any(isinstance(node.op, Tap) for node in self.nodes)
        self.names = self._choose_names()
        self.forward = forward_nodes(self.graph, self.outputs)

    def text(self) -> str:
        self.definitions.prepare(self.nodes, self.differentiated)
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
            ["gspec 1", *(f"## {line}" for line in self.facts.title.splitlines()), *self._dim_lines()],
            [*self._inputs(scope.used.union(self.outputs.values()))],
            self.definitions.texts,
            [*first, *scope.lines],
        ]
        text = "\n\n".join("\n".join(block) for block in blocks if block) + "\n"
        return format_text(Source("the printed graph", text))

    # --- names --------------------------------------------------------------------------------------

    def _choose_names(self) -> dict[Value, str]:
        """One name for each value that has any; the others are aliases, which become statements."""
        known = names_of(self.graph, self.outputs)
        owned = {name for names in known.values() for name in names}
        chosen: dict[Value, str] = {}
        for value, names in known.items():
            if isinstance(value.node.op, Literal):
                self.aliases[value] = [n for n in names if n in self.outputs]
                continue
            chosen[value], *rest = names
            self.aliases[value] = [n for n in rest if n in self.outputs or self._is_alias(n, owned)]
        return chosen

    def _is_alias(self, name: str, owned: set[str]) -> bool:
        """Whether a further name gets a line of its own.

        An argument of an application has its name anyway (`conv1.x`; where the taps are gone, any name
        that continues another may be one), and one name is enough for a gradient.
        """
        if name.startswith("d.") and name[2:] in owned:
            return False
        owner, _, last = name.rpartition(".")
        return self.has_taps or owner not in owned or last.isdigit()

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
