"""Repairs: what a text of another language becomes in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from graphspec.diagnostics import Diagnostic, Edit, Fix, Label, Source, Span
from graphspec.syntax.fix import MOST_ROUNDS, fix_text
from graphspec.syntax.format import format_text
from graphspec.syntax.parser import parse_partial

WRONG = Path(__file__).parent.parent / "wrong" / "syntax"
CASES = sorted(WRONG.glob("*.gspec"), key=lambda path: path.name)


def syntax(source: Source) -> Sequence[Diagnostic]:
    return parse_partial(source)[1]


def finding(source: Source, start: int, end: int, *texts: str) -> Diagnostic:
    """A finding at a place with a repair for each text."""
    place = Span(source, start, end)
    fixes = tuple(Fix(f"write {text}", (Edit(place, text),)) for text in texts)
    return Diagnostic("found", "error", "found", Label(place), fixes=fixes)


def test_reflexes_of_other_languages_are_repaired_in_one_pass():
    fixed = fix_text(Source("a.gspec", "gspec 1\nconst a = True\ny = x ^ 2;\nz = y && !a\n"), syntax)
    assert fixed.text == "gspec 1\nconst a = true\ny = x ** 2\nz = y and not a\n"
    assert fixed.remaining == []
    assert sorted({d.id for d in fixed.repaired}) == ["foreign-literal", "foreign-operator", "semicolon"]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_wrong_texts_keep_only_what_has_no_repair_or_are_formatted(path: Path):
    source = Source(path.name, path.read_text(encoding="utf-8"))
    fixed = fix_text(source, syntax)
    assert [d.id for d in fixed.remaining if len(d.fixes) == 1] == []
    if not fixed.remaining:
        assert format_text(Source(path.name, fixed.text)) == fixed.text


def test_a_text_that_still_does_not_parse_is_repaired_but_not_formatted():
    fixed = fix_text(Source("a.gspec", "gspec 1\na   =  x ^ 2\nb = f(\n"), syntax)
    assert fixed.text == "gspec 1\na   =  x ** 2\nb = f(\n"
    assert [d.id for d in fixed.remaining] == [d.id for d in syntax(Source("b.gspec", "gspec 1\nb = f(\n"))]


def test_a_choice_between_repairs_is_the_authors():
    fixed = fix_text(Source("a.gspec", "gspec 1\ny = x\n"), lambda s: [finding(s, 12, 13, "a", "b")])
    assert fixed.text == "gspec 1\ny = x\n"
    assert len(fixed.remaining) == 1


def test_repairs_of_the_same_place_go_one_after_the_other():
    def diagnose(source: Source) -> list[Diagnostic]:
        found = []
        if "one" in source.text:
            at = source.text.index("one")
            found += [finding(source, at, at + 3, "two"), finding(source, at + 1, at + 3, "xx")]
        if "two" in source.text:
            at = source.text.index("two")
            found.append(finding(source, at, at + 3, "three"))
        return found

    fixed = fix_text(Source("a.gspec", "gspec 1\ny = one\n"), diagnose)
    assert (fixed.text, fixed.remaining, len(fixed.repaired)) == ("gspec 1\ny = three\n", [], 2)


def test_equal_edits_of_two_findings_are_made_once():
    def diagnose(source: Source) -> list[Diagnostic]:
        at = source.text.find("True")
        return [] if at < 0 else [finding(source, at, at + 4, "true")] * 2

    assert fix_text(Source("a.gspec", "gspec 1\ny = True\n"), diagnose).text == "gspec 1\ny = true\n"


def test_repairs_of_other_files_are_left():
    other = Source("other.gspec", "gspec 1\ny = True\n")
    fixed = fix_text(Source("a.gspec", "gspec 1\ny = True\n"), lambda s: [finding(other, 12, 16, "true")])
    assert fixed.text == "gspec 1\ny = True\n"


def test_repairs_that_bring_each_other_back_end():
    def flip(source: Source) -> list[Diagnostic]:
        at = source.text.index("= ") + 2
        return [finding(source, at, at + 1, "b" if source.text[at] == "a" else "a")]

    assert fix_text(Source("a.gspec", "gspec 1\ny = a\n"), flip).text in (
        "gspec 1\ny = a\n",
        "gspec 1\ny = b\n",
    )

    def grow(source: Source) -> list[Diagnostic]:
        return [finding(source, 12, 12, "a")]

    grown = fix_text(Source("a.gspec", "gspec 1\ny = a\n"), grow)
    assert grown.text == f"gspec 1\ny = {'a' * (MOST_ROUNDS + 1)}\n"
    assert len(grown.remaining) == 1
