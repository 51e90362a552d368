"""Whole specs: what each declares, with its types and how it begins, is in the `.txt` beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from graphspec.ir import verify
from graphspec.lowering.lower import lower_file
from graphspec.lowering.module import DataFile, Declared, Draw, Module

CASES = sorted((Path(__file__).parent / "cases").glob("*.gspec"))


def start(declared: Declared) -> str:
    match declared.start:
        case Draw(sampler, arguments):
            return f" ~ {sampler}({', '.join(f'{name}={value}' for name, value in arguments)})"
        case DataFile(path, key):
            return f" = file({Path(path).name!r}, {key!r})"
        case None:
            return ""
        case given:
            return f" = {given.value!r}".partition(" #")[0]


def listing(module: Module) -> Iterator[str]:
    """What a file declares, its results and its dims, a line each."""
    for dim in module.dims.values():
        yield f"dim {dim.name} = {dim.default}" + (" (structural)" if dim.name in module.structural else "")
    for declared in module.declared.values():
        yield f"{declared.kind} {declared.name}: {declared.type}{start(declared)}"
    for result in module.results.values():
        yield f"{result.kind} {result.name}: {result.value.type}"
    for name, value in module.updates.items():
        yield f"update {name}: {value.type}"
    for warning in module.warnings:
        yield f"{warning.severity}: {warning.message}"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_spec_declares_exactly_this(path: Path, expect: Callable[[Path, str], None]):
    module = lower_file(str(path), training=path.stem == "resnet18")
    verify(module.graph())
    expect(path.with_suffix(".txt"), "\n".join(listing(module)) + "\n")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
@pytest.mark.parametrize("training", [False, True])
def test_a_spec_lowers_in_double_and_in_both_modes(path: Path, training: bool):
    from graphspec.ir import DType

    module = lower_file(str(path), dtype=DType.F64, training=training)
    assert not {d.value.dtype for d in module.declared.values()} & {DType.F16, DType.F32}


def test_data_give_a_dim_that_decides_the_graph_another_number():
    import numpy as np

    import graphspec as gs

    model = gs.load(Path(__file__).parent / "cases" / "lstm.gspec")
    data = {name: np.zeros((2, 5), "int64") for name in ("chars", "next_chars")}
    found = model.forward(model.init(seed=0), data, of=["h_last", "nll"])
    assert found["h_last"].shape == (2, 128)
