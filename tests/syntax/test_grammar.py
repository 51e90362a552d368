"""The grammar is clean, its tables are up to date, and Lark reads every text as our automaton does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lark
import pytest

from graphspec.diagnostics import Source, Span
from graphspec.syntax.automaton import Automaton
from graphspec.syntax.build import build, dump
from graphspec.syntax.lexing import CLOSERS, OPENERS, Lexer
from graphspec.syntax.parser import _header
from graphspec.syntax.tables import RESERVED, folder, load

FILES = sorted((Path(__file__).parent / "cases").glob("*.gspec"))
STD = sorted((Path(__file__).parents[2] / "graphspec" / "std").glob("*.gspec"))


def test_the_grammar_is_clean_in_strict_mode_and_its_tables_are_up_to_date():
    fresh = dump(build(strict=True))
    assert fresh == (folder() / "gspec.tables.json").read_text(encoding="ascii"), (
        "run `python -m graphspec.syntax.build`"
    )
    assert json.loads(fresh)["starts"].keys() == load().starts.keys()


def test_every_rule_has_an_action():
    from graphspec.syntax.actions import Actions

    actions = {rule.action for rule in load().rules if rule.action and not rule.passes}
    assert {a for a in actions if not hasattr(Actions, f"on_{a}")} == set()


class Newlines:
    """What the grammar asks of a lexer, for Lark: newlines count outside of ( and [ only, and once."""

    always_accept = ("_NL", "NAME", *RESERVED)

    def process(self, stream: Iterator[lark.Token]) -> Iterator[lark.Token]:
        open_brackets: list[str] = []
        previous = ""
        for token in stream:
            if token.type == "_NL" and (
                previous == "_NL" or (open_brackets and open_brackets[-1] != "LBRACE")
            ):
                continue
            if token.type in OPENERS:
                open_brackets.append(token.type)
            elif token.type in CLOSERS:
                open_brackets.pop()
            previous = token.type
            yield token


class Trees:
    """Actions that build what Lark builds: a tree of rule names, kept tokens and holes."""

    def __init__(self, source: Source) -> None:
        self.found: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("on_"):
            raise AttributeError(name)

        def tree(parts: list[Any], span: Span) -> Any:
            return (name.removeprefix("on_"), [getattr(part, "text", part) for part in parts])

        return tree


def plain(tree: Any) -> Any:
    if isinstance(tree, lark.Tree):
        return (str(tree.data), [plain(child) for child in tree.children])
    return None if tree is None else str(tree)


@pytest.fixture(scope="module")
def reference() -> lark.Lark:
    return lark.Lark(
        (folder() / "gspec.lark").read_text(encoding="utf-8"), parser="lalr", lexer="contextual",
        start="start", maybe_placeholders=True, postlex=Newlines(),
    )  # fmt: skip


@pytest.mark.parametrize("path", [*FILES, *STD], ids=lambda path: path.stem)
def test_lark_reads_each_text_as_the_automaton_does(path: Path, reference: lark.Lark):
    source = Source(path.name, path.read_text(encoding="utf-8"))
    prelude, position, _ = _header(source)
    lexer = Lexer(source, position, len(source.text))
    ours = Automaton(lexer, "start", Trees(source)).run(prelude)
    assert ours.found == []
    assert ours.value == plain(reference.parse(source.text))
