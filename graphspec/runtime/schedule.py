"""A plan as a list of steps: what is computed when, where it lies and until when it is needed."""

from __future__ import annotations

from dataclasses import dataclass

from graphspec.ir import Literal, Value
from graphspec.runtime.plan import Plan, nbytes


@dataclass(frozen=True, slots=True)
class ScheduledStep:
    """One step: its results by name, the op, the operands, the types with sizes as numbers.

    `place` says where the result lies: `arena 4096` (the offset in bytes), `over h1` (the memory of an
    operand that nobody needs any more), `view of h1`, `result`.  `bytes` is what it takes itself, `last` the
    number of the last step that reads it; results are kept to the end.  `scratch` are bytes that the step
    works in.
    """

    number: int
    names: tuple[str, ...]
    op: str
    inputs: tuple[str, ...]
    types: tuple[str, ...]
    place: tuple[str, ...]
    bytes: int
    scratch: int
    last: int


def schedule(plan: Plan) -> list[ScheduledStep]:
    """The steps of a plan in their order; what the user did not name is `%1`, `%2`, ..."""
    names = _names(plan)
    last = _last_readers(plan)
    lines: list[ScheduledStep] = []
    for number, step in enumerate(plan.steps, start=1):
        values = step.node.values
        lines.append(
            ScheduledStep(
                number,
                tuple(names[v] for v in values),
                step.op.name,
                tuple(names[v] for v in step.node.inputs),
                tuple(map(str, step.types)),
                tuple(_place(plan, v, names) for v in values),
                sum(nbytes(plan.types[v]) for v in values if _is_stored(plan, v)),
                sum(nbytes(slot.type) for slot in step.scratch),
                max(len(plan.steps) if v in plan.own else last.get(v, number) for v in values),
            )
        )
    return lines


def _names(plan: Plan) -> dict[Value, str]:
    names = {value: name for name, value in plan.inputs.items()}
    names |= {value: str(number) for value, number in plan.numbers.items()}
    results = {value: name for name, (value, _) in plan.results.items()}
    count = 0
    for step in plan.steps:
        for value in step.node.values:
            known = plan.labels.get(value) or results.get(value)
            count += known is None
            names[value] = known or f"%{count}"
    return names


def _last_readers(plan: Plan) -> dict[Value, int]:
    """By value the number of the last step that reads it, or a view of it."""
    last: dict[Value, int] = {}
    for number in range(len(plan.steps), 0, -1):
        node = plan.steps[number - 1].node
        end = max((last.get(v, number) for v in node.values), default=number) if node.op.is_view else number
        for value in node.inputs:
            last[value] = max(last.get(value, 0), end)
    return last


def _is_stored(plan: Plan, value: Value) -> bool:
    """Whether a value has bytes of its own: views and what overwrites an operand have none."""
    return value in plan.own or (value in plan.slots and value not in plan.in_place)


def _place(plan: Plan, value: Value, names: dict[Value, str]) -> str:
    if value in plan.own:
        return "result"
    if value in plan.in_place:
        return f"over {names[plan.in_place[value]]}"
    if value in plan.slots:
        return f"arena {plan.slots[value].offset}"
    viewed = value.node.inputs[0] if value.node.op.is_view else None
    assert viewed is not None, f"{value!r} has no place"
    return "number" if isinstance(viewed.node.op, Literal) else f"view of {names[viewed]}"
