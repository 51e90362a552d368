"""Reverse- and forward-mode differentiation: a graph is extended by the nodes of its derivative.

Source: Griewank & Walther, Evaluating Derivatives (2nd ed., SIAM 2008), chapters 3 and 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graphspec.diagnostics import Diagnostic, GraphSpecError
from graphspec.diagnostics.catalogue import derivatives
from graphspec.ir import (
    Call,
    Input,
    Node,
    Op,
    Origin,
    Rewriter,
    Value,
    apply,
    in_order,
    made_at,
    place,
    reachable,
)
from graphspec.transforms.adjoints import call_adjoint
from graphspec.transforms.broadcasting import filled, is_differentiable, undo_broadcast


def cotangents(
    seeds: Mapping[Value, Value], xs: Sequence[Value], labels: Mapping[Value, str] | None = None
) -> list[Value | None]:
    """The cotangent of each x, given those of some results: reverse mode over the nodes between them.

    `seeds` maps each result y to its cotangent, of y's type; for the gradient of a scalar that is 1.
    Needs `Grad` and `Jvp` nodes expanded.  Cotangents that meet at a value are summed, and
    broadcasting is undone here, so that each has the type of its value.  An x that the results do
    not depend on gets None, which is never made into zeros; so does an integer.  The x may depend
    on one another: each gets its total.  New nodes carry the origin of their forward node.

    Raises GraphSpecError (`no-derivative`), naming the x by `labels`, where a path leads
    through an operation without derivative.

        y = sum(x * w)   with x and the seed 1   becomes   dx = broadcast_to(1, shape(x)) * w
    """
    try:
        return _reverse(seeds, xs)
    except _NoDerivativeError as error:
        raise GraphSpecError(_explain(error, xs, labels or {})) from None


def tangents(y: Value, x: Value, v: Value, labels: Mapping[Value, str] | None = None) -> Value | None:
    """The derivative of y as x moves along v (`jvp`): the vjp of the vjp in its cotangent.

    The vjp, u -> u * dy/dx, is linear in u; its own vjp with the cotangent v is dy/dx * v.  Nodes of
    the first that the second does not need are unreachable from the result.  None where y does not
    depend on x.  Source: Christianson (1992), doi:10.1093/imanum/12.2.135; the "double backward".
    """
    u = apply(Input("u", y.type))
    (gradient,) = cotangents({y: u}, [x], labels)
    if gradient is None:
        return None
    (tangent,) = cotangents({gradient: v}, [u], labels)
    if tangent is None:
        return None
    # a vjp is linear, so its derivative is the same at every u, also where nodes still mention u
    nodes = [n for n in _above([tangent], u.node.serial) if n.serial >= u.node.serial]
    rewriter = Rewriter({u: filled(0.0, y.type)} if u.node in nodes else {})
    rewriter.run(nodes)
    return rewriter(tangent)


def end_of_path(y: Value, x: Value) -> Node | None:
    """The node nearest to y through which x reaches y but no derivative flows; None if x does not reach y.

    Explains why the gradient of y in x is structurally zero: an `argmax`, a comparison, `stop_gradient`.
    """
    carrying, depending = {x}, {x}
    end: Node | None = None
    for node in _above([y], x.node.serial):
        if not depending.intersection(node.inputs):
            continue
        depending.update(node.values)
        flowing = {k for k in range(len(node.values)) if _passes(node, k, carrying)}
        carrying.update(node.values[k] for k in flowing)
        if not flowing and carrying.intersection(node.inputs):
            end = node
    return end


def _reverse(seeds: Mapping[Value, Value], xs: Sequence[Value]) -> list[Value | None]:
    nodes, active = _between(seeds, xs)
    arrived: dict[Value, list[Value]] = {y: [v] for y, v in seeds.items()}

    def total(value: Value) -> Value | None:
        """The sum of the cotangents that arrived; from then on the only one."""
        parts = arrived.get(value)
        if not parts:
            return None
        if len(parts) == 1:
            return parts[0]
        first, *rest = parts
        with made_at(value.node.origin):
            for part in rest:
                first = first + part
        arrived[value] = [first]
        return first

    with made_at(None):
        for node in reversed(nodes):
            gys: dict[int, Value] = {}
            for k, value in enumerate(node.values):
                if value in active and (g := total(value)) is not None:
                    gys[k] = g
            if not gys:
                continue
            place(node.origin)
            for i, g in _contributions(node, gys, active):
                value = node.inputs[i]
                if g.type is not value.type:
                    g = undo_broadcast(g, value.shape)
                    assert g.dtype is value.dtype, f"{node!r} gives a cotangent {g.type} to {value!r}"
                arrived.setdefault(value, []).append(g)
    return [total(x) if is_differentiable(x) else None for x in xs]


def _between(seeds: Iterable[Value], xs: Sequence[Value]) -> tuple[list[Node], set[Value]]:
    """The nodes on a way from the xs to the seeds, in order, and the values on it that carry cotangents."""
    active = {x for x in xs if is_differentiable(x)}
    nodes: list[Node] = []
    for node in _above(seeds, min((x.node.serial for x in active), default=0)):
        if not active.isdisjoint(node.inputs):
            nodes.append(node)
            active.update([v for v in node.values if is_differentiable(v)])
    return nodes, active


def _above(values: Iterable[Value], serial: int) -> tuple[Node, ...]:
    """The nodes that `values` depend on, in topological order, without those older than `serial`.

    Inputs are older than their users: nothing older than an x can depend on it.
    """
    seen: set[Node] = set()
    todo = [v.node for v in values]
    while todo:
        node = todo.pop()
        if node not in seen and node.serial >= serial:
            seen.add(node)
            todo.extend(v.node for v in node.inputs)
    return in_order(seen)


def _contributions(node: Node, gys: Mapping[int, Value], active: set[Value]) -> list[tuple[int, Value]]:
    """What one node adds to the cotangents of its active inputs, by position."""
    if isinstance(node.op, Call):
        wanted = tuple(i for i, value in enumerate(node.inputs) if value in active)
        try:
            return list(call_adjoint(node, gys, wanted, _reverse).items())
        except _NoDerivativeError as error:
            error.calls.append(node)
            raise
    return [(i, g) for i, g in enumerate(_vjp(node, gys)) if g is not None and node.inputs[i] in active]


def _vjp(node: Node, gys: Mapping[int, Value]) -> tuple[Value | None, ...]:
    """The vjp of a primitive; of several results, a missing cotangent is zeros, an integer's is None."""
    if type(node.op).vjp is Op.vjp:
        raise _NoDerivativeError(node)
    if len(node.values) == 1:
        return node.op.vjp(gys[0], node.values[0], *node.inputs)
    every = tuple(
        gys[k] if k in gys else filled(0.0, value.type) if is_differentiable(value) else None
        for k, value in enumerate(node.values)
    )
    return node.op.vjp(every, node.values, *node.inputs)


def _passes(node: Node, index: int, carrying: set[Value]) -> bool:
    """Whether a cotangent of one result of a node reaches an input among `carrying`."""
    result = node.values[index]
    if not is_differentiable(result) or carrying.isdisjoint(node.inputs):
        return False
    trial = apply(Input("trial", result.type))
    try:
        return bool(_contributions(node, {index: trial}, carrying))
    except _NoDerivativeError:
        return False


class _NoDerivativeError(Exception):
    """A cotangent came to a node that has no derivative; `calls` are those around it, innermost first."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.node = node
        self.calls: list[Node] = []


def _explain(error: _NoDerivativeError, xs: Sequence[Value], labels: Mapping[Value, str]) -> Diagnostic:
    outermost = error.calls[-1] if error.calls else error.node
    above = set(reachable(outermost.inputs))
    requested = [labels[x] for x in xs if x.node in above and x in labels]
    origin: Origin | None = outermost.origin
    definitions = [call.op.definition for call in error.calls if isinstance(call.op, Call)]
    return derivatives.no_derivative(
        error.node.op.name,
        requested,
        definitions,
        place=origin.span if origin else None,
        trace=origin.trace if origin else (),
    )
