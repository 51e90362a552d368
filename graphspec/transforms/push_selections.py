"""Moves selections from results toward inputs: a value of which a box is needed is computed there only."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace

from graphspec.ir import (
    Body,
    Call,
    Demand,
    Graph,
    Input,
    Literal,
    Need,
    Node,
    Region,
    Size,
    Tap,
    Value,
    apply,
    box_shape,
    evaluate,
    made_at,
    reachable,
)
from graphspec.ir.regions import bases, is_whole, normal, union, whole
from graphspec.ir.sizes import product
from graphspec.ops.derivatives import Grad, Jvp
from graphspec.ops.rounding import StopGradient
from graphspec.transforms.boxes import Reader, Settled, settle

#: boxes of one value that are told apart; of more the whole value is made
MOST_BOXES = 8
#: a value is made whole where its boxes have together more than 3/4 of its elements: little would be saved
SHARE = (3, 4)
#: what a dim is taken for in these comparisons where no number is given
UNKNOWN = 32


def push_selections(
    graph: Graph,
    sizes: Mapping[str, int] | None = None,
    *,
    keep: Container[str] = (),
    differentiated: bool = False,
) -> Graph:
    """Compute of each value only the boxes that are needed of it, at places known now or at run time.

    Needs are followed from the outputs, and the names `keep`, toward the inputs.  A value stays whole
    where it is an output or kept, where all of it is needed by anyone, where its op cannot tell what a
    box needs, or where its boxes have together nearly as many elements; `sizes` are the likely numbers
    of dims for that comparison, and decide nothing else.  Calls on the way are inlined; those with
    derivatives written by hand are cut to calls on boxes, and inlined only once all derivatives have been
    taken (`differentiated`).  Before that, where derivatives by the names in `keep` are to be taken, what
    no derivative flows through (an argmax that finds the place) may need a value whole, and the derivative
    goes through a box of it.

    A named value of which one box is made gives its name to the box; names of what is not made go.
    A graph in which nothing is saved comes back as it is.

        y = relu(conv(x, w));  output y[n, 3, i, j]   becomes
        output relu(conv(window(x, n, i - 1, j - 1), w[3:4]))
    """
    if not any(_selects(node, {}) for node in graph.nodes):
        return graph
    kept = [value for name, value in graph.names.items() if name in keep]
    roots = [*graph.outputs.values(), *kept]
    search = _Search(_Likely(sizes or {}), differentiated, splits=bool(kept) and not differentiated)
    search.fixed.update(kept)
    search.run({value: whole(len(value.shape)) for value in roots}, reachable(roots))
    if not search.gains:
        return graph
    maker = _Maker(search)
    maker.make(search.unit(value, whole(len(value.shape))) for value in roots)
    names = {name: found for name, value in graph.names.items() if (found := maker.named(value))}
    return Graph({name: maker.whole(value) for name, value in graph.outputs.items()}, names)


def push_remaining_selections(graph: Graph) -> Graph:
    """Push the selections that differentiation has made or has let through.

    Needs all derivatives taken, calls inlined and equal nodes merged.

        g = grad(sum(f(x)), x);  output g[i]   needs the derivative of f at x[i] only
    """
    return push_selections(graph, differentiated=True)


#: a value and the box of it that is made
_Unit = tuple[Value, Region]


class _Likely(dict[str, int]):
    """The likely numbers of dims; those of which nothing is known count as equally large."""

    def __missing__(self, name: str) -> int:
        return UNKNOWN


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a box of a node's value is made: see `Demand`; each need cut to what there is."""

    demand: Demand
    needs: tuple[Settled | None, ...]


@dataclass(eq=False)
class _Wanted:
    """The boxes of a value that its users want, and the boxes that are made, each with one or more of them.

    Of the two kinds, those through which derivatives flow, and the others, each has its own.
    """

    asked: tuple[dict[Region, None], dict[Region, None]] = field(default_factory=lambda: ({}, {}))
    made: tuple[dict[Region, Region], dict[Region, Region]] = field(default_factory=lambda: ({}, {}))

    def boxes(self) -> dict[Region, int]:
        """The boxes that are made; 0 for those through which derivatives flow."""
        found = dict.fromkeys(self.made[1].values(), 1)
        return found | dict.fromkeys(self.made[0].values(), 0)


