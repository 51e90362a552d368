"""What is imported when, and which part of the house may import which."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COMMAND = """
import sys
sys.argv = ["graphspec", *{arguments!r}]
from graphspec.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
HELP = COMMAND.format(arguments=["--help"])
GRAD = COMMAND.format(arguments=["grad", "specs/lenet.gspec", "--wrt", "conv1.weight", "--set", "N=4"])
HEAVY = ("numpy", "networkx", "cupy", "lark", "numba", "threadpoolctl", "matplotlib")


def imported_by(code: str) -> set[str]:
    """The heavy modules that are there after running some code in a fresh interpreter."""
    check = f"{code}\nimport sys\nprint('', *[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import graphspec",
        HELP,
    ],
    ids=["import", "--help"],
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    assert imported_by(code) == set()


def test_a_small_gradient_asked_for_once_needs_numpy_alone() -> None:
    assert imported_by(GRAD) == {"numpy"}


def test_the_import_contracts_hold() -> None:
    from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == EXIT_STATUS_SUCCESS
