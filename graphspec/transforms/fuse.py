"""Puts elementwise ops and reductions together that pass over the same elements."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TypeAlias

from graphspec.ir import (
    DType,
    Graph,
    Input,
    Literal,
    Node,
    Op,
    Rewriter,
    TensorType,
    Value,
    evaluate,
    made_at,
    with_inputs,
)
from graphspec.ops.construction import Arange
from graphspec.ops.fused import Fused, Member, Position
from graphspec.ops.reduction import Max, Min, Reduction, Sum
from graphspec.transforms.changed import Changed

Shape: TypeAlias = "tuple[int, ...]"
#: members of one group at the most: what a compiler digests in a second or so
LARGEST = 48
#: elements below which a value may as well be made long before it is needed
SMALL = 1 << 15
#: members that a group works out again to save storing one value
MOST_BORROWED = 6


@dataclass(frozen=True)
class Style:
    """What may go into a group.

    `accepts` an op and the type of its result; groups of domains with fewer than `least` elements are left
    as they are.  With `singles` a group may be of one op.
    """

    accepts: Callable[[Op, tuple[TensorType, ...], TensorType], bool]
    is_compiled: bool
    least: int = 2
    singles: bool = False


def fuse(graph: Graph, env: Mapping[str, int], stages: Mapping[Node, int], style: Style) -> Changed:
    """Replace groups of elementwise ops and reductions by `Fused` ops.

    A group has one domain, the shape of its full members; sums and extremes along some axes of it may be
    used in it again (a softmax is one group), others leave it.  A group never waits for something that
    needs one of its own results, and does not reach over the end of one of the `stages` of nodes.  Needs
    differentiation done, and the numbers that the dims are, by which it judges what pays.

        m = max(x, axis=1, keepdims=true);  y = exp(x - m)   becomes   y = fused(x)
    """
    return _Fuser(graph, env, style, stages).run()


@dataclass(eq=False)
class _Group:
    """Nodes that will be one; `inner` are the axes of its rows, while None as yet undecided.

    It is `closed` as soon as somebody else has used a result: what comes later comes after it.
    """

    domain: Shape
    inner: tuple[int, ...] | None
    nodes: list[Node] = field(default_factory=list)
    #: sums that are no rows: nobody in the group can use them
    finals: set[Node] = field(default_factory=set)
    #: along which axes those sums run
    sums: list[tuple[int, ...]] = field(default_factory=list)
    is_closed: bool = False

    def row(self) -> Shape | None:
        """The shape of what has one element for each row."""
        if self.inner is None:
            return None
        return tuple(1 if k in self.inner else size for k, size in enumerate(self.domain))


class _Fuser:
    def __init__(
        self, graph: Graph, env: Mapping[str, int], style: Style, stages: Mapping[Node, int]
    ) -> None:
        self.graph = graph
        self.env = env
        self.style = style
        self.stages = stages
        self.users: dict[Node, list[Node]] = {}
        self.shapes: dict[TensorType, Shape] = {}
        self.group_of: dict[Node, _Group] = {}
        self.groups: list[_Group] = []
        self.readers: dict[Value, _Group] = {}  # by an operand of full size, the last group that reads it

    def run(self) -> Changed:
        order = self.order()
        for node in order:
            if not self.join(node):
                self.close(node)
        kept = [group for group in self.groups if self.pays(group)]
        if not kept:
            return Changed(self.graph)
        return self.rebuilt(order, kept)

    # --- what goes where ---

    def order(self) -> list[Node]:
        """The nodes in topological order, what may be fused just before the first that needs it and may not.

        What none of those needs comes before the next of them by age: somebody may be passing over the same
        elements.  What is small takes no memory to speak of and comes as early as it can, what views it late.
        """
        nodes = self.graph.nodes
        self.outputs = set(self.graph.outputs.values())
        waiting = {node: len({v.node for v in node.inputs}) for node in nodes}
        users = self.users
        users.update((node, []) for node in nodes)
        for node in nodes:
            for above in {v.node for v in node.inputs}:
                users[above].append(node)

        before: dict[Node, int] = {}  # the age of the node before which it comes
        following = nodes[-1].serial + 1 if nodes else 0
        rank: dict[Node, int] = {}
        for node in reversed(nodes):
            is_given = isinstance(node.op, Input | Literal)
            rank[node] = 0 if is_given or self.is_fusible(node) else 1 if node.op.is_view else 2
            if rank[node] == 2:
                before[node] = following = node.serial
            else:
                before[node] = min((before[user] for user in users[node]), default=following)
        early = {n for n in nodes if rank[n] == 1 or (rank[n] == 0 and self.is_small(n))}

        def key(node: Node) -> tuple[int, int, int, int, Node]:
            moment = -1 if node in early else before[node]
            return self.stages.get(node, 0), moment, rank[node], node.serial, node

        ready = [key(node) for node in nodes if not waiting[node]]
        heapq.heapify(ready)
        found: list[Node] = []
        while ready:
            node = heapq.heappop(ready)[-1]
            found.append(node)
            for user in users[node]:
                waiting[user] -= 1
                if not waiting[user]:
                    heapq.heappush(ready, key(user))
        return found

    def is_small(self, node: Node) -> bool:
        return isinstance(node.op, Input | Literal) or prod(self.shape(node.values[0])) < SMALL

    def is_fusible(self, node: Node) -> bool:
        op = node.op
        if len(node.values) != 1 or not (op.is_elementwise or isinstance(op, Sum | Max | Min)):
            return False
        return self.style.accepts(op, tuple(v.type for v in node.inputs), node.types[0])

    def join(self, node: Node) -> bool:
        """Put a node into the group of its operands, or into a new one."""
        if not self.is_fusible(node):
            return False
        near: list[_Group] = []
        for value in node.inputs:
            group = self.group_of.get(value.node)
            if group and group not in near and not group.is_closed and value.node not in group.finals:
                near.append(group)
        # all operands' groups in one, if need be with the nearest only
        for groups in (near, *([g] for g in reversed(near) if len(near) > 1)):
            if groups and self.fits(node, groups):
                self.close(node)
                return True
        self.close(node)
        for value in node.inputs:  # somebody passes over the same elements already
            group = self.readers.get(value)
            if group in self.groups and not group.is_closed and self.fits(node, [group]):
                return True
        return self.begin(node)

    def begin(self, node: Node) -> bool:
        shape = self.shape(node.inputs[0] if isinstance(node.op, Reduction) else node.values[0])
        if prod(shape) < self.style.least:
            return False
        group = _Group(shape, None)
        self.groups.append(group)
        if not self.admit(node, group):
            self.groups.remove(group)
            return False
        return True

    def fits(self, node: Node, groups: list[_Group]) -> bool:
        """Make one group of some, with a node, if that can be."""
        first = groups[0]
        stage = self.stages.get(node, 0)
        if sum(len(g.nodes) for g in groups) >= LARGEST:
            return False
        if any(self.stages.get(g.nodes[0], 0) != stage for g in groups):
            return False
        if any(g.domain != first.domain for g in groups):
            return False
        inner = {g.inner for g in groups if g.inner is not None}
        if len(inner) > 1:
            return False
        merged = _Group(
            first.domain,
            next(iter(inner), None),
            [n for g in groups for n in g.nodes],
            set().union(*(g.finals for g in groups)),
            [s for g in groups for s in g.sums],
        )
        if merged.inner is not None and not all(_agree(s, merged.inner, merged.domain) for s in merged.sums):
            return False
        if not self.admit(node, merged):
            return False
        for group in groups:
            self.groups.remove(group)
        self.groups.append(merged)
        for member in merged.nodes:
            self.group_of[member] = merged
            for value in member.inputs:
                if self.readers.get(value) in groups:
                    self.readers[value] = merged
        return True

    def admit(self, node: Node, group: _Group) -> bool:
        """Take a node into a group whose domain and rows it fits."""
        row = group.row()
        for value in node.inputs:
            if not self.is_seen(value, group):
                return False
        shape = self.shape(node.values[0])
        if isinstance(node.op, Reduction):
            if self.shape(node.inputs[0]) != group.domain or prod(group.domain) == 1:
                return False
            axes = tuple(k for k in node.op.axis if group.domain[k] != 1)
            is_row = node.op.keepdims and len(shape) == len(group.domain) and _is_run(axes, group.domain)
            if (
                is_row
                and group.inner in (None, axes)
                and all(_agree(s, axes, group.domain) for s in group.sums)
            ):
                group.inner = axes
            elif isinstance(node.op, Sum) and _is_summable(axes, group):
                group.finals.add(node)
                group.sums.append(axes)
            else:
                return False
        elif shape not in (group.domain, row):
            return False
        group.nodes.append(node)
        self.group_of[node] = group
        for value in node.inputs:
            if self.shape(value) == group.domain:
                self.readers[value] = group
        return True

    def is_seen(self, value: Value, group: _Group) -> bool:
        """Whether an operand, of the group or not, has an element for each place, row, or column."""
        shape = self.shape(value)
        if value.node in group.finals or len(shape) > len(group.domain):
            return False
        wide = (1,) * (len(group.domain) - len(shape)) + shape
        return all(size in (1, of_all) for size, of_all in zip(wide, group.domain, strict=True))

    def close(self, node: Node) -> None:
        """Nothing may be added any more to the groups whose results a node uses, but for its own."""
        own = self.group_of.get(node)
        for value in node.inputs:
            group = self.group_of.get(value.node)
            if group is not None and group is not own:
                group.is_closed = True

    def pays(self, group: _Group) -> bool:
        """Whether a group is worth a loop: array libraries repeat small operands one short run at a time."""
        if len(group.nodes) > 1 or self.style.singles or not self.style.is_compiled:
            return len(group.nodes) > 1 or self.style.singles
        node = group.nodes[0]
        shapes = [self.shape(v) for v in node.inputs]
        is_broadcast = any(prod(s) != 1 and s != group.domain for s in shapes)
        return is_broadcast or bool(node.op.kernel)  # a kernel takes several array calls

    # --- the new graph ---

    def rebuilt(self, order: list[Node], groups: list[_Group]) -> Changed:
        of_group = self.of_group = {node: group for group in groups for node in group.nodes}
        position = {node: i for i, node in enumerate(order)}
        last = {max(group.nodes, key=position.__getitem__): group for group in groups}
        for group in groups:
            self.borrow(group, of_group, position)
        leaving = self.leaving(of_group, groups)
        rewriter = Rewriter()
        for node in order:
            own = of_group.get(node)
            if own is None:
                if node.inputs:  # made anew also where they have not changed: by age nodes are run
                    with made_at(node.origin):
                        made = with_inputs(node, tuple(map(rewriter, node.inputs))).values
                    rewriter.mapping.update(zip(node.values, made, strict=True))
            elif last.get(node) is own:
                self.replace(own, leaving, rewriter)
        outputs = {name: rewriter(v) for name, v in self.graph.outputs.items()}
        gone = {n.values[0] for n in of_group if n.values[0] not in rewriter.mapping}
        names = {name: rewriter(v) for name, v in self.graph.names.items() if v not in gone}
        return Changed(Graph(outputs, names), rewriter.mapping)

    def borrow(self, group: _Group, of_group: Mapping[Node, _Group], position: Mapping[Node, int]) -> None:
        """Let a group work out again what another one would have to store for it, where that is little work.

        It must be made of numbers, rows, and at most one value of full size that is stored in any case.
        """
        own = set(group.nodes)
        read = {v for node in group.nodes for v in node.inputs if v.node not in own}
        for value in sorted(read, key=lambda v: position[v.node]):
            if (
                value.node not in of_group
                or self.shape(value) != group.domain
                or not self.is_private(value, of_group)
            ):
                continue
            nodes = self.recipe(value, of_group)
            made = {n.values[0] for n in nodes}
            leaves = {v for n in nodes for v in n.inputs if v not in made}
            full = {v for v in leaves if self.shape(v) == group.domain}
            if nodes and len(full - read) <= 1 and all(self.is_seen(v, group) for v in leaves):
                group.nodes += [n for n in nodes if n not in own]
                own.update(nodes)
        group.nodes.sort(key=position.__getitem__)

    def is_private(self, value: Value, of_group: Mapping[Node, _Group]) -> bool:
        """Whether only groups use a value."""
        if value in self.outputs:
            return False
        return all(user in of_group for user in self.users[value.node])

    def recipe(self, value: Value, of_group: Mapping[Node, _Group]) -> list[Node]:
        """The nodes that make a value from what is stored in any case; none where that is too much work."""
        found: list[Node] = []
        todo = [value]
        while todo:
            node = todo.pop().node
            if node in found:
                continue
            text = node.op.element(*[f"x{i}" for i in range(len(node.inputs))])
            if not text or "(" in text.strip("()") or len(found) == MOST_BORROWED:
                return []
            found.append(node)
            for v in node.inputs:
                if v.node in of_group and self.shape(v) == self.shape(value) and self.is_private(v, of_group):
                    todo.append(v)
        return found

    def leaving(self, of_group: Mapping[Node, _Group], groups: list[_Group]) -> set[Value]:
        """The values that somebody outside their group uses."""
        found = set(self.graph.outputs.values())
        for node in self.graph.nodes:
            if node not in of_group:
                found.update(node.inputs)
        for group in groups:
            own = set(group.nodes)
            found.update(v for node in group.nodes for v in node.inputs if v.node not in own)
        return found

    def replace(self, group: _Group, leaving: set[Value], rewriter: Rewriter) -> None:
        own = set(group.nodes)
        operands: dict[Value, int] = {}
        positions: dict[Value, Position] = {}
        for node in group.nodes:
            for value in node.inputs:
                if value.node not in own:
                    along = self.style.is_compiled and self.position(value, group)
                    if along:
                        positions[value] = along
                    else:
                        operands.setdefault(value, len(operands))
        place = dict(operands)
        members: list[Member] = []
        for value, along in positions.items():
            members.append(Member(along, ()))
            place[value] = len(operands) + len(members) - 1
        for node in group.nodes:
            is_first = self.of_group[node] is group
            name, origin = (
                (self.graph.labels.get(node.values[0], ""), node.origin) if is_first else ("", None)
            )
            members.append(Member(node.op, tuple(place[v] for v in node.inputs), name, origin))
            place[node.values[0]] = len(operands) + len(members) - 1
        nodes = [n for n in group.nodes if self.of_group[n] is group and n.values[0] in leaving]
        if not nodes:
            return  # all that needed it works it out again
        results = [place[n.values[0]] - len(operands) for n in nodes]
        inner = group.inner if group.inner is not None else _default_rows(group)
        op = Fused(tuple(members), tuple(results), group.domain, inner, self.style.is_compiled)
        with made_at(nodes[-1].origin):
            made = Node(op, tuple(rewriter(v) for v in operands))
        for node, value in zip(nodes, made.values, strict=True):
            rewriter.mapping[node.values[0]] = value

    def position(self, value: Value, group: _Group) -> Position | None:
        """Of an operand that counts along one axis of the domain: 0, 1, 2, ..., as a member."""
        node = value.node
        while node.op.name == "reshape":
            node = node.inputs[0].node
        if not isinstance(node.op, Arange) or value.dtype is not DType.I64:
            return None
        shape = (1,) * (len(group.domain) - len(value.shape)) + value.type.shape
        axes = [k for k, size in enumerate(shape) if evaluate(size, self.env) != 1]
        return Position(axes[0], shape) if len(axes) == 1 else None

    def shape(self, value: Value) -> Shape:
        found = self.shapes.get(value.type)
        if found is None:
            found = tuple(evaluate(size, self.env) for size in value.type.shape)
            self.shapes[value.type] = found
        return found


def _is_run(axes: tuple[int, ...], domain: Shape) -> bool:
    """Whether rows along these axes contain the last axis that has more than one element."""
    last = max((k for k, size in enumerate(domain) if size != 1), default=-1)
    return last in axes


def _is_summable(axes: tuple[int, ...], group: _Group) -> bool:
    return group.inner is None or _agree(axes, group.inner, group.domain)


def _agree(axes: tuple[int, ...], inner: tuple[int, ...], domain: Shape) -> bool:
    """Whether a sum along some axes can be taken while rows along others are worked on.

    It either takes in whole rows, or leaves the last axis alone.
    """
    return set(inner) <= set(axes) or not _is_run(axes, domain)


def _default_rows(group: _Group) -> tuple[int, ...]:
    """The rows of a group that has none of its own: those that its sums take in, else along all axes."""
    runs = [set(s) for s in group.sums if _is_run(s, group.domain)]
    inner = set.intersection(*runs) if runs else {k for k, size in enumerate(group.domain) if size != 1}
    return tuple(sorted(inner))
