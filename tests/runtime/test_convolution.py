"""The fast ways of convolution agree with the plain one, which the facts of `tests/ops` are about."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphspec.ir import OPS, DType, TensorType
from graphspec.ops.portions import forward_work, geometry, weight_work
from graphspec.runtime.kernels import find_kernel, plain_kernel


def operands(rng, dtype, n, c, o, size, window, padding, dilation, groups):
    """x, weight and a cotangent of their convolution; None where the window is larger than the image."""
    counts = [s + 2 * p - d * (k - 1) for s, p, d, k in zip(size, padding, dilation, window, strict=True)]
    if min(counts) < 1:
        return None
    shapes = (n, c * groups, *size), (o * groups, c, *window), (n, o * groups, *counts)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def compute(find, name, out_shape, inputs, attributes):
    """What a kernel computes, into storage that holds rubbish."""
    types = [TensorType(DType.F32 if a.dtype == np.float32 else DType.F64, a.shape) for a in inputs]
    op = OPS[name](**attributes)
    scratch = [np.full(t.shape, np.nan, a.dtype) for t in op.scratch(*types) for a in inputs[:1]]
    out = np.full(out_shape, np.nan, inputs[0].dtype)
    find(name)(np, out, *inputs, *scratch, **attributes)
    return out


def check(x, weight, g, padding, dilation, groups, tolerance):
    slides = {"stride": (1, 1), "padding": padding, "dilation": dilation, "groups": groups}
    cases = [
        ("convolution", g.shape, (x, weight), slides),
        ("convolution_input_adjoint", x.shape, (g, weight), slides | {"size": x.shape[2:]}),
        ("convolution_weight_adjoint", weight.shape, (g, x), slides | {"size": weight.shape[2:]}),
    ]
    for name, shape, inputs, attributes in cases:
        found = compute(lambda n: find_kernel(n, "numpy"), name, shape, inputs, attributes)
        plain = compute(plain_kernel, name, shape, [a.astype("f8") for a in inputs], attributes)
        np.testing.assert_allclose(found, plain, rtol=0, atol=tolerance * np.abs(plain).max(initial=1))


pairs = st.tuples(st.integers(0, 2), st.integers(0, 2))


@given(
    st.integers(0, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    pairs,
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.integers(1, 3),
    st.integers(0, 2**16),
)
@settings(max_examples=100, deadline=None)
def test_windows_that_follow_place_by_place(n, c, o, size, window, padding, dilation, groups, seed):
    found = operands(np.random.default_rng(seed), "f8", n, c, o, size, window, padding, dilation, groups)
    if found is not None:
        check(*found, padding, dilation, groups, tolerance=1e-13)


@given(
    st.integers(1, 5),
    st.integers(16, 20),
    st.integers(16, 20),
    st.tuples(st.integers(4, 11), st.integers(3, 11)),
    st.integers(1, 4),
    st.tuples(st.integers(0, 3), st.integers(0, 2)),
    st.integers(0, 2**16),
)
@settings(max_examples=100, deadline=None)
def test_windows_of_three_rows_in_single_precision(n, c, o, size, columns, padding, seed):
    rng = np.random.default_rng(seed)
    found = operands(rng, "f4", n, c, o, size, (3, columns), padding, (1, 1), 1)
    if found is not None:
        check(*found, padding, (1, 1), 1, tolerance=1e-5)


def test_three_rows_are_off_by_a_few_roundings():
    rng = np.random.default_rng(0)
    x, weight, g = operands(rng, "f4", 4, 64, 64, (16, 16), (3, 3), (1, 1), (1, 1), 1)
    slides = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    exact = compute(plain_kernel, "convolution", g.shape, [x.astype("f8"), weight.astype("f8")], slides)
    errors = [
        np.abs(compute(find, "convolution", g.shape, (x, weight), slides) - exact).max() / np.abs(exact).max()
        for find in (plain_kernel, lambda name: find_kernel(name, "numpy"))
    ]
    assert errors[0] < 1e-6
    assert errors[1] < 3e-6


@pytest.mark.parametrize(("itemsize", "method"), [(4, "tall"), (8, "flat")])
def test_only_single_precision_takes_the_short_cut(itemsize, method):
    sizes = geometry((8, 32, 16, 16), (8, 32, 16, 16), (3, 3), (1, 1), (1, 1), (1, 1), 1)
    assert forward_work(sizes, itemsize).method == weight_work(sizes, itemsize).method == method


def test_a_portion_stays_within_the_cache():
    sizes = geometry((100, 3, 32, 32), (100, 6, 28, 28), (5, 5), (1, 1), (0, 0), (1, 1), 1)
    work = forward_work(sizes, 4)
    assert work.images < 10
    assert work.elements * 4 < 1 << 21


def test_strides_and_single_places_are_left_to_the_plain_kernel():
    assert geometry((8, 32, 16, 16), (8, 32, 8, 8), (3, 3), (2, 2), (1, 1), (1, 1), 1) is None
    assert geometry((8, 32, 16, 16), (8, 32, 16, 16), (1, 1), (1, 1), (0, 0), (1, 1), 1) is None
