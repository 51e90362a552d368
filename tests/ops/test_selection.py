"""Facts about windows at places known at run time, and about indices that are checked after the reading."""

from __future__ import annotations

import numpy as np
import pytest

from graphspec.ir import DType, TypeRuleError, symbol
from graphspec.runtime.errors import IndexOutOfRange
from graphspec.runtime.kernels.selection import window, window_on_device
from tests.ops.graphs import compute, gradients, make, typed

X = np.arange(12.0).reshape(3, 4)


def test_a_window_is_a_slice_at_a_place_known_at_run_time() -> None:
    assert compute("window", X, 1, axes=(1,), sizes=(2,)).tolist() == X[:, 1:3].tolist()
    assert compute("window", X, 2, 0, axes=(0, 1), sizes=(1, 3)).tolist() == X[2:3, :3].tolist()


@pytest.mark.parametrize("start", range(-6, 9))
def test_outside_it_reads_the_fill(start: int) -> None:
    padded = np.pad(X, ((0, 0), (9, 9)), constant_values=-1)
    found = compute("window", X, start, axes=(1,), sizes=(3,), fill=-1)
    assert found.tolist() == padded[:, 9 + start : 12 + start].tolist()


@pytest.mark.parametrize("start", [-9, -2, 0, 1, 3, 9, 2**62, -(2**62)])
def test_the_way_of_a_device_gives_the_same(start: int) -> None:
    found, expected = np.empty((3, 5)), np.empty((3, 5))
    for kernel, out in ((window, expected), (window_on_device, found)):
        kernel(np, out, X, np.asarray(start), axes=(1,), sizes=(5,), fill=7)
    np.testing.assert_array_equal(found, expected)


def test_its_gradient_is_laid_into_zeros_and_dropped_outside() -> None:
    gx, nothing = gradients("window", X, -1, axes=(1,), sizes=(3,), gy=np.arange(9.0).reshape(3, 3))
    assert nothing is None
    assert gx is not None
    assert gx.tolist() == [[1, 2, 0, 0], [4, 5, 0, 0], [7, 8, 0, 0]]


def test_window_types() -> None:
    N, start = symbol("N"), typed(dtype=DType.I64)
    assert str(make("window", typed(N, 4), start, axes=(-1,), sizes=(9,)).type) == "f32[N, 9]"
    assert str(make("window", typed(N, 4), start, axes=(0,), sizes=(N + 2,)).type) == "f32[N + 2, 4]"
    with pytest.raises(TypeRuleError, match=r"over the axes \[0, 1\] has 1 starts"):
        make("window", typed(N, 4), start, axes=(0, 1), sizes=(1, 1))
    with pytest.raises(TypeRuleError, match="integers as its starts"):
        make("window", typed(N, 4), typed(), axes=(0,), sizes=(1,))
    with pytest.raises(TypeRuleError, match="one place on each axis"):
        make("window", typed(N, 4), typed(3, dtype=DType.I64), axes=(0,), sizes=(1,))
    with pytest.raises(TypeRuleError, match="does not fit"):
        make("window", typed(N, 4), start, start, axes=(1, 0), sizes=(1, 1))


def test_what_was_read_at_a_place_that_is_not_there_is_reported() -> None:
    assert compute("indexing", X, 2, [0, 3], axis=1, sizes=(3, 4)).tolist() == X.tolist()
    with pytest.raises(IndexOutOfRange) as error:
        compute("indexing", X, 2, [0, 4], axis=1, sizes=(3, 4))
    assert (error.value.index, error.value.size, error.value.axis) == (4, 4, 2)
    with pytest.raises(IndexOutOfRange):
        gradients("indexing", X, 3, axis=0, sizes=(3,))
