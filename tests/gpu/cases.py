"""What is run on a device and compared with numpy: the samples of all ops, and gradients of the specs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphspec as gs
import graphspec.ops
from graphspec.ir import OPS

SPECS = sorted((Path(__file__).parent.parent.parent / "specs").glob("*.gspec"), key=lambda p: p.name)
SAMPLES = [
    pytest.param(sample, id=f"{name}-{i}")
    for name, op in OPS.items()
    if name not in {"input", "literal", "tap", "call", "grad", "jvp"}
    for i, sample in enumerate(op.samples())
]
#: of what is no scalar the sum is differentiated
OBJECTIVES = {"scalar.gspec": "z", "per_example.gspec": "sum(y)", "two_inputs.gspec": "sum(y)"}
DIMS = {"lenet.gspec": {"N": 3}}


@dataclass(frozen=True)
class Step:
    """A compiled gradient of a spec, by all parameters or, where there are none, by all inputs."""

    params: dict[str, Any]
    inputs: dict[str, Any]
    step: gs.Step

    def __call__(self) -> dict[str, Any]:
        _, grads, _ = self.step(self.params, self.inputs)
        return grads


def gradient_step(path: Path, backend: str) -> Step:
    model = gs.load(path, dims=DIMS.get(path.name))
    params, inputs = model.init(seed=0, backend=backend), model.draw(seed=0, backend=backend)
    wrt = "@params" if model.names("param") else "@inputs"
    return Step(params, inputs, model.compile(wrt, OBJECTIVES.get(path.name)))


WRONG_INDEX = """gspec 1
input x: f32[5]
input i: i64[2]
input j: i64[2, 2]
a = x[i]
b = x[j]
output y = sum(a) + sum(b)
"""
WRONG_INDEX_INPUTS = {"x": np.zeros(5, "f4"), "i": np.array([0, 1]), "j": np.array([[3, 7], [9, 2]])}
