"""What the tests of lowering share: a short way from text to a module, its names, its errors, its numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphspec.diagnostics import Diagnostic, GraphSpecError
from graphspec.ir import DType, reachable
from graphspec.lowering.lower import lower_expression, lower_text
from graphspec.lowering.module import Module
from graphspec.testing import evaluate

X = "input x: f32[N, 4] ~ normal()\n"


def lower(text: str, **settings: Any) -> Module:
    """The module of a text without its header; a dtype may be given by its name."""
    if isinstance(settings.get("dtype"), str):
        settings["dtype"] = DType(settings["dtype"])
    return lower_text(f"gspec 1\n{text}", **settings)


def names(module: Module, kind: str = "param") -> list[str]:
    """The declared tensors of a kind."""
    return [d.name for d in module.declared.values() if d.kind == kind]


def type_of(module: Module, expression: str) -> str:
    """The type of a name or an expression, as text."""
    (value,) = lower_expression(module, expression)
    return str(value.type)


def refused(text: str, **settings: Any) -> list[Diagnostic]:
    """The errors of a text that does not lower."""
    with pytest.raises(GraphSpecError) as caught:
        lower(text, **settings)
    return list(caught.value.diagnostics)


def ids(text: str, **settings: Any) -> list[str]:
    return [d.id for d in refused(text, **settings)]


def warnings(text: str) -> list[str]:
    return [w.id for w in lower(text).warnings]


def number(module: Module, expression: str, sizes: dict[str, int] | None = None, **inputs: Any) -> Any:
    """The value of an expression, computed by the plain interpreter."""
    (value,) = lower_expression(module, expression)
    given = {module.values[name]: np.asarray(array) for name, array in inputs.items()}
    needed = {n.op.label for n in reachable([value]) if n.op.name == "input"}
    assert needed <= set(inputs), f"no array for {needed - set(inputs)}"
    return evaluate([value], given, sizes or {})[0]


__all__ = ["X", "ids", "lower", "names", "number", "refused", "type_of", "warnings"]
