"""Facts about ops that move elements: what sizes they find, symbolic ones too, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from graphspec import testing
from graphspec.ir import DType, TypeRuleError, symbol
from tests.ops.graphs import compute, gradients, make, typed

N, C = symbol("N"), symbol("C", 8)
X = np.arange(24.0).reshape(2, 3, 4)


def test_reshape_fills_in_one_size_by_division_of_polynomials() -> None:
    assert str(make("reshape", typed(N, 3, 4), shape=(N, -1)).type) == "f32[N, 12]"
    assert str(make("reshape", typed(N, C), shape=(N, 8, -1)).type) == "f32[N, 8, C // 8]"
    assert str(make("reshape", typed(N + 1, 2), shape=(-1,)).type) == "f32[2*N + 2]"
    np.testing.assert_array_equal(compute("reshape", X, shape=(4, -1)), X.reshape(4, -1))


def test_reshape_refuses_another_number_of_elements() -> None:
    for shape, words in (
        ((5, 5), r"it has 24 elements, not 25"),
        ((-1, 5), "the 24 elements of .* are no multiple of 5"),
        ((-1, -1), "fills in one -1, not 2"),
        ((-2, -12), "a size is not negative"),
    ):
        with pytest.raises(TypeRuleError, match=words):
            make("reshape", typed(2, 3, 4), shape=shape)
    with pytest.raises(TypeRuleError, match="it has 12"):
        make("reshape", typed(N, 12), shape=(N, 10))


def test_transpose_swaps_the_last_two_axes_or_permutes() -> None:
    np.testing.assert_array_equal(compute("transpose", X), X.swapaxes(1, 2))
    np.testing.assert_array_equal(compute("transpose", X, axes=(-1, 0, 1)), X.transpose(2, 0, 1))
    with pytest.raises(TypeRuleError, match="each axis"):
        make("transpose", typed(2, 3), axes=(0, 0))
    with pytest.raises(TypeRuleError, match="swaps the last two axes"):
        make("transpose", typed(3))


def test_stack_and_split_and_concat_are_those_of_numpy() -> None:
    np.testing.assert_array_equal(compute("stack", X, 2 * X, axis=-1), np.stack([X, 2 * X], axis=-1))
    np.testing.assert_array_equal(compute("concat", X, 2 * X, axis=1), np.concatenate([X, 2 * X], axis=1))
    x = typed(2, 3, 4, dtype=DType.F64)
    for parts, expected in ((2, np.split(X, 2, 2)), ((2,), np.split(X, 2, 2)), ((1, 3), np.split(X, [1], 2))):
        pieces = make("split", x, parts=parts, axis=-1)
        for found, piece in zip(testing.evaluate(pieces, {x: X}), expected, strict=True):
            np.testing.assert_array_equal(found, piece)
    assert [str(p.type) for p in make("split", typed(N, 3 * C), parts=3, axis=1)] == ["f32[N, C]"] * 3


def test_concat_says_which_sizes_differ_and_which_axis_would_do() -> None:
    with pytest.raises(TypeRuleError, match="equal sizes on axis 1, but they are 64 and 48") as refused:
        make("concat", typed(N, 64), typed(N, 48), axis=0)
    assert refused.value.help == "`axis=1` gives f32[N, 112]"
    with pytest.raises(TypeRuleError, match="equally many axes"):
        make("concat", typed(2, 3), typed(3))


def test_split_refuses_what_does_not_add_up() -> None:
    with pytest.raises(TypeRuleError, match="into 3 equal parts"):
        make("split", typed(4), parts=3)
    with pytest.raises(TypeRuleError, match="5 elements together, but axis 0 of f32\\[4\\] has 4"):
        make("split", typed(4), parts=(2, 3))


def test_squeeze_and_unsqueeze_name_axes_of_size_1() -> None:
    assert make("unsqueeze", typed(N, 3), axis=1).shape == (N, 1, 3)
    assert make("unsqueeze", typed(N, 3), axis=(0, -1)).shape == (1, N, 3, 1)
    assert make("squeeze", typed(N, 1, 3), axis=1).shape == (N, 3)
    assert make("squeeze", typed(1, N, 1)).shape == (N,)
    with pytest.raises(TypeRuleError, match="axis 0 of f32\\[N, 1\\] has size N"):
        make("squeeze", typed(N, 1), axis=0)


def test_pad_counts_from_the_last_axis_as_torch_does() -> None:
    padded = compute("pad", X, pad=(1, 2, 0, 3), value=7.0)
    np.testing.assert_array_equal(padded, np.pad(X, [(0, 0), (0, 3), (1, 2)], constant_values=7))
    with pytest.raises(TypeRuleError, match="two numbers for each"):
        make("pad", typed(3), pad=(1,))
    with pytest.raises(TypeRuleError, match="at least 0"):
        make("pad", typed(3), pad=(-1, 0))


def test_a_slice_is_a_view_of_symbolic_size_and_checked_once_sizes_are_known() -> None:
    from graphspec.ops.shape import Slice

    y = Slice((1, 0), (N, 4), (1, 3)).infer(typed(N, 4).type)
    assert str(y) == "f32[N - 1, 2]"
    late = Slice((2,), (5,), (1,))
    assert str(late.infer(typed(N).type)) == "f32[3]"
    with pytest.raises(TypeRuleError, match="2:5 is not within axis 0 of f32\\[4\\]"):
        late.infer(typed(4).type)


def test_constants_have_the_dtype_asked_for() -> None:
    assert str(make("zeros", shape=(N, 2)).type) == "f32[N, 2]"
    assert str(make("ones", shape=(), dtype=DType.I64).type) == "i64[]"
    assert str(make("full", shape=(2,), value=0.5, dtype=DType.F64).type) == "f64[2]"
    assert str(make("zeros_like", typed(N, dtype=DType.F16)).type) == "f16[N]"
    assert testing.evaluate([make("ones_like", typed(2, 3))], {})[0].tolist() == [[1, 1, 1]] * 2
    assert str(make("arange", size=N).type) == "i64[N]"
    with pytest.raises(TypeRuleError, match=r"0\.5 is no number of the dtype i64"):
        make("full", shape=(2,), value=0.5, dtype=DType.I64)


def test_reductions_are_those_of_numpy_over_any_axes() -> None:
    for name in ("sum", "max", "min"):
        for axis in (None, (0,), (-1, 0), (1,)):
            expected = getattr(np, name)(X, axis=axis if axis is None else tuple(axis))
            np.testing.assert_array_equal(compute(name, X, axis=axis), expected)
    np.testing.assert_array_equal(compute("sum", X > 3, axis=(1,)), (X > 3).sum(axis=1))
    assert compute("argmax", [[1.0, 3.0, 3.0]], axis=-1).tolist() == [1]
    np.testing.assert_array_equal(compute("cumsum", X, axis=-2), X.cumsum(axis=1))
    assert str(make("sum", typed(N, 3), axis=(0,), keepdims=True).type) == "f32[1, 3]"
    with pytest.raises(TypeRuleError, match="axis 2 of a tensor with 2 axes"):
        make("sum", typed(N, 3), axis=(2,))
    with pytest.raises(TypeRuleError, match="an axis twice"):
        make("sum", typed(N, 3), axis=(1, -1))


def test_the_sum_of_i32_stays_in_i32() -> None:
    assert compute("sum", np.array([1, 2], "i4")).dtype == np.int32
    assert compute("cumsum", np.array([1, 2], "i4"), axis=0).dtype == np.int32


def test_ties_of_max_and_min_are_split_evenly() -> None:
    (gx,) = gradients("max", [[1.0, 1.0, 0.0], [0.0, 3.0, 2.0]], axis=(1,))
    assert gx is not None
    assert gx.tolist() == [[0.5, 0.5, 0], [0, 1, 0]]
    (gx,) = gradients("min", [1.0, 1.0, 1.0, 2.0])
    assert gx is not None
    np.testing.assert_allclose(gx, [1 / 3, 1 / 3, 1 / 3, 0])
