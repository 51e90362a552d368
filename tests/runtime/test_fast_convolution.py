"""Compiled convolution agrees with the plain one, which the facts of `tests/ops` are about."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphspec.ir import OPS, DType, TensorType
from graphspec.ops.convolution import ConvolutionEpilogue
from graphspec.runtime.fast import load_kernels
from graphspec.runtime.kernels import find_kernel, find_scratch, plain_kernel

pytest.importorskip("numba", reason="the compiled kernels need numba")
load_kernels()

from graphspec.runtime.kernels.fast.convolution import Slide, Tiles, _forward  # noqa: E402  (it needs numba)

DTYPES = {"f2": DType.F16, "f4": DType.F32, "f8": DType.F64}
#: sums of a few hundred products, against the same in double: some roundings of the largest element
TOLERANCE = {"f2": 2e-3, "f4": 2e-6, "f8": 1e-13}


def compute(name, out_shape, inputs, attributes, *, fast):
    """What a kernel computes, into storage that holds rubbish."""
    dtype = inputs[0].dtype
    types = [TensorType(DTYPES[f"f{dtype.itemsize}"], a.shape) for a in inputs]
    op = (OPS[name] if isinstance(name, str) else name)(**attributes)
    name = op.kernel
    scratch = [np.full(t.shape, np.nan, dtype) for t in find_scratch(op, types, fast=fast)]
    out = np.full(out_shape, np.nan, dtype)
    find = find_kernel(name, "numpy", fast=True) if fast else plain_kernel(name)
    with np.errstate(all="ignore"):
        find(np, out, *inputs, *scratch, **attributes)
    return out


def windows(size, window, stride, padding, dilation):
    return (size + 2 * padding - dilation * (window - 1) - 1) // stride + 1


def check(
    n, c, o, size, window, stride, padding, dilation, groups, dtype, change=None, seed=0, tolerance=None
):
    """The three kernels, on random operands that `change` has changed."""
    counts = tuple(map(windows, size, window, stride, padding, dilation))
    if min(counts) < 1:
        return
    rng = np.random.default_rng(seed)
    shapes = (n, c * groups, *size), (o * groups, c, *window), (n, o * groups, *counts)
    x, weight, g = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    if change:
        x, weight, g = change(x), change(weight), change(g)
    tolerance = tolerance or TOLERANCE[dtype]
    slides = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    for name, shape, inputs, attributes in [
        ("convolution", g.shape, (x, weight), slides),
        ("convolution_input_adjoint", x.shape, (g, weight), slides | {"size": size}),
        ("convolution_weight_adjoint", weight.shape, (g, x), slides | {"size": window}),
    ]:
        found = compute(name, shape, inputs, attributes, fast=True)
        plain = compute(name, shape, [a.astype("f8") for a in inputs], attributes, fast=False)
        scale = np.abs(plain[np.isfinite(plain)]).max(initial=1)
        np.testing.assert_allclose(found, plain, rtol=0, atol=tolerance * scale, err_msg=name)


@pytest.mark.parametrize("is_rectified", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("channels", [2, 16, 19])  # as a slide, and in tiles
def test_bias_and_relu_where_the_result_is_stored(channels, dtype, is_rectified):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, channels, 18, 33)).astype(dtype)
    weight = rng.standard_normal((20, channels, 3, 3)).astype(dtype)
    bias = rng.standard_normal(20).astype(dtype)
    bias[:3] = -0.0, np.nan, -np.inf
    weight[0] = 0  # the sum is -0.0 or 0.0, which the relu takes
    attributes = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    y = compute("convolution", (3, 20, 18, 33), (x, weight), attributes, fast=True) + bias[:, None, None]
    expected = np.where(y <= 0, np.zeros((), dtype), y) if is_rectified else y
    attributes["is_rectified"] = is_rectified
    found = compute(ConvolutionEpilogue, y.shape, (x, weight, bias), attributes, fast=True)
    np.testing.assert_array_equal(found, expected)
    assert not (is_rectified and np.signbit(found[:, 0]).any())
    plain = compute(ConvolutionEpilogue, y.shape, (x, weight, bias), attributes, fast=False)
    np.testing.assert_allclose(found, plain, rtol=0, atol=5e-4)


few = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(
    st.integers(0, 3),
    st.integers(1, 3),
    st.sampled_from([1, 2, 5, 8, 13]),
    st.tuples(st.integers(1, 9), st.integers(1, 37)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    few,
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.integers(1, 2), st.integers(1, 3)),
    st.integers(1, 3),
    st.sampled_from(["f4", "f8"]),
    st.integers(0, 2**16),
)
@settings(max_examples=300, deadline=None)
def test_any_window(n, c, o, size, window, stride, padding, dilation, groups, dtype, seed):
    check(n, c, o, size, window, stride, padding, dilation, groups, dtype, seed=seed)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize(
    ("size", "window", "stride", "padding"),
    [
        ((32, 32), (5, 5), (1, 1), (0, 0)),  # rows in blocks, from x itself
        ((16, 16), (3, 3), (1, 1), (1, 1)),  # a row is a block
        ((7, 7), (3, 3), (1, 1), (1, 1)),  # blocks over the ends of rows
        ((3, 3), (3, 3), (1, 1), (1, 1)),  # less than a block
        ((9, 9), (1, 1), (1, 1), (0, 0)),  # a product of matrices
        ((9, 9), (1, 1), (2, 2), (0, 0)),  # places that no window sees
        ((11, 13), (3, 3), (2, 2), (1, 1)),
        ((11, 13), (2, 2), (3, 3), (0, 0)),  # places between windows
        ((6, 6), (2, 2), (1, 1), (3, 3)),  # a border that is wider than the window
    ],
)
def test_ways_of_working(size, window, stride, padding, dtype):
    check(2, 4, 6, size, window, stride, padding, (1, 1), 1, dtype)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_operands_that_are_views(dtype):
    def change(array):  # axes lie otherwise, and every second channel is left out
        return np.repeat(array.transpose(3, 1, 2, 0), 2, axis=1).transpose(3, 1, 2, 0)[:, ::2]

    check(2, 3, 4, (9, 8), (3, 3), (1, 1), (1, 1), (1, 1), 1, dtype, change=change)


@pytest.mark.parametrize("stride", [(1, 1), (2, 2)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_where_it_belongs(bad, stride):
    def change(array):
        if array.shape[1] == 3 and array.shape[2] > 3 and array.shape[0] == 2:  # x
            array[1, 0, 4, 5] = bad
        return array

    check(2, 3, 5, (9, 8), (3, 3), stride, (0, 0), (1, 1), 1, "f4", change=change)


@given(
    st.integers(0, 5),
    st.integers(16, 20),
    st.sampled_from([16, 17, 24, 33]),
    st.tuples(st.integers(3, 20), st.integers(3, 40)),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.integers(0, 2**16),
)
@settings(max_examples=100, deadline=None)
def test_windows_of_three_by_three_in_single_precision(n, c, o, size, padding, seed):
    check(n, c, o, size, (3, 3), (1, 1), padding, (1, 1), 1, "f4", seed=seed, tolerance=2e-5)


def test_tiles_are_off_by_some_roundings():
    shapes = {"x": (4, 64, 16, 16), "weight": (64, 64, 3, 3)}
    rng = np.random.default_rng(0)
    x, weight = (rng.standard_normal(shape).astype("f4") for shape in shapes.values())
    slides = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    exact = compute("convolution", x.shape, [x.astype("f8"), weight.astype("f8")], slides, fast=False)
    plain = compute("convolution", x.shape, (x, weight), slides, fast=False)
    found = compute("convolution", x.shape, (x, weight), slides, fast=True)
    largest = np.abs(exact).max()
    assert np.abs(plain - exact).max() < 1e-6 * largest
    assert np.abs(found - exact).max() < 1e-5 * largest


def test_double_precision_and_small_results_take_no_short_cut():
    slides = (1, 1), (1, 1), (1, 1), 1
    large, small = (8, 32, 16, 16), (8, 32, 2, 2)
    assert isinstance(_forward(large, large, (3, 3), slides, 4), Tiles)
    assert isinstance(_forward(large, large, (3, 3), slides, 8), Slide)
    assert isinstance(_forward(small, small, (3, 3), slides, 4), Slide)
