"""Pools before it does to each element what never falls: then there are fewer elements to do it to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from graphspec.ir import (
    Body,
    Call,
    Graph,
    Literal,
    Node,
    Rewriter,
    Tap,
    Value,
    apply,
    made_at,
    reachable,
    with_inputs,
)
from graphspec.ops.arithmetic import Add, Sub
from graphspec.ops.comparison import LessEqual, Where
from graphspec.ops.pooling import MaxPool2d


def pool_first(graph: Graph, *, keep: Collection[str] = ()) -> Graph:
    """Replace max_pool2d(f(x)) by f(max_pool2d(x)), where f adds what is the same in a window, or is relu.

    Needs nothing before it; it is for before differentiation, whose masks and sums of biases are then as
    small.  What is an output, or has a name in `keep`, or is used by others too, stays; calls on the way are
    opened, but for those with derivatives written by hand.  A named value that is made after the pooling
    instead gives its name to that.

    Values are the same to the bit, unless f adds infinities.  Where rounding makes elements of a window
    equal, or one is nan, another of them may receive the derivative.

        max_pool2d(relu(conv(x, w) + b), 2)   becomes   relu(max_pool2d(conv(x, w), 2) + b)
    """
    roots = [*graph.outputs.values(), *(value for name, value in graph.names.items() if name in keep)]
    mover = _moved(roots, frozenset(), {})
    rewriter = mover.rewriter
    if not rewriter.mapping:
        return graph
    outputs = {name: rewriter(value) for name, value in graph.outputs.items()}
    needed = set(reachable(map(rewriter, roots)))
    names = {name: mover.after.get(value) or rewriter(value) for name, value in graph.names.items()}
    return Graph(outputs, {name: value for name, value in names.items() if value.node in needed})


def _moved(roots: Iterable[Value], stop: frozenset[Value], bodies: dict[Body, Body]) -> _Mover:
    """What has become of the nodes between `stop` and `roots`; `bodies` are those of calls seen so far."""
    roots = list(roots)
    nodes = reachable(roots, stop)
    mover = _Mover(bodies)
    mover.uses.update(value for node in nodes for value in node.inputs)
    mover.uses.update(roots)
    mover.rewriter.run(nodes, mover.rule)
    return mover


@dataclass(frozen=True, slots=True)
class _Step:
    """A function that never falls, of one value: what makes `result` of `x`, which it uses so often."""

    result: Value
    x: Value
    uses: int

    def on(self, x: Value, rewriter: Rewriter) -> Value:
        """The function of another value."""
        node = self.result.node
        if isinstance(node.op, Tap):
            return x
        with made_at(node.origin):
            if isinstance(node.op, Where):
                condition, low, _ = node.inputs
                return apply(node.op, apply(condition.node.op, x, low), low, x)
            return apply(node.op, *(x if value is self.x else rewriter(value) for value in node.inputs))


@dataclass(eq=False)
class _Mover:
    """The rewriting of one graph, or of the body of a definition."""

    bodies: dict[Body, Body]
    uses: Counter[Value] = field(default_factory=Counter)
    rewriter: Rewriter = field(default_factory=Rewriter)
    #: values that are not made any more, as they are made after a pooling
    after: dict[Value, Value] = field(default_factory=dict)

    def rule(self, node: Node, inputs: tuple[Value, ...]) -> Value | tuple[Value, ...] | None:
        if isinstance(node.op, Call):
            body = self.body(node.op.body)
            return None if body is node.op.body else Node(replace(node.op, body=body), inputs).values
        if isinstance(node.op, MaxPool2d) and _saves(node.op):
            return self.moved(node)
        return None

    def body(self, body: Body) -> Body:
        if body not in self.bodies:
            by_hand = [g.value for g in body.gradients.values()]
            made = _moved([*body.results, *by_hand], frozenset(body.parameters), self.bodies).rewriter
            gradients = {i: replace(g, value=made(g.value)) for i, g in body.gradients.items()}
            results = tuple(map(made, body.results))
            self.bodies[body] = Body(body.parameters, results, gradients) if made.mapping else body
        return self.bodies[body]

    def moved(self, pooling: Node) -> Value | None:
        """A pooling before what can be done after it; None where that is nothing."""
        x = bottom = pooling.inputs[0]
        steps: list[tuple[Value, _Step]] = []
        opened: list[Node] = []
        wanted = 1
        while self.uses[x] == wanted:  # nobody else uses it
            if _is_open(x.node):
                x = self.open(x, opened)
                continue
            step = _step(x)
            if step is None:
                break
            steps.append((bottom, step))
            x = bottom = step.x
            wanted = step.uses
        if not steps:
            return None
        self.rewriter.run(opened, self.rule)
        y = apply(pooling.op, self.rewriter(bottom))
        for value, step in reversed(steps):
            y = step.on(y, self.rewriter)
            if not isinstance(value.node.op, Tap):  # whose name is that of a place
                self.after[value] = y
        return y

    def open(self, value: Value, opened: list[Node]) -> Value:
        """The result of a call as the nodes of its body, which are added to those `opened`, have it."""
        call = value.node
        assert isinstance(call.op, Call)
        body = call.op.body
        inner = Rewriter(dict(zip(body.parameters, call.inputs, strict=True)))
        for node in reachable(body.results, frozenset(body.parameters)):
            with made_at(call.origin or node.origin):
                made = with_inputs(node, tuple(map(inner, node.inputs)))
            inner.mapping.update(zip(node.values, made.values, strict=True))
            self.uses.update(made.inputs)
            opened.append(made)
        self.uses.subtract(call.inputs)
        result = inner(body.results[value.index])
        self.uses[result] += self.uses[value]
        return result


def _saves(op: MaxPool2d) -> bool:
    """Whether there are fewer windows than elements, and each of them has an element."""
    return op.stride != (1, 1) and (op.padding == (0, 0) or op.dilation == (1, 1))


def _is_open(node: Node) -> bool:
    """Whether a node is a call that may be replaced by its body before derivatives are taken."""
    return isinstance(node.op, Call) and len(node.values) == 1 and not node.op.body.gradients


def _step(y: Value) -> _Step | None:
    """What makes a value, if that is a function of one other that never falls from element to element."""
    op, inputs = y.node.op, y.node.inputs
    if isinstance(op, Tap):
        return _Step(y, inputs[0], 1)
    if isinstance(op, Add | Sub):
        first = inputs[: 1 if isinstance(op, Sub) else 2]
        for x, other in zip(first, reversed(inputs), strict=False):
            if x.type == y.type and all(size == 1 for size in other.shape[-2:]):
                return _Step(y, x, 1)
    if isinstance(op, Where):
        condition, low, x = inputs
        # not `<`, with whose derivative at `low` it would matter which of two elements there is the first
        if isinstance(condition.node.op, LessEqual) and isinstance(low.node.op, Literal):
            left, right = condition.node.inputs
            if left is x and right.node.op == low.node.op and x.type == y.type:
                return _Step(y, x, 2)
    return None
