"""The plan as a list of steps."""

from __future__ import annotations

import pytest

import graphspec as gs
from graphspec.runtime.schedule import schedule

SPEC = """gspec 1
dim N = 8
input x: f32[N, 4]
h = sin(x)
output y = reshape(cos(exp(h)) + h, [2 * N, 2])
output z = sum(h) * 2
"""


@pytest.mark.needs_optimisation("overwrite")
def test_a_step_says_what_where_and_until_when() -> None:
    steps = {step.names[0]: step for step in schedule(gs.loads(SPEC).plan())}
    h = steps["h"]
    assert (h.op, h.inputs, h.types, h.bytes) == ("sin", ("x",), ("f32[8, 4]",), 128)
    assert h.place[0].startswith("arena ")
    assert steps["y"].place[0].startswith("view of ")
    assert steps["z"].place == ("result",)
    assert steps["z"].last == len(steps)
    assert any(step.place[0].startswith("over ") and step.bytes == 0 for step in steps.values())


def test_a_value_is_kept_until_its_last_reader_even_through_a_view() -> None:
    lines = "a = exp(x)\nb = reshape(a, [2, 2])\nc = sin(x)\noutput y = sum(b) + sum(c)\n"
    spec = f"gspec 1\ninput x: f32[4]\n{lines}"
    steps = schedule(gs.loads(spec).plan())
    by_name = {step.names[0]: step for step in steps}
    reader = next(step for step in steps if step.inputs == ("b",))
    assert by_name["a"].last == by_name["b"].last == reader.number


def test_arena_and_results_are_the_memory_that_steps_own() -> None:
    plan = gs.loads(SPEC).plan()
    steps = schedule(plan)
    assert sum(step.bytes for step in steps if step.place == ("result",)) == plan.result_bytes
    ends = [int(s.place[0].split()[1]) + s.bytes for s in steps if s.place[0].startswith("arena")]
    assert max(ends) <= plan.arena_bytes
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))


def test_the_plan_of_a_gradient() -> None:
    steps = schedule(gs.loads(SPEC).plan(wrt="x", of="z"))
    assert any("d z / d x" in step.names or step.place == ("result",) for step in steps)
