"""Cutting a graph along its batch: what is done for each piece of the batch, and what is done once for all.

A value belongs to a piece where element n of it depends on element n of the batch only; a sum over the batch
is the sum of what the pieces give.  Whatever else there is (a mean, then used by every example; a sort over
the batch) is computed once, between the stages in which the pieces are worked on.

    y = x * w;  s = sum(y);  z = y / s     the pieces: y and their s;  once: the sum of these;  the pieces: z
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphspec.ir import (
    Graph,
    Input,
    Literal,
    Node,
    Size,
    Symbolic,
    TensorType,
    Value,
    apply,
    made_at,
    reachable,
    with_inputs,
)
from graphspec.ir import symbol as size_of
from graphspec.ir.sizes import product


@dataclass(frozen=True, slots=True)
class Place:
    """A value of the graph, and the axis along which pieces of it are cut or joined.

    With no axis it is handed on as a whole, or, where it comes from pieces, summed.
    """

    value: Value
    axis: int | None


@dataclass(frozen=True, eq=False)
class Side:
    """The graph of one side, with the stage in which each node is computed.

    Before stage s it is given the inputs `takes[s]`, after it it gives the values `gives[s]`.
    """

    graph: Graph
    stages: Mapping[Node, int]
    takes: Sequence[Mapping[Value, Place]]
    gives: Sequence[Mapping[Value, Place]]


@dataclass(frozen=True, eq=False)
class Pieces:
    """A graph that is cut along the dim `symbol`.

    `once` does its stage s before `pieces` do theirs, and has one more.  What the pieces need of the
    program's inputs is cut along `axes`.  The results are outputs of `once`, or (`joined`, by name) values
    that are put together from what the pieces give.
    """

    symbol: str
    pieces: Side
    once: Side
    axes: Mapping[str, int]
    joined: Mapping[str, Value]
    #: the nodes of the graph that are computed in pieces
    done_in_pieces: frozenset[Node]

    @property
    def count(self) -> int:
        """How many stages the pieces have."""
        return len(self.pieces.gives)


def cut(
    graph: Graph,
    symbol: str,
    cost: Mapping[Node, float] | None = None,
    *,
    a_stage: float = 0.0,
    all_stages: float = 0.0,
) -> Pieces | None:
    """The two sides of a graph, cut along a dim; None where nothing can be done in pieces.

    What costs less than a stage is done once where that saves the stage: counting the examples, say, by whose
    number each of them is divided.  So is what costs less than `all_stages` if there is only one stage then.
    """
    cutter = _Cutter(graph, symbol)
    cutter.classify()
    if cost is not None:
        cutter.save_stages(cost, a_stage, all_stages)
    return cutter.assemble() if cutter.part else None


def find_symbols(graph: Graph) -> list[str]:
    """The dims that lead inputs, those that lead the most of them first: one of them is the batch."""
    found: Counter[str] = Counter()
    for node in graph.nodes:
        shape = node.types[0].shape
        if isinstance(node.op, Input) and shape and isinstance(shape[0], Symbolic):
            found.update(name for name in shape[0].symbols if size_of(name) == shape[0])
    return [name for name, _ in found.most_common()]


@dataclass(eq=False)
class _Part:
    """How a node is done in pieces: the axis of its result (None: a sum), and those of its operands."""

    axis: int | None
    operands: tuple[int | None, ...]
    stage: int


class _Draft:
    """A side that is being put together, of `count` stages."""

    def __init__(self, what: str, count: int) -> None:
        self.what = what
        self.stages: dict[Node, int] = {}
        self.made: dict[Value, Value] = {}  # values of the graph as they are on this side
        self.inputs: dict[Place, Value] = {}
        self.takes: list[dict[Value, Place]] = [{} for _ in range(count)]
        self.gives: list[dict[Value, Place]] = [{} for _ in range(count)]

    def add(self, node: Node, inputs: tuple[Value, ...], stage: int) -> None:
        """Compute a node of the graph on this side."""
        copy = node
        if inputs != node.inputs:
            with made_at(node.origin):
                copy = with_inputs(node, inputs)
        self.stages[copy] = stage
        self.made.update(zip(node.values, copy.values, strict=True))

    def take(self, place: Place, stage: int) -> Value:
        """An input for a value that the other side has made."""
        if place not in self.inputs:
            label = f"{self.what} {len(self.inputs) + 1}"  # no name of a spec has a space
            made = self.inputs[place] = apply(Input(label, place.value.type))
            self.takes[stage][made] = place
        return self.inputs[place]

    def side(self, graph: Graph, outputs: Mapping[str, Value]) -> Side:
        names = {name: self.made[v] for name, v in graph.names.items() if v in self.made}
        return Side(Graph(outputs, names), self.stages, self.takes, self.gives)


class _Cutter:
    def __init__(self, graph: Graph, symbol: str) -> None:
        self.graph = graph
        self.symbol = symbol
        self.size = size_of(symbol)
        self.part: dict[Node, _Part] = {}
        self.ready: dict[Node, int] = {}  # of nodes that are computed once: before which stage
        self.nodes = reachable(graph.outputs.values())

    # --- what is done where ---

    def classify(self, once: frozenset[Node] = frozenset()) -> None:
        """Decide of each node where and when it is done; those of `once` for the whole batch."""
        self.part.clear()
        self.ready.clear()
        for node in self.nodes:
            if isinstance(node.op, Input | Literal):
                continue
            is_alone = len(node.values) == 1 and node not in once
            found = self.in_pieces(node) if is_alone else None
            if found is None:
                self.ready[node] = max([self.known(v) for v in node.inputs], default=0)
                continue
            axis, operands = found
            stages = [self.usable(v) for v in node.inputs]
            self.part[node] = _Part(axis, operands, max(stages, default=0))

    def save_stages(self, cost: Mapping[Node, float], a_stage: float, all_stages: float) -> None:
        """Do once what would only end the first stage, again and again, and what would end all of them."""

        def is_little(nodes: frozenset[Node], most: float) -> bool:
            return sum(cost[node] for node in nodes) < most

        once: frozenset[Node] = frozenset()
        while self.part and self.count > 1:
            before = self.leading_to(1)
            if not is_little(before, a_stage):
                before = self.leading_to(self.count - 1)
                if is_little(before, all_stages):
                    self.classify(once | before)
                return
            once |= before
            self.classify(once)

    @property
    def count(self) -> int:
        """How many stages the pieces have."""
        return 1 + max(part.stage for part in self.part.values())

    def leading_to(self, until: int) -> frozenset[Node]:
        """The nodes done in pieces from which something is made, for the whole batch and before a stage, that
        the pieces look at.
        """
        later = reachable([v for node, part in self.part.items() if part.stage > 0 for v in node.inputs])
        ends = [
            node.values[0]
            for node in later
            if 0 < self.ready.get(node, 0) <= until
            or (node in self.part and self.part[node].axis is None and self.part[node].stage < until)
        ]
        return frozenset(node for node in reachable(ends) if node in self.part)

    def known(self, value: Value) -> int:
        """Before which stage a value is known as a whole."""
        part = self.part.get(value.node)
        return self.ready.get(value.node, 0) if part is None else part.stage + 1

    def usable(self, value: Value) -> int:
        """In which stage the pieces can use a value."""
        part = self.part.get(value.node)
        return part.stage if part is not None and part.axis is not None else self.known(value)

    def in_pieces(self, node: Node) -> tuple[int | None, tuple[int | None, ...]] | None:
        """The axis of the result along the batch, None for a sum, and those of the operands; or None."""
        driving = [self.axis_of(v) for v in node.inputs]
        (result,) = node.types
        if all(axis is None for axis in driving):
            return self.spread(node)
        for axis, row in self.alignment(node):
            if self.blocks(result, axis) and (operands := self.fitting(node, driving, row)) is not None:
                return axis, operands
        if self.mentions(result):
            return None
        for row in node.op.summed(*[v.type for v in node.inputs]):
            if (operands := self.fitting(node, driving, row)) is not None:
                return None, operands
        return None

    def axis_of(self, value: Value) -> int | None:
        """The axis along which a value comes in pieces."""
        if isinstance(value.node.op, Input):
            axes = [k for k in range(value.type.rank) if self.blocks(value.type, k)]
            return axes[0] if axes else None
        part = self.part.get(value.node)
        return part.axis if part else None

    def alignment(self, node: Node) -> Iterator[tuple[int, tuple[int | None, ...]]]:
        """Each axis of the result, and the axes of the operands that run with it."""
        if node.op.name != "reshape":
            yield from enumerate(node.op.alignment(*[v.type for v in node.inputs]))
            yield from ((axis, row) for count, axis, row in node.op.grouped() if self.is_batch(count))
            return
        # an axis that begins where another begins holds the same batch, in blocks of another size
        (before,), after = [v.type.shape for v in node.inputs], node.types[0].shape
        for k in range(len(after)):
            for a in range(len(before)):
                if product(before[:a]) == product(after[:k]) and before[a] != 1 and after[k] != 1:
                    yield k, (a,)

    def fitting(
        self, node: Node, driving: Sequence[int | None], row: Sequence[int | None]
    ) -> tuple[int | None, ...] | None:
        """The axes along which the operands are cut, where those that come in pieces agree with `row`."""
        found: list[int | None] = []
        for value, own, axis in zip(node.inputs, driving, row, strict=True):
            if own is not None:
                if own != axis:
                    return None
            elif axis is None:
                if self.mentions(value.type):
                    return None
            elif not self.blocks(value.type, axis):
                if self.mentions(value.type):
                    return None
                axis = None  # of size 1, or another size: it is broadcast
            found.append(axis)
        return tuple(found)

    def spread(self, node: Node) -> tuple[int, tuple[int | None, ...]] | None:
        """The axis along which something is repeated for each example."""
        if node.op.name != "broadcast_to" or self.mentions(node.inputs[0].type):
            return None
        axes = [k for k in range(node.types[0].rank) if self.blocks(node.types[0], k)]
        return (axes[0], (None,)) if axes else None

    def mentions(self, type: TensorType) -> bool:
        return self.symbol in type.symbols

    def blocks(self, type: TensorType, axis: int) -> bool:
        """Whether an axis, and no other, is the batch, or blocks of one size for each example."""
        rest = type.with_shape((*type.shape[:axis], *type.shape[axis + 1 :]))
        return self.is_batch(type.shape[axis]) and not self.mentions(rest)

    def is_batch(self, size: Size) -> bool:
        """Whether a size is that of the batch, or of blocks of one size for each example."""
        if not isinstance(size, Symbolic):
            return False
        each: Size = size // self.size
        whole = not isinstance(each, Symbolic) or self.symbol not in each.symbols
        return whole and each * self.size == size

    # --- the two sides ---

    def assemble(self) -> Pieces:
        pieces, once = _Draft("whole", self.count), _Draft("pieces", self.count + 1)
        axes: dict[str, int] = {}
        for node in self.nodes:
            part = self.part.get(node)
            if part is not None:
                operands = zip(node.inputs, part.operands, strict=True)
                inputs = tuple([self.piece_of(v, axis, pieces, once, axes) for v, axis in operands])
                pieces.add(node, inputs, part.stage)
            elif node in self.ready:
                once.add(node, tuple([self.whole(v, pieces, once) for v in node.inputs]), self.ready[node])
        joined: dict[str, Value] = {}
        outputs: dict[str, Value] = {}
        for name, value in self.graph.outputs.items():
            if value.node in self.part:
                self.give(value, pieces)
                joined[name] = value
            else:
                outputs[name] = once.made.get(value, value)
        sides = pieces.side(self.graph, {}), once.side(self.graph, outputs)
        return Pieces(self.symbol, *sides, axes, joined, frozenset(self.part))

    def give(self, value: Value, pieces: _Draft) -> None:
        """Let the pieces give what they make of a value."""
        part = self.part[value.node]
        pieces.gives[part.stage][pieces.made[value]] = Place(value, part.axis)

    def piece_of(
        self, value: Value, axis: int | None, pieces: _Draft, once: _Draft, axes: dict[str, int]
    ) -> Value:
        """A value as the pieces have it."""
        part = self.part.get(value.node)
        if part is not None and part.axis is not None:
            return pieces.made[value]
        op = value.node.op
        if isinstance(op, Literal):
            return value
        if isinstance(op, Input):
            if axis is not None:
                axes[op.label] = axis
            return value
        if part is not None:
            self.give(value, pieces)
        elif axis is None and self.is_look(value.node):
            if value not in pieces.made:
                inputs = tuple([self.piece_of(v, None, pieces, once, axes) for v in value.node.inputs])
                pieces.add(value.node, inputs, self.known(value))
            return pieces.made[value]
        else:
            once.gives[self.known(value)][once.made[value]] = Place(value, None)
        return pieces.take(Place(value, axis), self.known(value))

    def is_look(self, node: Node) -> bool:
        """Whether pieces look at an array themselves, as at a weight's transpose: handed over, it is copied.

        A reshape of such a view is a copy, which is made once.
        """
        return node.op.is_view and not (node.op.name == "reshape" and node.inputs[0].node.op.is_view)

    def whole(self, value: Value, pieces: _Draft, once: _Draft) -> Value:
        """A value as it is where things are done once."""
        if value.node not in self.part:
            return once.made.get(value, value)
        self.give(value, pieces)
        return once.take(Place(value, None), self.known(value))
