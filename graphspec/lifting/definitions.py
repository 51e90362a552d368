"""Bodies of calls as definitions of the language: `op relu_adjoint(x, dy) = where(x <= 0, 0, dy)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from graphspec.ir import (
    FUNCTIONS,
    OPS,
    Body,
    Call,
    Graph,
    Input,
    Literal,
    Node,
    Rewriter,
    Size,
    Tap,
    Value,
    reachable,
    rebuild,
    symbol,
    symbols,
)
from graphspec.lifting.facts import UNKNOWN, Function, Library
from graphspec.lifting.scope import WIDTH, Scope
from graphspec.lifting.spelling import Text, call, shape_text, static_text

#: nodes for each result of a block that is written where it is used, and not as a definition
SMALL = 4


@dataclass(frozen=True, slots=True)
class _Made:
    """A printed definition: its name, which of the call's inputs it takes, and which dims."""

    name: str
    positions: tuple[int, ...]
    dims: tuple[str, ...]
    parameters: tuple[str, ...]


class Definitions:
    """The definitions that a text needs, each printed once, before its first use."""

    def __init__(self, library: Library) -> None:
        self.texts: list[str] = []
        self.identity = ""
        self._library = library
        self._by_body: dict[Body, _Made] = {}
        self._by_text: dict[tuple[str, str], _Made] = {}
        self._names: set[str] = set()

    def flatten(self, graph: Graph) -> Graph:
        """The graph with the small blocks of the library written out: `x @ transpose(w) + b`."""
        return rebuild(graph, self._written_out)

    def _written_out(self, node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not isinstance(node.op, Call):
            return None
        name, body = _original(node.op.definition), node.op.body
        inner = reachable(body.results, frozenset(body.parameters))
        size = sum(not isinstance(n.op, Input | Literal) for n in inner)
        if self._library.block(name):
            limit = SMALL * len(body.results)
        else:  # the adjoint of a reshape is a reshape
            limit = 1 if name != node.op.definition and self._library.op(name) else 0
        if size > limit or not limit or any(isinstance(n.op, Call) for n in inner):
            return None
        rewriter = Rewriter(dict(zip(body.parameters, inputs, strict=True)))
        rewriter.run(inner)
        return tuple(map(rewriter, body.results))

    def prepare(self, nodes: Iterable[Node], differentiated: set[Value]) -> None:
        """Print what the calls among the nodes need, the innermost definition first.

        A tap that a gradient in the file is taken by is written as a call of an identity.
        """
        for node in nodes:
            if isinstance(node.op, Call):
                for inner in self._innermost_first(node.op):
                    self._by_body[inner.body] = self._define(inner)
            elif isinstance(node.op, Tap) and node.values[0] in differentiated and not self.identity:
                self.identity = self._name("identity")
                self.texts.append(f"op {self.identity}(x) = x")

    def write(self, node: Node, operands: Sequence[Text], size: Callable[[Size], Text]) -> Text:
        """A call, of the library's op or of a printed definition."""
        made = node.op
        assert isinstance(made, Call)
        function = self._library.op(made.definition)
        if function is not None:
            return _library_call(made, function, operands, size)
        found = self._by_body[made.body]
        named = {name: name for name in found.dims}
        for dim in found.dims:
            size(_dim(made.body, dim))
        return call(found.name, [operands[i] for i in found.positions], named)

    def kept(self, made: Call) -> Sequence[int]:
        """The positions of the operands that a call is written with."""
        if self._library.op(made.definition) is not None:
            return range(len(made.body.parameters))
        return self._by_body[made.body].positions

    def arguments(self, made: Call) -> Sequence[str]:
        """The names of the arguments of a call."""
        if self._library.op(made.definition) is not None:
            return [_label(p) for p in made.body.parameters]
        return self._by_body[made.body].parameters

    def _innermost_first(self, made: Call) -> Iterator[Call]:
        todo = [(made, False)]
        while todo:
            current, is_ready = todo.pop()
            if current.body in self._by_body or self._library.op(current.definition) is not None:
                continue
            if is_ready:
                yield current
                continue
            todo.append((current, True))
            todo.extend((inner, False) for inner in _calls(self._nodes(current.body)))

    def _nodes(self, body: Body) -> tuple[Node, ...]:
        values = [*body.results, *(g.value for g in body.gradients.values())]
        return _as_used(values, frozenset(body.parameters))

    def _define(self, made: Call) -> _Made:
        """Print one definition, unless it reads as one that is there."""
        body = made.body
        names = _parameter_names(body)
        for gradient in body.gradients.values():
            names |= {v: _label(v) for v in gradient.cotangents}
        local = Scope(
            names,
            _all_symbols(body),
            lambda node, operands: self.write(node, operands, local.size),
            indent="  ",
            kept=self.kept,
        )
        by_hand = self._cotangent_nodes(body)
        roots = [*body.results, *(g.value for g in body.gradients.values())]
        local.write(self._nodes(body), roots, by_hand)
        results = [local.expression(v).text for v in body.results]
        if len(results) > 1 and len(", ".join(results)) > WIDTH - 9:
            results = [local.name_of(v) for v in body.results]
        lines = [
            f"{'surrogate' if g.surrogate else 'gradient'}({', '.join(names[c] for c in g.cotangents)})"
            f" {names[body.parameters[i]]} = {local.expression(g.value).text}"
            for i, g in sorted(body.gradients.items())
        ]
        local.used |= {body.parameters[i] for i in body.gradients}
        used = tuple(i for i, p in enumerate(body.parameters) if p in local.used)
        signature, dims = _signature([body.parameters[i] for i in used], names, local.sizes)
        text = _assemble(signature, local.lines, results, lines)
        base = re.sub(r"\W", "_", made.definition.rpartition(".")[2])
        key = base, text
        if key not in self._by_text:
            self._by_text[key] = _Made(
                self._name(base), used, dims, tuple(names[body.parameters[i]] for i in used)
            )
            self.texts.append(f"op {self._by_text[key].name}{text}")
        return self._by_text[key]

    def _cotangent_nodes(self, body: Body) -> list[Node]:
        """The nodes of hand-written gradients that use a cotangent: no local of the body may."""
        carrying: set[Value] = {c for g in body.gradients.values() for c in g.cotangents}
        found: list[Node] = []
        for node in self._nodes(body):
            if not carrying.isdisjoint(node.inputs):
                carrying.update(node.values)
                found.append(node)
        return found

    def _name(self, base: str) -> str:
        """A name that is new, and hides nothing that the text may call."""
        name, count = base, 1
        while name in self._names or name in OPS or name in FUNCTIONS or self._library.op(name):
            count += 1
            name = f"{base}_{count}"
        self._names.add(name)
        return name


def _as_used(values: Sequence[Value], stop: frozenset[Value]) -> tuple[Node, ...]:
    """The nodes that values depend on, each before its users, in the order in which these name them.

    The order is that of the expressions alone, so that a body which is read again prints as it did.
    """
    done: dict[Node, None] = {}
    todo: list[tuple[Node, bool]] = [(v.node, False) for v in reversed(values) if v not in stop]
    while todo:
        node, is_ready = todo.pop()
        if node in done:
            continue
        if is_ready:
            done[node] = None
            continue
        todo.append((node, True))
        todo.extend((v.node, False) for v in reversed(node.inputs) if v not in stop)
    return tuple(done)


def _original(name: str) -> str:
    """The definition that an adjoint belongs to."""
    while name.endswith("_adjoint"):
        name = name.removesuffix("_adjoint")
    return name


def _calls(nodes: Iterable[Node]) -> list[Call]:
    return [node.op for node in nodes if isinstance(node.op, Call)]


def _library_call(
    made: Call, function: Function, operands: Sequence[Text], size: Callable[[Size], Text]
) -> Text:
    labels = [_label(p) for p in made.body.parameters]
    given = dict(zip(labels, operands, strict=True))
    positional = [given[name] for name in function.required if name in given]
    named = {name: given[name].text for name in function.optional if name in given}
    named |= statics_of(made, function, size)
    return call(made.definition, positional, named)


def statics_of(made: Call, function: Function, size: Callable[[Size], Text]) -> dict[str, str]:
    """The static arguments of a call that differ from their defaults, as texts."""
    values = dict(made.statics)
    shown: dict[str, str] = {}
    for name, default in function.statics.items():
        value = values[name]
        if default is UNKNOWN or not _same(value, default):
            is_one = isinstance(value, tuple) and len(set(value)) == 1 and (name != "axis" or len(value) == 1)
            shown[name] = static_text(value[0] if is_one else value, size)
    return shown


def _same(value: object, default: object) -> bool:
    if isinstance(value, tuple) and not isinstance(default, tuple):
        return value == (default,) * len(value)
    return value == default and isinstance(value, bool) == isinstance(default, bool)


def _label(value: Value) -> str:
    assert isinstance(value.node.op, Input)
    return value.node.op.label


def _parameter_names(body: Body) -> dict[Value, str]:
    """A name without dots for each parameter: `ln_1.weight`, lifted into a block, is `weight`."""
    lifted = [_label(p).split(".") for p in body.parameters if "." in _label(p)]
    common = 0
    while lifted and all(len(parts) > common + 1 and parts[common] == lifted[0][common] for parts in lifted):
        common += 1
    taken = _all_symbols(body)
    names: dict[Value, str] = {}
    for parameter in body.parameters:
        label = _label(parameter)
        parts = label.split(".")
        base = "_".join(parts[common:]) if len(parts) > 1 else label
        base = re.sub(r"\W", "_", base)
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name)
        names[parameter] = name
    return names


