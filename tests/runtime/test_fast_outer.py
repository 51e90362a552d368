"""Compiled outer products are numpy's, wherever the result lies and however large it is."""

import numpy as np
import pytest

pytest.importorskip("numba", reason="numba is not installed (extra `fast`)")

from graphspec.runtime.kernels.fast import outer
from graphspec.runtime.kernels.fast.streams import STREAMED

PAD = 16
SIZES = [(70, 300, 301), (64, 256, 272), (3, 50, 700), (1, 2500, 2001), (4, 3, 2)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("start", [0, 1, 5, PAD])
@pytest.mark.parametrize(("n", "p", "q"), SIZES)
def test_an_outer_product_is_that_of_numpy_and_nothing_else_is_written(n, p, q, start, dtype):
    rng = np.random.default_rng(n)
    x = rng.standard_normal((n, 1, p)).astype(dtype).transpose(0, 2, 1)
    y = rng.standard_normal((n, 1, q)).astype(dtype)
    storage = np.full(n * p * q + 2 * PAD, 7, dtype)
    out = storage[start : start + n * p * q].reshape(n, p, q)
    outer.matmul(np, out, x, y)
    np.testing.assert_array_equal(out, x * y)  # one multiplication for each element: no other rounding
    assert (storage[:start] == 7).all()
    assert (storage[start + out.size :] == 7).all()


def test_both_ways_are_tested():
    assert 70 * 300 * 301 * 4 >= STREAMED > 3 * 50 * 700 * 8 >= outer.SMALL


def test_operands_that_lie_otherwise_and_sizes_that_are_broadcast():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((6, 40, 3))[..., :1], rng.standard_normal((1, 100, 6)).transpose(2, 0, 1)
    for left, right in ((x, y), (x[:1], y), (x[0], y), (x, y[0]), (x[0], y[0])):
        expected = left * right
        out = np.empty(expected.shape)
        outer.matmul(np, out, left, right)
        np.testing.assert_array_equal(out, expected)


def test_other_products_are_those_of_the_plain_kernel():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((5, 40, 30)), rng.standard_normal((5, 30, 60))
    out = np.empty((5, 40, 60))
    outer.matmul(np, out, x, y)
    np.testing.assert_array_equal(out, x @ y)
