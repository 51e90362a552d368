"""The gradient check: right derivatives pass, wrong ones are caught on their line, kinks are told."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import graphspec as gs
from graphspec.cli import app
from graphspec.diagnostics.catalogue import CATALOGUE, checks
from graphspec.gradcheck import jacobian_by_differences
from graphspec.runtime.differences import compare, numeric_jacobian, slope

SPECS = Path(__file__).parent.parent / "specs"
WRONG = Path(__file__).parent / "wrong" / "checks"

HEAD = "gspec 1\ndim N = 4\ninput x: f32[N, 3] ~ normal()\n"

REQU = """h = requ(linear(x, 5) as fc)
loss total = mean(h ** 2)
op requ(x) = maximum(x, 0) ** 2 {{
  gradient(dy) x = {line}
}}
"""
PRODUCT = """param w: f32[5, 3] ~ normal()
h = product(x, w)
loss total = mean(h ** 2)
op product(x[N, I], w[O, I]) {{
  y = x @ transpose(w)
  return y
  gradient(dy) x = {x}
  gradient(dy) w = {w}
}}
"""
SQUARE = """param w: f32[3, 3] ~ normal()
loss total = mean(product(x, w) ** 2)
op product(x[N, I], w[O, I]) = x @ transpose(w) {{
  gradient(dy) {argument} = {line}
}}
"""
SCALED = """param scale: f32[3] ~ normal(1)
param shift: f32[3] ~ normal()
h = scaled(x, scale, shift)
loss total = mean(h ** 3)
op scaled(x, scale, shift) = x * scale + shift {{
  gradient(dy) x = dy * scale
  gradient(dy) scale = {scale}
  gradient(dy) shift = {shift}
}}
"""
SOFTMAX = """h = soft(linear(x, 4) as fc)
loss total = sum(h ** 2)
op soft(x) {{
  e = exp(x)
  y = e / sum(e, axis=1, keepdims=true)
  return y
  gradient(dy) x = {line}
}}
"""

RIGHT = {
    "requ": REQU.format(line="2 * maximum(x, 0) * dy"),
    "product": PRODUCT.format(x="dy @ w", w="transpose(dy) @ x"),
    "scaled": SCALED.format(scale="dy * x", shift="dy"),
    "scaled_summed_by_hand": SCALED.format(scale="sum(dy * x, axis=0)", shift="sum(dy, axis=0)"),
    "softmax": SOFTMAX.format(line="y * (dy - sum(dy * y, axis=1, keepdims=true))"),
}
#: what is wrong, and which line it is
MUTATIONS = {
    "factor_two": (REQU.format(line="2 * 2 * maximum(x, 0) * dy"), "2 * 2 * maximum"),
    "wrong_sign": (REQU.format(line="-2 * maximum(x, 0) * dy"), "-2 * maximum"),
    "missing_factor": (REQU.format(line="2 * dy"), "2 * dy"),
    "without_the_cotangent": (REQU.format(line="2 * maximum(x, 0)"), "2 * maximum(x, 0)"),
    "nearly_right": (REQU.format(line="2.0001 * maximum(x, 0) * dy"), "2.0001"),
    "always_zero": (REQU.format(line="0 * x * dy"), "0 * x * dy"),
    "missing_term": (SOFTMAX.format(line="y * dy"), "y * dy"),
    "transposed_factor": (SQUARE.format(argument="x", line="dy @ transpose(w)"), "dy @ transpose(w)"),
    "transposed_product": (SQUARE.format(argument="w", line="transpose(x) @ dy"), "transpose(x) @ dy"),
    "mean_instead_of_sum": (SCALED.format(scale="mean(dy * x, axis=0)", shift="dy"), "mean(dy * x"),
    "broadcast_over_everything": (SCALED.format(scale="dy * x", shift="sum(dy)"), "sum(dy)"),
}


def check(text: str, **options: object) -> gs.GradcheckReport:
    model = gs.loads(HEAD + text)
    return model.gradcheck(model.init(1), model.draw(1), **options)


def shown(report: gs.GradcheckReport) -> str:
    """A report as text, but for numbers whose digits rounding makes."""
    return re.sub(r"\d(\.\d+)?e[+-]\d+", "#", str(report)) + "\n"


def ids(report: gs.GradcheckReport) -> list[str]:
    return [d.id for d in report.diagnostics]


# --- right ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives_pass_to_second_order(name: str) -> None:
    report = check(RIGHT[name], order=2)
    assert report
    assert not report.diagnostics
    assert max(row.error for row in report.rows) < 1e-7


@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives_pass_by_each_element(name: str) -> None:
    report = check(RIGHT[name], full=True)
    assert report
    assert {row.verdict for row in report.rows} == {"right"}


@pytest.mark.parametrize(
    "path", [SPECS / f"{name}.gspec" for name in ("burgers", "per_example", "requ_iris", "scalar", "wgan_gp")]
)
def test_the_specs_of_the_repository_pass(path: Path) -> None:
    model = gs.load(path)
    assert model.gradcheck(model.init(), model.draw())


def test_scene_4_in_both_forms_has_a_small_symmetric_relative_error() -> None:
    for nonlinearity in ("requ", "sigmoid"):
        model = gs.load(SPECS / "requ_iris.gspec", consts={"nonlinearity": nonlinearity})
        report = model.gradcheck(model.init(), model.draw(), order=2)
        assert report
        # the project's tolerance for gradients in double precision by differences is 1e-6
        assert max(row.error for row in report.rows if row.error is not None) < 1e-7


def test_noise_is_held_fixed_and_the_mode_is_the_models() -> None:
    text = HEAD + "h = dropout(linear(x, 50) as fc, p=0.5)\nloss total = mean(h ** 2)\n"
    model = gs.loads(text, mode="train")
    assert model.gradcheck(model.init(1), model.draw(1), seed=5)


def test_what_stop_gradient_returns_is_held_fixed() -> None:
    assert check("h = linear(x, 2) as fc\nloss total = mean((h * stop_gradient(h ** 2)) ** 2)", order=2)


def test_values_are_checked_like_parameters() -> None:
    report = check("h = linear(x, 2) as fc\ny = tanh(h)\nloss total = mean(y * h)", wrt=["h", "y", "fc.x"])
    assert report
    assert [(row.name, row.kind) for row in report.rows] == [(n, "value") for n in ("h", "y", "fc.x")]


def test_an_objective_that_is_no_scalar_is_weighted() -> None:
    report = check("output h = linear(x, 2) as fc")
    assert report
    assert [row.name for row in report.rows] == ["x", "fc.weight", "fc.bias"]


def test_several_objectives_are_checked_one_by_one() -> None:
    report = check("output h = linear(x, 2) as fc\noutput y = sum(x)", of=["h", "y"])
    assert {(row.of, row.name) for row in report.rows} >= {("h", "fc.weight"), ("y", "x")}


def test_gradients_in_the_spec_are_functions_like_any_other() -> None:
    score = "score = sum(tanh(linear(x, 1) as fc))\ng = grad(score, x)\n"
    assert check(score + "loss penalty = mean((norm(g, axis=1) - 1) ** 2)", order=2)


def test_gradients_below_what_differences_can_tell_are_no_mistake() -> None:
    report = check("param tiny: f32[2] ~ normal()\nloss total = sum(x) * 1e6 + sum(tiny ** 2) * 1e-9")
    assert report
    assert {row.name: row.verdict for row in report.rows} == {"x": "right", "tiny": "too small"}


def test_dense_kinks_close_by_are_left_behind_by_smaller_steps() -> None:
    report = check("h = relu(linear(x, 3000) as fc)\nloss total = mean(h ** 2)", wrt="x")
    assert [row.verdict for row in report.rows] == ["right"]


# --- wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MUTATIONS)
@pytest.mark.parametrize("full", [False, True], ids=["directions", "full"])
def test_a_wrong_line_is_caught_and_named(name: str, full: bool) -> None:
    text, line = MUTATIONS[name]
    report = check(text, full=full)
    assert not report
    (found,) = report.diagnostics
    assert found.id == "gradient-wrong"
    assert found.primary is not None
    assert found.primary.span.text.startswith("gradient(dy)")
    assert line in found.primary.span.text


@pytest.mark.parametrize("name", ["factor_two", "missing_term", "wrong_sign"])
def test_a_wrong_line_is_shown_like_this(name: str, expect: Callable[[Path, str], None]) -> None:
    expect(WRONG / f"{name}.txt", shown(check(MUTATIONS[name][0])))


def test_the_wrong_argument_of_several_is_named() -> None:
    report = check(MUTATIONS["mean_instead_of_sum"][0])
    verdicts = {row.name: row.verdict for row in report.rows if row.kind == "by hand"}
    assert verdicts == {"scaled: x": "right", "scaled: scale": "wrong", "scaled: shift": "right"}


def test_a_wrong_op_inside_another_is_caught() -> None:
    report = check(
        "loss total = sum(outer(x))\n"
        "op outer(x) = inner(x) ** 2 {\n  gradient(dy) x = 2 * inner(x) * dy * cos(x)\n}\n"
        "op inner(x) = sin(x) {\n  gradient(dy) x = 2 * dy * cos(x)\n}\n"
    )
    assert [row.name for row in report.rows if row.verdict == "wrong"] == ["inner: x"]


def test_a_line_that_only_second_derivatives_need_is_checked_with_order_2() -> None:
    text = (
        "loss total = sum(cube(x))\n"
        "op cube(x) = x ** 3 {\n  gradient(dy) x = dy * triple(x)\n}\n"
        "op triple(x) = 3 * x ** 2 {\n  gradient(dy) x = dy * 7 * x\n}\n"
    )
    assert check(text)
    assert not check(text, order=2)


def test_full_names_the_element_that_is_worst() -> None:
    line = "dy * where(x > 0.5, 2, 1)"
    text = f"loss total = sum(same(x))\nop same(x) = 1 * x {{\n  gradient(dy) x = {line}\n}}\n"
    model = gs.loads(HEAD + text)
    x = np.zeros((2, 3))
    x[1, 2] = 1
    report = model.gradcheck({}, {"x": x}, full=True)
    assert "by the element [1, 2] it gives" in str(report)


# --- surrogates -----------------------------------------------------------------------------------------

STRAIGHT = (
    "h = linear(x, 5) as fc\ny = linear(quantised(h), 2) as head\nloss total = mean(y ** 2)\n"
    "op quantised(x) = round(4 * x) / 4 {\n  surrogate(dy) x = dy\n}\n"
)


def test_a_surrogate_is_reported_and_does_not_fail() -> None:
    report = check(STRAIGHT)
    assert report
    assert {row.name: row.verdict for row in report.rows}["quantised: x"] == "surrogate"
    assert not report.diagnostics


def test_what_goes_into_a_surrogate_is_checked_too() -> None:
    report = check(STRAIGHT)
    into = [row.name for row in report.rows if row.of == "what goes into `quantised`"]
    assert into == ["x", "fc.weight", "fc.bias"]
    wrong = STRAIGHT.replace("linear(x, 5) as fc", "half(linear(x, 5) as fc)") + (
        "op half(x) = x / 2 {\n  gradient(dy) x = dy\n}\n"
    )
    assert ids(check(wrong)) == ["gradient-wrong"]


def test_each_application_of_a_surrogate_is_followed() -> None:
    report = check(
        "param a: f32[3] ~ normal()\nparam b: f32[3] ~ normal()\n"
        "loss total = sum(quantised(2 * a) * quantised(b * x))\n"
        "op quantised(x) = round(4 * x) / 4 {\n  surrogate(dy) x = dy\n}\n"
    )
    assert {(row.name, row.of) for row in report.rows if row.of} == {
        ("a", "what goes into `quantised`"),
        ("b", "what goes into `quantised` (2)"),
        ("x", "what goes into `quantised` (2)"),
    }


def test_a_name_that_only_a_surrogate_leads_to_is_told() -> None:
    text = "loss total = sum(quantised(x))\nop quantised(x) = round(x) {\n  surrogate(dy) x = dy\n}\n"
    report = check(text, wrt="x")
    assert [(row.name, row.verdict) for row in report.rows] == [
        ("x", "surrogate"),
        ("quantised: x", "surrogate"),
    ]


def test_gradient_instead_of_surrogate_is_wrong() -> None:
    assert ids(check(STRAIGHT.replace("surrogate(", "gradient("))) == ["gradient-wrong"]


# --- kinks ----------------------------------------------------------------------------------------------

AT_A_KINK = {
    "relu_at_zero": "param b: f32[3] = zeros()\nloss total = mean((relu(b) - x) ** 2)",
    "abs_at_zero": "param b: f32[3] = zeros()\nloss total = sum(abs(b)) + sum(x ** 2)",
    "tie": "param b: f32[3] = ones()\nloss total = max(b) + sum(x ** 2)",
    "jump": "param b: f32[3] = zeros()\nloss total = sum(where(b >= 0, 1, 0) * b + floor(b)) + sum(x ** 2)",
}


@pytest.mark.parametrize("name", AT_A_KINK)
def test_a_kink_is_a_warning_and_neither_a_failure_nor_a_pass_by_luck(
    name: str, expect: Callable[[Path, str], None]
) -> None:
    report = check(AT_A_KINK[name])
    assert report
    assert {row.name: row.verdict for row in report.rows} == {"x": "right", "b": "kink"}
    assert ids(report) == ["gradient-at-kink"]
    assert report.diagnostics[0].severity == "warning"
    expect(WRONG / f"{name}.txt", shown(report))


def test_a_wrong_gradient_at_a_kink_is_found_beside_it() -> None:
    report = check(
        "param b: f32[3] = zeros()\nloss total = sum(bend(b)) + sum(x ** 2)\n"
        "op bend(x) = abs(x) {\n  gradient(dy) x = 3 * dy * sign(x)\n}\n"
    )
    assert not report
    assert ids(report) == ["gradient-wrong", "gradient-at-kink"]


# --- requests -------------------------------------------------------------------------------------------


def test_one_op_is_checked_alone() -> None:
    report = check("h = gelu(linear(x, 2) as fc)\nloss total = mean(h ** 2)", ops="gelu")
    assert report
    assert [row.name for row in report.rows] == ["gelu: x"]
    primitive = check("h = erfc(x)\nloss total = mean(h ** 2)", ops=["erfc"], order=2)
    assert [(row.name, row.verdict) for row in primitive.rows] == [("erfc: x", "right")] * 2


WRONG_REQUESTS: dict[str, tuple[str, dict[str, object]]] = {
    "op_not_applied": ("loss total = sum(gelu(x))", {"ops": ["gleu", "exp"]}),
    "nothing_to_check": ("output y = sum(stop_gradient(x))", {}),
    "check_of_nothing": ("loss total = sum(x)", {"wrt": "y"}),
    "check_at_nan": ("loss total = sum(log(x * 0))", {}),
}


@pytest.mark.parametrize("name", WRONG_REQUESTS)
def test_a_wrong_request_says_exactly_this(name: str, expect: Callable[[Path, str], None]) -> None:
    text, options = WRONG_REQUESTS[name]
    with pytest.raises(gs.GraphSpecError) as error:
        check(text, **options)
    expect(WRONG / f"{name}.txt", f"{error.value}\n")


def test_a_gradient_that_no_line_explains_is_reported_by_itself(
    monkeypatch: pytest.MonkeyPatch, expect: Callable[[Path, str], None]
) -> None:
    from graphspec.ir import OPS

    right = OPS["tanh"].vjp
    monkeypatch.setattr(OPS["tanh"], "vjp", lambda op, gy, y, x: (right(op, gy, y, x)[0] * 2,))
    report = check("param b: f32[3] ~ normal()\nloss total = sum(tanh(b) * x)", wrt="b")
    expect(WRONG / "no_line_explains.txt", shown(report))


def test_order_is_1_or_2() -> None:
    with pytest.raises(ValueError, match="order is 1 or 2"):
        check("loss total = sum(x)", order=3)


def test_every_diagnostic_of_a_check_has_a_case() -> None:
    texts = "".join(path.read_text() for path in WRONG.glob("*.txt"))
    functions = {name.replace("_", "-") for name in vars(checks)}
    assert [id for id in CATALOGUE if id in functions and f"[{id}]" not in texts] == []


# --- the command ----------------------------------------------------------------------------------------


def test_the_command_prints_a_table_and_ends_with_1_where_something_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "m.gspec"
    path.write_text(HEAD + RIGHT["requ"])
    fine = CliRunner().invoke(app, ["gradcheck", str(path), "--order", "2"])
    assert fine.exit_code == 0, fine.stderr
    assert fine.stdout.split("\n")[0].split() == [
        "name",
        "kind",
        "of",
        "order",
        "compared",
        "error",
        "verdict",
    ]
    assert "requ: x" in fine.stdout
    path.write_text(HEAD + MUTATIONS["factor_two"][0])
    wrong = CliRunner().invoke(app, ["gradcheck", str(path)])
    assert wrong.exit_code == 1
    assert "error[gradient-wrong]" in wrong.stderr
    assert f"{path}:7:3" in wrong.stderr


def test_the_document_of_the_command(tmp_path: Path) -> None:
    path = tmp_path / "m.gspec"
    path.write_text(HEAD + RIGHT["requ"])
    result = CliRunner().invoke(app, ["gradcheck", str(path), "--op", "requ", "--full", "--json"])
    document = json.loads(result.stdout)
    assert document["result"]["ok"]
    (row,) = document["result"]["derivatives"]
    assert row["error"] < 1e-7
    assert {k: v for k, v in row.items() if k != "error"} == {
        "name": "requ: x",
        "kind": "by hand",
        "of": "",
        "order": 1,
        "compared": "3 points",
        "verdict": "right",
    }


# --- differences ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (math.sin, 1.0),
        (lambda t: math.exp(1000 * t), 1000.0),
        (lambda t: abs(t - 3e-6), -1.0),
        (lambda t: 1 + 1e-9 * t + t * t + t**3, 1e-9),
        (lambda t: 3.0, 0.0),
    ],
)
def test_the_slope_of_a_smooth_function_is_found(f: Callable[[float], float], expected: float) -> None:
    found = slope(f, f(0.0), expected)
    assert found.sides is None
    assert abs(found.value - expected) <= 1e-8 * abs(expected) + found.rounding


@pytest.mark.parametrize(
    ("f", "sides"),
    [
        (abs, (-1.0, 1.0)),
        (lambda t: max(t, 0.0), (0.0, 1.0)),
        (lambda t: 1 + t + 1e-4 * abs(t), (0.9999, 1.0001)),
    ],
)
def test_a_kink_gives_both_slopes(f: Callable[[float], float], sides: tuple[float, float]) -> None:
    found = slope(f, f(0.0), 1.0).sides
    assert found == pytest.approx(sides, abs=1e-6)


def test_the_jacobian_by_differences_is_that_of_the_model() -> None:
    model = gs.load(SPECS / "requ_iris.gspec")
    params, inputs = model.init(), {name: a[:3] for name, a in model.draw().items()}
    for of, wrt in (("hidden", "hidden.affine.weight"), ("logits", "measurements"), ("logits", "hidden")):
        found = jacobian_by_differences(
            model._engine.in_double(), of, wrt, {**params, **inputs}, seed=0, backend="numpy"
        )
        expected = model.jacobian(params, inputs, of, wrt)
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9)


def test_where_a_function_ends_there_is_no_slope() -> None:
    assert slope(lambda t: math.sqrt(t) if t >= 0 else math.nan, 0.0).sides is not None


def test_a_gradient_that_is_nan_disagrees() -> None:
    x = np.ones(3)
    found = compare(lambda x: float(x.sum()), x, np.array([1, np.nan, 1]), [np.eye(3)[i] for i in range(3)])
    assert found.verdict == "differs"


def test_the_numeric_jacobian_has_the_axes_of_the_result_then_those_of_x() -> None:
    a = np.arange(6.0).reshape(2, 3) / 7
    x = np.array([[0.1, -0.4, 0.3]])
    found = numeric_jacobian(lambda x: np.tanh(a @ x[0]), x)
    assert found.shape == (2, 1, 3)
    expected = (1 - np.tanh(a @ x[0]) ** 2)[:, None] * a
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-9, atol=1e-10)
    assert numeric_jacobian(lambda x: x[:0], x[:0]).shape == (0, 3, 0, 3)
