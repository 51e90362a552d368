"""Each wrong text in tests/wrong/syntax gives exactly the diagnostics in the `.txt` beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from textwrap import dedent, indent

import pytest

from graphspec.diagnostics import Diagnostic, Fix, Source
from graphspec.diagnostics.catalogue import CATALOGUE
from graphspec.diagnostics.render import render_text
from graphspec.syntax.parser import parse_partial

WRONG = Path(__file__).parent.parent / "wrong" / "syntax"
CASES = sorted(WRONG.glob("*.gspec"), key=lambda path: path.name)


def diagnostics(path: Path) -> list[Diagnostic]:
    return parse_partial(Source(path.name, path.read_text(encoding="utf-8")))[1]


def applied(text: str, fixes: list[Fix]) -> str:
    """The text with the edits of all fixes."""
    edits = {(e.span.start, e.span.end, e.text) for fix in fixes for e in fix.edits}
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_wrong_text_gives_exactly_these_diagnostics(path: Path, expect: Callable[[Path, str], None]):
    found = diagnostics(path)
    assert found
    expect(path.with_suffix(".txt"), "\n\n".join(render_text(d) for d in found) + "\n")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_fixes_remove_what_they_fix_and_add_nothing(path: Path):
    text = path.read_text(encoding="utf-8")
    found = diagnostics(path)
    repaired = applied(text, [fix for d in found for fix in d.fixes])
    left = parse_partial(Source(path.name, repaired))[1]
    without_fix = sorted(d.id for d in found if not d.fixes)
    assert sorted(d.id for d in left) == without_fix


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_each_fix_alone_removes_its_diagnostic(path: Path):
    text = path.read_text(encoding="utf-8")
    found = diagnostics(path)
    for d in found:
        for fix in d.fixes:
            left = parse_partial(Source(path.name, applied(text, [fix])))[1]
            assert len(left) < len(found), f"{d.id}: {fix.message}"


AREAS = ("syntax", "statements", "reflexes")
IN_BODY = re.compile(r"(if|require|return|gradient) ")


def entries() -> list[str]:
    """The ids of the diagnostics that text alone can give."""
    found = []
    for area in AREAS:
        module = import_module(f"graphspec.diagnostics.catalogue.{area}")
        found += [id for id in CATALOGUE if getattr(module, id.replace("-", "_"), None) is not None]
    return found


def examples(explanation: str) -> list[str]:
    """The indented examples of a long form, each as a whole file."""
    found = []
    for lines in re.findall(r"(?:^    .*\n?|^\n(?=    ))+", explanation, re.M):
        text = dedent(lines).strip("\n") + "\n"
        if IN_BODY.match(text):
            text = f"block b(x) {{\n{indent(text, '  ')}}}\n"
        found.append(text if text.startswith("gspec") else f"gspec 1\n{text}")
    return found


@pytest.mark.parametrize("id", entries())
def test_the_long_form_shows_a_wrong_text_and_the_right_one(id: str):
    shown = examples(CATALOGUE[id].explanation)
    ids = [[d.id for d in parse_partial(Source("example", text))[1]] for text in shown]
    assert not ids or ids[-1] == []
    assert len(ids) < 2 or id in ids[0]


def test_every_diagnostic_of_syntax_has_a_case():
    texts = [path.with_suffix(".txt").read_text(encoding="utf-8") for path in CASES]
    shown = {id for text in texts for id in re.findall(r"^\w+\[([a-z-]+)\]", text, re.M)}
    assert set(entries()) - shown == set()
