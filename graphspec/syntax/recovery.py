"""Where to go on after a syntax error: which brackets belong together, where a statement or body ends."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

from graphspec.syntax.lexing import CLOSING_TEXT, Token
from graphspec.syntax.tables import load

_PIECE = re.compile(r""""[^"\n]*"?|'[^'\n]*'|\#[^\n]*|[()\[\]{}]|\n""")
_LINE = re.compile(r"\n([ \t]*)(?=[A-Za-z_}#])")


class Brackets:
    """Which brackets of a text belong together, strings and comments aside; found when first asked."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def pairs(self) -> dict[int, int]:
        """The offset of the closer, by the offset of the opener, for all that have one.

        A `}` closes the last `{`, whatever `(` and `[` still wait; a `)` or `]` reaches no further than a
        `{`.
        """
        found: dict[int, int] = {}
        waiting: list[tuple[str, int]] = []
        for match in _PIECE.finditer(self.text):
            piece = match.group()
            if piece in CLOSING_TEXT:
                waiting.append((CLOSING_TEXT[piece], match.start()))
            elif piece in (")", "]", "}"):
                depth = len(waiting) - 1
                while (
                    depth >= 0 and waiting[depth][0] != piece and (piece == "}" or waiting[depth][0] != "}")
                ):
                    depth -= 1
                if depth >= 0 and waiting[depth][0] == piece:
                    found[waiting[depth][1]] = match.start()
                    del waiting[depth:]
        return found

    @cached_property
    def closers(self) -> frozenset[int]:
        """The offsets of the closers that close something."""
        return frozenset(self.pairs.values())

    def closer(self, opener: int) -> int | None:
        return self.pairs.get(opener)


def statement_end(brackets: Brackets, position: int, opened: Sequence[Token], in_body: bool, end: int) -> int:
    """The end of the statement that was being read at `position`, `opened` being its open brackets.

    That is the next newline outside of brackets which no `->` follows, or the `}` of the body around it.
    """
    text = brackets.text
    for opener in opened:
        closer = brackets.closer(opener.start)
        if closer is not None and closer >= position:
            position = closer + 1
            break
    while match := _PIECE.search(text, position, end):
        piece, position = match.group(), match.end()
        if piece == "\n":
            if not _pipe(text, match.start()):
                return match.start()
        elif piece in CLOSING_TEXT:
            closer = brackets.closer(match.start())
            position = position if closer is None else closer + 1
        elif piece == "}" and in_body:
            return match.start()
    return end


def _pipe(text: str, newline: int) -> bool:
    """Whether the line after this newline goes on with `->`."""
    return re.compile(dict(load().terminals)["PIPE"]).match(text, newline) is not None


def indentation(text: str, position: int) -> int:
    """How far the line of `position` is indented."""
    start = text.rfind("\n", 0, position) + 1
    line = text[start:position]
    return len(line) - len(line.lstrip(" \t"))


def outdented_line(text: str, opener: int, end: int) -> int | None:
    """The newline before the first line after `opener` that is indented no more than the line of `opener`."""
    limit = indentation(text, opener)
    for match in _LINE.finditer(text, opener, end):
        if len(match.group(1)) <= limit and text[match.end()] != "#":
            return match.start()
    return None
