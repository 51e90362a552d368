"""Per-example gradients, their norms and Jacobians on a device: as on the CPU, and results stay there."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import graphspec as gs
from tests.gpu.stand_in import waiting
from tests.gpu.test_stand_in import device as device

SPECS = Path(__file__).parent.parent.parent / "specs"


def host(array: Any) -> np.ndarray[Any, Any]:
    with waiting():
        return np.asarray(array.get() if hasattr(array, "get") else array)


@pytest.mark.parametrize(("spec", "of"), [("digits", None), ("gpt", "lm")])
@pytest.mark.parametrize("chunk", [None, 2])
def test_gradients_and_norms_of_single_examples(
    device: ModuleType, spec: str, of: str | None, chunk: int | None
) -> None:
    dims = {"N": 3} if spec == "digits" else {"B": 3, "T": 4}
    model = gs.load(SPECS / f"{spec}.gspec", dims=dims, dtype="f64")
    params, inputs = model.init(), model.draw()
    for ask in (model.grad, model.per_example_norms):
        how: dict[str, Any] = {"per_example": True} if ask == model.grad else {}
        expected = ask(params, inputs, "@params", of, chunk=chunk, **how)
        with waiting():  # bounds of indices are looked at after each run
            found = ask(params, inputs, "@params", of, chunk=chunk, backend="cupy", **how)
        for name, g in expected.items():
            np.testing.assert_allclose(host(found[name]), g, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("part", [{}, {"rows": slice(2, 5)}, {"cols": [0, 3]}, {"rows": 1, "cols": [5]}])
@pytest.mark.parametrize("wrt", ["x", "fc.weight"])
def test_jacobians(device: ModuleType, wrt: str, part: dict[str, Any]) -> None:
    spec = "gspec 1\ndim N = 4\ninput x: f64[N, 2] ~ normal()\noutput y = tanh(linear(x, 3) as fc)\n"
    model = gs.loads(spec)
    params, inputs = model.init(), model.draw()
    expected = model.jacobian(params, inputs, "y", wrt, **part)
    found = model.jacobian(params, inputs, "y", wrt, backend="cupy", **part)
    np.testing.assert_allclose(host(found), expected, rtol=1e-12)
