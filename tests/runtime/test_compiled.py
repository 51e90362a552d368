"""Compiled loops are kept on disk, by what they were made from."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("numba", reason="numba is not installed (the extra `fast`)")

from graphspec.runtime import compiled as module
from graphspec.runtime.compiled import cache_folder, compiled

TEXT = "def loop(r0, a0):\n    for i0 in range(r0.shape[0]):\n        r0[i0] = exp(a0[i0])\n"
RUN = """
import numpy as np
from graphspec.runtime.compiled import compiled
out = np.empty(3, "f4")
loop = compiled({text!r})
loop(out, np.zeros(3, "f4"))
print(out.tolist(), sum(loop.stats.cache_hits.values()))
"""


def run(folder) -> str:
    environment = {**os.environ, "GRAPHSPEC_CACHE": str(folder)}
    command = [sys.executable, "-c", RUN.format(text=TEXT)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def test_a_loop_that_was_compiled_is_not_compiled_again(tmp_path):
    assert run(tmp_path) == "[1.0, 1.0, 1.0] 0"
    assert run(tmp_path) == "[1.0, 1.0, 1.0] 1"


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAPHSPEC_CACHE", str(tmp_path / "cache"))
    cache_folder.cache_clear()
    compiled.cache_clear()
    yield tmp_path / "cache"
    cache_folder.cache_clear()
    compiled.cache_clear()


def test_the_name_of_a_kept_loop_says_what_it_was_made_from(elsewhere, monkeypatch):
    before = module._digest(TEXT)
    assert module._digest(TEXT + "\n") != before
    monkeypatch.setattr(module, "_version", lambda: "another numba")
    assert module._digest(TEXT) != before


def test_without_a_place_to_keep_them_loops_are_compiled_all_the_same(elsewhere, monkeypatch):
    monkeypatch.setattr(module, "cache_folder", lambda: None)
    out = np.empty(2, "f4")
    compiled(TEXT)(out, np.zeros(2, "f4"))
    assert out.tolist() == [1, 1]
    assert not elsewhere.exists()


def test_a_folder_that_cannot_be_made_is_no_place(elsewhere):
    elsewhere.write_text("a file")
    assert cache_folder() is None
