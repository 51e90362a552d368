"""Colour, version, completion, signs of life, Ctrl-C, annotations: what makes the command line kind."""

from __future__ import annotations

import io
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import graphspec as gs
from graphspec.cli import app, report
from graphspec.cli.progress import LifeSign
from graphspec.diagnostics import Diagnostic, Label, Source, Span
from graphspec.diagnostics.github import render_github

ROOT = Path(__file__).parent.parent.parent
SPECS = ROOT / "specs"
BAD = "gspec 1\ninput x: f32[3]\noutput y = rleu(x)\n"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_version_is_that_of_the_package() -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"graphspec {gs.__version__}\n")


# --- colour -----------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "colored"),
    [
        (Terminal, {"TERM": "xterm"}, True),
        (Terminal, {"TERM": "xterm", "NO_COLOR": ""}, True),
        (Terminal, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Terminal, {"TERM": "dumb"}, False),
        (io.StringIO, {"TERM": "xterm"}, False),
    ],
)
def test_colour_is_for_terminals_and_those_who_want_it(
    stream: type[io.StringIO],
    environment: dict[str, str],
    colored: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", stream())
    said = report.Report("check", as_json=False)
    said.tell(Diagnostic("size", "note", "large"))
    said.__exit__(None, None, None)
    assert isinstance(sys.stderr, io.StringIO)
    assert ("\x1b[" in sys.stderr.getvalue()) is colored


# --- completion -------------------------------------------------------------------------------------------


def completed(*words: str) -> list[str]:
    """What bash is offered for the last of these words."""
    environment = os.environ | {
        "COMP_WORDS": " ".join(["graphspec", *words]),
        "COMP_CWORD": str(len(words)),
        "_GRAPHSPEC_COMPLETE": "complete_bash",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-m", "graphspec"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["grad", "specs/scalar.gspec", "--wrt", ""], ["@params", "@inputs", "x", "a", "b", "z"]),
        (["grad", "specs/lenet.gspec", "--wrt", "fc1.w"], ["fc1.weight"]),
        (["grad", "specs/lenet.gspec", "--wrt", "image,fc2.b"], ["image,fc2.bias"]),
        (["gradcheck", "specs/lenet.gspec", "--wrt", "fc1.w"], ["fc1.weight"]),
        (["bench", "specs/lenet.gspec", "--wrt", "fc1.w"], ["fc1.weight"]),
        (["grad", "specs/wgan_gp.gspec", "--of", "generator"], ["generator_loss"]),
        (["forward", "specs/siamese.gspec", "--set", "wi"], ["width="]),
        (["grad", "specs/siamese.gspec", "--set", "depth=1", "--wrt", "enc.stage.1"], []),
        (["grad", "specs/lenet.gspec", "--wrt", "fc1.x", "--draw", "l"], ["label"]),
        (["explain", "not-rea"], ["not-reached"]),
        (["ops", "layer_n"], ["layer_norm"]),
        (["grad", "specs/missing.gspec", "--wrt", "f"], []),
    ],
    ids=" ".join,
)
def test_the_shell_completes_names(words: list[str], offered: list[str]) -> None:
    assert completed(*words) == offered


def test_completion_imports_no_array_library() -> None:
    code = (
        "import os, sys\n"
        "os.environ |= {'COMP_WORDS': 'graphspec grad specs/gpt.gspec --wrt tr', 'COMP_CWORD': '4',"
        " '_GRAPHSPEC_COMPLETE': 'complete_bash'}\n"
        "from graphspec.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    assert not {'numpy', 'cupy', 'lark'} & sys.modules.keys()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "transformer.wte.weight" in done.stdout.split()


# --- signs of life, and Ctrl-C ----------------------------------------------------------------------------


def test_what_takes_long_shows_a_sign_of_life_on_a_terminal() -> None:
    terminal = Terminal()
    life = LifeSign("grad", terminal, patience=0.01)
    deadline = time.monotonic() + 10
    while "grad" not in terminal.getvalue() and time.monotonic() < deadline:
        time.sleep(0.01)
    life.close()
    assert re.search(r"grad .*\d:\d\d:\d\d", terminal.getvalue())
    shown = terminal.getvalue()
    life.hide()
    time.sleep(0.05)
    assert terminal.getvalue() == shown


def test_what_is_quick_or_goes_to_a_file_shows_none() -> None:
    terminal, file = Terminal(), io.StringIO()
    LifeSign("grad", terminal, patience=60).close()
    LifeSign("grad", file, patience=0.0).close()
    assert (terminal.getvalue(), file.getvalue()) == ("", "")


def test_ctrl_c_ends_with_one_line_and_130(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphspec import loading

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "load", interrupted)
    for json in ([], ["--json"]):
        result = run("forward", SPECS / "scalar.gspec", *json)
        assert (result.exit_code, result.stdout, result.stderr) == (130, "", "interrupted\n")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a terminal of POSIX")
def test_ctrl_c_on_a_terminal_ends_a_long_run(tmp_path: Path) -> None:
    spec = tmp_path / "long.gspec"
    spec.write_text(
        "gspec 1\ninput x: f64[700, 700] ~ normal()\nop step(x, i: int) = tanh(x @ x)\n"
        "y = x -> repeat(i in 0..3000, step(i=i)) as stage\noutput size = sum(y)\n"
    )
    parent, child = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "graphspec", "forward", str(spec)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=child,
        env=os.environ | {"TERM": "xterm", "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
    )
    os.close(child)
    said = b""
    while b"forward" not in said:  # the sign of life, after a second
        said += os.read(parent, 1024)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    try:
        while more := os.read(parent, 1024):
            said += more
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(parent)
    assert (running.returncode, out) == (130, b"")
    assert said.rstrip().endswith(b"interrupted")
    assert b"Traceback" not in said


# --- annotations ------------------------------------------------------------------------------------------


def test_check_writes_annotations_for_github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.gspec").write_text(BAD)
    result = run("check", "bad.gspec", "--format", "github")
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout == (
        "::error file=bad.gspec,line=3,endLine=3,col=12,endColumn=16,title=unknown-function::"
        "unknown function `rleu`%0Adid you mean `relu`?\n"
    )
    assert run("check", "bad.gspec", "--format", "github", "--json").exit_code == 2


def test_what_would_end_an_annotation_is_escaped() -> None:
    source = Source("a,b:c.gspec", "one\ntwo\n")
    finding = Diagnostic("odd", "warning", "50%\nof it", primary=Label(Span(source, 0, 7), ""), notes=("n",))
    assert render_github(finding) == (
        "::warning file=a%2Cb%3Ac.gspec,line=1,endLine=2,col=1,title=odd::50%25%0Aof it%0Anote: n"
    )
    assert render_github(Diagnostic("size", "note", "large")) == "::notice title=size::large"
