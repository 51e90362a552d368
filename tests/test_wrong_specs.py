"""Each wrong spec in tests/wrong (but for syntax) gives exactly the diagnostics in the `.txt` beside it.

A comment line may say how it is compiled: `# set: E=3`, `# of: sum(score)`, `# dtype: f64`,
`# sizes: N=3`, `# train`, `# text` (as a text without a folder).
A comment `# error: [id]` (or `# warning: [id]`, `# note: [id]`) says that its line has this diagnostic.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable
from contextlib import chdir
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from graphspec.diagnostics import Diagnostic, Fix, GraphSpecError
from graphspec.diagnostics.catalogue import CATALOGUE
from graphspec.diagnostics.render import render_text
from graphspec.ir import DType
from graphspec.lowering.lower import check_sizes, lower_expression, lower_file, lower_text

WRONG = Path(__file__).parent / "wrong"
AREAS = ("names", "types", "definitions")
CASES = sorted(path for area in AREAS for path in (WRONG / area).glob("*.gspec"))
SETTING = re.compile(r"^# (set|of|dtype|sizes|train|text)\b:? ?(.*)", re.M)
EXPECTED = re.compile(r"# (error|warning|note): \[([a-z0-9-]+)\]")


def settings(text: str) -> dict[str, str]:
    """How a wrong spec is to be compiled, from its comments."""
    return {word: value.strip() for word, value in SETTING.findall(text)}


def assignments(text: str) -> dict[str, object]:
    """`N=3, width=0.5, name=abc` as the command line reads it."""
    found: dict[str, object] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.strip().partition("=")
        words: dict[str, object] = {"true": True, "false": False}
        number = re.fullmatch(r"-?\d+(\.\d+)?", value)
        found[name] = words.get(value, (float(value) if number[1] else int(value)) if number else value)
    return found


@cache
def diagnostics(path: Path) -> list[Diagnostic]:
    """Everything that is said about a spec: its errors, else its warnings and notes."""
    with chdir(path.parent):
        return list(_said(path))


def _said(path: Path) -> Iterable[Diagnostic]:
    how = settings(path.read_text(encoding="utf-8"))
    sets, training = assignments(how.get("set", "")), "train" in how
    dtype = DType(how["dtype"]) if "dtype" in how else None
    try:
        if "text" in how:
            module = lower_text(path.read_text(encoding="utf-8"), name=path.name)
        else:
            module = lower_file(path.name, sets=sets, dtype=dtype, training=training)
        if "of" in how:
            lower_expression(module, how["of"], "--of")
    except GraphSpecError as error:
        return error.diagnostics
    sizes = {name: n for name, n in assignments(how.get("sizes", "")).items() if isinstance(n, int)}
    return [*module.warnings, *check_sizes(module, sizes)]


def line_of(d: Diagnostic) -> int:
    return d.primary.span.source.position(d.primary.span.start)[0] if d.primary else 0


#: the cases whose lines say what is expected of them, and those that offer fixes
MARKED = [path for path in CASES if EXPECTED.search(path.read_text(encoding="utf-8"))]
FIXED = [path for path in CASES if any(d.fixes for d in diagnostics(path))]


def identify(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", CASES, ids=identify)
def test_a_wrong_spec_gives_exactly_these_diagnostics(path: Path, expect: Callable[[Path, str], None]):
    found = diagnostics(path)
    assert found
    expect(path.with_suffix(".txt"), "\n\n".join(render_text(d) for d in found) + "\n")


@pytest.mark.parametrize("path", MARKED, ids=identify)
def test_the_primary_place_is_the_line_that_expects_it(path: Path):
    lines = path.read_text(encoding="utf-8").split("\n")
    expected = sorted(
        (number, severity, id)
        for number, line in enumerate(lines, start=1)
        for severity, id in EXPECTED.findall(line)
    )
    found = [d for d in diagnostics(path) if d.primary and d.primary.span.source.name == path.name]
    assert expected == sorted(
        (d.primary.span.source.position(d.primary.span.start)[0], d.severity, d.id)
        for d in found
        if d.primary
    )


@pytest.mark.parametrize("path", CASES, ids=identify)
def test_no_line_of_the_library_is_blamed(path: Path):
    for d in diagnostics(path):
        places = [label.span for label in (d.primary, *d.secondary) if label] + [
            edit.span for fix in d.fixes for edit in fix.edits
        ]
        assert not any(span.source.name.startswith("std/") for span in places), d.id


def applied(text: str, fixes: list[Fix]) -> str:
    """The text with the edits of all fixes."""
    edits = {(e.span.start, e.span.end, e.text) for fix in fixes for e in fix.edits}
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


@pytest.mark.parametrize("path", FIXED, ids=identify)
def test_each_fix_removes_what_it_fixes(path: Path, tmp_path: Path):
    text = path.read_text(encoding="utf-8")
    found = diagnostics(path)
    fixed = [d for d in found if d.fixes]
    shutil.copytree(path.parent, tmp_path, dirs_exist_ok=True)
    repaired = tmp_path / path.name
    repaired.write_text(applied(text, [d.fixes[0] for d in fixed]), encoding="utf-8")
    left = [(d.id, line_of(d)) for d in diagnostics(repaired)]
    assert not [d.message for d in fixed if (d.id, line_of(d)) in left]


def entries() -> list[str]:
    """The ids of the areas that lowering reports."""
    modules = [import_module(f"graphspec.diagnostics.catalogue.{area}") for area in (*AREAS, "files")]
    return [
        id
        for id in CATALOGUE
        for module in modules
        if getattr(getattr(module, id.replace("-", "_"), None), "__module__", "") == module.__name__
    ]


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "large.gspec"
    path.write_text("gspec 1\n" + "# padding\n" * 100)
    monkeypatch.setattr("graphspec.lowering.definitions.MAX_BYTES", 1000)
    with pytest.raises(GraphSpecError) as caught:
        lower_file(str(path))
    assert [d.id for d in caught.value.diagnostics] == ["spec-too-large"]


def test_a_file_that_unrolls_without_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    twice = "".join(f"block f{i}(x) {{ return f{i - 1}(f{i - 1}(x)) }}\n" for i in range(1, 20))
    text = (
        f"gspec 1\ninput x: f32[8] ~ normal()\nblock f0(x) {{ return relu(x) }}\n{twice}output y = f19(x)\n"
    )
    monkeypatch.setattr("graphspec.lowering.context.MOST_WORK", 1000)
    with pytest.raises(GraphSpecError) as caught:
        lower_text(text)
    assert [d.id for d in caught.value.diagnostics] == ["too-much-to-unroll"]


def test_every_diagnostic_has_a_case():
    texts = [path.with_suffix(".txt").read_text(encoding="utf-8") for path in CASES]
    shown = {id for text in texts for id in re.findall(r"^\w+\[([a-z0-9-]+)\]", text, re.M)}
    assert set(entries()) - shown == {"spec-too-large", "too-much-to-unroll"}  # their cases are above
