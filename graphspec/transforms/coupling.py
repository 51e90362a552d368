"""Follows the examples of a batch through a graph: which axis they run along, and where they are coupled.

For each value it is known whether it is the same for every example, carries the examples along an axis,
or is computed from several of them.  Examples are coupled where the last two kinds meet, where a value
would carry them along two axes, and where they are picked by their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from graphspec.diagnostics import Diagnostic
from graphspec.diagnostics.catalogue import batching as say
from graphspec.ir import Graph, Input, Node, Size, Symbolic, Tap, Value, symbol, symbols
from graphspec.ir.sizes import product
from graphspec.ops.construction import Arange
from graphspec.ops.indexing import Gather, ScatterAdd
from graphspec.ops.rounding import Cast
from graphspec.ops.shape import BroadcastTo, Concat, Embed, Flip, Reshape, Slice


@dataclass(frozen=True, slots=True)
class Carried:
    """The examples run along `axis`, whose size is outer * N * inner.

    Outer and inner are what a reshape or `concat` put on the same axis: of `[B, T]` as `[B * T]` the
    inner part is T.
    """

    axis: int
    outer: Size = 1
    inner: Size = 1


@dataclass(frozen=True, slots=True)
class Places:
    """0, 1, ..., N - 1 along `axis`: the place of each example, as `arange(N)` gives it."""

    axis: int


@dataclass(frozen=True, slots=True)
class Mixed:
    """Computed from several examples, or from their places: first at this node."""

    node: Node
    of_places: bool = False


@dataclass(frozen=True, slots=True)
class Coupled:
    """Differs from example to example and depends on others, first at this node; `how` is the catalogue's."""

    node: Node
    how: Literal["meets", "pairs", "indexes", "uncut"]
    together: Node | None = None


#: None: the same for every example
State: TypeAlias = "Carried | Places | Mixed | Coupled | None"


def follow_examples(graph: Graph, batch: str) -> dict[Value, State]:
    """What is known of each value that is not the same for every example of the batch.

    Needs calls inlined and gradients expanded.
    """
    analysis = _Analysis(symbol(batch), batch, {})
    for node in graph.nodes:
        state = analysis.state(node)
        if state is not None:
            analysis.states[node.values[0]] = state
    return analysis.states


def explain_coupling(graph: Graph, batch: str, coupled: Coupled) -> Diagnostic:
    """The diagnostic of a coupling, with the first named value that is computed through it."""
    node = coupled.node
    origin = node.origin
    place = origin.span if origin else None
    if coupled.how == "uncut":
        assert isinstance(node.op, Input)
        return say.batch_not_an_axis(node.op.label, str(node.types[0]), batch, place)
    together = coupled.together.origin if coupled.together else None
    return say.coupled_examples(
        batch,
        node.op.name,
        coupled.how,
        _first_named(graph, node),
        place=place,
        together=together.span if together else None,
        trace=origin.trace if origin else (),
    )


def _first_named(graph: Graph, start: Node) -> str:
    """The name of the first named value at or below a node, in topological order; not that of an argument."""
    below = {start}
    for node in graph.nodes:
        if node is start or not below.isdisjoint(v.node for v in node.inputs):
            below.add(node)
            named = [graph.labels[v] for v in node.values if v in graph.labels]
            if named and not isinstance(node.op, Tap):
                return named[0]
    return ""


