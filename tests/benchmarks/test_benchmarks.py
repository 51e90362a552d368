"""The benchmarks run, at reduced sizes, and what they compare agrees."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
NAMES = ("W1", "W1b", "W2", "W3", "W6", "W7", "W10-grid-1000")


def run(folder, *arguments):
    """What the command measured, by workload."""
    found = folder / "found.json"
    command = [sys.executable, str(RUN), *arguments, "--quick", "--threads", "1", "--json", str(found)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return {row["workload"]: row for row in json.loads(found.read_text())}, ended.stdout


def test_every_workload_of_compiled_gradients_runs(tmp_path):
    rows, text = run(tmp_path, *NAMES)
    assert {name for name in NAMES if "own" in rows[name]["found"]} == set(NAMES)
    assert "| workload" in text


@pytest.mark.parametrize(("side", "module"), [("pytorch", "torch"), ("xla", "jax")])
def test_a_peer_finds_the_same(tmp_path, side, module):
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed (the extra `bench`)")
    rows, _ = run(tmp_path, "--no-compile", "W1b", "W2")
    assert side in rows["W1b"]["found"]
    assert side in rows["W2"]["found"]
