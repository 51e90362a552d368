"""What the README and the page about the specs say is true: specs check, Python runs, commands print this."""

from __future__ import annotations

import io
import math
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

import graphspec as gs
from graphspec.cli import app

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = README + (ROOT / "specs" / "README.md").read_text(encoding="utf-8")
WRONG = "# wrong.gspec"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES, re.DOTALL | re.MULTILINE)


def commands() -> list[tuple[str, str]]:
    """Every command of a console block, with the output shown below it."""
    found = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


@pytest.fixture
def _checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder where the pages' paths are right."""
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    (wrong,) = (block for block in blocks("gspec") if block.startswith(WRONG))
    (tmp_path / "wrong.gspec").write_text(wrong)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("spec", [block for block in blocks("gspec") if not block.startswith(WRONG)])
def test_specs_check_and_run(spec: str) -> None:
    model = gs.loads(spec)
    model.check()
    assert model.forward(model.init(), model.draw())


@pytest.mark.usefixtures("_checkout")
@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code: str) -> None:
    exec(compile(code, "README.md", "exec"), {})


@pytest.mark.usefixtures("_checkout")
@pytest.mark.parametrize(("command", "shown"), commands(), ids=[c for c, _ in commands()])
def test_commands_print_what_is_shown(command: str, shown: str) -> None:
    program, *arguments = shlex.split(command)
    assert program == "graphspec"
    screen = io.StringIO()  # results and notes in the order in which they are said
    with redirect_stdout(screen), redirect_stderr(screen), pytest.raises(SystemExit):
        app(arguments, prog_name="graphspec")
    assert alike(screen.getvalue(), shown)


def test_the_lenet_of_the_readme_is_the_one_in_specs() -> None:
    assert blocks("gspec")[0] == (ROOT / "specs" / "lenet.gspec").read_text()


def test_the_two_commands_stand_there() -> None:
    commands = "".join(blocks("sh"))
    assert "pip install . && graphspec grad specs/lenet.gspec --wrt conv1.weight" in commands
    assert 'pip install -e ".[test]" && pytest' in commands


NUMBER = r"-?\d+\.\d+(?:e[-+]?\d+)?"


def alike(found: str, shown: str) -> bool:
    """The same words, and the same numbers to 4 digits: sums in f32 differ with the BLAS.

    Numbers below 1e-7 are rounding errors, as `gradcheck` shows them.
    """
    numbers = [[float(n) for n in re.findall(NUMBER, text)] for text in (found, shown)]
    words = [re.sub(NUMBER, "#", text).split() for text in (found, shown)]
    return words[0] == words[1] and all(
        math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-7) for a, b in zip(*numbers, strict=True)
    )
