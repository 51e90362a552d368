"""cupy has every function that programs and kernels call; this needs cupy, but no device."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator

import pytest

from graphspec import testing
from graphspec.ir import Graph
from graphspec.runtime import random
from graphspec.runtime.kernels import KERNELS
from graphspec.runtime.program import Program
from tests.gpu.cases import SAMPLES

cupy = pytest.importorskip("cupy", reason="cupy is not installed")


def _used(text: str) -> set[str]:
    return set(re.findall(r"\bxp\.([A-Za-z_]\w*)", text))


def _sources() -> Iterator[str]:
    """The programs of all samples, the kernels that a device runs, and what draws on it."""
    for parameter in SAMPLES:
        (sample,) = parameter.values
        y, _ = testing.apply_sample(sample, testing.draw(sample))
        yield Program(Graph({"y": y}, {}), {}).source
    for (_, backend), function in KERNELS.items():
        if backend != "numpy":
            yield inspect.getsource(sys.modules[function.__module__])
    yield inspect.getsource(random)


def test_every_function_that_a_device_is_asked_for_is_one_of_cupys() -> None:
    used = set().union(*map(_used, _sources()))
    assert {"matmul", "sum", "take_along_axis", "searchsorted"} <= used
    assert sorted(name for name in used if not hasattr(cupy, name)) == []
