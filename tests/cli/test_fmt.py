"""`graphspec fmt`: what is written, what is said, and the status."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from graphspec.cli import app

UGLY = "gspec 1\ninput x:f32[3]~normal( )\noutput y=x*2   # twice\n"
TIDY = "gspec 1\ninput x: f32[3] ~ normal()\noutput y = x * 2  # twice\n"
PASTED = """gspec 1
input x: f32[2, 3, 8, 8] ~ uniform()
const bias = True
h = conv2d(x, out=6, kernel=5, pad=1, bias=bias)
output y = h ^ 2
"""
REPAIRED = """gspec 1
input x: f32[2, 3, 8, 8] ~ uniform()
const bias = true
h = conv2d(x, out=6, kernel_size=5, padding=1, bias=bias)
output y = h ** 2
"""


def run(*arguments: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["fmt", *map(str, arguments)], input=stdin)


@pytest.fixture
def ugly(tmp_path: Path) -> Path:
    path = tmp_path / "ugly.gspec"
    path.write_text(UGLY)
    return path


def test_a_file_is_formatted_in_place_and_named_and_the_second_time_left_alone(ugly: Path):
    result = run(ugly)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{ugly} formatted\n", "")
    assert ugly.read_text() == TIDY
    before = ugly.stat()
    result = run(ugly)
    assert (result.exit_code, result.stdout) == (0, "")
    assert (ugly.stat().st_mtime_ns, ugly.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_permissions_and_links_stay_and_nothing_else_is_left_in_the_folder(ugly: Path):
    ugly.chmod(0o640)
    link = ugly.with_name("link.gspec")
    link.symlink_to(ugly.name)
    assert run(link).exit_code == 0
    assert link.is_symlink()
    assert ugly.read_text() == TIDY
    assert ugly.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(ugly.parent)) == ["link.gspec", "ugly.gspec"]


def test_check_writes_nothing_and_ends_with_1_if_something_would_change(ugly: Path):
    result = run("--check", ugly)
    assert (result.exit_code, result.stdout) == (1, f"{ugly} would change\n")
    assert ugly.read_text() == UGLY
    ugly.write_text(TIDY)
    result = run("--check", ugly)
    assert (result.exit_code, result.stdout) == (0, "")


def test_diff_prints_the_changes_and_writes_nothing(ugly: Path):
    ugly.write_text(UGLY.rstrip("\n"))
    result = run("--diff", ugly)
    assert result.exit_code == 1
    assert "\n-input x:f32[3]~normal( )\n" in result.stdout
    assert "\n+input x: f32[3] ~ normal()\n" in result.stdout
    assert "\n-output y=x*2   # twice\n\\ No newline at end of file\n" in result.stdout
    assert ugly.read_text() == UGLY.rstrip("\n")


def test_a_dash_formats_stdin_to_stdout():
    result = run("-", stdin=UGLY)
    assert (result.exit_code, result.stdout) == (0, TIDY)
    assert run("--check", "-", stdin=UGLY).stdout == "<stdin> would change\n"
    assert run("--fix", "-", stdin=PASTED.replace("h = ", "h =  ")).stdout == REPAIRED


def test_line_ends_and_other_characters_than_ascii_stay(tmp_path: Path):
    path = tmp_path / "a.gspec"
    path.write_bytes("gspec 1\r\n# Grüße\r\nx=1\r\n".encode())
    assert run(path).exit_code == 0
    assert path.read_bytes() == "gspec 1\r\n# Grüße\r\nx = 1\r\n".encode()


def test_a_broken_file_is_refused_and_left_and_the_others_are_formatted(ugly: Path):
    broken = ugly.with_name("broken.gspec")
    broken.write_text("gspec 1\nx=(1\ny   = 2\n")
    result = run(broken, ugly)
    assert result.exit_code == 1
    assert "error[" in result.stderr
    assert broken.read_text() == "gspec 1\nx=(1\ny   = 2\n"
    assert ugly.read_text() == TIDY


def test_folders_stand_for_the_specs_in_them(ugly: Path):
    (ugly.parent / "blocks").mkdir()
    (ugly.parent / "blocks" / "b.gspec").write_text("gspec  1\n")
    (ugly.parent / "notes.txt").write_text("a=b")
    result = run(ugly.parent)
    assert result.stdout.splitlines() == [
        f"{ugly.parent / 'blocks' / 'b.gspec'} formatted",
        f"{ugly} formatted",
    ]


@pytest.mark.parametrize("content", [b"\xff\xfe\x00binary", b"", b"gspec 99\n"])
def test_what_is_no_spec_is_a_diagnostic_and_left(tmp_path: Path, content: bytes):
    path = tmp_path / "a.gspec"
    path.write_bytes(content)
    result = run(path)
    assert result.exit_code == 1
    assert "error[" in result.stderr
    assert path.read_bytes() == content
    assert run("-", stdin=content).exit_code == 1


def test_a_missing_file_is_a_diagnostic(tmp_path: Path):
    result = run(tmp_path / "none.gspec")
    assert result.exit_code == 1
    assert "error[spec-not-found]" in result.stderr


def test_fix_repairs_a_pasted_line_in_one_pass_and_says_what_it_did(tmp_path: Path):
    path = tmp_path / "pasted.gspec"
    path.write_text(PASTED)
    result = run("--fix", path)
    assert (result.exit_code, result.stderr) == (0, "")
    assert path.read_text() == REPAIRED
    assert f"{path}:4:22: `conv2d` has no argument `kernel`: " in result.stdout
    assert len(result.stdout.splitlines()) == 5


def test_fix_tells_what_it_cannot_repair_and_ends_with_1(tmp_path: Path):
    path = tmp_path / "pasted.gspec"
    path.write_text(PASTED.replace("kernel=5, ", ""))
    result = run("--fix", path)
    assert result.exit_code == 1
    assert "error[missing-argument]" in result.stderr
    assert path.read_text() == REPAIRED.replace("kernel_size=5, ", "")


def test_the_json_document_says_what_changed(ugly: Path):
    tidy = ugly.with_name("tidy.gspec")
    tidy.write_text(TIDY)
    document = json.loads(run("--json", "--check", ugly, tidy).stdout)
    assert (document["command"], document["ok"]) == ("fmt", False)
    assert document["result"] == {"files": {str(ugly): {"changed": True}, str(tidy): {"changed": False}}}
    document = json.loads(run("--json", "-", stdin=UGLY).stdout)
    assert document["result"] == {"files": {"<stdin>": {"changed": True, "text": TIDY}}}
