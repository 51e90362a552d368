"""The derivative of a call: a call of the adjoint body, written by hand in the file or derived."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from graphspec.ir import Body, Call, Input, Node, Rewriter, Value, apply, reachable
from graphspec.transforms.broadcasting import filled, undo_broadcast

#: reverse mode as `differentiate` does it: cotangents of values from cotangents of results
Reverse: TypeAlias = "Callable[[Mapping[Value, Value], Sequence[Value]], list[Value | None]]"


@dataclass(frozen=True, eq=False)
class AdjointBody(Body):
    """The derivative of a body: from its parameters and the cotangents of results to those of arguments.

    Its parameters are those of the body, then one for each cotangent that is present; `positions`
    says to which argument each result belongs.  The forward values it needs are computed again in
    it, by the nodes of the forward body: inlined beside the forward call, they merge with its nodes.
    """

    positions: tuple[int, ...] = ()


def call_adjoint(
    node: Node, cotangents: Mapping[int, Value], wanted: tuple[int, ...], reverse: Reverse
) -> dict[int, Value]:
    """The cotangents of the wanted inputs of a call, by position, from those of its results, by index.

    An input without a path to the results is not among them.  `y = f(x, w)` with the cotangent `dy`
    adds `dx = f_adjoint(x, w, dy)`.
    """
    call = node.op
    assert isinstance(call, Call)
    present = tuple(sorted(cotangents))
    key = (present, wanted)
    body = call.body.adjoints.get(key)
    if body is None:
        body = call.body.adjoints[key] = _adjoint_body(call, present, wanted, reverse)
    assert isinstance(body, AdjointBody)
    if not body.positions:
        return {}
    statics = (*call.statics, ("results", present), ("wrt", body.positions))
    adjoint = Call(f"{call.definition}_adjoint", statics, body)
    made = Node(adjoint, (*node.inputs, *(cotangents[k] for k in present)))
    return dict(zip(body.positions, made.values, strict=True))


def _adjoint_body(
    call: Call, present: tuple[int, ...], wanted: tuple[int, ...], reverse: Reverse
) -> AdjointBody:
    body = call.body
    given = dict(zip(present, _cotangent_parameters(body, present), strict=True))
    found = {i: _by_hand(call, i, given) for i in wanted if i in body.gradients}
    derived = [i for i in wanted if i not in body.gradients]
    seeds: dict[Value, Value] = {}
    for k, cotangent in given.items():
        result = body.results[k]
        seeds[result] = seeds[result] + cotangent if result in seeds else cotangent
    found |= zip(derived, reverse(seeds, [body.parameters[i] for i in derived]), strict=True)
    results = {i: g for i in wanted if (g := found[i]) is not None}
    return AdjointBody((*body.parameters, *given.values()), tuple(results.values()), positions=tuple(results))


def _cotangent_parameters(body: Body, present: tuple[int, ...]) -> list[Value]:
    """An `Input` for the cotangent of each present result, with labels that are new in the body."""
    taken = {p.node.op.label for p in body.parameters if isinstance(p.node.op, Input)}
    made: list[Value] = []
    for k in present:
        label = "dy" if len(body.results) == 1 else f"dy{k}"
        while label in taken:
            label = f"d{label}"
        taken.add(label)
        made.append(apply(Input(label, body.results[k].type)))
    return made


def _by_hand(call: Call, position: int, given: Mapping[int, Value]) -> Value | None:
    """The hand-written cotangent of an argument; None where it uses none of the cotangents that are there.

    Where the line names a result of the definition, it gets the result of a call of it: so a second
    derivative that runs through the result follows the hand-written gradient too.
    """
    body, gradient = call.body, call.body.gradients[position]
    parameter = body.parameters[position]
    nodes = reachable([gradient.value], stop=frozenset(body.parameters))
    used = [k for k, v in enumerate(gradient.cotangents) if v.node in nodes]
    if used and not any(k in given for k in used):
        return None
    forward = Node(call, body.parameters)
    results = zip(body.results, forward.values, strict=True)
    mapping = {old: new for old, new in results if old not in body.parameters}
    for k, cotangent in enumerate(gradient.cotangents):
        mapping[cotangent] = given[k] if k in given else filled(0.0, cotangent.type)
    rewriter = Rewriter(mapping)
    rewriter.run(nodes)
    value = undo_broadcast(rewriter(gradient.value), parameter.shape)
    assert value.dtype is parameter.dtype, f"{call.definition}: a gradient {value.type} of {parameter.type}"
    return value
