"""Results that are not finite, explained: which step made them so, and of what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphspec.compiler import Derived
from graphspec.diagnostics import Diagnostic, GraphSpecError
from graphspec.diagnostics.catalogue import checks as say
from graphspec.ir import Graph, Input, Literal, Value, reachable
from graphspec.runtime.backends import backend as find_backend
from graphspec.runtime.finite import Culprit, Element, Facts, find_culprit, not_finite


def check_results(
    derived: Derived,
    graph: Graph,
    sizes: Mapping[str, int],
    backend: str,
    arrays: Mapping[str, Any],
    results: Mapping[str, Any],
) -> None:
    """Raise GraphSpecError, saying what made it so, where a result of a request is not finite.

    `graph` is the request's as it was run on `arrays`.
    """
    wrong = not_finite(results, find_backend(backend).xp)
    if wrong:
        culprit = find_culprit(graph, sizes, backend, arrays, wrong)
        raise GraphSpecError(_explain(culprit, derived, graph, wrong))


def _explain(culprit: Culprit, derived: Derived, graph: Graph, wrong: Sequence[str]) -> Diagnostic:
    node = culprit.value.node
    origin = node.origin
    place = origin.span if origin else None
    results = _results(derived, wrong)
    elements = [_element(e, node.op.name) for e in culprit.elements]
    if isinstance(node.op, Input):
        return say.data_not_finite(
            node.op.label, str(culprit.facts.type), _count(culprit.facts), elements, results, place
        )
    if isinstance(node.op, Literal):
        return say.number_not_finite(_number(culprit.elements[0].number), results, place)
    forward = set(reachable(graph.outputs[key] for key in derived.values.values()))
    later = culprit.becomes_nan
    return say.not_finite(
        node.op.name,
        _count(culprit.facts),
        results,
        from_finite=not any(f.nan or f.infinite for f in culprit.operands),
        backward=bool(derived.values) and node not in forward,
        elements=elements,
        operands=_operands(culprit, graph),
        place=place,
        later=(later.op.name, later.origin.span) if later and later.origin and later is not node else None,
        trace=origin.trace if origin else (),
    )


def _results(derived: Derived, wrong: Sequence[str]) -> list[str]:
    """The outputs of a request in words: values by their names, gradients by what they are of."""
    words = {key: f"`{name}`" for name, key in derived.values.items()}
    for objective, keys in derived.gradients.items():
        for target, key in keys.items():
            words[key] = (
                f"the gradient of `{objective}` by `{target}`"
                if target
                else f"the derivative of `{objective}`"
            )
    words |= {key: f"the new `{name}`" for name, key in derived.updates.items()}
    return [words[key] for key in wrong]


def _operands(culprit: Culprit, graph: Graph) -> list[str]:
    """The ranges of the operands, numbers left out."""
    lines = []
    for i, (value, facts) in enumerate(zip(culprit.value.node.inputs, culprit.operands, strict=True)):
        if not isinstance(value.node.op, Literal):
            lines.append(f"{_name(value, i, graph)} is {facts.type}, {_range(facts)}")
    return lines


def _name(value: Value, position: int, graph: Graph) -> str:
    label = graph.labels.get(value)
    if label is None and isinstance(value.node.op, Input):
        label = value.node.op.label
    return (
        f"operand {position + 1}, `{label}`,"
        if label
        else f"operand {position + 1}, made by `{value.node.op.name}`,"
    )


def _range(facts: Facts) -> str:
    bounds = (
        "without a finite element"
        if facts.low is None
        else f"from {_number(facts.low)} to {_number(facts.high)}"
    )
    return f"{bounds}, with {_count(facts)}" if facts.nan or facts.infinite else bounds


def _count(facts: Facts) -> str:
    """`3 of 12 elements NaN`, `1 NaN and 2 infinite of 12 elements`; of a scalar `NaN`."""
    size = facts.type.size
    if size == 1:
        return "NaN" if facts.nan else "an infinity"
    kinds = [(n, kind) for n, kind in ((facts.nan, "NaN"), (facts.infinite, "infinite")) if n]
    if len(kinds) == 1:
        return f"{kinds[0][0]} of {size} elements {kinds[0][1]}"
    return f"{' and '.join(f'{n} {kind}' for n, kind in kinds)} of {size} elements"


def _element(element: Element, op: str) -> str:
    """`[0, 2]: log(0) = -inf`."""
    made = f"{op}({', '.join(map(_number, element.operands))}) = " if element.operands else ""
    text = f"{made}{_number(element.number)}"
    return f"[{', '.join(map(str, element.index))}]: {text}" if element.index else text


def _number(number: float | None) -> str:
    return f"{number:.6g}"
