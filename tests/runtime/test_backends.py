"""Backends: numpy is always there, and one that cannot run here says so with exit code 3."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from graphspec.cli import app
from graphspec.diagnostics import GraphSpecError
from graphspec.runtime import backends
from graphspec.runtime.backends import backend


@pytest.fixture(autouse=True)
def _no_memory_of_earlier_answers():
    backends._cupy.cache_clear()
    yield
    backends._cupy.cache_clear()


def test_numpy_is_always_there():
    numpy = backend("numpy")
    assert (numpy.name, numpy.xp) == ("numpy", np)
    array = numpy.asarray([1.0])
    assert numpy.to_numpy(array) is array
    numpy.synchronize()
    with numpy.quiet():
        assert np.isinf(np.ones(1) / np.zeros(1)).all()


@pytest.mark.parametrize("count", [1, 64, 1000, 2**20])
def test_storage_begins_at_a_cache_line(count):
    storage = backend("numpy").empty_bytes(count)
    assert (storage.size, storage.ctypes.data % 64) == (count, 0)


def failure(name):
    with pytest.raises(GraphSpecError) as caught:
        backend(name)
    (found,) = caught.value.diagnostics
    return caught.value.exit_code, found


def test_a_library_that_is_not_installed_is_a_diagnostic(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    code, found = failure("cupy")
    assert (code, found.id) == (3, "backend-unavailable")
    assert "cuda13" in found.help[0]


def test_a_machine_without_a_device_is_a_diagnostic(monkeypatch):
    cupy = ModuleType("cupy")
    cupy.cuda = SimpleNamespace(is_available=lambda: False)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    code, found = failure("cupy")
    assert (code, found.message) == (3, "the backend `cupy` is not available: there is no CUDA device")


def test_an_unknown_backend_gets_a_suggestion():
    code, found = failure("numpi")
    assert (code, found.help) == (1, ("did you mean `numpy`?",))


def test_a_command_on_a_backend_that_is_not_there_ends_first_with_one_sentence_and_status_3(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    spec = Path(__file__).parent.parent.parent / "specs" / "digits.gspec"
    result = CliRunner().invoke(app, ["grad", str(spec), "--wrt", "@params", "--backend", "cupy"])
    assert (result.exit_code, result.stdout) == (3, "")
    first, *rest = result.stderr.splitlines()
    assert first.startswith("error[backend-unavailable]: the backend `cupy` is not available")
    assert all(line.startswith("  = help") or not line for line in rest)
