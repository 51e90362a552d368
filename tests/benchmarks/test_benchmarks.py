"""The benchmarks run, at reduced sizes, and what they compare agrees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
RUN = HERE / "run.py"
#: every kind of workload, and every spec
NAMES = ("W1b", "W2", "W3b", "W4c", "W4b-norms", "W6", "W7", "W8", "W9", "W10-grid-1000", "W11-W7")
#: the column that is always there
SIDE = "own-numpy"


def run(folder: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """What the command measured, by workload, and what it wrote."""
    found = folder / "found.json"
    command = [sys.executable, str(RUN), *arguments, "--quick", "--threads", "1", "--json", str(found)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return {row["workload"]: row for row in json.loads(found.read_text())}, ended.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_workload_runs(tmp_path, name):
    rows, text = run(tmp_path, name)
    assert rows[name]["found"][SIDE] > 0
    assert f"| {name} " in text
    assert not rows[name]["remarks"]
    if find_spec("numba") is not None:
        assert rows[name]["found"]["own"] > 0
    if name in ("W1b", "W6", "W7"):  # what is bound by products
        assert rows[name]["floor"] > 0


def test_an_optimisation_is_left_out_and_the_rest_compared_with_the_whole(tmp_path):
    rows, text = run(tmp_path, "--ablate", "--only", "merge_equal,everything", "W2")
    assert {"merge_equal", "everything"} < rows["W2"]["found"].keys()
    assert not rows["W2"]["remarks"]
    assert "| with all" in text


@pytest.mark.parametrize(("side", "module"), [("pytorch", "torch"), ("xla", "jax")])
def test_a_peer_finds_the_same(tmp_path, side, module):
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed (the extra `bench`)")
    rows, _ = run(tmp_path, "--no-compile", "W1b", "W2")
    assert side in rows["W1b"]["found"]
    assert side in rows["W2"]["found"]


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch):
    """A module of the benchmarks, which are scripts beside one another."""
    monkeypatch.syspath_prepend(HERE)
    return import_module


@pytest.mark.parametrize(
    ("script", "said"),
    [("exec sleep 60", "no answer within 0.3 s"), ("echo no memory >&2; exit 3", "ended: no memory")],
    ids=["hangs", "ends"],
)
def test_a_side_that_does_not_answer_is_said(tmp_path, part, script, said):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    processes, (workload,) = part("processes"), part("workloads").by_name(["W2"])
    options = SimpleNamespace(quick=True, verbose=False, threads=1, patience=0.3 if "sleep" in script else 30)
    side = processes.Side("pytorch", str(python), workload, tmp_path, options)
    with pytest.raises(processes.SideFailedError, match=said):
        side.start()


def test_results_that_are_not_finite_never_agree(tmp_path, part):
    difference = part("report").difference
    for name, array in (("a", [1.0, 2.0]), ("b", [1.0, 2.5]), ("c", [1.0, np.nan])):
        np.savez(tmp_path / f"{name}.npz", g=np.array(array))
    np.savez(tmp_path / "d.npz", h=np.ones(2))
    assert difference(tmp_path / "b.npz", tmp_path / "a.npz") == 0.25
    assert difference(tmp_path / "c.npz", tmp_path / "c.npz") == "g is not finite"
    assert difference(tmp_path / "d.npz", tmp_path / "a.npz") == "only one has g, h"


def test_a_table_says_ratios_to_the_best_peer_and_growth(part):
    report, by_name = part("report"), part("workloads").by_name
    small, large = (report.Row(w) for w in by_name(["W10-chain"]))
    small.found, large.found = {"own": 50.0, "xla": 0.0}, {"own": 525.0, "xla": 100.0, "pytorch": 500.0}
    report.add_growth([small, large])
    assert (small.ratio("own"), large.ratio("own")) == (None, 5.25)
    assert large.remarks == ["over W10-chain-1000: graphspec 10.5"]
    text = report.table([small, large], ["own", "pytorch", "xla"])
    assert len({len(line) for line in text.splitlines()}) == 1


def test_the_memory_of_a_process_is_what_it_holds_at_most(part):
    memory = part("memory")
    before = memory.start()
    array = np.ones(8 << 20)
    del array
    # 64 MB, all of which were written; on a system without /proc the peak may lie in the past
    assert memory.peak() - before > 60 or not memory.STATUS.exists()
