"""The way that programs take on a GPU, on numpy in the clothes of cupy: nothing waits for the device."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import graphspec as gs
from graphspec import testing
from graphspec.diagnostics import GraphSpecError
from graphspec.ir import OPS, DType, Graph, Sample
from graphspec.runtime import backends, limits
from graphspec.runtime.kernels.indexing_on_device import Notes
from graphspec.runtime.parameters import read_arrays
from graphspec.runtime.program import Program
from tests.gpu.cases import SAMPLES, SPECS, WRONG_INDEX, WRONG_INDEX_INPUTS, gradient_step
from tests.gpu.stand_in import DeviceArray, Waited, cupy, host, waiting


@pytest.fixture(autouse=True)
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    module = cupy()
    special = ModuleType("cupyx.scipy.special")
    for name in ("erf", "erfc"):
        setattr(special, name, _erf(OPS[name]))
    monkeypatch.setitem(sys.modules, "cupy", module)
    for name in ("cupyx", "cupyx.scipy"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["cupyx.scipy"].special = special
    monkeypatch.setitem(sys.modules, "cupyx.scipy.special", special)
    backends._cupy.cache_clear()
    yield module
    backends._cupy.cache_clear()


def _erf(op: type) -> object:
    def function(x: DeviceArray, out: DeviceArray) -> None:
        testing.find_kernel(op.name, "numpy")(np, host(out), host(x))

    return function


def test_the_stand_in_refuses_what_waits(device: ModuleType) -> None:
    x = device.arange(3)
    for look in (bool, int, lambda x: x[x > 1], lambda x: x + np.ones(3), np.nonzero):
        with pytest.raises((Waited, TypeError)):
            look(x)
    with waiting():
        assert int(x[2]) == 2


def test_a_profile_waits_for_the_device_after_each_step(
    device: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ENOUGH", 0.0)
    monkeypatch.setattr(limits, "SIZES", (16,))
    monkeypatch.setattr(limits, "COPIES", (1 << 12, 1 << 14))
    model = gs.loads(
        "gspec 1\ndim N = 3\ninput x: f32[N, 2] ~ normal()\n"
        "h = x -> linear(4) as fc -> tanh\nloss s = mean(h ** 2)\n"
    )
    params, inputs = model.init(backend="cupy"), model.draw(backend="cupy")
    with waiting():
        report = model.profile(params, inputs, "@params", calls=2)
    assert (report.backend, report.threads, report.in_pieces) == ("cupy", 1, False)
    assert {node.op for node in report.nodes} >= {"matmul", "tanh"}


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_op_gives_the_same_without_waiting(sample: Sample, device: ModuleType) -> None:
    arrays = testing.draw(sample, DType.F32)
    y, inputs = testing.apply_sample(sample, arrays)
    (expected,) = testing.evaluate([y], inputs)
    program = Program(Graph({"y": y}, {}), {}, "cupy")
    on_device = {value.node.op.label: device.asarray(array) for value, array in inputs.items()}
    (found,) = program._take([])(*(on_device[name] for name in program.needs))
    assert isinstance(found, DeviceArray)
    np.testing.assert_allclose(host(found), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.name)
def test_a_spec_gives_the_same_and_waits_only_to_look_at_bounds(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Notes, "first_wrong", waiting()(Notes.first_wrong))
    on_device, on_host = gradient_step(path, "cupy"), gradient_step(path, "numpy")
    for name, array in {**on_host.params, **on_host.inputs}.items():
        np.testing.assert_array_equal(host({**on_device.params, **on_device.inputs}[name]), array)
    found = on_device()
    assert all(isinstance(x, DeviceArray) for x in (*on_device.params.values(), *found.values()))
    for name, array in on_host().items():
        scale = np.abs(array).max(initial=0)
        np.testing.assert_allclose(host(found[name]), array, rtol=1e-4, atol=1e-5 * scale)


def test_arrays_on_a_device_are_computed_with_where_they_are(device: ModuleType) -> None:
    model = gs.loads("gspec 1\ninput x: f32[N]\noutput y = sum(x * x)\n")
    found = model.grad({}, {"x": device.arange(3, dtype="f4")}, wrt=["x"])["x"]
    assert isinstance(found, DeviceArray)
    assert host(found).tolist() == [0, 2, 4]
    drawn = gs.loads("gspec 1\ninput x: f32[N]\nparam w: f32[N] ~ normal()\noutput y = sum(x * w)\n").init(
        inputs={"x": device.zeros(4, "f4")}
    )
    assert isinstance(drawn["w"], DeviceArray)


def test_results_on_a_device_are_fetched_to_be_written(device: ModuleType, tmp_path: Path) -> None:
    with waiting():
        gs.save_params(tmp_path / "w.safetensors", {"a": device.arange(3)})
    assert read_arrays(tmp_path / "w.safetensors")["a"].tolist() == [0, 1, 2]


def test_an_index_out_of_range_is_reported_once_the_program_has_run() -> None:
    model = gs.loads(WRONG_INDEX)
    with pytest.raises(GraphSpecError) as on_host:
        model.forward({}, WRONG_INDEX_INPUTS)
    with pytest.raises(GraphSpecError) as on_device, waiting():
        model.forward({}, WRONG_INDEX_INPUTS, backend="cupy")
    assert str(on_device.value) == str(on_host.value)
    assert "`b` takes element 7 of axis 0, which has size 5" in str(on_device.value)
