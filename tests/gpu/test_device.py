"""On a real device: ops and specs agree with numpy, results stay there, and nothing waits on the way.

`pytest -m gpu` runs these; where there is no cupy or no device they are skipped, and say so.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphspec as gs
from graphspec import testing
from graphspec.diagnostics import GraphSpecError
from graphspec.ir import DType, Graph, Sample
from graphspec.runtime.backends import backend
from graphspec.runtime.kernels.indexing_on_device import Notes
from graphspec.runtime.program import Program
from tests.gpu.cases import SAMPLES, SPECS, WRONG_INDEX, WRONG_INDEX_INPUTS, gradient_step


def _why_not() -> str | None:
    try:
        backend("cupy")
    except GraphSpecError as error:
        return error.diagnostics[0].message
    return None


_REASON = _why_not()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(_REASON is not None, reason=str(_REASON))]


@contextmanager
def no_waiting(allow: bool = False) -> Iterator[None]:
    """Where the host would wait for the device, cupy raises."""
    import cupyx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # cupy offers nothing newer for it
        context = cupyx.allow_synchronize(allow)
    with context:
        yield


def _compare(found: Any, expected: Any, rtol: float, atol: float, name: str = "") -> None:
    import cupy

    assert isinstance(found, cupy.ndarray), name
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), name
    np.testing.assert_allclose(cupy.asnumpy(found), expected, rtol=rtol, atol=atol, err_msg=name)


@pytest.mark.parametrize("dtype", [DType.F32, DType.F64], ids=str)
@pytest.mark.parametrize("sample", SAMPLES)
def test_an_op_agrees_with_numpy_and_does_not_wait(sample: Sample, dtype: DType) -> None:
    import cupy

    arrays = testing.draw(sample, dtype)
    y, inputs = testing.apply_sample(sample, arrays)
    (expected,) = testing.evaluate([y], inputs)
    program = Program(Graph({"y": y}, {}), {}, "cupy")
    on_device = {value.node.op.label: cupy.asarray(array) for value, array in inputs.items()}
    program(on_device)  # kernels are compiled, handles made
    with no_waiting():
        (found,) = program._take([])(*(on_device[name] for name in program.needs))
    # a few roundings in sums of up to 30 terms, and functions that the device computes to a few units
    tolerance = 5e-6 if dtype is DType.F32 else 1e-13
    _compare(found, expected, tolerance, tolerance)


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_derivatives_of_an_op_agree_with_numpy(sample: Sample) -> None:
    import cupy

    arrays = testing.draw(sample)
    y, inputs = testing.apply_sample(sample, arrays)
    smooth = [x for x in inputs if x.dtype.is_float]
    if not sample.differentiable or not y.dtype.is_float or not smooth:
        return
    found = testing.cotangents(y, y, smooth)  # weighed by y itself
    gradients = {f"d{i}": g for i, g in enumerate(found) if g is not None}
    expected = testing.evaluate(list(gradients.values()), inputs)
    program = Program(Graph(gradients, {}), {}, "cupy")
    on_device = program({value.node.op.label: cupy.asarray(array) for value, array in inputs.items()})
    for name, array in zip(gradients, expected, strict=True):
        _compare(on_device[name], array, 1e-11, 1e-11 * max(1.0, np.abs(array).max(initial=0)), name)


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.name)
def test_a_spec_agrees_with_numpy_and_waits_only_to_look_at_bounds(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_device, on_host = gradient_step(path, "cupy"), gradient_step(path, "numpy")
    for name, array in {**on_host.params, **on_host.inputs}.items():  # draws are the same to the last bit
        _compare({**on_device.params, **on_device.inputs}[name], array, 0, 0, name)
    on_device()  # kernels are compiled, handles made
    monkeypatch.setattr(Notes, "first_wrong", no_waiting(allow=True)(Notes.first_wrong))
    with no_waiting():
        found = on_device()
    for name, array in on_host().items():
        _compare(found[name], array, 1e-4, 1e-5 * np.abs(array).max(initial=0), name)


def test_arrays_on_the_device_are_computed_with_where_they_are() -> None:
    import cupy

    model = gs.loads("gspec 1\ninput x: f32[N]\noutput y = sum(x * x)\n")
    found = model.grad({}, {"x": cupy.arange(3, dtype="f4")}, wrt=["x"])["x"]
    _compare(found, np.array([0, 2, 4], "f4"), 0, 0)


def test_an_index_out_of_range_is_an_error_on_the_device_too() -> None:
    model = gs.loads(WRONG_INDEX)
    with pytest.raises(GraphSpecError, match="`b` takes element 7 of axis 0, which has size 5"):
        model.forward({}, WRONG_INDEX_INPUTS, backend="cupy")
