"""graphspec: describe a network in a small text file, get the gradient of anything in it, by name.

    >>> import graphspec as gs
    >>> model = gs.load("specs/lenet.gspec", dims={"N": 32})
    >>> params, inputs = model.init(seed=0), model.draw(seed=0)
    >>> grads = model.grad(params, inputs, wrt=["conv1.weight", "image", "fc1"])

Importing the package is cheap: what a name needs is imported when the name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphspec.diagnostics import Diagnostic, GraphSpecError
    from graphspec.gradcheck.report import GradcheckReport
    from graphspec.ir import Box, DType, Op, Sample, TensorType, TypeRuleError, Value
    from graphspec.ir.plugins import call
    from graphspec.loading import load, loads, save_params
    from graphspec.lowering.plugins import op
    from graphspec.model import Model
    from graphspec.notices import GraphSpecWarning, PrecisionWarning
    from graphspec.profiling.report import ProfileReport
    from graphspec.runtime.kernels import kernel
    from graphspec.step import Step

__version__ = "0.1.0"

__all__ = [
    "Box",
    "DType",
    "Diagnostic",
    "GradcheckReport",
    "GraphSpecError",
    "GraphSpecWarning",
    "Model",
    "Op",
    "PrecisionWarning",
    "ProfileReport",
    "Sample",
    "Step",
    "TensorType",
    "TypeRuleError",
    "Value",
    "call",
    "kernel",
    "load",
    "loads",
    "op",
    "save_params",
]

_HOME = {
    "Box": "graphspec.ir",
    "DType": "graphspec.ir",
    "Diagnostic": "graphspec.diagnostics",
    "GradcheckReport": "graphspec.gradcheck.report",
    "GraphSpecError": "graphspec.diagnostics",
    "GraphSpecWarning": "graphspec.notices",
    "Model": "graphspec.model",
    "Op": "graphspec.ir",
    "PrecisionWarning": "graphspec.notices",
    "ProfileReport": "graphspec.profiling.report",
    "Sample": "graphspec.ir",
    "Step": "graphspec.step",
    "TensorType": "graphspec.ir",
    "TypeRuleError": "graphspec.ir",
    "Value": "graphspec.ir",
    "call": "graphspec.ir.plugins",
    "kernel": "graphspec.runtime.kernels",
    "load": "graphspec.loading",
    "loads": "graphspec.loading",
    "op": "graphspec.lowering.plugins",
    "save_params": "graphspec.loading",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'graphspec' has no attribute {name!r}")
    value: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
