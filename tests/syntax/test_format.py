"""The formatter: before and after, what it never changes, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from graphspec.diagnostics import GraphSpecError, Source
from graphspec.syntax import format as formatter
from graphspec.syntax.concrete import comments
from graphspec.syntax.format import FormatterError, format_text, same
from graphspec.syntax.numerals import shortest
from graphspec.syntax.parser import parse
from tests.effort import IN_PROPORTION, growth
from tests.syntax.programs import programs

FORMAT = Path(__file__).parent / "format"
CASES = sorted((FORMAT / "before").glob("*.gspec"), key=lambda path: path.name)
ROOT = Path(__file__).parent.parent.parent
READABLE = sorted([*ROOT.glob("specs/**/*.gspec"), *ROOT.glob("graphspec/std/*.gspec"), *CASES])


def read(path: Path) -> Source:
    return Source(path.name, path.read_bytes().decode())


def formatted(text: str) -> str:
    return format_text(Source("a.gspec", text))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_before_and_after(path: Path, expect: Callable[[Path, str], None]):
    after = format_text(read(path))
    if path.stem == "line_ends":
        assert after.count("\r\n") == after.count("\n")
        after = after.replace("\r\n", "\n")
    expect(FORMAT / "after" / path.name, after)


@pytest.mark.parametrize("path", READABLE, ids=lambda path: path.stem)
def test_formatting_twice_is_formatting_once_and_lines_are_short(path: Path):
    once = format_text(read(path))
    assert formatted(once) == once
    code = [line.partition("#")[0].rstrip() for line in once.splitlines() if '"' not in line]
    assert all(len(line) <= 100 for line in code)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_any_program_keeps_its_meaning_and_its_comments_and_is_formatted_once_and_for_all(text: str):
    source = Source("random.gspec", text)
    once = Source("once.gspec", format_text(source))
    assert same(parse(source), parse(once))
    assert comments(source) == comments(once)
    assert formatted(once.text) == once.text


def test_a_text_with_syntax_errors_is_refused():
    with pytest.raises(GraphSpecError) as caught:
        formatted("gspec 1\ny = f(x\nz = 3 +\n")
    assert len(caught.value.diagnostics) == 2


@pytest.mark.parametrize("wrong", ["gspec 1\nx = z\n", "gspec 1\nx = y\n", "gspec 1\n# a\nx = y  # b\n"])
def test_what_would_change_the_meaning_or_lose_a_comment_is_refused(
    wrong: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(formatter, "_laid_out", lambda source: (wrong, ["# b"]))
    with pytest.raises(FormatterError, match=r"would change what a\.gspec says"):
        formatted("gspec 1\nx = y  # b\n")


def test_places_and_the_spelling_of_numbers_are_no_difference_but_kinds_of_numbers_are():
    def file(text: str) -> object:
        return parse(Source("a.gspec", f"gspec 1\nx = {text}\n"))

    assert same(file("f(1.50,   2)"), file("(f(1.5, 2))"))
    assert not same(file("1"), file("1.0"))
    assert not same(file("f(1)"), file("f(1, 1)"))
    assert not same(file("x -> f"), file("x -> f()"))


@pytest.mark.parametrize(
    ("written", "short"),
    [
        ("0", "0"), ("007", "7"), ("1.0", "1.0"), ("1.50", "1.5"), ("2.50E+03", "2.5e3"), ("1e-03", "1e-3"),
        ("0.10000000149011612", "0.10000000149011612"), ("0.1000000000000000055", "0.1"), ("0.0", "0.0"),
        ("0.000", "0.0"), ("0e5", "0e5"), ("1e22", "1e22"), ("1000000.0", "1000000.0"),
        ("4.940656458412465e-324", "5.0e-324"), ("0.00001", "0.00001"), ("12.50e3", "12.5e3"),
        ("1.7976931348623157e308", "1.7976931348623157e308"),
    ],
)  # fmt: skip
def test_numbers_are_as_short_as_reads_the_same_in_the_style_of_the_author(written: str, short: str):
    assert shortest(written) == short
    assert float(short) == float(written)


def test_depth_of_text_is_no_depth_of_recursion():
    for chain in ["x" + " + y" * 1500, "x" + " -> f" * 1500, "x" + "[0]" * 1500, "-" * 150 + "x"]:
        once = formatted(f"gspec 1\nz = {chain}\n")
        assert formatted(once) == once


def test_the_effort_grows_with_the_text():
    def prepare(n: int) -> Callable[[], str]:
        text = "gspec 1\n" + "".join(f"x{i} = f(y, {i}) + [1, 2]  # comment\n" for i in range(n))
        assert formatted(text) == text
        return lambda: formatted(text)

    assert growth(prepare, 150) < IN_PROPORTION


@pytest.mark.parametrize("folder", ["specs", "graphspec/std"])
def test_our_own_files_are_formatted(folder: str):
    """`graphspec fmt specs graphspec/std` formats them."""
    files = sorted((ROOT / folder).rglob("*.gspec"))
    assert files
    assert [path.name for path in files if format_text(read(path)) != read(path).text] == []
