"""Makes values a second time instead of holding them while the most memory is taken."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod
from typing import NamedTuple, TypeAlias

from graphspec.ir import Graph, Input, Literal, Node, Op, Value, evaluate, made_at, with_inputs
from graphspec.ops.fused import Fused, Member
from graphspec.ops.phases import CHEAP
from graphspec.transforms.changed import Changed

#: bytes that must be taken at once for memory to be worth time
LEAST = 8 << 20
#: the part of them that must be saved
GAIN = 0.1
#: the part of them from which on a value is worth making again
LARGE = 1 / 32
#: what takes this part of the memory of a value may be held for it
SMALL = 1 / 64
#: times that a value is made again
MOST = 2
#: values that are looked at until enough was tried: a second or so
WORK = 1 << 19
#: between moments: what is made of what is made again is made a step later
STEP = 2**-20


def recompute(
    graph: Graph,
    env: Mapping[str, int],
    stages: Mapping[Node, int],
    *,
    storage: Callable[[Node], int] = lambda node: 0,
    least: int = LEAST,
) -> Changed:
    """Give late users of a value a copy of their own where that lowers the most memory taken at once.

    A value that is made early, used late, and only held in between is dropped after its early uses if it
    can be made again of others that are there anyway, with no more work than passing over them once: the
    layer's input for the gradient of a weight, from what normalisation and relu made it of.  After fusion,
    when it is known what is stored.  Nothing is done where less than `least` bytes are taken.  `stages` are
    those in which nodes run, `storage` gives the bytes that a node works with besides.

        relu(c) as h; ...; h.T @ g     becomes     relu(c) as h; ...; relu(c).T @ g

    Source: Chen et al. (2016), arXiv:1604.06174, with a greedy choice.
    """
    lives = _Lives(graph, env, stages, storage, least * LARGE)
    before = _worst(lives.taken({})).bytes
    if before < least:
        return Changed(graph)
    chosen = lives.choose()
    if _worst(lives.taken(chosen)).bytes > (1 - GAIN) * before:
        return Changed(graph)
    return _Rebuilt(lives, chosen).run()


@dataclass(frozen=True, eq=False)
class _Choice:
    """How a value is made again for the users that come after the moment `split`."""

    split: float
    op: Op
    inputs: tuple[Value, ...]


#: of a value, how it is made again, in the order of the moments
Choices: TypeAlias = "Mapping[Value, tuple[_Choice, ...]]"


class _Lives:
    """When the values of a graph take memory.

    Moments are the places of nodes in their order; what is made again is made a `STEP` before its first use.
    """

    def __init__(
        self,
        graph: Graph,
        env: Mapping[str, int],
        stages: Mapping[Node, int],
        storage: Callable[[Node], int],
        large: float,
    ) -> None:
        self.graph = graph
        self.stages = stages
        self.order = sorted(graph.nodes, key=lambda node: (stages.get(node, 0), node.serial))
        self.start: dict[Value, int] = {}
        self.size: dict[Value, int] = {}
        self.root: dict[Value, Value] = {}  # the value whose memory a value lies in
        self.uses: dict[Value, list[float]] = {}  # of a root, by whatever is no view
        for i, node in enumerate(self.order):
            for value in node.values:
                root = self.root[value] = self.root[node.inputs[0]] if node.op.is_view else value
                if root is value:
                    self.start[value] = i
                    self.uses[value] = []
                    is_given = isinstance(node.op, Input | Literal)
                    shape = [evaluate(size, env) for size in value.type.shape]
                    self.size[value] = 0 if is_given else prod(shape) * value.dtype.itemsize
            if not node.op.is_view:
                for value in set(node.inputs):
                    self.uses[self.root[value]].append(i)
        self.results = {self.root[value] for value in graph.outputs.values()}
        for value in self.results:
            self.uses[value].append(len(self.order))
        self.working: list[tuple[float, bool, int]] = []
        for i, node in enumerate(self.order):
            if size := storage(node):
                self.working += [(i, False, size), (i, True, -size)]
        #: what is smaller is as good as nothing
        self.counted = [value for value, size in self.size.items() if size and size >= SMALL * large]
        self.large = sorted((v for v in self.counted if self.size[v] >= large), key=lambda v: -self.size[v])

    def choose(self) -> dict[Value, tuple[_Choice, ...]]:
        """What is made again: the largest first, of what is alive when the most is, as long as that helps."""
        chosen: dict[Value, tuple[_Choice, ...]] = {}
        worst = _worst(self.taken(chosen))
        tries = WORK // max(1, len(self.counted))
        while True:
            before = worst
            uses = self.all_uses(chosen)
            for value in self.large:
                choice = self.choice(value, worst.moment, uses, chosen.get(value, ()))
                if choice is None or not tries:
                    continue
                lives = sorted((*chosen.get(value, ()), choice), key=lambda c: c.split)
                tried = {**chosen, value: tuple(lives)}
                found = _worst(self.taken(tried))
                tries -= 1
                if (found.bytes, found.times) < (worst.bytes, worst.times):
                    chosen, uses = tried, self.all_uses(tried)
                    moved, worst = found.moment != worst.moment, found
                    if moved:
                        break
            if worst is before:
                return chosen

    def all_uses(self, chosen: Choices) -> dict[Value, list[float]]:
        """The moments at which roots are used, also to make others again."""
        uses = {value: list(self.uses[value]) for value in self.counted}
        for value in sorted(chosen, key=lambda v: (self.start[v], v.index), reverse=True):
            lives = _lives(uses[value], chosen[value])
            for choice, moments in zip(chosen[value], lives[1:], strict=True):
                for leaf in choice.inputs if moments else ():
                    if self.root[leaf] in uses:
                        uses[self.root[leaf]].append(min(moments) - STEP)
        return uses

    def taken(self, chosen: Choices) -> dict[float, int]:
        """The bytes that are taken at each moment, in their order."""
        changes = list(self.working)
        for value, moments in self.all_uses(chosen).items():
            first, *again = _lives(moments, chosen.get(value, ()))
            for start, end in [
                (self.start[value], max(first, default=self.start[value])),
                *((min(m) - STEP, max(m)) for m in again if m),
            ]:
                changes += [(start, False, self.size[value]), (end, True, -self.size[value])]
        found: dict[float, int] = {}
        now = 0
        for moment, is_end, change in sorted(changes):
            now += change
            if not is_end:
                found[moment] = now
        return found

    def choice(
        self, value: Value, moment: float, uses: Mapping[Value, list[float]], before: Sequence[_Choice]
    ) -> _Choice | None:
        """How a value is made again for who uses it after a moment, if it is only held then."""
        if value in self.results or len(before) == MOST or moment in uses[value]:
            return None
        life = bisect_left([choice.split for choice in before], moment)
        now = _lives(uses[value], before)[life]
        late = [m for m in now if m > moment]
        begin = min(now, default=moment) - STEP if life else self.start[value]
        if not late or begin >= moment:
            return None
        op = value.node.op
        if not isinstance(op, Fused):
            is_light = op.is_elementwise and not op.kernel and _is_light(op, len(value.node.inputs))
            return _Choice(moment, op, value.node.inputs) if is_light else None
        there = {
            k: made
            for k, made in zip(op.results[: value.index], value.node.values, strict=False)
            if self.size[made] <= SMALL * self.size[value] or max(uses[made], default=0) >= min(late)
        }
        found = part_of(op, op.results[value.index], value.node.inputs, there)
        return found and _Choice(moment, *found)


class _Worst(NamedTuple):
    """The moment when the most bytes are taken, and how many moments there are with as many."""

    bytes: int
    moment: float
    times: int


def _worst(taken: Mapping[float, int]) -> _Worst:
    most = max(taken.values(), default=0)
    moments = [moment for moment, size in taken.items() if size == most]
    return _Worst(most, min(moments, default=0), len(moments))


def _lives(uses: Sequence[float], choices: Sequence[_Choice]) -> list[list[float]]:
    """The uses of a value as it was made first, and each time again."""
    ends = [choice.split for choice in choices]
    found: list[list[float]] = [[] for _ in range(len(ends) + 1)]
    for moment in uses:
        found[bisect_left(ends, moment)].append(moment)
    return found


def part_of(
    op: Fused, wanted: int, inputs: Sequence[Value], there: Mapping[int, Value]
) -> tuple[Fused, tuple[Value, ...]] | None:
    """The group that makes one member only, of the operands and of members that are `there`; its operands.

    None where it takes a function that is more than a few instructions, once for each element.
    """
    count = len(inputs)
    types = op.member_types([v.type for v in inputs])
    needed: set[int] = set()
    todo = [wanted]
    while todo:
        k = todo.pop()
        if k in needed:
            continue
        needed.add(k)
        member = op.members[k]
        if op.is_full(types[k]) and member.op.is_elementwise and not _is_light(member.op, len(member.inputs)):
            return None
        todo += [i - count for i in member.inputs if i >= count and i - count not in there]
    known: dict[int, Value] = dict(enumerate(inputs)) | {count + k: value for k, value in there.items()}
    members = sorted(needed)
    read = sorted({i for k in members for i in op.members[k].inputs if i - count not in needed})
    operands = tuple(dict.fromkeys(known[i] for i in read))
    place = {i: operands.index(known[i]) for i in read}
    place |= {count + k: len(operands) + position for position, k in enumerate(members)}
    made = tuple(Member(op.members[k].op, tuple(place[i] for i in op.members[k].inputs)) for k in members)
    return replace(op, members=made, results=(len(made) - 1,)), operands


def _is_light(op: Op, count: int) -> bool:
    """Whether an elementwise op of so many operands is a few instructions."""
    text = op.element(*[f"x{i}" for i in range(count)])
    return bool(text) and CHEAP.issuperset(re.findall(r"(\w+)\(", text))


class _Rebuilt:
    """The graph in which what was chosen is made again just before it is used again."""

    def __init__(self, lives: _Lives, chosen: Choices) -> None:
        self.lives = lives
        self.chosen = chosen
        self.made: dict[Value, Value] = {}
        self.again: dict[tuple[Value, int], Value] = {}  # of what is chosen and views of it, by life
        self.stages: dict[Node, int] = {}

    def run(self) -> Changed:
        graph = self.lives.graph
        for moment, node in enumerate(self.lives.order):
            if node.op.is_view or not node.inputs:
                continue
            inputs = tuple([self.read(v, moment) for v in node.inputs])
            with made_at(node.origin):
                values = with_inputs(node, inputs).values
            self.made.update(zip(node.values, values, strict=True))
        outputs = {name: self.read(v, len(self.lives.order) - 1) for name, v in graph.outputs.items()}
        known = {v for v in graph.names.values() if v in self.made or not v.node.inputs}
        names = {name: self.made.get(v, v) for name, v in graph.names.items() if v in known}
        return Changed(Graph(outputs, names), self.made, self.stages)

    def read(self, value: Value, moment: float) -> Value:
        """A value as it is at a moment: as it was made first, or made again."""
        choices = self.chosen.get(self.lives.root[value], ())
        life = bisect_left([choice.split for choice in choices], moment)
        found = self.again.get((value, life)) if life else self.made.get(value)
        if found is not None:
            return found
        if value.node.op.is_view:
            op, inputs = value.node.op, value.node.inputs
        elif life:
            op, inputs, moment = choices[life - 1].op, choices[life - 1].inputs, moment - STEP
        else:
            return value  # it has no inputs
        operands = tuple([self.read(v, moment) for v in inputs])
        with made_at(value.node.origin):
            node = Node(op, operands)
        self.stages[node] = self.lives.stages.get(self.lives.order[ceil(moment)], 0)
        (made,) = node.values
        if life:
            self.again[value, life] = made
        else:
            self.made[value] = made
        return made
