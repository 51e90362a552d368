"""Nodes as statements: what gets a name, and what is folded into the expression that uses it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from graphspec.ir import Call, DType, Input, Literal, Node, Size, Tap, Value, symbols
from graphspec.lifting import spelling
from graphspec.lifting.naming import GENERATED
from graphspec.lifting.spelling import Text
from graphspec.ops.derivatives import Grad
from graphspec.ops.shape import BroadcastTo, Reshape, Slice

#: columns of a line, and of an expression that is folded into another
WIDTH, FOLDED = 98, 72
#: operations in one expression
WEIGHT = 7

Speller = Callable[[Node, Sequence[Text]], Text]


class Scope:
    """One file, or the body of one op: turns its nodes into statements, in their order.

    `names` are the values that have a name, `others` further names of theirs; whatever else is used more
    than once, or makes a line too long, gets a name.  `call` writes applications of definitions, `head`
    what stands before `=` for a named value.  `tail` gives the statements that follow the one that makes
    a value.  `arguments` are the names of a call's operands where the file gives them names, too; `kept`
    are the operands that a call is written with.
    """

    def __init__(
        self,
        names: Mapping[Value, str],
        taken: Iterable[str],
        call: Speller,
        *,
        indent: str = "",
        head: Callable[[Value, str], str] = lambda value, name: name,
        tail: Callable[[Value, str], Sequence[str]] = lambda value, name: (),
        prefix: Callable[[Value], str] = lambda value: "_",
        tap: Callable[[Node, Text], Text] = lambda node, x: x,
        others: Mapping[Value, Sequence[str]] = MappingProxyType({}),
        arguments: Callable[[Call], Sequence[str]] | None = None,
        kept: Callable[[Call], Sequence[int]] | None = None,
    ) -> None:
        self.names = dict(names)
        self.lines: list[str] = []
        self.sizes: set[str] = set()
        self.used: set[Value] = set()
        self._taken = {*taken, *self.names.values()}
        self._call, self._head, self._tail, self._prefix, self._tap = call, head, tail, prefix, tap
        self._others, self._arguments, self._kept = others, arguments, kept
        self._unwritten: set[str] = set()
        self._indent = indent
        self._counts: Counter[str] = Counter()
        self._same: dict[Value, Value] = {}  # a tap that is not written, and what it stands for
        self._folded: dict[Value, Text] = {}
        self._uses: Counter[Value] = Counter()
        self._skipped: set[Node] = set()
        self._always: set[Value] = set()
        self._roots: set[Value] = set()

    def write(self, nodes: Sequence[Node], roots: Sequence[Value], inline: Iterable[Node] = ()) -> None:
        """Write the nodes; `roots` are used from outside, `inline` are folded whatever their length."""
        self._always = {v for node in inline for v in node.values}
        pinned = {v for node in nodes if isinstance(node.op, Grad) for v in node.inputs[1 : 1 + node.op.wrt]}
        self._elide_taps(nodes, pinned)
        written = [v for v in self.names if v not in self._same and not isinstance(v.node.op, Input)]
        self._unwritten = {name for v in written for name in (self.names[v], *self._others.get(v, ()))}
        for node in nodes:
            if node not in self._skipped:
                self._uses.update(map(self.origin, node.inputs))
        self._roots = set(map(self.origin, roots))
        self._uses.update(map(self.origin, roots))
        for value in pinned:
            self._uses[self.origin(value)] += 2  # what is differentiated by is a name
        self._absorb_slices(nodes)
        for node in nodes:
            if node not in self._skipped and not isinstance(node.op, Input | Literal):
                self._statement(node)

    def origin(self, value: Value) -> Value:
        """The value that a tap stands for."""
        while value in self._same:
            value = self._same[value]
        return value

    def size(self, size: Size) -> Text:
        """A size, whose dims are noted as used."""
        self.sizes |= symbols(size)
        return spelling.size_text(size)

    def expression(self, value: Value) -> Text:
        """A value as an expression: its name, or what was folded."""
        value = self.origin(value)
        if value in self._folded:
            return self._folded[value]
        if value in self.names:
            self.used.add(value)
            return Text(self.names[value])
        assert isinstance(value.node.op, Literal), f"{value!r} was not written"
        return spelling.constant(value.node.op.value, value.type, self.size)

    def name_of(self, value: Value) -> str:
        """The name of a value, which gets one if it has none."""
        value = self.origin(value)
        return self._give_name(value) if value in self._folded else self.expression(value).text

    def _elide_taps(self, nodes: Sequence[Node], pinned: set[Value]) -> None:
        """Taps that nothing differentiates by are their operand, which may take over their name."""
        users: dict[Value, set[Node]] = {}
        for node in nodes:
            for value in node.inputs:
                users.setdefault(value, set()).add(node)
        for node in nodes:
            if not isinstance(node.op, Tap) or node.values[0] in pinned:
                continue
            (tapped,) = node.inputs
            name = self.names.pop(node.values[0], "")
            self._same[node.values[0]] = tapped
            self._skipped.add(node)
            origin = self.origin(tapped)
            is_free = origin not in self.names and users[tapped] == {node}
            if name and is_free and not isinstance(origin.node.op, Literal):
                owner = name.rpartition(".")[0]
                if not any(self._is_call_of(owner, user) for user in users.get(node.values[0], ())):
                    self.names[origin] = name

    def _is_call_of(self, owner: str, node: Node) -> bool:
        """Whether a statement `owner = f(...)` makes the node, so that its arguments have names anyway."""
        known = (name for v in node.values for name in (self.names.get(v), *self._others.get(v, ())))
        is_named = owner in known
        return is_named and spelling.is_function_call(node)

    def _absorb_slices(self, nodes: Sequence[Node]) -> None:
        """A slice that one reshape uses, to drop the axes that are picked, is written with it."""
        for node in nodes:
            if isinstance(node.op, Reshape) and (sliced := self._picked(node)) is not None:
                self._skipped.add(sliced)

    def _picked(self, node: Node) -> Node | None:
        value = self.origin(node.inputs[0])
        inner = value.node
        is_one = isinstance(inner.op, Slice) and value not in self.names and self._uses[value] == 1
        if not is_one or value is not node.inputs[0]:
            return None
        assert isinstance(inner.op, Slice)
        before, after = inner.inputs[0].shape, node.types[0].shape
        return inner if spelling.picked(inner.op, before, after, self.size) is not None else None

    def _statement(self, node: Node) -> None:
        value = node.values[0]
        if len(node.values) == 1 and value not in self.names and self._uses[value] == 1:
            room = WIDTH - 12 if value in self._roots else FOLDED
            text = self._spell(node, room)
            if value in self._always or (len(text.text) <= room and text.weight <= WEIGHT):
                self._folded[value] = text
                return
            self.names[value] = self._fresh(value)
        elif value in self._always:
            self._folded[value] = self._spell(node, WIDTH)
            return
        for result in node.values:
            if result not in self.names:
                self.names[result] = self._fresh(result)
        self._unwritten -= {name for v in node.values for name in (self.names[v], *self._others.get(v, ()))}
        label = self._label(node) if len(node.values) == 1 else ""
        after = [line for v in node.values for line in self._tail(v, self.names[v])]
        after = [line for line in after if not label or not line.startswith(f"{label} = ")]
        if len(node.values) == 1:
            left = self._head(value, self.names[value])
        else:
            after = [line for v in node.values for line in self._declared_after(v)] + after
            left = ", ".join(self.names[v] for v in node.values)
        text = self._spell(node, WIDTH - len(left) - 3 - len(self._indent))
        for line in (f"{left} = {text.text}{f' as {label}' if label else ''}", *after):
            self._add(line)

    def _label(self, node: Node) -> str:
        """A name for the call itself, where the value's name would give its arguments names that are taken.

        `d.fc1 = relu_adjoint(fc1, dy)` makes `d.fc1.x`, which may be the name of another gradient.
        """
        if self._arguments is None or not spelling.is_function_call(node):
            return ""
        (value,) = node.values
        op = node.op
        names = self._arguments(op) if isinstance(op, Call) else spelling.argument_names(type(op))
        if self._unwritten.isdisjoint(f"{self.names[value]}.{name}" for name in names):
            return ""
        known = [n for n in self._others.get(value, ()) if GENERATED.match(n)]
        return known[0] if known else self._fresh(value)

    def _declared_after(self, value: Value) -> list[str]:
        """The statement that makes one of several results of a call an output or a loss."""
        name = self.names[value]
        head = self._head(value, name)
        if head == name:
            return []
        if head.startswith("output "):
            return [f"output {name}"]
        self.names[value] = self._fresh(value)
        return [f"{head} = {self.names[value]}"]

    def _spell(self, node: Node, width: int) -> Text:
        """The node as an expression; operands are given names until it fits."""
        while True:
            text = self._render(node)
            inline = [v for v in map(self.origin, node.inputs) if v in self._folded and v not in self._always]
            if not inline or (len(text.text) <= width and text.weight <= WEIGHT):
                return text
            self._give_name(max(inline, key=lambda v: len(self._folded[v].text)))

    def _give_name(self, value: Value) -> str:
        name = self.names[value] = self._fresh(value)
        self._add(f"{name} = {self._folded.pop(value).text}")
        return name

    def _render(self, node: Node) -> Text:
        inner = self._picked(node) if isinstance(node.op, Reshape) else None
        if inner is not None:
            assert isinstance(inner.op, Slice)
            (x,) = inner.inputs
            entries = spelling.picked(inner.op, x.shape, node.types[0].shape, self.size)
            assert entries is not None
            return spelling.indexed(self.expression(x), entries)
        operands = self._operands(node)
        if isinstance(node.op, Call):
            return self._call(node, operands)
        if isinstance(node.op, Tap):
            return self._tap(node, operands[0])
        return spelling.primitive(node, operands, self.size)

    def _operands(self, node: Node) -> list[Text]:
        """The texts of the operands; numbers are plain where they take the right dtype from the others."""
        values = [self.origin(v) for v in node.inputs]
        is_number = [isinstance(v.node.op, Literal) for v in values]
        kept = self._kept(node.op) if self._kept and isinstance(node.op, Call) else range(len(values))
        found = _common_dtype([values[i] for i in kept if not is_number[i]])
        texts: list[Text] = []
        for i, (value, plain) in enumerate(zip(values, is_number, strict=True)):
            if i not in kept:
                texts.append(Text(""))
            elif plain and (value.dtype is found or isinstance(node.op, BroadcastTo)):
                op = value.node.op
                assert isinstance(op, Literal)
                texts.append(spelling.number_text(op.value, self.size))
            else:
                texts.append(self.expression(value))
        return texts

    def _fresh(self, value: Value) -> str:
        prefix = self._prefix(value)
        while True:
            self._counts[prefix] += 1
            name = f"{prefix}{self._counts[prefix]}"
            if name not in self._taken:
                self._taken.add(name)
                return name

    def _add(self, statement: str) -> None:
        self.lines.append(self._indent + statement)


def _common_dtype(tensors: Sequence[Value]) -> DType | None:
    """The dtype that numbers take beside these tensors: that of the first that is not bool."""
    for tensor in tensors:
        if tensor.dtype is not DType.BOOL:
            return tensor.type.dtype
    return DType.BOOL if tensors else None
