"""What a drawing of a graph shows, whatever its format: boxes, edges, and clusters by dotted names.

A box is a node.  Numbers are written into the box that uses them, and so are parameters that one node
uses; what several nodes share is a box of its own.  A cluster holds the boxes whose names begin alike; where
there are more boxes than a reader can take in, the innermost clusters are folded into one box each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from graphspec.ir import Call, Graph, Input, Literal, Node, Size, Tap, Value
from graphspec.lifting import spelling
from graphspec.lifting.clustering import Chain, Path, heads, without_cycles, without_lone_clusters
from graphspec.lifting.definitions import statics_of
from graphspec.lifting.facts import Facts, Measured
from graphspec.lifting.naming import forward_nodes, names_of, output_paths, without_taps
from graphspec.lifting.spelling import Text, size_text, type_text

#: more boxes than this are folded
LIMIT = 32
#: characters of the longest line in a box
LINE = 52


@dataclass(slots=True)
class Box:
    """A node, or a folded cluster.

    `kind` is input, param, buffer, noise, op, layer, output, loss, objective or gradient.  `is_finite` is
    false where a run had NaN or infinities in it.
    """

    id: str
    kind: str
    title: str
    lines: list[str]
    around: Chain
    parameters: list[str] = field(default_factory=list)
    is_folded: bool = False
    is_finite: bool = True

    @property
    def label(self) -> list[str]:
        """All lines, the title first."""
        return [*([self.title] if self.title else []), *self.lines, *self.parameters]

    @property
    def style(self) -> str:
        """What decides the colours: the kind, or `nonfinite`."""
        return self.kind if self.is_finite else "nonfinite"


@dataclass(frozen=True, slots=True)
class Edge:
    """One operand: the result of the box `source` that is used by `target`."""

    source: str
    target: str


@dataclass(slots=True)
class Cluster:
    """The boxes and the clusters that stand directly in it, in the order of the graph."""

    path: Path
    title: str = ""
    boxes: list[str] = field(default_factory=list)
    clusters: list[Path] = field(default_factory=list)


@dataclass(slots=True)
class Drawing:
    """`clusters` holds the outermost, whose path is empty, and all others."""

    title: str
    boxes: dict[str, Box]
    edges: list[Edge]
    clusters: dict[Path, Cluster]


def draw(graph: Graph, facts: Facts | None = None, limit: int | None = None) -> Drawing:
    """What a drawing of the graph shows, folded to about `limit` boxes where clusters allow it.

    Without a limit it is `LIMIT`.
    """
    return _Drawer(graph, facts or Facts(), LIMIT if limit is None else limit).drawing()


class _Drawer:
    def __init__(self, graph: Graph, facts: Facts, limit: int) -> None:
        graph = without_taps(graph)
        self.facts = facts
        self.limit = limit
        paths = output_paths(graph.outputs)
        self.outputs = {paths[name]: value for name, value in graph.outputs.items()}
        self.words = {paths[name]: word for name, word in facts.results.items() if name in paths}
        self.names = names_of(graph, self.outputs)
        self.forward = forward_nodes(graph, self.outputs)
        self.same: dict[Value, Value] = {}
        self.nodes = [node for node in graph.nodes if not self._is_tap(node)]
        self.users: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in node.inputs:
                self.users.setdefault(self._origin(value), []).append(node)
        self.attached = self._attached()
        self.shown = [n for n in self.nodes if not isinstance(n.op, Literal) and n not in self.attached]
        self.ids = {node: f"n{i}" for i, node in enumerate(self.shown)}

    def drawing(self) -> Drawing:
        chains = self._chains()
        folded = self._folded(chains)
        boxes: dict[str, Box] = {}
        box_of: dict[Node, str] = {}
        inside: dict[Path, list[Node]] = {}
        around: dict[str, Chain] = {}
        for node in self.shown:
            chain = chains[node]
            depth = next((i for i, path in enumerate(chain) if path in folded), None)
            if depth is not None:
                members = inside.setdefault(chain[depth], [])
                members.append(node)
                box_of[node] = self.ids[members[0]]
                around[box_of[node]] = chain[:depth]
            else:
                box_of[node] = self.ids[node]
                around[box_of[node]] = chain
        around = without_lone_clusters(around)
        for node in self.shown:
            if not folded.intersection(chains[node]):
                boxes[self.ids[node]] = self._box(node, around[self.ids[node]])
        for path, members in inside.items():
            boxes[box_of[members[0]]] = self._fold(path, members, around[box_of[members[0]]])
        boxes = {name: boxes[name] for name in around}
        return Drawing(self.facts.title, boxes, self._edges(box_of), _clusters(boxes))

    # --- what is a box ------------------------------------------------------------------------------

    def _is_tap(self, node: Node) -> bool:
        if isinstance(node.op, Tap):
            self.same[node.values[0]] = node.inputs[0]
            return True
        return False

    def _origin(self, value: Value) -> Value:
        while value in self.same:
            value = self.same[value]
        return value

    def _attached(self) -> dict[Node, Node]:
        """Parameters and buffers that stand in the box of the one node that uses them."""
        found: dict[Node, Node] = {}
        for node in self.nodes:
            value = node.values[0]
            if self._word(node) in ("param", "buffer") and value not in self.outputs.values():
                users = set(self.users.get(value, ()))
                if len(users) == 1:
                    (found[node],) = users
        return found

    def _word(self, node: Node) -> str:
        """What an input is declared as; empty for other nodes."""
        if not isinstance(node.op, Input):
            return ""
        declared = self.facts.declared.get(node.op.label)
        return declared.word if declared else "input"

    def _kind(self, node: Node) -> str:
        for value in node.values:
            for name in self.names.get(value, ()):
                if self.outputs.get(name) is value:
                    return "gradient" if name.startswith("d.") else self.words.get(name, "output")
        if word := self._word(node):
            return word
        is_layer = any(holder is node for holder in self.attached.values()) or (
            isinstance(node.op, Call) and self.facts.library.block(node.op.definition) is not None
        )
        return "layer" if is_layer else "op"

    def _box(self, node: Node, around: Chain) -> Box:
        title = ", ".join(self._title(value, around) for value in node.values)
        lines = [] if isinstance(node.op, Input) else [_shorten(self._operation(node))]
        lines += [_shorten(self._type(value)) for value in node.values]
        parameters = [_shorten(line) for line in self._parameters(node)]
        return Box(
            self.ids[node],
            self._kind(node),
            _shorten(title.strip(", ")),
            lines,
            around,
            parameters,
            is_finite=not self._not_finite([node]),
        )

    def _type(self, value: Value) -> str:
        """The type; after a run with numbers for dims, and with the norm: `f32[32, 10], norm 5.61`."""
        measured = self.facts.measured.get(value)
        if measured is None:
            return type_text(value.type)
        return f"{type_text(measured.type)}, {_size(measured)}"

    def _not_finite(self, shown: Iterable[Node]) -> list[Value]:
        """The values in the boxes of these nodes that have NaN or infinite elements."""
        held = (
            n for node in shown for n in [node, *(o for o in self._operands_of(node) if o in self.attached)]
        )
        values = dict.fromkeys(value for node in held for value in node.values)
        return [v for v in values if v in self.facts.measured and not self.facts.measured[v].is_finite]

    def _title(self, value: Value, around: Chain) -> str:
        """The value's name, without what the cluster around it says."""
        names = self.names.get(value, [])
        asked = [n for n in names if self.outputs.get(n) is value]
        shown: list[str] = []
        for name in dict.fromkeys([*names[:1], *asked]):
            prefixes = [".".join(path) + "." for path in reversed(around)]
            prefix = next((p for p in prefixes if name.startswith(p)), "")
            short = name.removeprefix(prefix)
            shown.append(name if short.isdigit() else short)
        return " = ".join(shown)

    def _operation(self, node: Node) -> str:
        """The op with its static arguments; a dot stands for each tensor where that is needed."""
        if isinstance(node.op, Call):
            function = self.facts.library.op(node.op.definition) or self.facts.library.block(
                node.op.definition
            )
            shown = statics_of(node.op, function, size_text) if function else {}
            if function and (first := next(iter(function.statics), "")) in ("out",):
                shown = {"": shown.pop(first), **shown}
            listed = [f"{name}={text}" if name else text for name, text in shown.items()]
            return f"{node.op.definition}({', '.join(listed)})" if listed else node.op.definition
        operands = [self._operand(self._origin(v)) for v in node.inputs]
        operator = getattr(node.op, "operator", "@" if node.op.name == "matmul" else "")
        if operator and all(o.text == _DOT for o in operands):
            return str(operator)
        text = spelling.primitive(node, operands).text
        while f"({_DOT}, " in text:
            text = text.replace(f"({_DOT}, ", "(")
        text = text.replace(f"({_DOT})", "")
        return text.removesuffix("()")

    def _operand(self, value: Value) -> Text:
        op = value.node.op
        if not isinstance(op, Literal):
            return Text(_DOT)
        number = op.value
        return spelling.number_text(float(f"{number:.4g}") if type(number) is float else number)

    def _parameters(self, node: Node) -> list[str]:
        """`weight [6, 3, 5, 5]` for each parameter that stands in the node's box, after a run with its norm.

        Buffers are told of where they are not finite.
        """
        by_shape: dict[str, list[str]] = {}
        for value in map(self._origin, node.inputs):
            if self.attached.get(value.node) is not node:
                continue
            measured = self.facts.measured.get(value)
            if self._word(value.node) == "param" or (measured and not measured.is_finite):
                assert isinstance(value.node.op, Input)
                shape = spelling.shape_text(measured.type.shape if measured else value.shape)
                shape += f", {_size(measured)}" if measured else ""
                by_shape.setdefault(shape, []).append(value.node.op.label.rpartition(".")[2])
        return [f"{', '.join(names)} {shape}" for shape, names in by_shape.items()]

    # --- where it stands ----------------------------------------------------------------------------

    def _links(self) -> list[tuple[Node, Node]]:
        return [(o, n) for n in self.shown for o in self._operands_of(n) if o in self.ids]

    def _operands_of(self, node: Node) -> list[Node]:
        return [self._origin(v).node for v in node.inputs]

    def _chains(self) -> dict[Node, Chain]:
        """The clusters around each node: those of its name; an unnamed one goes with those around it."""
        named: dict[Node, Path] = {}
        owners: set[Path] = set()
        for node in self.shown:
            names = [n for v in node.values for n in self.names.get(v, ())]
            if names:
                named[node] = tuple(max(names, key=lambda n: n.count(".")).split("."))
                owners.update(heads(named[node])[:-1])
        places = {node: path if path in owners else path[:-1] for node, path in named.items()}
        inside = self._nearest(places, self.shown[::-1], self._users_of, in_one_block=True)
        above = self._nearest(places, self.shown, self._operands_of)
        below = self._nearest(places, self.shown[::-1], self._users_of)
        for node in self.shown:
            if node not in named:
                start = None if _trace(node) else ()
                places[node] = inside.get(node) or _common(above.get(node, start), below.get(node))
        chains = {node: heads(path) for node, path in places.items()}
        inputs = [node for node in self.shown if isinstance(node.op, Input)]
        unnamed = [node for node in self.shown if node not in named]
        return without_lone_clusters(without_cycles(chains, self._links(), (inputs, unnamed)))

    def _nearest(
        self,
        places: Mapping[Node, Path],
        nodes: Iterable[Node],
        beside: Callable[[Node], Sequence[Node]],
        *,
        in_one_block: bool = False,
    ) -> dict[Node, Path]:
        """The innermost cluster of the nearest named nodes on one side, where there are any.

        What is declared says nothing of where it is used, and gradients go by gradients.  With
        `in_one_block` only nodes count that the same line of the same block applies.
        """
        found: dict[Node, Path] = {}
        for node in nodes:
            alike = [o for o in beside(node) if (o in self.forward) == (node in self.forward)]
            if in_one_block:
                alike = [o for o in alike if _trace(node) and _trace(o) == _trace(node)]
            near = [places.get(o, found.get(o)) for o in alike if not isinstance(o.op, Input)]
            known = [path for path in near if path is not None]
            if known:
                found[node] = max(known, key=len)
        return found

    def _users_of(self, node: Node) -> list[Node]:
        return [user for value in node.values for user in self.users.get(value, ())]

    def _folded(self, chains: dict[Node, Chain]) -> set[Path]:
        """The clusters that are one box: the innermost first, until few enough boxes are left."""
        folded: set[Path] = set()
        depths = {path: i + 1 - (path[0] == "d") for chain in chains.values() for i, path in enumerate(chain)}
        for depth in sorted(set(depths.values()) - {0}, reverse=True):
            count = len({next((p for p in chains[n] if p in folded), n) for n in self.shown})
            if count <= self.limit:
                break
            folded |= {path for path, found in depths.items() if found == depth}
        return folded

    def _fold(self, path: Path, nodes: Sequence[Node], around: Chain) -> Box:
        """One box for a cluster: what it is an application of, how much is in it, what it gives."""
        inside = set(nodes)
        computed = [node for node in nodes if not isinstance(node.op, Input)]
        lines = [f"{len(nodes)} tensors"]
        if computed:
            # the outermost blocks of nodes that stand in the cluster itself: what the cluster applies
            traces = [node.origin.trace for node in computed if node.origin and node.origin.trace]
            words = min(traces, key=len)[0][0].replace("`", "").split() if traces else ["", ""]
            lines = [f"{words[-1]}: {len(nodes)} nodes" if words[-1] else f"{len(nodes)} nodes"]
            lines += dict.fromkeys(
                self._type(v) for n in computed for v in n.values if self._leaves(v, inside)
            )
        if len(lines) > 3:
            lines = [*lines[:2], f"and {len(lines) - 2} more {'results' if self.facts.measured else 'types'}"]
        wrong = self._not_finite(nodes)
        if wrong:
            lines.append(f"{len(wrong)} not finite")
        total = self._parameter_count(inside)
        count = f"{total:,}" if isinstance(total, int) else str(total)
        parameters = [f"{count} parameters"] if total != 0 else []
        marks = [self._kind(n) for n in nodes]
        usual = "layer" if computed else marks[0]
        kind = next((k for k in ("gradient", "objective", "loss", "output") if k in marks), usual)
        shown = [_shorten(line) for line in lines]
        return Box(
            self.ids[nodes[0]],
            kind,
            ".".join(path),
            shown,
            around,
            parameters,
            is_folded=True,
            is_finite=not wrong,
        )

    def _leaves(self, value: Value, inside: set[Node]) -> bool:
        """Whether a value is used outside of these nodes."""
        return not inside.issuperset(self.users.get(value, ())) or value in self.outputs.values()

    def _parameter_count(self, inside: set[Node]) -> Size:
        total: Size = 0
        for node in self.nodes:
            holder = self.attached.get(node, node)
            if holder in inside and self._word(node) == "param":
                total = total + node.types[0].size
        return total

    def _edges(self, box_of: dict[Node, str]) -> list[Edge]:
        """An edge for each operand; those between the same two boxes of a folded drawing are one."""
        edges: list[Edge] = []
        seen: set[tuple[str, str]] = set()
        for source, target in self._links():
            pair = box_of[source], box_of[target]
            plain = pair == (self.ids[source], self.ids[target])
            if pair[0] != pair[1] and (plain or pair not in seen):
                seen.add(pair)
                edges.append(Edge(*pair))
        return edges


_DOT = "\N{MIDDLE DOT}"


def _trace(node: Node) -> tuple[object, ...]:
    """The applications of blocks that a node was made in."""
    return node.origin.trace if node.origin else ()


def _size(measured: Measured) -> str:
    return f"norm {measured.norm:.4g}" if measured.is_finite else "not finite"


def _shorten(line: str) -> str:
    return line if len(line) <= LINE else line[: LINE - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _common(one: Path | None, other: Path | None) -> Path:
    """The cluster that holds both, or the only one."""
    if one is None or other is None:
        return one or other or ()
    same = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    return min(one, other, key=len) if same is None else one[:same]


def _clusters(boxes: dict[str, Box]) -> dict[Path, Cluster]:
    """The clusters around the boxes, and the outermost, whose path is empty."""
    clusters: dict[Path, Cluster] = {(): Cluster(())}
    for box in boxes.values():
        outer = clusters[()]
        for path in box.around:
            if path not in clusters:
                title = "gradients" if path == ("d",) else ".".join(path)
                clusters[path] = Cluster(path, title)
                outer.clusters.append(path)
            outer = clusters[path]
        outer.boxes.append(box.id)
    return clusters