@dataclass(eq=False)
class _Analysis:
    size: Size
    symbol: str
    states: dict[Value, State]

    def state(self, node: Node) -> State:
        """The state of a node's result (primitives that are left have one)."""
        if isinstance(node.op, Input):
            return self._input(node)
        given = [self.states.get(v) for v in node.inputs]
        for state in given:
            if isinstance(state, Coupled):
                return state
        if not any(given):
            return self._made_from_shared(node)
        mixed = next((s for s in given if isinstance(s, Mixed)), None)
        if mixed is not None:
            alone = not any(isinstance(s, Carried | Places) for s in given)
            return mixed if alone else Coupled(node, "indexes" if mixed.of_places else "meets", mixed.node)
        if isinstance(node.op, Gather | ScatterAdd):
            return self._indexed(node, given)
        if any(isinstance(s, Places) for s in given):
            return self._of_places(node, given)
        match node.op:
            case Reshape():
                return self._reshaped(node, given[0])
            case Concat():
                return self._concatenated(node, node.op.axis, given)
            case Slice() | Embed():
                return self._cut(node, node.op, given[0])
        return self._aligned(node, given)

    def _input(self, node: Node) -> State:
        axes = [k for k, size in enumerate(node.types[0].shape) if self.symbol in symbols(size)]
        if not axes:
            return None
        if len(axes) == 1 and node.types[0].shape[axes[0]] == self.size:
            return Carried(axes[0])
        return Coupled(node, "uncut")

    def _made_from_shared(self, node: Node) -> State:
        """Of operands that are the same for every example: the same, unless an axis of examples is new."""
        y = node.types[0]
        new = [k for k, size in enumerate(y.shape) if self.symbol in symbols(size)]
        if not new or isinstance(node.op, BroadcastTo | Reshape | Slice | Flip | Concat):
            return None
        if isinstance(node.op, Arange):
            return Places(0) if y.shape[0] == self.size else Mixed(node, of_places=True)
        if isinstance(node.op, Embed) and not self._is_indexed(node.op, node.inputs[0].shape, new):
            return None
        alignment = node.op.alignment(*(v.type for v in node.inputs))
        runs = alignment and all(any(a is not None for a in alignment[k]) for k in new)
        return None if runs else Mixed(node, of_places=True)

    def _aligned(self, node: Node, given: Sequence[State]) -> State:
        """By the alignment of the op: where the axes of examples go."""
        alignment = node.op.alignment(*(v.type for v in node.inputs))
        found: set[Carried] = set()
        used_whole = False
        for i, state in enumerate(given):
            if isinstance(state, Carried):
                axes = [k for k, own in enumerate(alignment) if own[i] == state.axis]
                found.update(Carried(k, state.outer, state.inner) for k in axes)
                used_whole |= not axes
        if len(found) > 1:
            return Coupled(node, "pairs")
        if found and used_whole:
            return Coupled(node, "meets", node)
        return found.pop() if found else Mixed(node)

    def _of_places(self, node: Node, given: Sequence[State]) -> State:
        """Places stay places while they are only moved; to compute with them mixes the examples."""
        (first, *rest) = given
        if not rest and isinstance(first, Places):
            moved = Carried(first.axis)
            if isinstance(node.op, Reshape):
                state = self._reshaped(node, moved)
            elif isinstance(node.op, Tap | BroadcastTo) or (
                isinstance(node.op, Cast) and node.types[0].dtype.is_integer
            ):
                state = self._aligned(node, [moved])
            else:
                return Mixed(node, of_places=True)
            if isinstance(state, Carried) and state.outer == state.inner == 1:
                return Places(state.axis)
            return Mixed(node, of_places=True)
        met = any(isinstance(s, Carried) for s in given)
        return Coupled(node, "indexes") if met else Mixed(node, of_places=True)

    def _reshaped(self, node: Node, state: State) -> State:
        """The examples are on the axis with as many elements before and behind them."""
        assert isinstance(state, Carried)
        x, y = node.inputs[0].shape, node.types[0].shape
        before = product(x[: state.axis]) * state.outer
        behind = state.inner * product(x[state.axis + 1 :])
        for k, size in enumerate(y):
            if self.symbol not in symbols(size):
                continue
            outer, inner = _quotient(before, product(y[:k])), _quotient(behind, product(y[k + 1 :]))
            if outer is not None and inner is not None and size == outer * self.size * inner:
                return Carried(k, outer, inner)
        return Mixed(node)

    def _concatenated(self, node: Node, axis: int, given: Sequence[State]) -> State:
        """Along the axis of the examples: whole batches one behind the other."""
        inners = {s.inner for s in given if isinstance(s, Carried) and s.axis == axis}
        if not inners or any(isinstance(s, Carried) and s.axis != axis for s in given):
            return self._aligned(node, given)
        inner = next(iter(inners))
        total: Size = 0
        for value in node.inputs:
            outer = _quotient(value.shape[axis], self.size * inner)
            if outer is None or len(inners) > 1:
                return Mixed(node)
            total = total + outer
        return Carried(axis, total, inner)

    def _cut(self, node: Node, op: Slice | Embed, state: State) -> State:
        """A slice of the axis of the examples, or its adjoint: only of whole batches."""
        assert isinstance(state, Carried)
        k = state.axis
        before, after = node.inputs[0].shape[k], node.types[0].shape[k]
        if before == after:
            return state
        block = self.size * state.inner
        start, outer = _quotient(op.starts[k], block), _quotient(after, block)
        if op.steps[k] != 1 or start is None or outer is None:
            return Coupled(node, "indexes")
        return Carried(k, outer, state.inner)

    def _is_indexed(self, op: Embed, shape: Sequence[Size], axes: Sequence[int]) -> bool:
        """Whether a value is put at the places of some examples only."""
        whole = (_quotient(op.starts[k], self.size) is not None for k in axes)
        return not all(whole) or any(_quotient(shape[k], self.size) is None for k in axes)

    def _indexed(self, node: Node, given: Sequence[State]) -> State:
        """Reading or adding at computed places: of the axis of the examples each may have its own only."""
        op, data = node.op, given[0]
        assert isinstance(op, Gather | ScatterAdd)
        own = [j for j, s in enumerate(given[1:]) if isinstance(s, Places)]
        if not own:
            within = range(op.axis, op.axis + len(given) - 1)
            if isinstance(op, Gather) and isinstance(data, Carried) and data.axis in within:
                return Coupled(node, "indexes")
            return self._aligned(node, given)
        axis = _axis_of_indices(node, op, given[1:])
        if axis is None or len(own) > 1:
            return Coupled(node, "indexes")
        indexed = Carried(op.axis + own[0])
        if isinstance(op, ScatterAdd):
            return indexed if data in (None, Carried(axis)) else Coupled(node, "indexes")
        if data is None and sum(s is not None for s in given) == 1:
            return Mixed(node, of_places=True)
        return Carried(axis) if data == indexed else Coupled(node, "indexes")


