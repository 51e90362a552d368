"""Convolutions, pools and gathers give what PyTorch gives, values and gradients (frozen, in f64)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ops.graphs import compute, gradients

FROZEN = Path(__file__).parent / "frozen"
CASES = json.loads((FROZEN / "cases.json").read_text())
ARRAYS = dict(np.load(FROZEN / "torch.npz"))


def _case(name: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(f"{name}/"): a for key, a in ARRAYS.items() if key.startswith(f"{name}/")}


def _check(function: str, case: dict[str, np.ndarray], operands: list[str], **statics: Any) -> None:
    given = [case[operand] for operand in operands]
    # sums of at most 300 terms in another order
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(compute(function, *given, **statics), case["y"], **close)
    found = gradients(function, *given, gy=case["gy"], **statics)
    for operand, gradient in zip(operands, found, strict=True):
        if gradient is not None:
            np.testing.assert_allclose(gradient, case[f"grad_{operand}"], **close)
    assert found[0] is not None


@pytest.mark.parametrize("name", CASES["convolution"])
def test_convolution(name: str) -> None:
    _check("convolution", _case(name), ["x", "weight"], **CASES["convolution"][name])


@pytest.mark.parametrize("name", CASES["max_pool2d"])
def test_max_pool2d_with_ties_where_the_first_wins(name: str) -> None:
    _check("max_pool2d", _case(name), ["x"], **CASES["max_pool2d"][name])


@pytest.mark.parametrize("name", CASES["avg_pool2d"])
def test_avg_pool2d(name: str) -> None:
    _check("avg_pool2d", _case(name), ["x"], **CASES["avg_pool2d"][name])


def test_take_along_axis_with_repeated_places() -> None:
    _check("take_along_axis", _case("take_along"), ["x", "index"], axis=1)


@pytest.mark.parametrize(
    ("name", "operands", "axis"), [("gather", ["x", "i", "j"], 1), ("table", ["x", "i"], 0)]
)
def test_gather_with_repeated_places(name: str, operands: list[str], axis: int) -> None:
    _check("gather", _case(name), operands, axis=axis)
