"""Programs with a clock: it hears of every step that does something, and changes nothing else."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphspec as gs
from graphspec.ir import DType, Graph, Input, TensorType, apply
from graphspec.runtime import emit as emitting
from graphspec.runtime import limits as limiting
from graphspec.runtime import program as programs
from graphspec.runtime import worth
from graphspec.runtime.backends import backend
from graphspec.runtime.cost import Cost, cost
from graphspec.runtime.limits import Limits, measure_limits
from graphspec.runtime.plan import plan
from graphspec.runtime.program import Program
from graphspec.runtime.threads import count_blas_threads
from graphspec.runtime.timing import time_program
from graphspec.runtime.worth import use_pieces

_spec = spec_from_file_location("graphs", Path(__file__).with_name("graphs.py"))
graphs = module_from_spec(_spec)
_spec.loader.exec_module(graphs)
ENV, call = graphs.ENV, graphs.call


def arrays_of(graph, seed):
    return {value.node.op.label: array for value, array in graphs.random_arrays(graph, seed).items()}


@given(st.integers(0, 2**32), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_program_with_a_clock_is_the_same_program(seed, is_linked):
    graph = graphs.random_graph(seed)
    arrays = arrays_of(graph, seed)
    heard = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "LONG", -1 if is_linked else 10**6)
        plain, timed = Program(graph, ENV), Program(graph, ENV, clock=heard.append)
        found, expected = timed(arrays), plain(arrays)
    assert timed.plan.arena_bytes == plain.plan.arena_bytes
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
    assert heard[0] == -1
    steps = timed.plan.steps
    assert heard[1:] == sorted(set(heard[1:]))
    assert (
        {i for i, step in enumerate(steps) if not step.op.is_view} <= set(heard[1:]) <= set(range(len(steps)))
    )


def test_a_clock_is_heard_in_every_part_of_a_program(monkeypatch):
    monkeypatch.setattr(emitting, "PART_LINES", 3)
    x = apply(Input("x", TensorType(DType.F64, (4,))))
    y = x
    for _ in range(10):
        y = call("tanh", y)
    heard = []
    Program(Graph({"y": y}), {}, clock=heard.append)({"x": np.ones(4)})
    assert heard == list(range(-1, 10))


X = {"x": np.ones((12, 3))}


def sums_of_rows():
    """A program that works on a batch."""
    model = gs.loads("gspec 1\ndim N = 12\ninput x: f64[N, 3]\noutput y = sum(tanh(x) * 2, axis=1)\n")
    return Program(model.forward_graph(), {"N": 12})


def test_the_steps_of_a_program_are_timed():
    program = sums_of_rows()
    found = time_program(program, lambda: program(X), X, calls=7)
    assert (found.call.count, found.run.count, found.in_pieces) == (7, 7, False)
    assert found.threads == 1  # there are no products
    assert len(found.steps) == len(program.plan.steps)
    assert all(seconds >= 0 for seconds in found.steps)
    assert found.call.low <= found.call.median <= found.call.high


def test_calls_may_use_pieces_but_steps_are_timed_in_one(monkeypatch):
    monkeypatch.setattr(worth, "STAGE", 0.0)
    program = sums_of_rows()
    use_pieces(program, 0.0, threads=2)
    assert program.parallel is not None
    found = time_program(program, lambda: program(X), X, seconds=0.01)
    assert (found.threads, found.in_pieces) == (2, True)
    assert found.call.count == found.run.count >= 3
    assert len(found.steps) == len(program.plan.steps)


def test_of_what_is_selected_from_only_what_is_taken_counts():
    model = gs.loads(
        "gspec 1\ninput ids: i64[4] ~ randint(100)\nparam table: f32[100, 8] ~ normal()\n"
        "output y = table[ids]\noutput z = table @ transpose(table)\n"
    )
    made = plan(model.forward_graph(), {})
    costs = {step.op.name: cost(step, made) for step in made.steps}
    assert costs["matmul"] == Cost(2 * 100 * 100 * 8, 4 * (2 * 800 + 10_000), DType.F32)
    taken = costs.get("gather") or costs["indexing"]
    assert taken.flops == 0
    assert taken.bytes <= 4 * (32 + 800) + 8 * 4
    assert costs["transpose"].bytes == 0


LIMITS = Limits(1, {DType.F32: 1e9}, {1 << 10: 4e9, 1 << 12: 2e9, 1 << 14: 1e9}, 1e-6)


def test_what_fits_into_a_cache_may_be_copied_faster():
    assert [LIMITS.copy_rate(1 << k) for k in (5, 10, 11, 12, 14, 20)] == [4e9, 4e9, 3e9, 2e9, 1e9, 1e9]
    assert LIMITS.memory == 1e9


def test_a_step_is_limited_by_its_products_or_by_memory():
    assert LIMITS.least(Cost(10**6, 100, DType.F32)) == (1e-3, "products")
    assert LIMITS.least(Cost(0, 10**6, DType.F64)) == (1e-3, "memory")
    assert LIMITS.least(Cost(0, 0, DType.F32)) == (0.0, "memory")
    # in turns, of 1 kB each, what is read and written is in a cache
    assert LIMITS.least(Cost(0, 1 << 14, DType.F64), turns=16) == (2**14 / 4e9, "memory")


@pytest.mark.parametrize(("threads", "in_pieces"), [(1, False), (2, True)])
def test_limits_are_measured(threads, in_pieces, monkeypatch):
    monkeypatch.setattr(limiting, "ENOUGH", 0.0)
    monkeypatch.setattr(limiting, "SIZES", (16, 32))
    monkeypatch.setattr(limiting, "COPIES", (1 << 12, 1 << 14))
    before = count_blas_threads()
    found = measure_limits(backend("numpy"), [DType.F32, DType.F64, DType.F32], threads, in_pieces=in_pieces)
    assert found.threads == threads
    assert list(found.products) == [DType.F32, DType.F64]
    assert list(found.copies) == [1 << 12, 1 << 14]
    assert min(*found.products.values(), *found.copies.values(), found.call) > 0
    assert count_blas_threads() == before
