"""Steps of small programs are one call, which computes what they compute one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

pytest.importorskip("numba", reason="numba is not installed (the extra `fast`)")

from graphspec.diagnostics import GraphSpecError
from graphspec.ir import DType, Graph
from graphspec.runtime.compiled import compiled
from graphspec.runtime.fast import load_kernels
from graphspec.runtime.means import Means
from graphspec.runtime.program import Program
from tests.runtime.graphs import call, make_input
from tests.runtime.loops_in_python import run_in_python

#: rows, terms and columns: less than four rows and more, less than a vector of columns and more
SIZES = [(1, 1, 1), (4, 3, 16), (7, 5, 3), (6, 2, 19), (3, 40, 33), (150, 16, 3), (16, 150, 4)]


@pytest.fixture
def in_python(monkeypatch):
    load_kernels()
    monkeypatch.setattr("graphspec.runtime.compiled.compiled", run_in_python)


def small_network() -> Graph:
    """tanh(x @ transpose(w)), its sum over the examples, and the rows of a table at places."""
    x, w = make_input("x", (5, 4), DType.F32), make_input("w", (3, 4), DType.F32)
    y = call("tanh", x @ call("transpose", w, axes=(1, 0)))
    first, second = make_input("first", (5,), DType.I64), make_input("second", (5,), DType.I64)
    sizes = {first: 9, second: 7}
    checks = [call("indexing", place, place, axis=0, sizes=(size,)) for place, size in sizes.items()]
    total = call("sum", y, axis=(0,), keepdims=False)
    return Graph({"y": y, "sum": total, "places": checks[0] + checks[1]})


def arrays_for(first: int = 0, second: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    places = {"first": np.full(5, first), "second": np.full(5, second)}
    return {"x": rng.normal(size=(5, 4)).astype("f4"), "w": rng.normal(size=(3, 4)).astype("f4"), **places}


def test_a_small_program_is_one_call(in_python):
    source = Program(small_network(), {}, means=Means(fuse=True, fast=True)).source
    assert source.count("kernels.loop") == 1
    assert ".dot(" not in source


def test_a_chain_computes_what_its_steps_do(in_python):
    found = Program(small_network(), {}, means=Means(fuse=True, fast=True))(arrays_for(8, 6))
    for name, array in Program(small_network(), {})(arrays_for(8, 6)).items():
        np.testing.assert_allclose(found[name], array, rtol=1e-6)


@pytest.mark.parametrize(("first", "second", "said"), [(9, 0, "9"), (0, -7, "-7")])
def test_a_chain_says_which_place_is_wrong(in_python, first, second, said):
    program = Program(small_network(), {}, means=Means(fuse=True, fast=True))
    with pytest.raises(GraphSpecError, match=said):
        program(arrays_for(first, second))


def test_what_a_step_leaves_is_copied_after_the_chain_has_made_it(in_python):
    x = make_input("x", (2, 3))
    y = call("exp", x)
    part = call("slice", y, starts=(0, 1), stops=(2, 3), steps=(1, 1))
    found = Program(Graph({"y": y, "part": part}), {}, means=Means(fuse=True, fast=True))(
        {"x": np.ones((2, 3))}
    )
    np.testing.assert_array_equal(found["part"], found["y"][:, 1:])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_small_products_agree_with_numpys_however_matrices_lie(fast, dtype):
    texts = ("product(r, x, y)", "product(r, x.T, y)", "product(r, x, y.T)", "product(r, x.T, y.T)")
    rng = np.random.default_rng(0)
    for (rows, terms, columns), text in itertools.product(SIZES, texts):
        x, y = rng.normal(size=(rows, terms)).astype(dtype), rng.normal(size=(terms, columns)).astype(dtype)
        out = np.full((rows + 1, columns), np.nan, dtype)
        given = [np.ascontiguousarray(a.T) if f"{n}.T" in text else a for n, a in (("x", x), ("y", y))]
        compiled(f"def loop(r, x, y):\n    {text}\n")(out[:rows], *given)
        np.testing.assert_allclose(out[:rows], x @ y, rtol=1e-5, atol=1e-5)
        assert np.isnan(out[rows]).all()  # what lies behind the result is left alone
