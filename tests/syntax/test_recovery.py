"""After an error reading goes on: every independent error in one run, none that follows from another."""

from __future__ import annotations

import pytest

from graphspec.diagnostics import Source
from graphspec.syntax import ast
from graphspec.syntax.parser import parse_partial


def run(text: str) -> tuple[ast.File, list[tuple[str, int]]]:
    """The file, and the id and line of each error."""
    file, found = parse_partial(Source("test.gspec", text))
    assert file is not None
    places = [d.primary.span for d in found if d.primary]
    return file, [(d.id, p.source.position(p.start)[0]) for d, p in zip(found, places, strict=True)]


def test_five_errors_are_five_reports():
    file, errors = run(
        "gspec 1\ninput x f32[3]\na = relu(x\nb = x +\nc = = x\nd = relu(x)\ne = f(x, k 3)\noutput y = d\n"
    )
    assert errors == [
        ("missing-colon", 2), ("unclosed-bracket", 3), ("unexpected-token", 4),
        ("unexpected-token", 5), ("missing-comma", 7),
    ]  # fmt: skip
    assert [s.span.text for s in file.statements] == [
        "input x f32[3]",
        "d = relu(x)",
        "e = f(x, k 3)",
        "output y = d",
    ]


def test_errors_in_a_block_lose_neither_the_block_s_other_errors_nor_the_file():
    file, errors = run(
        "gspec 1\n"
        "block b(x) {\n"
        "  a = (x\n"
        "  c = relu(x))\n"
        "  if x is none {\n"
        "    d = [1, 2\n"
        "  } else {\n"
        "    e = = 1\n"
        "  }\n"
        "  return a\n"
        "}\n"
        "block good(x) { return x }\n"
        "output y = good(x\n"
    )
    assert errors == [
        ("unclosed-bracket", 3), ("unexpected-token", 4), ("unclosed-bracket", 6),
        ("unexpected-token", 8), ("unclosed-bracket", 13),
    ]  # fmt: skip
    assert [s.span.text for s in file.statements] == ["block good(x) { return x }"]


def test_a_broken_definition_is_lost_whole_and_its_name_and_names_are_known_as_broken():
    file, errors = run("gspec 1\nblock b(x) {\n  h = = x\n  return h\n}\ny, z = f(x\noutput o = y\n")
    assert errors == [("unexpected-token", 3), ("unclosed-bracket", 6)]
    assert {"b", "h", "y", "z"} <= file.broken
    assert [s.span.text for s in file.statements] == ["output o = y"]


def test_a_file_without_errors_has_no_broken_names():
    assert run("gspec 1\noutput y = x\n")[0].broken == frozenset()


def test_a_broken_head_of_a_block_takes_its_body_with_it():
    file, errors = run("gspec 1\nblock b(x, {\n  return x\n}\nblock c(x {\n  return x\n}\noutput y = x\n")
    assert errors == [("unclosed-bracket", 2), ("unclosed-bracket", 5)]
    assert [s.span.text for s in file.statements] == ["output y = x"]


def test_an_unclosed_brace_is_noticed_at_the_first_line_that_stands_left_again():
    file, errors = run("gspec 1\nblock b(x) {\n  return x\n\ninput x: f32[3]\ny = = x\noutput z = x\n")
    assert errors == [("unclosed-bracket", 2), ("unexpected-token", 6)]
    assert [s.span.text for s in file.statements] == ["input x: f32[3]", "output z = x"]


def test_an_error_on_the_first_lines_of_a_pipe_takes_the_whole_pipe():
    file, errors = run("gspec 1\ny = x\n  -> f(= 3)\n  -> g\n  -> h as k\noutput o = x\n")
    assert errors == [("unexpected-token", 3)]
    assert {"y", "k"} <= file.broken
    assert [s.span.text for s in file.statements] == ["output o = x"]


def test_a_repaired_statement_is_kept_as_it_was_meant():
    file, _ = run("gspec 1\ny = x ^ 2\nz = f(a b)\nw = a < b < c\n")
    power, call, chain = (s.value for s in file.statements if isinstance(s, ast.Assign))
    assert isinstance(power, ast.Binary)
    assert power.op == "**"
    assert isinstance(call, ast.Call)
    assert len(call.arguments) == 2
    assert isinstance(chain, ast.Binary)
    assert chain.op == "and"


def test_one_character_that_is_unknown_gives_one_report():
    assert run("gspec 1\ny = x $ 3 $ ] + (\noutput o = x\n")[1] == [("unknown-character", 2)]


def test_errors_without_end_are_cut_off():
    _, found = parse_partial(Source("t", "gspec 1\n" + "y = = 1\n" * 1000))
    assert len(found) == 100


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "## only documentation", "\ufeff", "   "])
def test_an_empty_file_is_one_error(text: str):
    file, found = parse_partial(Source("t", text))
    assert file is None
    assert [d.id for d in found] == ["empty-file"]


def test_without_its_header_the_rest_of_the_file_is_still_read():
    file, errors = run("input x: f32[3]\noutput y = = x\n")
    assert errors == [("missing-header", 1), ("unexpected-token", 2)]
    assert len(file.statements) == 1
