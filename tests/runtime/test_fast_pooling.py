"""Compiled pooling agrees with the plain one, which the facts of `tests/ops` are about."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphspec.runtime.fast import load_kernels
from graphspec.runtime.kernels import find_kernel, plain_kernel

pytest.importorskip("numba", reason="the compiled kernels need numba")
load_kernels()

#: elements of which many are equal, and some NaN or infinite
ELEMENTS = np.array([0, 0, 1, 1, 2, 3, -1, np.nan, np.inf, -np.inf])
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
windows = st.fixed_dictionaries(
    {
        "kernel_size": pairs,
        "stride": pairs,
        "padding": st.tuples(st.integers(0, 1), st.integers(0, 1)),
        "dilation": st.tuples(st.integers(1, 2), st.integers(1, 2)),
        "ceil_mode": st.booleans(),
    }
)
SIDE_BY_SIDE = {
    "kernel_size": (2, 2),
    "stride": (2, 2),
    "padding": (0, 0),
    "dilation": (1, 1),
    "ceil_mode": False,
}


def count(size, i, settings):
    """The windows along axis i; less than 1 where the window is too large."""
    reach = settings["dilation"][i] * (settings["kernel_size"][i] - 1) + 1
    room = size + 2 * settings["padding"][i] - reach
    found = room // settings["stride"][i] + 1
    is_more = settings["ceil_mode"] and room % settings["stride"][i]
    return found + (found * settings["stride"][i] < size + settings["padding"][i] if is_more else 0)


def call(find, name, shape, dtype, inputs, attributes):
    out = np.full(shape, 7, dtype)
    with np.errstate(all="ignore"):
        find(name)(np, out, *inputs, **attributes)
    return out


def check(shape, settings, dtype, seed, is_view=False):
    sizes = tuple(count(shape[2 + i], i, settings) for i in (0, 1))
    if min(sizes) < 1:
        return
    rng = np.random.default_rng(seed)
    pooled = (*shape[:2], *sizes)

    def draw(shape):
        if is_view:  # of an array whose axes lie otherwise
            return rng.choice(ELEMENTS, shape[::-1]).astype(dtype).transpose()
        return rng.choice(ELEMENTS, shape).astype(dtype)

    x, v, g = draw(shape), draw(shape), draw(pooled)
    y = call(plain, "max_pool2d", pooled, dtype, (x,), settings)
    for name, result, inputs, more in [
        ("max_pool2d", pooled, (x,), {}),
        ("max_pool2d_scatter", shape, (g, x, y), {}),
        ("max_pool2d_gather", pooled, (v, x, y), {}),
        ("window_sum", pooled, (x,), {}),
        ("window_spread", shape, (g,), {"size": shape[2:]}),
    ]:
        found, expected = (
            call(find, name, result, dtype, inputs, settings | more) for find in (compiled, plain)
        )
        # sums of at most 9 of these small integers are exact in any order
        np.testing.assert_array_equal(found, expected, err_msg=name)


def compiled(name):
    return find_kernel(name, "numpy", fast=True)


def plain(name):
    return plain_kernel(name)


shapes = st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


@given(shapes, windows, st.sampled_from(["f4", "f8"]), st.integers(0, 2**16))
@settings(max_examples=200, deadline=None)
def test_any_window(shape, settings, dtype, seed):
    check(shape, settings, dtype, seed)


@given(
    st.tuples(st.integers(0, 2), st.integers(1, 2), st.integers(2, 9), st.integers(2, 40)),
    st.sampled_from(["f4", "f8"]),
    st.integers(0, 2**16),
)
@settings(max_examples=100, deadline=None)
def test_two_by_two_side_by_side(shape, dtype, seed):
    check(shape, SIDE_BY_SIDE, dtype, seed)


@pytest.mark.parametrize("settings", [SIDE_BY_SIDE, SIDE_BY_SIDE | {"stride": (1, 2), "ceil_mode": True}])
def test_arrays_that_are_views_and_half_precision(settings):
    check((2, 3, 6, 8), settings, "f4", 0, is_view=True)
    check((2, 3, 6, 8), settings, "f2", 0)
