"""Reading a text with everything that stands in it: each token with the comments and blank lines before it.

The tables and the lexer are the parser's; instead of abstract syntax, `read` hands every symbol of a
production, punctuation included, to the caller.  For the formatter, of texts that are known to parse.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphspec.diagnostics import Source
from graphspec.syntax.lexing import Lexer, Token
from graphspec.syntax.tables import load


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment, `text` from its `#` on; whether it has its line for itself, and an empty line above."""

    text: str
    own_line: bool
    blank: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """What stands between two tokens: comments, whether there is a newline, and an empty line at the end."""

    comments: tuple[Comment, ...] = ()
    newline: bool = False
    blank: bool = False


_COMMENT = re.compile(r"#[^\n]*")


def gap(text: str, at_start: bool = False) -> Gap:
    """The gap that `text` is, which has nothing in it but space and comments."""
    comments: list[Comment] = []
    position = 0
    for match in _COMMENT.finditer(text):
        newlines = text.count("\n", position, match.start())
        own_line = newlines > 0 or (at_start and not comments)
        comments.append(Comment(tidy(match.group()), own_line, newlines > 1))
        position = match.end()
    newlines = text.count("\n", position)
    return Gap(tuple(comments), newlines > 0 or bool(comments), newlines > 1)


def tidy(comment: str) -> str:
    """A comment without space at its end, and with one behind its `#` or `##`; not in banners (`###`)."""
    comment = comment.rstrip()
    marks = len(comment) - len(comment.lstrip("#"))
    if marks > 2 or marks == len(comment) or comment[marks].isspace() or comment[marks] == "!":
        return comment
    return f"{comment[:marks]} {comment[marks:]}"


def comments(source: Source) -> list[str]:
    """The texts of all comments, documentation included, in their order."""
    found: list[str] = []

    def shift(token: Token, before: Gap) -> None:
        found.extend(comment.text for comment in before.comments)

    read(source, shift, lambda _action, _parts: None)
    return found


def read(
    source: Source, shift: Callable[[Token, Gap], Any], reduce: Callable[[str, list[Any]], Any]
) -> tuple[Any, Any]:
    """What `reduce` makes of the whole file, and what `shift` makes of its end.

    `shift` gives a value to each token but newlines and documentation, which count as space between tokens.
    `reduce` is called with the name of the production and the values of all its symbols.
    """
    tables = load()
    text = source.text
    lexer = Lexer(source, 0, len(text))
    states = [tables.starts["start"]]
    values: list[Any] = []
    place = 0
    while True:
        token = lexer.next(tables.states[states[-1]])
        while (action := tables.states[states[-1]][token.type]) < 0:
            rule = tables.rules[-action - 1]
            parts = _spliced(values[len(values) - rule.size :])
            if rule.size:
                del states[-rule.size :], values[-rule.size :]
            if rule.passes and len(parts) == 1:
                values.append(parts[0])
            else:
                values.append(reduce(rule.action, parts) if rule.action else parts)
            states.append(tables.states[states[-1]][rule.origin])
            if token.type == "$END" and states[-1] == tables.ends["start"]:
                return values[-1], shift(token, gap(text[place:], place == 0))
        states.append(action)
        if token.type in ("_NL", "DOC"):
            values.append([])
            continue
        start = token.end - 2 if token.type == "PIPE" else token.start
        values.append(shift(token, gap(text[place:start], place == 0)))
        place = token.end


def _spliced(values: list[Any]) -> list[Any]:
    """The values, with lists replaced by their elements; a list that comes first is extended in place."""
    parts: list[Any] = values.pop(0) if values and isinstance(values[0], list) else []
    for value in values:
        parts.extend(value if isinstance(value, list) else [value])
    return parts
