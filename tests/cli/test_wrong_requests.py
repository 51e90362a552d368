"""Each wrong request gives exactly the diagnostics in tests/wrong/requests."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import graphspec as gs
from graphspec.cli import app
from graphspec.diagnostics.catalogue import CATALOGUE, requests

WRONG = Path(__file__).parent.parent / "wrong" / "requests"
SPEC = "model.gspec"

COMMANDS = {
    "unknown_target": ["grad", SPEC, "--of", "nll", "--wrt", "fc1.wieght,@weights,conv*,label"],
    "nothing_asked": ["grad", SPEC, "--of", "nll", "--wrt", ","],
    "another_result": ["grad", SPEC, "--of", "nll", "--wrt", "head.weight"],
    "stopped": ["grad", SPEC, "--of", "size", "--wrt", "x"],
    "unused_value": ["grad", SPEC, "--of", "sum(h)", "--wrt", "logits"],
    "role_not_reached": ["grad", SPEC, "--of", "sum(other)", "--wrt", "@params"],
    "role_left_out": ["grad", SPEC, "--of", "nll", "--wrt", "@params", "--out", "/dev/null"],
    "several_losses": ["grad", SPEC, "--wrt", "x"],
    "not_a_scalar": ["grad", SPEC, "--of", "logits", "--wrt", "x"],
    "integers": ["grad", SPEC, "--of", "label", "--wrt", "x"],
    "several_results": ["forward", SPEC, "--of", "both(x)"],
    "no_sampler": ["forward", SPEC, "--of", "other"],
    "unknown_draw": ["forward", SPEC, "--of", "nll", "--draw", "lable"],
    "size_not_known": ["grad", "unsized.gspec", "--wrt", "z"],
    "unknown_expression": ["grad", "unsized.gspec", "--of", "zz", "--wrt", "z"],
    "nothing_declared": ["forward", "nothing.gspec"],
    "mode": ["forward", SPEC, "--of", "dropped"],
    "extra_arrays": ["forward", SPEC, "--of", "dropped", "--data", "extra.npz"],
    "nothing_to_take": ["grad", SPEC, "--of", "nll", "--wrt", "x", "--take", "0:1"],
    "nothing_taken": ["forward", SPEC, "--of", "h", "--data", "extra.npz", "--take", "9:12"],
    "another_kind": ["forward", SPEC, "--of", "nll", "--draw", "fc1.weight,h"],
    "of_nothing": ["grad", SPEC, "--of", "", "--wrt", "x"],
    "rows_of_nothing": ["jacobian", SPEC, "--of", "h", "--wrt", "x", "--rows", "5:2"],
    "input_missing": ["grad", SPEC, "--of", "nll", "--wrt", "x", "--data", "extra.npz"],
    "out_format": ["grad", SPEC, "--of", "nll", "--wrt", "x", "--out", "gradients.txt"],
    "out_folder": ["grad", SPEC, "--of", "nll", "--wrt", "x", "--out", "nowhere/gradients.npz"],
    "out_in_a_file": ["init", SPEC, "--out", "model.gspec/parameters.npz"],
    "out_is_a_folder": ["jacobian", SPEC, "--of", "h", "--wrt", "x", "--out", ".."],
    "too_large": ["grad", SPEC, "--of", "nll", "--wrt", "x", "--max-memory", "1GB", "--set", f"N={10**17}"],
    "explain": ["explain", "not-reachd"],
    "ops": ["ops", "liner"],
}


@pytest.fixture
def _folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(WRONG)


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_command_says_exactly_this(name: str, expect: Callable[[Path, str], None]) -> None:
    result = CliRunner().invoke(app, COMMANDS[name])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    expect(WRONG / f"{name}.txt", result.stderr)


def python_cases() -> dict[str, Callable[[gs.Model], object]]:
    x = np.zeros((4, 3), "float32")
    return {
        "swapped": lambda m: m.grad(m.draw(names=["x", "label"]), m.init(), wrt="x", of="nll"),
        "not_a_mapping": lambda m: m.forward(m.init(), x, of="h"),
        "one_cotangent_for_two": lambda m: m.grad(
            m.init(), {"x": x}, wrt="x", of=["h", "logits"], cotangent=np.ones((4, 2), "float32")
        ),
        "unknown_optimisation": lambda _: gs.load(SPEC, without=("thread", "merge_equal", "gravity")),
        "cotangent_of_nothing": lambda m: m.grad(
            m.init(), {"x": x}, wrt="x", of=["h", "logits"], cotangent={"hh": np.ones((4, 2), "float32")}
        ),
    }


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize("name", python_cases())
def test_a_wrong_call_says_exactly_this(name: str, expect: Callable[[Path, str], None]) -> None:
    model = gs.load(SPEC)
    with pytest.raises(gs.GraphSpecError) as error:
        python_cases()[name](model)
    expect(WRONG / f"{name}.txt", f"{error.value}\n")


def test_every_diagnostic_of_a_request_has_a_case() -> None:
    shown = "".join(path.read_text() for path in WRONG.glob("*.txt"))
    functions = {name.replace("_", "-") for name in vars(requests)}
    missing = [id for id in CATALOGUE if id in functions and f"[{id}]" not in shown]
    assert not missing
    assert set(re.findall(r"\[([a-z0-9-]+)\]:", shown)) <= set(CATALOGUE) | {"i64", "f32"}
