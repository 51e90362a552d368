"""The checks look at arrays on the device: they may wait for it, and need nothing that it does not have."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

import graphspec as gs
from tests.gpu.stand_in import waiting
from tests.gpu.test_stand_in import device as device

HEAD = "gspec 1\ndim N = 4\ninput x: f64[N, 3] ~ normal()\n"


def test_gradcheck_on_a_device(device: ModuleType) -> None:
    model = gs.loads(
        HEAD + "param b: f64[3] = zeros()\nh = requ(linear(x, 5) as fc)\nk = sum(relu(b) * x)\n"
        "loss total = mean(h ** 2) + k\n"
        "op requ(x) = maximum(x, 0) ** 2 {\n  gradient(dy) x = 2 * maximum(x, 0) * dy\n}\n"
    )
    params, inputs = model.init(), model.draw()
    with waiting():
        report = model.gradcheck(params, inputs, order=2, backend="cupy")
    assert report
    assert [d.id for d in report.diagnostics] == ["gradient-at-kink"]
    assert {row.name: row.verdict for row in report.rows}["requ: x"] == "right"


def test_check_finite_on_a_device(device: ModuleType) -> None:
    model = gs.loads(HEAD + "loss total = sum(log(x - x))")
    with waiting(), np.errstate(all="ignore"), pytest.raises(gs.GraphSpecError) as error:
        model.grad({}, model.draw(), wrt="x", backend="cupy", check_finite=True)
    (found,) = error.value.diagnostics
    assert found.primary is not None
    assert (found.id, found.primary.text) == ("not-finite", "[0, 0]: log(0) = -inf")
