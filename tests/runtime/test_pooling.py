"""Pooling with windows that are apart takes a shorter way, to the same results."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from graphspec.runtime.kernels import find_kernel

#: elements of which many are equal, and some NaN or infinite
ELEMENTS = np.array([0, 0, 1, 1, 2, 3, -1, np.nan, np.inf, -np.inf])


def by_definition(x, g, kernel, stride):
    """The maxima of windows, and g at the first element of each that is not less."""
    pooled, scattered = np.zeros_like(g), np.zeros_like(x)
    for n, c, i, j in np.ndindex(g.shape):
        top, left = i * stride[0], j * stride[1]
        window = x[n, c, top : top + kernel[0], left : left + kernel[1]]
        pooled[n, c, i, j] = window.max()
        k, m = np.unravel_index(np.argmin(window < window.max()), window.shape)
        scattered[n, c, top + k, left + m] = g[n, c, i, j]
    return pooled, scattered


few = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(few, few, few, few, st.sampled_from(["f2", "f4", "f8"]), st.booleans(), st.integers(0, 2**16))
@settings(max_examples=150, deadline=None)
def test_windows_that_are_apart(kernel, gap, counts, rest, dtype, is_view, seed):
    rng = np.random.default_rng(seed)
    stride = kernel[0] + gap[0] - 1, kernel[1] + gap[1] - 1
    size = [(n - 1) * s + k + r - 1 for n, s, k, r in zip(counts, stride, kernel, rest, strict=True)]
    counts = [(length - k) // s + 1 for length, k, s in zip(size, kernel, stride, strict=True)]
    x = rng.choice(ELEMENTS, (2, 3, *size)).astype(dtype)
    g = rng.choice(ELEMENTS, (2, 3, *counts)).astype(dtype)
    if is_view:
        x, g = (np.asfortranarray(a) for a in (x, g))
    slides = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": (0, 0),
        "dilation": (1, 1),
        "ceil_mode": False,
    }
    y, z = np.full(g.shape, 7, dtype), np.full(x.shape, 7, dtype)
    with np.errstate(all="ignore"):
        find_kernel("max_pool2d", "numpy")(np, y, x, **slides)
        find_kernel("max_pool2d_scatter", "numpy")(np, z, g, x, y, **slides)
        pooled, scattered = by_definition(x, g, kernel, stride)
    np.testing.assert_array_equal(y, pooled)
    np.testing.assert_array_equal(z, scattered)
