"""The plan of a program: the order of the nodes, and the memory that each of their results lies in.

All sizes are numbers here.  Intermediate values share one block of memory, the arena; a value's bytes
are reused as soon as its last user has run.  Results never lie in the arena, and never alias anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from graphspec.diagnostics import Diagnostic, GraphSpecError, Span
from graphspec.diagnostics.catalogue.data import number_undefined, size_impossible, too_many_axes
from graphspec.ir import (
    Graph,
    Input,
    Literal,
    Node,
    Op,
    TensorType,
    Value,
    evaluate,
    evaluate_number,
    reachable,
)
from graphspec.runtime.arena import Interval, pack
from graphspec.runtime.kernels.registry import find_scratch
from graphspec.runtime.means import PLAIN, Means

#: numpy's limit
MOST_AXES = 64
#: bytes from which on the memory of a result is worth keeping (see `runtime.blocks`)
LARGE = 1 << 20


class Slot(NamedTuple):
    """`type.size` elements of the arena, from byte `offset`."""

    offset: int
    type: TensorType


class Step(NamedTuple):
    """One node of the program, its attributes and types being numbers.

    `copies` are the results of the program that are copied from the node's values once it has run.
    """

    node: Node
    op: Op
    types: tuple[TensorType, ...]
    scratch: tuple[Slot, ...]
    copies: tuple[str, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Cut:
    """A break of a program before the step `before`: it gives some values, and is given some inputs."""

    before: int
    gives: tuple[Value, ...]
    takes: tuple[Value, ...]


@dataclass(frozen=True, eq=False)
class Stages:
    """The stages of a program that has breaks: the number of each node's.

    After stage s it gives the values `gives[s]`, and before it it is given the inputs `takes[s]`.  `numbers`
    are the dims of numbers in it, where those of shapes are smaller: the sizes of a piece of the whole.
    Those of the values that it gives which are in `placed` it writes, if it can, where its caller wants them.
    """

    of: Mapping[Node, int]
    gives: Sequence[Sequence[Value]]
    takes: Sequence[Sequence[Value]]
    numbers: Mapping[str, int]
    #: what is given is looked at after the program has gone on, too
    is_kept: bool = False
    placed: frozenset[Value] = frozenset()


@dataclass(frozen=True, eq=False)
class Plan:
    """A graph laid out in time and memory.

    `slots` holds the values in the arena, `in_place` which of them take over the memory of a dying
    operand; `own` the values that are results and own their memory.  `results` is by name: the value,
    and whether what is returned is a copy of it.  `placed` are values whose memory the caller hands over,
    by what is given of them: the same elements, in the same order, but for the shape.
    """

    graph: Graph
    env: Mapping[str, int]
    inputs: Mapping[str, Value]
    types: Mapping[Value, TensorType]
    numbers: Mapping[Value, int | float | bool]
    steps: tuple[Step, ...]
    slots: Mapping[Value, Slot]
    in_place: Mapping[Value, Value]
    own: frozenset[Value]
    results: Mapping[str, tuple[Value, bool]]
    #: the size of the arena
    arena_bytes: int = 0
    #: what all intermediate values and working storage would take without reuse
    intermediate_bytes: int = 0
    labels: Mapping[Value, str] = field(default_factory=dict)
    #: breaks of a program that does its work in stages
    cuts: tuple[Cut, ...] = ()
    placed: Mapping[Value, Value] = field(default_factory=dict)

    @cached_property
    def input_bytes(self) -> int:
        return sum(nbytes(self.types[v]) for v in self.inputs.values())

    @cached_property
    def result_bytes(self) -> int:
        return sum(nbytes(self.types[value]) for value, _ in self.results.values())

    @cached_property
    def own_bytes(self) -> tuple[int, ...]:
        """The bytes of each value that owns its memory."""
        return tuple(nbytes(self.types[value]) for value in self.own)

    @property
    def bytes_needed(self) -> int:
        """What one call allocates: the arena and the results."""
        return self.arena_bytes + self.result_bytes


def nbytes(type: TensorType) -> int:
    """The bytes of an array whose sizes are numbers."""
    size = type.size
    assert isinstance(size, int), f"{type} has a size that is not known"
    return size * type.dtype.itemsize


def check_rank(type: TensorType, span: Span | None) -> None:
    """Raise GraphSpecError where an array would have more axes than numpy allows."""
    if type.rank > MOST_AXES:
        raise GraphSpecError(too_many_axes(type.rank, MOST_AXES, span))


def plan(
    graph: Graph,
    env: Mapping[str, int],
    means: Means = PLAIN,
    stages: Stages | None = None,
) -> Plan:
    """Lay out the outputs of a graph of primitives, its dims being the numbers of `env`.

    `means` say how memory may be used, and whether there is working storage for compiled kernels.  With
    `stages` the program has breaks, at which it gives some values and is given others.

    Raises GraphSpecError where a size or a number of the spec does not exist for these dims.
    """
    return _Planner(graph, env, means, stages).plan()


class _Planner:
    """The state of one planning; each method is a step of it, in the order of `plan`."""

    def __init__(self, graph: Graph, env: Mapping[str, int], means: Means, stages: Stages | None) -> None:
        self.graph = graph
        self.env = env
        self.stages = stages
        self.means = means
        self.types: dict[Value, TensorType] = {}
        self.numbers: dict[Value, int | float | bool] = {}
        self.inputs: dict[str, Value] = {}
        self.root: dict[Value, Value] = {}  # the value whose memory a value lies in
        self.known_types: dict[TensorType, TensorType] = {}

    def plan(self) -> Plan:
        steps = [(node, self.concrete_op(node)) for node in self.order() if not self.is_given(node)]
        cuts = self.cuts(steps)
        own, results, copies = self.choose_results()
        if self.stages is not None and self.stages.is_kept:
            given = {self.root[value] for cut in cuts for value in cut.gives}
            own |= {value for value in given if not isinstance(value.node.op, Input | Literal)}
        placed = self.choose_placed(cuts, own)
        last_use = self.last_uses(steps)
        for cut in cuts:  # what is given is looked at when the program pauses
            for value in cut.gives:
                last_use[self.root[value]] = max(last_use.get(self.root[value], 0), cut.before)
        scratch = [
            find_scratch(op, [self.types[v] for v in node.inputs], fast=self.means.fast) for node, op in steps
        ]
        outside = own | {self.root[value] for value in placed}
        slots, in_place, places, arena_bytes, total = self.place(steps, scratch, outside, last_use)
        return Plan(
            self.graph,
            dict(self.env),
            self.inputs,
            self.types,
            self.numbers,
            tuple(
                Step(node, op, tuple(self.types[v] for v in node.values), places[i], copies.get(node, ()))
                for i, (node, op) in enumerate(steps)
            ),
            slots,
            in_place,
            frozenset(own),
            results,
            arena_bytes,
            total,
            self.graph.labels,
            cuts,
            placed,
        )

    def order(self) -> list[Node]:
        """The nodes in the order in which they run."""
        stages = self.stages
        if stages is None:
            return _delay(self.graph.needed)
        given = [value for values in stages.gives for value in values]
        nodes = _delay(reachable([*self.graph.outputs.values(), *given]))
        return sorted(nodes, key=lambda node: stages.of.get(node, 0))

    def cuts(self, steps: Sequence[tuple[Node, Op]]) -> tuple[Cut, ...]:
        """The breaks: one after each stage."""
        stages = self.stages
        if stages is None:
            return ()
        takes = [*stages.takes[1:], ()]
        found: list[Cut] = []
        for stage, (gives, taken) in enumerate(zip(stages.gives, takes, strict=True)):
            before = sum(1 for node, _ in steps if stages.of[node] <= stage)
            found.append(Cut(before, tuple(gives), tuple(taken)))
        if not stages.gives[-1]:  # the results come instead
            found.pop()
        return tuple(found)

    def is_given(self, node: Node) -> bool:
        """Take note of a node's types; whether it is an input or a number, and no step at all."""
        for value in node.values:
            self.types[value] = self.concrete_type(node, value.type)
            viewed = node.inputs[0] if node.op.is_view else None
            self.root[value] = self.root[viewed] if viewed else value
        value = node.values[0]
        if isinstance(node.op, Input):
            assert node.op.label not in self.inputs, f"two inputs are called {node.op.label}"
            self.inputs[node.op.label] = value
            return True
        if isinstance(node.op, Literal):
            try:
                env = self.env if self.stages is None else self.stages.numbers
                number = evaluate_number(node.op.value, env)
            except (ArithmeticError, ValueError) as error:
                raise GraphSpecError(self.undefined(node, str(node.op.value), error)) from None
            self.numbers[value] = number
            return True
        return False

    def concrete_type(self, node: Node, type: TensorType) -> TensorType:
        found = self.known_types.get(type)
        if found is None:
            check_rank(type, node.origin.span if node.origin else None)
            shape = tuple(evaluate(size, self.env) for size in type.shape)
            if any(size < 0 for size in shape):
                span = node.origin.span if node.origin else None
                raise GraphSpecError(size_impossible(str(type), shape, self.sizes(type.symbols), span))
            found = self.known_types[type] = type.with_shape(shape)
        return found

    def concrete_op(self, node: Node) -> Op:
        if not vars(node.op):
            return node.op
        try:
            return node.op.at(self.env)
        except (ArithmeticError, ValueError) as error:
            raise GraphSpecError(self.undefined(node, node.op.name, error)) from None

    def undefined(self, node: Node, what: str, error: Exception) -> Diagnostic:
        span = node.origin.span if node.origin else None
        return number_undefined(what, str(error), self.sizes(self.env), span)

    def sizes(self, names: Iterable[str]) -> str:
        return ", ".join(f"{name} = {self.env[name]}" for name in sorted(names))

    def choose_results(
        self,
    ) -> tuple[set[Value], dict[str, tuple[Value, bool]], dict[Node, tuple[str, ...]]]:
        """Which values are allocated as results, and which results are copied after which nodes.

        A computed value is its own result.  A second name for it, a view that shows only a part of
        its root, an input or a number is copied.
        """
        own: set[Value] = set()
        results = {name: (value, False) for name, value in self.graph.outputs.items()}
        copies: dict[Node, tuple[str, ...]] = {}
        # values before views, so that it is the views that are copied
        for name, value in sorted(self.graph.outputs.items(), key=lambda item: item[1].node.op.is_view):
            root = self.root[value]
            is_given = isinstance(root.node.op, Input | Literal)
            whole = self.types[root].size == self.types[value].size
            results[name] = value, is_given or root in own or not whole
            if not results[name][1]:
                own.add(root)
            elif not is_given:
                copies[value.node] = (*copies.get(value.node, ()), name)
        return own, results, copies

    def choose_placed(self, cuts: Sequence[Cut], own: set[Value]) -> dict[Value, Value]:
        """What is given and may be written where the caller wants it, and the value that owns its memory."""
        wanted = self.stages.placed if self.stages is not None else frozenset()
        found: dict[Value, Value] = {}
        roots = set(own)
        for value in [value for cut in cuts for value in cut.gives if value in wanted]:
            above = value
            while above.node.op.name == "reshape":
                above = above.node.inputs[0]
            is_made = not isinstance(above.node.op, Input | Literal)
            if above is self.root[value] and is_made and above not in roots:
                roots.add(above)
                found[value] = above
        return found

    def last_uses(self, steps: Sequence[tuple[Node, Op]]) -> dict[Value, int]:
        """The last step that touches each root: one that makes, reads or views it."""
        last: dict[Value, int] = {}
        for i, (node, _) in enumerate(steps):
            for value in node.values:
                last[self.root[value]] = i
            for value in node.inputs:
                last[self.root[value]] = i
        return last

    def place(
        self,
        steps: Sequence[tuple[Node, Op]],
        scratch: Sequence[tuple[TensorType, ...]],
        own: set[Value],
        last_use: Mapping[Value, int],
    ) -> tuple[dict[Value, Slot], dict[Value, Value], list[tuple[Slot, ...]], int, int]:
        """Slots in the arena for values and working storage."""
        buffers: list[Interval] = []
        buffer_of: dict[Value, int] = {}
        in_place: dict[Value, Value] = {}
        first_scratch: list[int] = []
        total = 0
        for i, (node, op) in enumerate(steps):
            first_scratch.append(len(buffers))
            buffers += [Interval(i, i, nbytes(type)) for type in scratch[i]]
            total += sum(map(nbytes, scratch[i]))
            taken: set[Value] = set()
            for value in () if op.is_view else node.values:
                if value in own:
                    continue
                size = nbytes(self.types[value])
                total += size
                operand = self.overwritable(node, op, value, i, buffer_of, last_use, taken)
                if operand is None:
                    buffer_of[value] = len(buffers)
                    buffers.append(Interval(i, last_use[value], size))
                else:
                    taken.add(operand)
                    in_place[value] = operand
                    at = buffer_of[value] = buffer_of[operand]
                    buffers[at] = Interval(buffers[at].start, last_use[value], size)
        if not self.means.share_memory:
            buffers = [Interval(0, len(steps), buffer.size) for buffer in buffers]
        offsets, arena_bytes = pack(buffers)
        slots = {value: Slot(offsets[at], self.types[value]) for value, at in buffer_of.items()}
        places = [
            tuple(Slot(offsets[first + k], type) for k, type in enumerate(types))
            for first, types in zip(first_scratch, scratch, strict=True)
        ]
        return slots, in_place, places, arena_bytes, total

    def overwritable(
        self,
        node: Node,
        op: Op,
        result: Value,
        step: int,
        buffer_of: Mapping[Value, int],
        last_use: Mapping[Value, int],
        taken: set[Value],
    ) -> Value | None:
        """An operand whose memory a result may take: in the arena, of its type, not used again.

        The op must allow it (`Op.in_place`), no other operand may be a view of the same memory, and no other
        result of the op may have `taken` it.
        """
        if not self.means.overwrite:
            return None
        wanted = self.types[result]
        for k in op.in_place(result.index, [self.types[v] for v in node.inputs]):
            value = node.inputs[k]
            if (
                value in buffer_of
                and value not in taken
                and last_use[value] == step
                and self.types[value] == wanted
                and all(other == value or self.root[other] != value for other in node.inputs)
            ):
                return value
        return None


def _delay(nodes: Sequence[Node]) -> list[Node]:
    """The nodes in an order that runs some of them later: just before their first user.

    A node moves where all its operands are alive until then anyway, so that its result, being made
    later, costs memory for a shorter time.  `nodes` are in topological order; so is the result.
    """
    lasting: set[Node] = set()  # inputs and numbers, alive from start to end, and views of them
    for node in nodes:
        if isinstance(node.op, Input | Literal) or (node.op.is_view and node.inputs[0].node in lasting):
            lasting.add(node)
    moment: dict[Node, int] = {}
    first_user: dict[Node, int] = {}
    last_user: dict[Node, int] = {}
    for i in range(len(nodes) - 1, -1, -1):
        node = nodes[i]
        now = i
        user = first_user.get(node, i)
        if all(v.node in lasting or last_user.get(v.node, -1) >= user for v in node.inputs):
            now = user
        moment[node] = now
        for value in node.inputs:
            above = value.node
            first_user[above] = min(now, first_user.get(above, now))
            last_user[above] = max(now, last_user.get(above, now))
    return sorted(nodes, key=lambda n: (moment[n], n.serial))
