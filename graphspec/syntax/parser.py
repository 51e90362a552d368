"""What the rest of the program calls to read text: a file, an expression, one definition of a file.

Each comes in one piece or as a `GraphSpecError` with every syntax error; `parse_partial` gives both.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from graphspec.diagnostics import Diagnostic, GraphSpecError, Source, Span
from graphspec.syntax import ast
from graphspec.syntax.automaton import Automaton, Outcome
from graphspec.syntax.lexing import Lexer, Token
from graphspec.syntax.placement import misplaced

VERSION = 1
"""The version of the language that this program reads."""


def parse(source: Source) -> ast.File:
    """The file; raises `GraphSpecError` with all syntax errors."""
    file, found = parse_partial(source)
    if file is None or found:
        raise GraphSpecError(found)
    return file


def parse_partial(source: Source) -> tuple[ast.File | None, list[Diagnostic]]:
    """The statements that could be read, and all syntax errors.

    Names that a lost statement may have made are in `File.broken`, so that later phases do not miss them
    aloud; a definition with an error in it counts as lost.  None where nothing could be read at all.
    """
    prelude, position, found = _header(source)
    if not prelude:
        return None, found
    lexer = Lexer(source, position, len(source.text))
    outcome = Automaton(lexer, "start").run(prelude)
    file = outcome.value
    if isinstance(file, ast.File):
        found += misplaced(file)
        file = _without_lost(file, outcome)
    found += outcome.found
    return file, _in_order(found)


def parse_expression(source: Source) -> ast.Expr:
    """One expression, as `--of` and `--set` take it; raises `GraphSpecError`."""
    value: ast.Expr = _whole(Automaton(Lexer(source, 0, len(source.text)), "expression").run())
    return value


def parse_definition(source: Source, start: int, end: int) -> ast.Definition:
    """The definition between `start` and `end`, which `index` gives; raises `GraphSpecError`."""
    definition: ast.Definition = _whole(Automaton(Lexer(source, start, end), "definition").run())
    found = misplaced(definition)
    if found:
        raise GraphSpecError(_in_order(found))
    return definition


def _whole(outcome: Outcome) -> Any:
    if outcome.found or outcome.value is None:
        raise GraphSpecError(_in_order(outcome.found))
    return outcome.value


def _in_order(found: list[Diagnostic]) -> list[Diagnostic]:
    return sorted(found, key=lambda d: d.primary.span.start if d.primary else -1)


_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def _without_lost(file: ast.File, outcome: Outcome) -> ast.File:
    """The file without the definitions that lost a statement, and with the names that are lost."""
    if not outcome.lost:
        return file
    broken = {name for span in outcome.lost for name in _NAME.findall(span.text)}
    kept: list[ast.Statement] = []
    for statement in file.statements:
        span = statement.span
        if isinstance(statement, ast.Definition) and any(
            span.start <= lost.start < span.end for lost in outcome.lost
        ):
            broken.add(statement.name.text)
        else:
            kept.append(statement)
    return replace(file, statements=tuple(kept), broken=frozenset(broken))


# ---------------------------------------------------------------- the header

_BEFORE = re.compile(r"[ \t\f]*(?:(##(?!#)[^\n]*)|#[^\n]*)?\r?(?:\n|\Z)")
_HEADER = re.compile(r"[ \t]*(gspec)[ \t]+([0-9]+)[ \t\r]*(?=#|\n|\Z)")
_LIKE_HEADER = re.compile(r"[ \t]*((?:gspec|graphspec)\b[^\n#]*)", re.IGNORECASE)


def _header(source: Source) -> tuple[tuple[Token, ...], int, list[Diagnostic]]:
    """The tokens up to the header, where to go on, and what is wrong with it; no tokens for an empty file."""
    from graphspec.diagnostics.catalogue import syntax as catalogue

    text = source.text
    position = 1 if text.startswith("\ufeff") else 0  # a byte order mark, as some editors write it
    prelude: list[Token] = []
    while position < len(text) and (match := _BEFORE.match(text, position)):
        if match.group(1):
            prelude += [
                Token("DOC", match.group(1), *match.span(1)),
                Token("_NL", "\n", match.end(1), match.end()),
            ]
        position = match.end()
    if position >= len(text):
        return (), position, [catalogue.empty_file(Span(source, 0, 0))]

    match = _HEADER.match(text, position)
    if match is not None:
        version = Span(source, *match.span(2))
        header = (Token("GSPEC", "gspec", *match.span(1)), Token("INT", match.group(2), *match.span(2)))
        found = []
        if len(match.group(2)) > 9 or int(match.group(2)) > VERSION:
            return (), position, [catalogue.newer_version(version, VERSION)]
        if int(match.group(2)) < VERSION:
            found.append(catalogue.malformed_header(Span(source, *match.span(0)), VERSION))
        return (*prelude, *header), match.end(), found

    like = _LIKE_HEADER.match(text, position)
    if like is not None:
        end = like.start(1) + len(like.group(1).rstrip())
        meant = (Token("GSPEC", "gspec", like.start(1), end), Token("INT", str(VERSION), end, end))
        return (
            (*prelude, *meant),
            like.end(),
            [catalogue.malformed_header(Span(source, like.start(1), end), VERSION)],
        )
    meant = (Token("GSPEC", "gspec", position, position), Token("INT", str(VERSION), position, position))
    end_line = Token("_NL", "\n", position, position)
    first = Span(source, position, text.find("\n", position) if "\n" in text[position:] else len(text))
    return (*prelude, *meant, end_line), position, [catalogue.missing_header(first, VERSION)]
