"""The colours of editors: Pygments and TextMate know the words exactly where the parser does."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pygments.token import Error, Keyword, Operator, String, Token

from graphspec.diagnostics import Source
from graphspec.ir import DType
from graphspec.lowering.lookup import LITERALS
from graphspec.syntax import actions, highlight, textmate
from graphspec.syntax.concrete import read
from graphspec.syntax.pygments_lexer import GspecLexer
from graphspec.syntax.tables import load
from tests.syntax.programs import programs
from tests.syntax.textmate_engine import scopes

ROOT = Path(__file__).parent.parent.parent
VSCODE = ROOT / "grammars" / "vscode"
SPECS = sorted(
    [
        *ROOT.glob("specs/**/*.gspec"),
        *ROOT.glob("graphspec/std/*.gspec"),
        *ROOT.glob("tests/syntax/cases/*.gspec"),
    ]
)


def pieces(text: str) -> list[tuple[int, Any, str]]:
    """What Pygments makes of a text, exactly: (offset, type, piece)."""
    return list(GspecLexer().get_tokens_unprocessed(text))


def words_of_the_parser(text: str) -> dict[int, str]:
    """The words that are words to the parser, by offset."""
    found: dict[int, str] = {}

    def shift(token: Any, before: Any) -> None:
        if token.type in load().words.values():
            found[token.start] = token.text

    read(Source("a.gspec", text), shift, lambda _action, _parts: None)
    return found


# ---------------------------------------------------------------- words


def test_every_word_of_the_grammar_is_of_one_kind():
    kinds = [
        highlight.constants(),
        highlight.logic(),
        highlight.control(),
        highlight.defining(),
        highlight.in_bodies(),
        highlight.gradients(),
        highlight.declaring(),
        ("gspec", "in", "where"),
    ]
    assert sorted(word for kind in kinds for word in kind) == sorted(load().words)


def test_words_that_the_grammar_does_not_know_are_those_of_the_other_phases():
    assert set(highlight.DTYPES) == {dtype.value for dtype in DType}
    assert set(highlight.STATIC) == set(actions.WORDS)
    assert set(highlight.KNOWN) == {*LITERALS, "training"}


def test_the_textmate_grammar_is_what_the_words_give():
    """After a change of the words: `python -m graphspec.syntax.textmate`."""
    assert (VSCODE / "syntaxes" / "gspec.tmLanguage.json").read_text(encoding="utf-8") == textmate.text()


def test_the_extension_names_files_that_exist():
    package = json.loads((VSCODE / "package.json").read_text(encoding="utf-8"))
    (language,) = package["contributes"]["languages"]
    (grammar,) = package["contributes"]["grammars"]
    assert language["id"] == grammar["language"]
    assert json.loads((VSCODE / grammar["path"]).read_text())["scopeName"] == grammar["scopeName"]
    configuration = json.loads((VSCODE / language["configuration"]).read_text())
    assert configuration["comments"] == {"lineComment": "#"}
    assert re.compile(configuration["wordPattern"]).fullmatch("stage.2.conv1.weight")
    for pattern in configuration["indentationRules"].values():
        re.compile(pattern)


def test_the_entry_point_names_the_lexer():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["entry-points"]["pygments.lexers"]["gspec"].partition(":")
    assert getattr(import_module(module), name) is GspecLexer


# ---------------------------------------------------------------- Pygments


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_pygments_reads_every_spec_and_finds_the_words_that_the_parser_finds(path: Path):
    text = path.read_text(encoding="utf-8")
    found = pieces(text)
    assert "".join(piece for _, _, piece in found) == text
    assert [piece for _, type, piece in found if type in Error] == []
    words = {at: piece for at, type, piece in found if type in Keyword or type in Operator.Word}
    others = {*highlight.DTYPES, *highlight.STATIC}
    assert {at: word for at, word in words.items() if word not in others} == words_of_the_parser(text)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_pygments_reads_any_program(text: str):
    found = pieces(text)
    assert "".join(piece for _, _, piece in found) == text
    assert [piece for _, type, piece in found if type in Error] == []


@pytest.mark.parametrize(
    "text", ["}", "{ } }", "gspec", "f(\n", "x = ^ 2\n", "## a\n}\n\n", "dim", "\x00", "(}", "as"]
)
def test_pygments_reads_broken_texts_too(text: str):
    assert "".join(piece for _, _, piece in pieces(text)) == text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("input input: f32[N]", ["Keyword.Declaration", "Name.Variable", "Keyword.Type", "Name"]),
        (
            "block f(x, n: int[2] = 3) {",
            [
                "Keyword.Declaration",
                "Name.Function",
                "Name",
                "Name",
                "Keyword.Type",
                "Literal.Number",
                "Literal.Number",
            ],
        ),
        (
            "y = x -> conv2d(6, bias=false) as conv1.a",
            [
                "Name",
                "Name",
                "Name.Function",
                "Literal.Number",
                "Name.Attribute",
                "Keyword.Constant",
                "Keyword",
                "Name.Label",
            ],
        ),
        (
            "z = repeat(i in 0..n, f(i))",
            [
                "Name",
                "Name.Function",
                "Name.Variable",
                "Keyword",
                "Literal.Number",
                "Name",
                "Name.Function",
                "Name",
            ],
        ),
        (
            "w = where(x > -inf, x, where) if a is not none else pi",
            [
                "Name",
                "Name.Function",
                "Name",
                "Name.Builtin",
                "Name",
                "Name",
                "Keyword",
                "Name",
                "Operator.Word",
                "Operator.Word",
                "Keyword.Constant",
                "Keyword",
                "Name.Builtin",
            ],
        ),
        (
            "dim N = 3 where N > 2",
            ["Keyword.Declaration", "Name", "Literal.Number", "Keyword", "Name", "Literal.Number"],
        ),
    ],
)
def test_pygments_knows_what_the_parts_of_a_line_are(line: str, expected: list[str]):
    names = [str(type).removeprefix("Token.") for _, type, piece in pieces(f"{line}\n") if piece[0].isalnum()]
    assert names == expected


def test_pygments_tells_documentation_from_comments():
    found = [type for _, type, piece in pieces("## a\nx = y  ## b\n### c\n") if piece.startswith("#")]
    assert found == [String.Doc, Token.Comment.Single, Token.Comment.Single]


# ---------------------------------------------------------------- TextMate


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_textmate_grammar_finds_the_words_that_the_parser_finds(path: Path):
    text = path.read_text(encoding="utf-8")
    kinds = ("keyword.control", "keyword.operator.logical", "storage.type", "constant.language")
    words = {at: piece for at, piece, scope in scopes(textmate.grammar(), text) if scope.startswith(kinds)}
    others = {*highlight.DTYPES, *highlight.STATIC}
    assert {at: word for at, word in words.items() if word not in others} == words_of_the_parser(text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gspec 1  # a", ["keyword.control.header", "constant.numeric", "comment.line.number-sign"]),
        ("  ## a", ["comment.line.documentation"]),
        (
            "param w.0: f32[3]",
            ["storage.type", "variable.other.declaration", "storage.type", "constant.numeric"],
        ),
        (
            "op f(x) = x {",
            ["storage.type", "entity.name.function", "variable.other", "keyword.operator", "variable.other"],
        ),
        (
            "  gradient(dy) x = dy",
            ["storage.type", "variable.other", "variable.other", "keyword.operator", "variable.other"],
        ),
        (
            "y = gradient(x, axis=-1) -> relu as r",
            [
                "variable.other",
                "keyword.operator",
                "entity.name.function",
                "variable.other",
                "variable.parameter",
                "keyword.operator",
                "keyword.operator",
                "constant.numeric",
                "keyword.operator.pipe",
                "entity.name.function",
                "keyword.control",
                "entity.name.label",
            ],
        ),
        ('s = "a # b"', ["variable.other", "keyword.operator", "string.quoted.double"]),
        (
            "z = stage.2 + 1e-3",
            ["variable.other", "keyword.operator", "variable.other", "keyword.operator", "constant.numeric"],
        ),
    ],
)
def test_the_textmate_grammar_knows_what_the_parts_of_a_line_are(line: str, expected: list[str]):
    found = [scope.removesuffix(".gspec") for _, _, scope in sorted(scopes(textmate.grammar(), line))]
    assert found == expected