def _axis_of_indices(node: Node, op: Gather | ScatterAdd, states: Sequence[State]) -> int | None:
    """The axis of what is read or added along which the indices hold the examples, if it is one."""
    ranks = node.types[0].rank, node.inputs[0].type.rank
    many, few = ranks if isinstance(op, Gather) else reversed(ranks)
    end = op.axis + len(states) + many - few  # behind the axes that the indices broadcast to
    axes: set[int] = set()
    for index, state in zip(node.inputs[1:], states, strict=True):
        match state:
            case None:
                continue
            case Places(axis) | Carried(axis, 1, 1):
                axes.add(end - len(index.shape) + axis)
            case _:
                return None
    return axes.pop() if len(axes) == 1 else None


def _quotient(top: Size, bottom: Size) -> Size | None:
    """`top / bottom` where it surely is a whole number."""
    if bottom == 0 or top % bottom != 0:
        return None
    return top // bottom


def batches(graph: Graph, inputs: Mapping[str, Value]) -> dict[str, list[str]]:
    """The symbols that lead inputs which the outputs use, with the names of these inputs."""
    used = {node.values[0] for node in graph.nodes if isinstance(node.op, Input)}
    found: dict[str, list[str]] = {}
    for name, value in inputs.items():
        lead = value.shape[0] if value.shape else 1
        if value in used and isinstance(lead, Symbolic) and len(lead.symbols) == 1:
            (one,) = lead.symbols
            if lead == symbol(one):
                found.setdefault(one, []).append(name)
    return found
