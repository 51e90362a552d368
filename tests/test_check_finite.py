"""`check_finite`: which step first made NaN or an infinity, forward or backward, and of what."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import graphspec as gs
from graphspec.cli import app
from graphspec.ir import Graph, Input, TensorType, apply
from graphspec.ir.types import DType
from graphspec.runtime.finite import find_culprit

WRONG = Path(__file__).parent / "wrong" / "checks"
X = np.array([[1.0, 0.0], [2.0, 0.0]])


@dataclass(frozen=True)
class Case:
    """A spec whose results are not finite for `x`; the gradient is asked for by `wrt`, if it is."""

    text: str
    x: Any = field(default_factory=X.copy)
    wrt: str | None = None


CASES = {
    "log_of_zero": Case("p = x / 2\nh = log(p)\nloss nll = mean(h * p)"),
    "root_of_zero_backward": Case("loss total = sum(sqrt(x))", wrt="x"),
    "branch_not_taken": Case("y = where(x > 1, log(x - 1), 0)\nloss total = sum(y)", wrt="x"),
    "row_of_a_mask_without_rest": Case(
        "s = where(x > 1.5, x, -inf)\nloss total = sum(softmax(s, axis=1) ** 2)"
    ),
    "overflow": Case("loss total = sum(exp(x * 800) / exp(x * 799))", wrt="x"),
    "data": Case("loss total = sum(x ** 2)", np.array([[1.0, np.nan], [np.inf, 0]]), wrt="x"),
    "number_of_the_spec": Case("loss total = sum(x ** 2) + inf"),
    "loss_only": Case("rest = stop_gradient(log(sum(x) - 3))\nloss total = sum(x ** 2) + rest", wrt="x"),
    "in_a_block": Case(
        "block stable(x[N, D]) {\n  e = exp(x * 1000)\n  return e / sum(e, axis=1, keepdims=true)\n}\n"
        "loss total = sum(stable(x) as head)"
    ),
}


def spec(text: str) -> str:
    return f"gspec 1\ninput x: f64[N, 2]\n{text}\n"


def run(case: Case) -> gs.GraphSpecError | None:
    model = gs.loads(spec(case.text))
    try:
        if case.wrt is None:
            model.forward({}, {"x": case.x}, check_finite=True)
        else:
            model.grad({}, {"x": case.x}, wrt=case.wrt, check_finite=True)
    except gs.GraphSpecError as error:
        return error
    return None


SIMPLIFIED = pytest.mark.needs_optimisation("simplify_algebra")  # `1 / y` is said without the 1
NAMES = [pytest.param(n, marks=SIMPLIFIED if n == "root_of_zero_backward" else ()) for n in CASES]


@pytest.mark.parametrize("name", NAMES)
def test_what_made_a_result_infinite_or_nan_is_shown(name: str, expect: Callable[[Path, str], None]) -> None:
    error = run(CASES[name])
    assert error is not None
    expect(WRONG / f"{name}.txt", f"{error}\n")


@pytest.mark.parametrize(
    "text",
    [
        "s = where(x > 0.5, x, -inf)\nloss total = sum(softmax(s, axis=1) ** 2)",
        "y = where(x > 0, log(x), 0)\nloss total = sum(where(x > 0, y, 0))",
        "loss total = sum(minimum(1 / x, 3))",
        "loss total = sum(max_pool2d(reshape(x, [1, 1, N, 2]), 2, padding=1))",
    ],
)
def test_infinities_that_are_absorbed_are_nobodys_mistake(text: str) -> None:
    assert run(Case(text)) is None


def test_a_loss_that_is_nan_is_found_where_all_gradients_are_finite() -> None:
    case = CASES["loss_only"]
    grads = gs.loads(spec(case.text)).grad({}, {"x": X}, wrt="x")
    assert np.isfinite(grads["x"]).all()
    error = run(case)
    assert error is not None
    assert error.diagnostics[0].primary is not None
    assert error.diagnostics[0].primary.span.text == "log(sum(x) - 3)"


def test_finite_results_are_those_of_a_run_without_the_check() -> None:
    model = gs.loads(spec("loss total = sum(x ** 3)"))
    plain, checked = (model.grad({}, {"x": X}, wrt="x", check_finite=check) for check in (False, True))
    assert list(plain) == list(checked)
    np.testing.assert_array_equal(plain["x"], checked["x"])


def test_values_and_gradients_are_checked_together() -> None:
    model = gs.loads(spec("loss total = sum(log(x))"))
    with pytest.raises(gs.GraphSpecError, match="`total` and the gradient of `total` by `x` are not finite"):
        model.value_and_grad({}, {"x": X}, wrt="x", check_finite=True)


def test_a_long_chain_of_steps_is_followed_to_its_beginning() -> None:
    x = apply(Input("x", TensorType(DType.F64, (3,))))
    y = (x - 1) / (x - 1)
    made = y.node
    for _ in range(3000):
        y = -y
    culprit = find_culprit(Graph({"y": y}), {}, "numpy", {"x": np.array([1.0, 2.0, 3.0])}, ["y"])
    assert culprit.value.node is made
    assert culprit.elements[0].index == (0,)
    assert culprit.elements[0].operands == (0.0, 0.0)


def test_operands_are_looked_at_before_anything_overwrites_them() -> None:
    # `h * 0` could take the memory of `h`, which dies there
    error = run(Case("h = x + 709.9\nloss total = sum(exp(h) * 0)", np.full((1, 2), 1.0)))
    assert "from 710.9 to 710.9" in str(error)


@pytest.mark.parametrize("command", [["forward"], ["grad", "--wrt", "x"]])
def test_the_command_line_says_so_and_ends_with_status_1(command: list[str], tmp_path: Path) -> None:
    path, data = tmp_path / "m.gspec", tmp_path / "x.npy"
    path.write_text(spec("loss total = sum(log(x))"))
    np.save(data, X)
    arguments = [command[0], str(path), *command[1:], "--input", f"x={data}"]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    result = CliRunner().invoke(app, [*arguments, "--check-finite", "--json"])
    assert result.exit_code == 1
    (found,) = json.loads(result.stdout)["diagnostics"]
    assert found["id"] == "not-finite"
