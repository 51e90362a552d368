"""Print a graph, read the text, compute both: what the tests of printing share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import graphspec as gs
from graphspec.lifting.naming import output_paths

Arrays = Mapping[str, Any]


def read_again(view: object) -> tuple[str, gs.Model]:
    """The printed text and the model it describes, which has no warnings and prints as the same text."""
    text = str(view)
    printed = gs.loads(text)
    assert str(printed.graph) == text
    return text, printed


def check_values(model: gs.Model, printed: gs.Model, arrays: Arrays, names: list[str]) -> None:
    """That results of the spec and of the printed text are the same numbers."""
    if names:
        expected = model.forward(*_places(model, arrays), of=names)
        compare(expected, printed.forward(*_places(printed, arrays), of=names))


def check_gradients(
    model: gs.Model, arrays: Arrays, wrt: str | list[str], of: str | None = None
) -> tuple[str, gs.Model]:
    """That the printed gradient is read, and gives the gradients of the spec."""
    view = model.gradient_graph(wrt, of)
    text, printed = read_again(view)
    expected = model.grad(*_places(model, arrays), wrt, of, cotangent="ones")
    paths = {name.partition(" / d ")[2]: path for name, path in output_paths(view.outputs).items()}
    found = printed.forward(*_places(printed, arrays), of=[paths[name] for name in expected])
    compare(expected, {name: found[paths[name]] for name in expected})
    return text, printed


def compare(expected: Arrays, found: Arrays) -> None:
    assert list(expected) == list(found)
    for name, array in expected.items():
        tolerance = 1e-12 if np.asarray(array).dtype == np.float64 else 1e-5
        scale = float(np.max(np.abs(array), initial=0.0))
        assert np.shape(array) == np.shape(found[name])
        np.testing.assert_allclose(found[name], array, rtol=tolerance, atol=tolerance * scale, err_msg=name)


def _places(model: gs.Model, arrays: Arrays) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of the arrays that the model has, as parameters and as inputs."""
    params = {n: a for n, a in arrays.items() if model.kind(n) in ("param", "buffer")}
    inputs = {n: a for n, a in arrays.items() if model.kind(n) in ("input", "noise")}
    return params, inputs
