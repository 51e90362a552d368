"""The line scan finds the definitions that the parser finds, and each can be read on its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphspec.diagnostics import GraphSpecError, Source
from graphspec.syntax import ast, index, parse, parse_definition

STD = Path(__file__).parents[2] / "graphspec" / "std"
FILES = sorted([*(Path(__file__).parent / "cases").glob("*.gspec"), *STD.glob("*.gspec")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_scan_finds_what_the_parser_finds(path: Path):
    source = Source(path.name, path.read_text(encoding="utf-8"))
    parsed = {s.name.text: s for s in parse(source).statements if isinstance(s, ast.Definition)}
    found = index(source.text)
    assert found.keys() == parsed.keys()
    for name, (start, end) in found.items():
        assert repr(parse_definition(source, start, end)) == repr(parsed[name])


def test_documentation_and_comments_around_definitions():
    text = (
        "gspec 1\n## of the file\n\n### banner ###\n\n"
        "## one\n## two\nop f(x) = x\n  -> g   # inside\n# outside\n\n"
        "block b(x) {\n# in the body, first column\n  return x\n}\n# the end\n"
    )
    source = Source("t", text)
    found = index(text)
    assert {name: text[start:end] for name, (start, end) in found.items()} == {
        "f": "## one\n## two\nop f(x) = x\n  -> g   # inside",
        "b": "block b(x) {\n# in the body, first column\n  return x\n}",
    }
    definition = parse_definition(source, *found["f"])
    assert definition.doc == "one\ntwo"
    assert str(definition.span) == "t:8:1"


def test_an_error_in_a_definition_has_its_place_in_the_file():
    source = Source("t", "gspec 1\n\nop f(x) = x ^ 2\n")
    with pytest.raises(GraphSpecError) as caught:
        parse_definition(source, *index(source.text)["f"])
    (d,) = caught.value.diagnostics
    assert d.primary is not None
    assert (d.id, str(d.primary.span)) == ("foreign-operator", "t:3:13")
