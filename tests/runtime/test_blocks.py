"""Memory of results that serves again: only when nothing looks at it, and never more than it should."""

import gc
import pickle
import threading

import numpy as np
import pytest

import graphspec as gs
from graphspec.runtime import blocks, memory
from graphspec.runtime.blocks import MOST_IDLE, Pool
from graphspec.runtime.parallel import ParallelProgram
from graphspec.runtime.pieces import cut
from graphspec.runtime.plan import LARGE

SHAPE = (LARGE // 4,)
# gradients of 1.25 MiB: two results that are laid in blocks, and a small one
SPEC = """gspec 1
dim N = 640
input x: f32[N, 512] ~ normal()
loss s = sum(x * x * x) + sum(linear(x, 4) as fc)
output half = 0.5 * x
"""


@pytest.fixture
def pool():
    made = Pool([LARGE, LARGE, 3 * LARGE, 8])
    yield made
    made.release()


def address(array):
    return array.__array_interface__["data"][0]


def compiled():
    """A program of two large results, which is not one of pieces, and its arrays."""
    model = gs.loads(SPEC)
    inputs = model.draw(seed=0)
    params = model.init(seed=0)
    model.grad(params, inputs, wrt=["x", "fc.weight"], of=["s"])
    program = list(model._engine._programs.values())[-1]
    program.parallel = None
    return program, {**params, **inputs}


def test_an_array_of_a_pool_is_an_ordinary_one(pool):
    array = pool.empty(SHAPE, "float32")
    assert type(array) is np.ndarray
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert address(array) % 64 == 0
    array[:] = 3
    assert (pickle.loads(pickle.dumps(array)) == array).all()
    assert (array.reshape(2, -1) == 3).all()


def test_memory_serves_again_when_the_last_array_that_looks_at_it_is_gone(pool):
    array = pool.empty(SHAPE, "float32")
    where = address(array)
    view = array.reshape(-1, 8)[3:, ::2]
    shown = memoryview(view)
    del array, view
    assert address(pool.empty(SHAPE, "float32")) != where
    del shown
    pool.release()
    array = pool.empty(SHAPE, "float32")
    where = address(array)
    del array
    assert address(pool.empty((LARGE // 8,), "float64")) == where


def test_arrays_of_other_sizes_are_not_kept(pool):
    for size in (2, LARGE // 2):
        del [pool.empty((size,), "float32")][:]
    assert pool.idle_bytes == 0


def test_no_more_is_kept_than_one_call_needs(pool):
    kept = [pool.empty(SHAPE, "float32") for _ in range(7)]
    assert len({address(array) for array in kept}) == 7
    kept.clear()
    assert pool.idle_bytes == 2 * LARGE
    pool.release()
    assert pool.idle_bytes == 0


def test_arrays_outlive_their_pool():
    pool = Pool([LARGE])
    array = pool.empty(SHAPE, "float32")
    array[:] = 7
    del pool
    gc.collect()
    assert (array == 7).all()


def test_a_cycle_gives_memory_back_when_it_is_collected(pool):
    cycle = [pool.empty(SHAPE, "float32")]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert pool.idle_bytes == LARGE


def test_an_error_in_flight_holds_its_arrays(pool):
    def fail():
        array = pool.empty(SHAPE, "float32")
        raise ValueError(len(array))

    try:
        fail()
    except ValueError:
        assert pool.idle_bytes == 0
    assert pool.idle_bytes == LARGE


def test_much_that_is_idle_goes_before_there_is_more(pool, monkeypatch):
    other = Pool([3 * LARGE])
    del [other.empty((3, *SHAPE), "float32")][:]
    first = pool.empty(SHAPE, "float32")
    assert other.idle_bytes == 3 * LARGE
    monkeypatch.setattr(blocks, "MOST_IDLE", 3 * LARGE)
    second = pool.empty(SHAPE, "float32")
    assert other.idle_bytes == 0
    assert address(first) != address(second)
    assert MOST_IDLE > 3 * LARGE


def test_what_is_idle_counts_against_the_users_limit():
    pool = Pool([LARGE])
    del [pool.empty(SHAPE, "float32")][:]
    with memory.limited(64 * LARGE):
        memory.check(LARGE)
        assert pool.idle_bytes == LARGE
        memory.check(64 * LARGE)
    assert pool.idle_bytes == 0


def test_what_is_idle_is_given_back_before_a_request_is_too_large(monkeypatch):
    pool = Pool([LARGE])
    del [pool.empty(SHAPE, "float32")][:]
    monkeypatch.setattr(memory, "available", lambda backend: 10 * LARGE - pool.idle_bytes)
    memory.check(8 * LARGE)
    assert pool.idle_bytes == 0


def test_results_that_are_kept_stay_as_they_are_and_others_serve_again():
    program, arrays = compiled()
    first = program(arrays)
    large = [name for name, array in first.items() if array.nbytes >= LARGE]
    assert large
    copies = {name: array.copy() for name, array in first.items()}
    where = {address(first[name]) for name in large}
    second = program({**arrays, "x": 2 * arrays["x"]})
    assert where.isdisjoint(address(second[name]) for name in large)
    for name, array in copies.items():
        np.testing.assert_array_equal(first[name], array)
    del first
    third = program(arrays)
    assert {address(third[name]) for name in large} == where
    program.release()
    assert program.pool.idle_bytes == 0


def test_what_pieces_write_together_serves_again():
    model = gs.loads(SPEC)
    arrays = {**model.init(seed=0), **model.draw(seed=0)}
    step = model.compile("x", of="s", per_example=True)
    step({"fc.weight": arrays["fc.weight"], "fc.bias": arrays["fc.bias"]}, {"x": arrays["x"]})
    program = list(model._engine._programs.values())[-1]
    run = ParallelProgram(cut(program.plan.graph, "N"), program.plan.env, 2)
    given = {name: arrays[name] for name in program.needs}
    first = run(given)
    (large,) = (name for name, array in first.items() if array.nbytes >= LARGE)
    expected, where = first[large].copy(), address(first[large])
    part = first.pop(large)[5:7]
    second = run(given)
    assert address(second[large]) != where
    np.testing.assert_array_equal(part, expected[5:7])
    del part, second
    third = run(given)
    np.testing.assert_array_equal(third[large], expected)
    del third
    assert run._pool.idle_bytes == expected.nbytes
    program.parallel = run
    program.release()
    assert run._pool.idle_bytes == 0


def test_many_threads_that_keep_and_drop_results():
    program, arrays = compiled()
    given = {k: {**arrays, "x": k * arrays["x"]} for k in (1, 2)}
    expected = {k: {name: a.copy() for name, a in program(given[k]).items()} for k in given}
    wrong = []

    def call(k):
        kept = []
        for i in range(15):
            kept.append(program(given[k]))
            if i % 3 == 2:
                kept.pop(0)
            for found in kept:
                wrong.extend(n for n, a in found.items() if not np.array_equal(a, expected[k][n]))

    callers = [threading.Thread(target=call, args=(k,)) for k in (1, 2, 1)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong
