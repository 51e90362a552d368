"""The functions of compiled loops: within the units that they promise, and right at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("numba", reason="numba is not installed (the extra `fast`)")

from numba import njit

from graphspec.runtime.kernels.fast.functions import ANY, SINGLE, plus

F32 = np.float32
RNG = np.random.default_rng(0)
AROUND_0 = RNG.normal(size=4000) * 1e-3
COMMON = np.concatenate([RNG.normal(size=8000) * 3, AROUND_0, np.linspace(-12, 12, 8001)]).astype(F32)
POSITIVE = np.concatenate([np.abs(COMMON) + F32(1e-30), np.logspace(-37, 38, 5000)]).astype(F32)
#: the function, arguments, and the units in the last place that it may be off, as its docstring says
BOUNDS = {
    "exp": (np.concatenate([COMMON, np.linspace(-87, 88.7, 5000)]).astype(F32), 1.5),
    "expm1": (COMMON, 3),
    "log": (POSITIVE, 2),
    "log1p": (np.concatenate([COMMON[COMMON > -0.99], POSITIVE]), 3),
    "tanh": (COMMON, 3),
    "erf": (COMMON, 3),
    "erfc": (COMMON[COMMON < 8], 8),
    "sign": (COMMON, 0),
}
EDGES = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 200.0, -200.0], F32)


def each(function, x):
    """The function of each element, compiled as in a loop."""

    @njit(nogil=True, fastmath={"contract"}, error_model="numpy")
    def loop(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    out = np.empty_like(x)
    loop(x, out)
    return out


def reference(name, x):
    with np.errstate(all="ignore"):
        if name in ("erf", "erfc"):
            return np.vectorize(getattr(math, name))(x.astype("f8"))
        return getattr(np, name)(x.astype("f8"))


def test_every_function_has_a_bound():
    assert set(BOUNDS) == set(SINGLE)


@pytest.mark.parametrize("name", list(BOUNDS))
def test_a_function_is_as_close_as_it_says(name):
    x, units = BOUNDS[name]
    expected = reference(name, x)
    normal = (np.abs(expected) > 1.2e-38) & (np.abs(expected) < 3.4e38)
    unit = np.spacing(np.abs(expected[normal]).astype(F32)).astype("f8")
    assert (np.abs(each(SINGLE[name], x)[normal] - expected[normal]) / unit).max() <= units


@pytest.mark.parametrize("name", list(BOUNDS))
def test_a_function_is_right_at_the_edges(name):
    with np.errstate(over="ignore"):
        expected = reference(name, EDGES).astype(F32)
    np.testing.assert_allclose(each(SINGLE[name], EDGES), expected, rtol=1e-6, atol=1e-44)


@pytest.mark.parametrize(("name", "numpys"), [("maximum", np.maximum), ("minimum", np.minimum)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_extremes_hand_nan_on(name, numpys, dtype):
    x, y = (a.ravel().astype(dtype) for a in np.meshgrid(EDGES, EDGES))
    function = ANY[name]

    @njit
    def loop(x, y, out):
        for i in range(x.size):
            out[i] = function(x[i], y[i])

    out = np.empty_like(x)
    loop(x, y, out)
    np.testing.assert_array_equal(out, numpys(x, y))


def test_a_sum_in_any_order_is_that_sum():
    @njit(fastmath={"contract"})
    def total(x):
        s = F32(0)
        for i in range(x.size):
            s = plus(s, x[i])
        return s

    x = np.arange(1000, dtype=F32)
    assert total(x) == 499500
