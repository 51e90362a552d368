"""What all tests share: `pytest --update` rewrites expected outputs, whose difference is then reviewed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite the expected outputs beside the cases")
    parser.addoption(
        "--fast", action="store_true", help="use compiled kernels everywhere, where numba is installed"
    )


def pytest_configure(config: pytest.Config) -> None:
    # most tests run a program once, for which no compiler is worth its time; some ask for it (`fast`)
    os.environ["GRAPHSPEC_FAST"] = "1" if config.getoption("--fast") else "0"


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