@dataclass(eq=False)
class _Search:
    """Which boxes of each value are needed: one walk from the results to the inputs."""

    sizes: _Likely
    differentiated: bool
    splits: bool
    gains: bool = False
    wanted: dict[Value, _Wanted] = field(default_factory=dict)
    plans: dict[_Unit, _Plan | None] = field(default_factory=dict)
    instead: dict[Value, Value] = field(default_factory=dict)
    fixed: set[Value] = field(default_factory=set)
    bodies: dict[Body, bool] = field(default_factory=dict)
    selecting: dict[Body, bool] = field(default_factory=dict)
    #: of values that are given: the box that is there
    given: dict[Value, Region] = field(default_factory=dict)

    def inside(self) -> _Search:
        """A search in a body."""
        return _Search(
            self.sizes, self.differentiated, splits=False, bodies=self.bodies, selecting=self.selecting
        )

    def run(self, roots: Mapping[Value, Region], nodes: Iterable[Node]) -> None:
        """Follow the needs of boxes of some values back over `nodes`, in topological order."""
        for value, region in roots.items():
            self.want(value, region, 0)
        todo = list(nodes)
        while todo:
            node = todo.pop()
            if node.inputs and any(value in self.wanted for value in node.values):
                todo.extend(self.visit(node))

    def want(self, value: Value, region: Region, kind: int) -> None:
        kind = 1 if self.splits and not value.dtype.is_float else kind
        self.wanted.setdefault(value, _Wanted()).asked[kind][region] = None

    def visit(self, node: Node) -> Iterable[Node]:
        """Decide which boxes of a node's values are made, and pass on what they need.

        The result are nodes to visit before all others: those of a call that was inlined.
        """
        if isinstance(node.op, Call):
            if self.opens(node, node.op):
                return self.inline(node, node.op)
        elif isinstance(node.op, Grad | Jvp):
            last = 1 + (node.op.wrt if isinstance(node.op, Grad) else 1)
            self.fixed.update(node.inputs[1:last])
        elif isinstance(node.op, Tap) and node.values[0] not in self.fixed:
            self.stand_for(node.values[0], node.inputs[0])
            return ()
        for value in node.values:
            if value in self.wanted:
                self.decide(value)
        if len(node.values) == 1:
            self.pass_on(node)
        else:
            found = [self.wanted[value].made for value in node.values if value in self.wanted]
            self.want_all(node, 0 if any(flowing for flowing, _ in found) else 1)
        return ()

    def decide(self, value: Value) -> None:
        """Choose the boxes of a value that are made."""
        wanted = self.wanted[value]
        for kind, asked in enumerate(wanted.asked):
            if not asked:
                continue
            flowing = wanted.made[0].values()
            every = whole(len(value.shape))
            is_there = kind == 1 and every in flowing
            chosen = None if every in asked or is_there else self.choose(value, list(asked))
            wanted.made[kind].update(chosen or dict.fromkeys(asked, every))
        if value.node.inputs and not value.node.op.is_view:
            self.gains |= any(not is_whole(box) for box in wanted.boxes())

    def choose(self, value: Value, asked: list[Region]) -> dict[Region, Region] | None:
        """Boxes that contain those asked for, by what was asked; None where the whole is better."""
        chosen: dict[Region, list[Region]] = {}
        for region in asked:
            box: Region | None = self.made(value, region)
            members = [region]
            while box is not None and (other := self.partner(box, chosen, value.shape)) is not None:
                members += chosen.pop(other)
                joined = union(box, other)
                box = self.made(value, joined) if joined else None
            if box is None or len(chosen) == MOST_BOXES:
                return None
            chosen[box] = members
        total = sum((product(box_shape(box, value.shape)) for box in chosen), start=0)
        few, all_of = SHARE
        if not self.is_at_least(product(value.shape) * few, total * all_of):
            return None
        return {region: box for box, members in chosen.items() for region in members}

    def partner(self, box: Region, others: Iterable[Region], shape: tuple[Size, ...]) -> Region | None:
        """A box with which this one is better made together."""
        for other in others:
            both = union(box, other)
            if both is not None:
                apart = product(box_shape(box, shape)) + product(box_shape(other, shape))
                if self.is_at_least(apart, product(box_shape(both, shape))):
                    return other
        return None

    def made(self, value: Value, region: Region) -> Region | None:
        """The box that the op of a value makes where this one is asked for; None if that is the whole."""
        if not value.node.inputs:
            return region
        plan = self.plan(value, region)
        return None if plan is None or is_whole(plan.demand.made) else plan.demand.made

    def plan(self, value: Value, region: Region) -> _Plan | None:
        key = (value, region)
        if key not in self.plans:
            demand = None
            node = value.node
            if value not in self.fixed and len(node.values) == 1:
                if isinstance(node.op, Call):
                    demand = _cut_call(self, node.op, region)
                else:
                    demand = node.op.demand(region, value, *node.inputs)
            if demand is None:
                self.plans[key] = None
            else:
                pairs = zip(demand.needs, node.inputs, strict=True)
                needs = tuple(settle(need, x.shape) if need else None for need, x in pairs)
                made = normal(demand.made, value.shape)
                plan = _Plan(Demand(demand.needs, demand.build, made), needs)
                self.plans[key] = plan
                self.plans.setdefault((value, made), plan)
        return self.plans[key]

    def pass_on(self, node: Node) -> None:
        """Ask the inputs of a node for what the boxes of its value need."""
        (value,) = node.values
        for box, kind in self.wanted[value].boxes().items():
            if isinstance(node.op, StopGradient) and self.splits:
                kind = 1
            plan = self.plan(value, box) if node.op.is_selection or not is_whole(box) else None
            if plan is None:
                self.want_all(node, kind)
                continue
            for x, settled in zip(node.inputs, plan.needs, strict=True):
                if settled is not None:
                    self.want(x, settled.region, kind)

    def want_all(self, node: Node, kind: int) -> None:
        for x in node.inputs:
            self.want(x, whole(len(x.shape)), kind)

    # --- costs --------------------------------------------------------------------------------------

    def is_at_least(self, a: Size, b: Size) -> bool:
        try:
            return evaluate(a - b, self.sizes) >= 0
        except ZeroDivisionError:  # a size that does not exist for the likely numbers
            return False

    # --- calls --------------------------------------------------------------------------------------

    def opens(self, node: Node, call: Call) -> bool:
        """Whether to look into a call: where boxes of its results are asked for, or it makes boxes itself."""
        if call.body.gradients and not self.differentiated:
            return False
        for value in node.values:
            for asked in self.wanted[value].asked if value in self.wanted else ():
                if asked and whole(len(value.shape)) not in asked:
                    return True
        return self.pushes(call.body)

    def pushes(self, body: Body) -> bool:
        """Whether selections in a body save something in it or before it, when its results are whole."""
        if body not in self.bodies:
            nodes = reachable(body.results, stop=frozenset(body.parameters))
            inner = self.inside()
            if any(_selects(node, self.selecting) for node in nodes):
                inner.run({result: whole(len(result.shape)) for result in body.results}, nodes)
            boxes = [box for p in body.parameters for box in inner.boxes_of(p)]
            self.bodies[body] = inner.gains or not all(map(is_whole, boxes))
        return self.bodies[body]

    def boxes_of(self, given: Value) -> list[Region]:
        """The boxes that are needed of a value which is given."""
        if given not in self.wanted:
            return []
        self.decide(given)
        return list(self.wanted[given].boxes())

    def inline(self, node: Node, call: Call) -> list[Node]:
        """The nodes of a call's body, for its inputs; what was asked of its results is asked of theirs."""
        body = call.body
        mapping = dict(zip(body.parameters, node.inputs, strict=True))
        nodes: list[Node] = []
        for inner in reachable(body.results, stop=frozenset(body.parameters)):
            if isinstance(inner.op, Literal):
                continue
            with made_at(node.origin or inner.origin):
                made = Node(inner.op, tuple(mapping.get(v, v) for v in inner.inputs))
            nodes.append(made)
            mapping.update(zip(inner.values, made.values, strict=True))
        for value, result in zip(node.values, body.results, strict=True):
            self.stand_for(value, mapping.get(result, result))
        return nodes

    def stand_for(self, value: Value, other: Value) -> None:
        """Let another value be made instead: what was asked of the one is asked of the other."""
        self.instead[value] = other
        if value in self.fixed:
            self.fixed.add(other)
        if value in self.wanted:
            for kind, asked in enumerate(self.wanted[value].asked):
                for region in asked:
                    self.want(other, region, kind)

    # --- what is made -------------------------------------------------------------------------------

    def seen(self, value: Value) -> Value:
        """The value itself, or what is made instead: a value of a call's body, what a tap stands on."""
        while value in self.instead:
            value = self.instead[value]
        return value

    def unit(self, value: Value, region: Region, kind: int = 0) -> _Unit:
        """The box that is made of a value, for one asked of it."""
        value = self.seen(value)
        if not value.node.inputs:
            return value, self.given.get(value) or whole(len(value.shape))
        kind = 1 if self.splits and not value.dtype.is_float else kind
        return value, self.wanted[value].made[kind].get(region, whole(len(value.shape)))