def _all_symbols(body: Body) -> set[str]:
    return {name for p in body.parameters for name in p.type.symbols}


def _dim(body: Body, name: str) -> Size:
    """The dim of that name, as the types of a body have it."""
    for parameter in body.parameters:
        for size in parameter.shape:
            if str(size) == name:
                found: Size = size
                return found
    return symbol(name)


def _signature(
    parameters: Sequence[Value], names: dict[Value, str], sizes: set[str]
) -> tuple[str, tuple[str, ...]]:
    """The parameters of a definition, and the dims it takes as static arguments.

    A dim that the body needs is bound by the pattern of the first argument that has it as an axis.
    """
    bound: set[str] = set()
    texts: list[str] = []
    for parameter in parameters:
        plain = {str(s) for s in parameter.shape if str(s).isidentifier()}
        known = bound | plain
        readable = all(symbols(s) <= known for s in parameter.shape)
        if readable and not plain.isdisjoint(sizes - bound):
            texts.append(names[parameter] + shape_text(parameter.shape))
            bound |= plain
        else:
            texts.append(names[parameter])
    missing = tuple(sorted(sizes - bound))
    texts += [f"{name}: int" for name in missing]
    return f"({', '.join(texts)})", missing


def _assemble(signature: str, lines: list[str], results: list[str], gradients: list[str]) -> str:
    """The text of a definition after its name: on one line where it is one expression that fits."""
    short = not lines and len(results) == 1 and len(signature) + len(results[0]) < WIDTH - 30
    body = [*lines] if short else [*lines, f"  return {', '.join(results)}"]
    body += [f"  {line}" for line in gradients]
    head = f"{signature} = {results[0]}" if short else signature
    return "\n".join([head + " {", *body, "}"]) if body else head
