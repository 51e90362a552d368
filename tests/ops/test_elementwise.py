"""Facts about elementwise ops: conventions at kinks, special values, dtypes that do not mix."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from graphspec.ir import DType, TypeRuleError, literal, symbol
from graphspec.ops.comparison import where
from tests.ops.graphs import compute, gradients, make, typed

TABLE = np.array(json.loads((Path(__file__).parent / "frozen" / "erf.json").read_text()))


@pytest.mark.parametrize(("name", "column"), [("erf", 1), ("erfc", 2)])
def test_erf_and_erfc_are_exact_to_1e_15_in_f64(name: str, column: int) -> None:
    np.testing.assert_allclose(compute(name, TABLE[:, 0]), TABLE[:, column], rtol=1e-15, atol=0)


@pytest.mark.parametrize(("name", "reference"), [("erf", math.erf), ("erfc", math.erfc)])
def test_erf_and_erfc_are_exact_to_a_few_roundings_in_f32_and_stay_in_it(name, reference) -> None:
    x = np.linspace(-9, 9, 20_001, dtype="f4")
    exact = np.array([reference(v) for v in x.tolist()])
    y = compute(name, x)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, exact, rtol=5e-7, atol=2e-38)  # atol: numbers too small for full precision


def test_erf_and_erfc_at_the_ends() -> None:
    ends = np.array([0.0, -0.0, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(compute("erf", ends), [0, -0.0, 1, -1, np.nan])
    np.testing.assert_array_equal(compute("erfc", ends), [1, 1, 0, 2, np.nan])


def test_ties_of_maximum_and_minimum_are_split_evenly() -> None:
    for name in ("maximum", "minimum"):
        gx, gy = gradients(name, [1.0, 2.0], [1.0, 2.0])
        assert gx is not None
        assert gy is not None
        assert gx.tolist() == gy.tolist() == [0.5, 0.5]


def test_the_derivative_of_abs_at_0_is_0() -> None:
    (gx,) = gradients("abs", [-1.0, 0.0, 2.0])
    assert gx is not None
    assert gx.tolist() == [-1, 0, 1]


def test_nan_is_not_swallowed() -> None:
    nan = np.array([np.nan, 1.0])
    for name in ("maximum", "minimum"):
        assert np.isnan(compute(name, nan, [0.0, np.nan])).all()
    for name in ("max", "min"):
        assert np.isnan(compute(name, nan))
    assert np.isnan(compute("sign", nan)[0])


def test_where_stops_what_was_not_chosen_even_nan() -> None:
    condition, x, y = [True, False], [1.0, np.nan], [np.inf, 2.0]
    assert compute("where", condition, x, y).tolist() == [1, 2]
    _, gx, gy = gradients("where", condition, x, y, gy=np.array([np.nan, 5.0]))
    assert gx is not None
    assert gy is not None
    np.testing.assert_array_equal(gx, [np.nan, 0])
    np.testing.assert_array_equal(gy, [0, 5])


def test_where_keeps_the_sign_of_zero_and_all_bits() -> None:
    odd = np.array([-0.0, np.nan, np.inf, 5e-324])
    for chosen, other in ((odd, np.zeros(4)), (odd, -odd)):
        kept = compute("where", np.ones(4, bool), chosen, other)
        assert kept.tobytes() == chosen.tobytes()
        assert compute("where", np.zeros(4, bool), other, chosen).tobytes() == chosen.tobytes()


def test_a_power_of_0_has_derivative_0_in_the_base_and_in_the_exponent_for_base_0() -> None:
    gx, gp = gradients("pow", [0.0, 0.0, 0.0, 3.0], [0.0, 1.0, 2.0, 0.0])
    assert gx is not None
    assert gp is not None
    assert gx.tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(gp, [0, 0, 0, math.log(3)])


def test_a_written_exponent_makes_no_logarithm() -> None:
    x = typed(3)
    for exponent, formula in ((2, "mul"), (3, "mul"), (0.5, "mul")):
        y = x**exponent
        gx, gp = y.node.op.vjp(y, y, *y.node.inputs)
        assert gp is None
        assert gx is not None
        assert gx.node.op.name == formula
    (y0,) = (x**0,)
    assert y0.node.op.vjp(y0, y0, *y0.node.inputs) == (None, None)


def test_squares_are_squared() -> None:
    y = typed(3) ** 2
    assert y.node.op.source("out", "x", "2") == "xp.square(x, out=out)"
    assert y.node.op.source("out", "x", "p") == "xp.power(x, p, out=out)"


def test_the_remainder_has_the_sign_of_the_divisor_and_halves_round_to_even() -> None:
    assert compute("mod", [7.0, -7.0, 7.0], [3.0, 3.0, -3.0]).tolist() == [1, 2, -2]
    assert compute("mod", [7, -7], [3, 3]).tolist() == [1, 2]
    assert compute("floor_div", [7, -7], [2, 2]).tolist() == [3, -4]
    assert compute("round", [0.5, 1.5, 2.5, -0.5]).tolist() == [0, 2, 2, -0.0]


def test_a_literal_takes_the_dtype_of_the_tensor_and_the_result_stays_in_f32() -> None:
    y = where(make("less", typed(3), literal(0, DType.F32)), 0, 0.1 * typed(3))
    assert str(y.type) == "f32[3]"


@pytest.mark.parametrize("name", ["add", "mul", "maximum", "equal", "atan2"])
def test_dtypes_never_mix_silently(name: str) -> None:
    with pytest.raises(TypeRuleError, match="one dtype, but they are f32 and f64") as refused:
        make(name, typed(3), typed(3, dtype=DType.F64))
    assert refused.value.help == "`cast(..., f64)` converts the other operand"
    assert refused.value.id == "dtype-mismatch"


def test_refusals_name_a_remedy() -> None:
    integers, booleans = typed(3, dtype=DType.I64), typed(3, dtype=DType.BOOL)
    for refused, words, help in (
        (lambda: make("exp", integers), "`exp` needs floating-point numbers, not i64", "cast"),
        (lambda: make("div", integers, integers), "`/` divides floating-point numbers, not i64", "//"),
        (lambda: make("add", booleans, booleans), r"`\+` needs numbers, not bool", "cast"),
        (lambda: make("logical_and", integers, booleans), "needs booleans, not i64", "!= 0"),
        (lambda: make("pow", integers, literal(-1, DType.I64)), "no power -1", "cast"),
    ):
        with pytest.raises(TypeRuleError, match=words) as error:
            refused()
        assert help in error.value.help


def test_elementwise_ops_broadcast_symbolic_shapes() -> None:
    N, M = symbol("N"), symbol("M")
    assert str(make("add", typed(N, 3), typed(3)).type) == "f32[N, 3]"
    assert str(make("where", typed(1, M, dtype=DType.BOOL), typed(N, 1), typed()).type) == "f32[N, M]"
    with pytest.raises(TypeRuleError, match="N and M"):
        make("add", typed(N, 3), typed(M, 3))
    with pytest.raises(TypeRuleError, match="outer product"):
        make("sub", typed(N), typed(N, 1))
