"""Facts about indexing: places out of range are reported, sums over equal places have one order."""

from __future__ import annotations

import numpy as np
import pytest

from graphspec.ir import DType, TypeRuleError, symbol
from graphspec.runtime.errors import IndexOutOfRange
from tests.ops.graphs import compute, gradients, make, typed


@pytest.mark.parametrize(("index", "wrong"), [([0, 3, 7], 3), ([-1, 0, 9], -1), ([2, 1, 0, -5], -5)])
def test_an_index_out_of_range_is_named(index: list[int], wrong: int) -> None:
    x = np.zeros((2, 3))
    with pytest.raises(IndexOutOfRange) as gathered:
        compute("gather", x, index, axis=1)
    with pytest.raises(IndexOutOfRange) as taken:
        compute("take_along_axis", x, [index, index], axis=1)
    with pytest.raises(IndexOutOfRange) as scattered:
        compute("scatter_add", np.zeros((2, len(index))), index, axis=1, shape=(2, 3))
    for error in (gathered.value, taken.value, scattered.value):
        assert (error.index, error.size, error.axis) == (wrong, 3, 1)


def test_several_indices_are_checked_against_their_own_axis() -> None:
    with pytest.raises(IndexOutOfRange) as error:
        compute("gather", np.zeros((2, 3, 4)), [1, 2], [3, 4], axis=1)
    assert (error.value.index, error.value.size, error.value.axis) == (4, 4, 2)


@pytest.mark.parametrize("shape", [(50,), (50, 3)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8"])
def test_scatter_add_is_a_plain_loop(shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(0)
    index = rng.integers(0, 7, (200,))
    g = rng.integers(-99, 99, (200, *shape[1:])).astype(dtype)  # whole numbers: sums are exact
    expected = np.zeros(shape, dtype)
    for place, row in zip(index, g, strict=True):
        expected[place] += row
    np.testing.assert_array_equal(compute("scatter_add", g, index, axis=0, shape=shape), expected)


def test_the_sums_for_a_device_without_reduceat_are_the_same() -> None:
    from graphspec.runtime.kernels import indexing, indexing_on_device

    rng = np.random.default_rng(0)
    place, g = rng.integers(0, 9, 300), rng.integers(-99, 99, (2, 300, 3)).astype("f4")
    found, expected = np.empty((2, 9, 3), "f4"), np.empty((2, 9, 3), "f4")
    g[:, place == 4] = np.nan  # stays where it is
    indexing_on_device._add_at(np, found, place, g)
    indexing._add_at(expected, place, g)
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(found[:, 4]).all()
    assert not np.isnan(np.delete(found, 4, 1)).any()


def test_indices_may_be_i32_and_take_the_place_of_their_axes() -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    i, j = np.array([[2], [0]], "i4"), np.array([1, 3, 1], "i4")
    np.testing.assert_array_equal(compute("gather", x, i, j, axis=1), x[:, i, j])
    N = symbol("N")
    rows = typed(N, 2, dtype=DType.I64)
    assert str(make("gather", typed(10, 5), rows, axis=0).type) == "f32[N, 2, 5]"


def test_the_gradient_of_a_gather_is_zero_where_nothing_was_read() -> None:
    gx, _ = gradients("gather", np.zeros((4, 2)), np.array([1, 1]), axis=0)
    assert gx is not None
    assert gx.tolist() == [[0, 0], [2, 2], [0, 0], [0, 0]]


def test_indices_are_integers_and_of_the_right_rank() -> None:
    with pytest.raises(TypeRuleError, match="integers as indices, not f32"):
        make("gather", typed(3, 4), typed(2), axis=0)
    with pytest.raises(TypeRuleError, match="as many axes"):
        make("take_along_axis", typed(3, 4), typed(3, dtype=DType.I64), axis=1)
    with pytest.raises(TypeRuleError, match="equal sizes on axis 0, but they are 3 and 2"):
        make("take_along_axis", typed(3, 4), typed(2, 4, dtype=DType.I64), axis=1)
