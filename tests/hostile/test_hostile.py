"""Hostile files end in a diagnostic and exit status 1, soon, and without much memory; nothing is run."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import graphspec as gs
from graphspec.cli import app
from graphspec.diagnostics import GraphSpecError
from graphspec.runtime import memory
from graphspec.runtime.parameters import read_arrays
from tests.hostile.files import ARRAYS, PARAMETERS, SPECS, npy, spec, tensors, zipped

#: what one command may take: address space, over what the tests have, and seconds on a busy machine
BYTES, SECONDS = 1 << 30, 20
PLAIN = b"gspec 1\ninput x: f32[N] ~ normal()\nparam w: f32[3] ~ normal()\noutput y = sum(x * sum(w))\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, with little memory and links that lead out of it."""
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    for name in ("link.gspec", "link.npy"):
        (tmp_path / name).write_bytes(spec("output y = x"))
        (inside / name).symlink_to(tmp_path / name)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + BYTES, before[1]))
    started = time.monotonic()
    yield inside
    resource.setrlimit(resource.RLIMIT_AS, before)
    assert time.monotonic() - started < SECONDS
    assert not (inside / "pwned").exists()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def check_refused(result: Result, id: str) -> None:
    assert (result.exit_code, result.stdout) == (1, ""), result.stderr[:2000]
    assert isinstance(result.exception, SystemExit)
    first = next(line for line in result.stderr.splitlines() if line.startswith("error"))
    assert first.startswith(f"error[{id}]"), first[:300]


@pytest.mark.parametrize("name", SPECS)
def test_a_hostile_spec_is_refused(name: str, folder: Path) -> None:
    content, id = SPECS[name]
    (folder / "spec.gspec").write_bytes(content)
    check_refused(run("check", "spec.gspec"), id)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom"])
def test_a_device_is_no_spec(path: str) -> None:
    assert run("check", path).exit_code == 1


@pytest.mark.parametrize("name", ARRAYS)
def test_a_hostile_array_is_refused(name: str, folder: Path) -> None:
    content, id = ARRAYS[name]
    (folder / "x.npy").write_bytes(content)
    (folder / "spec.gspec").write_bytes(PLAIN)
    check_refused(run("forward", "spec.gspec", "--input", "x=x.npy"), id)


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_hostile_file_of_parameters_is_refused(name: str, folder: Path) -> None:
    content, id = PARAMETERS[name]
    (folder / "w.bin").write_bytes(content)
    (folder / "spec.gspec").write_bytes(PLAIN)
    check_refused(run("forward", "spec.gspec", "--params", "w.bin", "--set", "N=2"), id)


def test_an_archive_that_unfolds_to_more_than_there_is_memory_is_refused(folder: Path) -> None:
    (folder / "x.npz").write_bytes(zipped({"x.npy": npy(f"({1 << 22},)", data=b"")}, 1 << 24))
    with (
        memory.limited(10_000_000),
        pytest.raises(GraphSpecError, match=r"needs 16\.8 MB, and the limit is 10 MB"),
    ):
        read_arrays("x.npz")


# --- sizes ---

HUGE = {
    "an input": ("input z: f32[N, 3] ~ normal()\noutput y = sum(z) * sum(x)", "grad --wrt z"),
    "a parameter": ("param w: f32[N] ~ normal()\noutput y = sum(w) * sum(x)", "forward"),
    "parameters to be written": (
        "param w: f32[N] ~ normal()\noutput y = sum(w) * sum(x)",
        "init --out w.npz",
    ),
    "a constant parameter": ("param w: f32[N] = zeros()\noutput y = sum(w) * sum(x)", "forward"),
    "an intermediate value": ("h = zeros([N]) + sum(x)\nloss y = sum(h * h)", "grad --wrt x"),
    "a result": ("output y = zeros([N]) + sum(x)", "forward"),
    "noise": ("noise e: f32[N] ~ normal()\noutput y = sum(e) * sum(x)", "forward"),
}


@pytest.mark.parametrize("name", HUGE)
@pytest.mark.parametrize("size", [10**12, 3 * 10**8])
def test_what_does_not_fit_into_memory_is_refused_before_it_is_allocated(
    name: str, size: int, folder: Path
) -> None:
    body, (command, *options) = HUGE[name][0], HUGE[name][1].split()
    (folder / "spec.gspec").write_bytes(spec(f"dim N = {size}\n{body}"))
    check_refused(run(command, "spec.gspec", *options), "memory-limit")


def test_the_limit_may_be_set(folder: Path) -> None:
    (folder / "spec.gspec").write_text("gspec 1\ninput x: f32[1000] ~ normal()\noutput y = x * x\n")
    assert run("forward", "spec.gspec", "--max-memory", "8kB").exit_code == 0
    check_refused(run("forward", "spec.gspec", "--max-memory", "7.9 kB"), "memory-limit")
    model = gs.load("spec.gspec", max_memory=7_900)
    with pytest.raises(GraphSpecError, match=r"needs 8 kB, and the limit is 7\.9 kB"):
        model.forward({}, {"x": np.zeros(1000, "f4")})
    assert run("forward", "spec.gspec", "--max-memory", "much").exit_code == 2


@pytest.mark.parametrize("start", ["~ normal()", "= zeros()"])
def test_more_axes_than_numpy_knows_are_refused(folder: Path, start: str) -> None:
    axes = ", ".join(["1"] * 100)
    (folder / "spec.gspec").write_bytes(spec(f"param w: f32[{axes}] {start}\noutput y = sum(w) * sum(x)"))
    check_refused(run("forward", "spec.gspec"), "too-many-axes")


def test_a_file_of_parameters_with_much_else_is_read_for_what_is_wanted(folder: Path) -> None:
    # 400 MB that nobody asks for: sparse, so that they cost no disk either
    size = 400_000_000
    header = tensors({"big": {"dtype": "F32", "shape": [size // 4], "data_offsets": [0, size]},
                      "w": {"dtype": "F32", "shape": [3], "data_offsets": [size, size + 12]}})  # fmt: skip
    with (folder / "w.safetensors").open("wb") as file:
        file.write(header)
        file.truncate(len(header) + size + 12)
    (folder / "spec.gspec").write_bytes(PLAIN)
    result = run("forward", "spec.gspec", "--params", "w.safetensors", "--set", "N=2")
    assert result.exit_code == 0, result.stderr
    assert "note[extra-parameters]" in result.stderr
