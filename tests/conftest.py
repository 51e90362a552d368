"""What all tests share.

`pytest --update` rewrites expected outputs, whose difference is then reviewed.  `pytest --without
threads,fast` runs the suite with these optimisations left out wherever a test does not say, `--no-opt` with
all of them; a test of what an optimisation does is marked `needs_optimisation("threads")`, and skipped then.
Graphs are checked after each pass of the compiler in all tests.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from graphspec import loading
from graphspec.diagnostics import GraphSpecError
from graphspec.optimisations import ALL, left_out


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite the expected outputs beside the cases")
    parser.addoption("--fast", action="store_true", help="use compiled kernels, where numba is installed")
    parser.addoption("--without", metavar="NAMES", default="", help="leave out these optimisations")
    parser.addoption("--no-opt", action="store_true", help="leave out all optimisations")


def pytest_configure(config: pytest.Config) -> None:
    # most tests run a program once, for which no compiler is worth its time; some ask for it (`fast`)
    os.environ["GRAPHSPEC_FAST"] = "1" if config.getoption("--fast") else "0"
    try:
        named = left_out(filter(None, config.getoption("--without").split(",")))
    except GraphSpecError as error:
        raise pytest.UsageError(str(error)) from None
    loading.WITHOUT = ALL if config.getoption("--no-opt") else named
    loading.VERIFY = True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        needed = {name for mark in item.iter_markers("needs_optimisation") for name in left_out(mark.args)}
        missing = sorted(needed & loading.WITHOUT)
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"without {', '.join(missing)}"))


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled kernels for the programs of a test."""
    pytest.importorskip("numba", reason="numba is not installed (the extra `fast`)")
    monkeypatch.setenv("GRAPHSPEC_FAST", "1")


@pytest.fixture
def expect(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compare a text with the file that holds the expected one, or with `--update` write it there."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update"):
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; `pytest --update` writes it"
        assert text == path.read_text(encoding="utf-8")

    return compare