@dataclass(eq=False)
class _Maker:
    """Makes the boxes that a search has chosen, each after what it is made of."""

    search: _Search
    reader: Reader = field(init=False)
    done: dict[_Unit, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reader = Reader(self.place)

    def whole(self, value: Value) -> Value:
        return self.done[self.search.unit(value, whole(len(value.shape)))]

    def place(self, value: Value) -> Value:
        """What an index or a start of the old graph has become."""
        return self.done[self.index_unit(value)]

    def index_unit(self, value: Value) -> _Unit:
        value = self.search.seen(value)
        return value, whole(len(value.shape))

    def named(self, value: Value) -> Value | None:
        """What is made of a named value: the whole, or its only box."""
        value = self.search.seen(value)
        every = (value, whole(len(value.shape)))
        if every in self.done:
            return self.done[every]
        wanted = self.search.wanted.get(value)
        boxes = wanted.boxes() if wanted else {}
        made = [self.done[value, box] for box in boxes if (value, box) in self.done]
        return made[0] if len(made) == 1 else None

    def make(self, units: Iterable[_Unit]) -> None:
        todo = list(units)
        while todo:
            unit = todo.pop()
            if unit in self.done:
                continue
            missing = [other for other in self.needed(unit) if other not in self.done]
            if missing:
                todo += [unit, *missing]
            else:
                with made_at(unit[0].node.origin):
                    self.build(unit)

    def plan(self, unit: _Unit) -> _Plan | None:
        """How a box is made otherwise than by the node itself on whole inputs."""
        value, box = unit
        if is_whole(box) and not value.node.op.is_selection:
            return None
        plan = self.search.plan(value, box) if value.node.inputs else None
        if plan is None:
            return None
        is_same = is_whole(box) and all(is_whole(other[1]) for other in self.inputs(unit, plan) if other)
        return None if is_same else plan

    def inputs(self, unit: _Unit, plan: _Plan | None) -> list[_Unit | None]:
        """The boxes of the inputs that one is made of."""
        node, kind = unit[0].node, self.kind(unit)
        if plan is None:
            return [self.search.unit(x, whole(len(x.shape)), kind) for x in node.inputs]
        pairs = zip(node.inputs, plan.needs, strict=True)
        return [self.search.unit(x, need.region, kind) if need else None for x, need in pairs]

    def kind(self, unit: _Unit) -> int:
        value, box = unit
        if self.search.splits and isinstance(value.node.op, StopGradient):
            return 1
        if len(value.node.values) > 1:
            found = [self.search.wanted[v].made for v in value.node.values if v in self.search.wanted]
            return 0 if any(flowing for flowing, _ in found) else 1
        return self.search.wanted[value].boxes()[box]

    def needed(self, unit: _Unit) -> list[_Unit]:
        """What must be made before a box: boxes of the inputs, and the numbers that say where they are."""
        if not unit[0].node.inputs:
            return []
        plan = self.plan(unit)
        found = [other for other in self.inputs(unit, plan) if other]
        for settled in plan.needs if plan else ():
            if settled is not None:
                regions = (settled.need.region, settled.region)
                found += [self.index_unit(value) for region in regions for value in bases(region)]
        for _, box in list(found):
            found += [self.index_unit(value) for value in bases(box)]
        return found

    def build(self, unit: _Unit) -> None:
        value, box = unit
        node = value.node
        if not node.inputs:
            self.done[unit] = value
            return
        plan = self.plan(unit)
        sources = self.inputs(unit, plan)
        if plan is None:
            inputs = tuple(self.done[other] for other in sources if other)
            made = node if inputs == node.inputs else Node(node.op, inputs)
            for old, new in zip(node.values, made.values, strict=True):
                self.done[old, whole(len(old.shape))] = new
            return
        boxes = [
            self.reader.read(settled, self.done[source], source[1]) if settled and source else None
            for settled, source in zip(plan.needs, sources, strict=True)
        ]
        result = plan.demand.build(*boxes)
        assert result.shape == box_shape(box, value.shape), f"{node!r} made {result!r} for the box {box}"
        self.done[unit] = result


def _cut_call(outer: _Search, call: Call, region: Region) -> Demand | None:
    """A box of the result of a call whose derivative is by hand: a call of the same on boxes of the inputs.

    The derivative by hand must be cut alike: it needs the same boxes of the inputs, and of the cotangent
    what is there of it.  So it is where the definition works along other axes than those that are cut,
    as an activation does, or a softmax over the classes of each example.
    """
    body = call.body
    if len(body.results) != 1 or any(
        g.value.shape != body.parameters[i].shape for i, g in body.gradients.items()
    ):
        return None
    (result,) = body.results
    stop = frozenset(body.parameters)
    forward = outer.inside()
    forward.run({result: region}, reachable([result], stop))
    boxes = [forward.boxes_of(p) or [whole(len(p.shape))] for p in body.parameters]
    if any(len(own) != 1 for own in boxes) or all(is_whole(own[0]) for own in boxes):
        return None
    given = {p: own[0] for p, own in zip(body.parameters, boxes, strict=True)}
    by_hand = {g.value: given[body.parameters[i]] for i, g in body.gradients.items()}
    given |= {dy: region for g in body.gradients.values() for dy in g.cotangents}
    both = outer.inside()
    both.given = given
    both.run({result: region, **by_hand}, reachable([result, *by_hand], frozenset(given)))
    needed = {x: own for x in given if (own := both.boxes_of(x))}
    wider = {box for g in body.gradients.values() for dy in g.cotangents for box in needed.get(dy, ())}
    if len(wider) == 1:
        box = union(region, *wider)
        if box is None or is_whole(box):
            return None
        if box != region:  # where only a part of the cotangent is there, zeros are to stand beside it
            return _cut_call(outer, call, box)
    if any(own != [given[x]] for x, own in needed.items()) or both.boxes_of(result) != [region]:
        return None
    return _call_of_boxes(call, both, by_hand, region)


def _call_of_boxes(
    call: Call, search: _Search, by_hand: Mapping[Value, Region], region: Region
) -> Demand | None:
    """The demand of a call that was cut: its body, and its derivatives by hand, on boxes."""
    body = call.body
    maker = _Maker(search)
    for x, box in search.given.items():
        assert isinstance(x.node.op, Input)
        made = apply(Input(x.node.op.label, x.type.with_shape(box_shape(box, x.shape))))
        maker.done[x, box] = made
    # where the box is, nothing inside may have to know
    places = {value for box in search.given.values() for value in bases(box)}
    maker.done |= {(value, whole(len(value.shape))): value for value in places}
    roots = {body.results[0]: region, **by_hand}
    maker.make(search.unit(value, box) for value, box in roots.items())
    found = {value: maker.done[search.unit(value, box)] for value, box in roots.items()}
    if not places.isdisjoint(v for node in reachable(found.values()) for v in node.values):
        return None

    def cut(x: Value) -> Value:
        return maker.done[x, search.given[x]]

    gradients = {
        i: replace(g, value=found[g.value], cotangents=tuple(map(cut, g.cotangents)))
        for i, g in body.gradients.items()
    }
    parameters = tuple(map(cut, body.parameters))
    op = replace(call, body=Body(parameters, (found[body.results[0]],), gradients))
    needs = tuple(Need(search.given[p]) for p in body.parameters)
    return Demand(needs, lambda *boxes: apply(op, *boxes), region)


def _selects(node: Node, known: dict[Body, bool]) -> bool:
    """Whether a node reads a part of a value, or is a call in which one does."""
    if not isinstance(node.op, Call):
        return node.op.is_selection
    body = node.op.body
    if body not in known:
        nodes = reachable(body.results, stop=frozenset(body.parameters))
        known[body] = any(_selects(inner, known) for inner in nodes)
    return known[body]
