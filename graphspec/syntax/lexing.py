"""From text to tokens, one at a time, guided by what the parser can use next.

The terminals come from the grammar's tables.  Here is what a grammar cannot say: newlines mean nothing inside
`(` and `[` and are merged elsewhere, words of statements are names where no such word may stand, and text
that belongs to no terminal goes to `foreign` (graphspec/syntax/foreign.py), which reports it and says what
was meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from functools import cache
from typing import NamedTuple

from graphspec.diagnostics import Diagnostic, Source, Span
from graphspec.syntax.tables import RESERVED, load

OPENERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
CLOSERS = {closer: opener for opener, closer in OPENERS.items()}
CLOSING_TEXT = {"(": ")", "[": "]", "{": "}"}


class Token(NamedTuple):
    """A piece of the text: [start, end) in code points.  `type` is a terminal of the grammar."""

    type: str
    text: str
    start: int
    end: int


SUSPECT = (
    r"(?:True|False|None)\b"
    r"|(?>[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)(?:[A-Za-z_]\w*|\.(?:[eE][-+]?[0-9]|[fFdD]\b|(?![\w.])))"
    r"|\.[0-9*/^]|(?://|\*\*|[-+*/%@])=(?!=)|/\*|<>|~=|[=!]==|=>"
)
"""Where other languages go on (`1e-3f`, `5.`, `.5`, `+=`, `/*`): worth a look before the terminals."""


@cache
def master_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """All terminals but the words as one expression, in Lark's order; with `SUSPECT` first, and without."""
    terminals = "|".join(f"(?P<{name}>{pattern})" for name, pattern in load().terminals)
    return re.compile(f"(?P<SUSPECT>{SUSPECT})|{terminals}"), re.compile(terminals)


#: after so many errors nobody reads on
MOST_ERRORS = 100
#: what is between tokens, as the grammar ignores it
BLANKS = " \t\f"
_INTEGER = re.compile(r"[0-9]+")


class Lexer:
    """Reads `source` from `position` to `end`.

    `brackets` are the openers not yet closed; `previous` is the last token given; `found` collects what
    `foreign` had to say, and `pending` the second token where one character means two.
    """

    def __init__(self, source: Source, position: int, end: int) -> None:
        tables = load()
        self.source = source
        self.text = source.text
        self.position = position
        self.end = end
        self.brackets: list[Token] = []
        self.previous: Token | None = None
        self.found: list[Diagnostic] = []
        self.pending: Token | None = None
        self._patterns = master_patterns()
        self._words = tables.words
        self._ignored = tables.ignored

    def span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)

    def next(self, acceptable: Container[str]) -> Token:
        """The next token, `$END` at the end; `acceptable` are the terminals the parser can use now."""
        token, self.pending = self.pending, None
        token = token or self._next(acceptable)
        if token.type in OPENERS:
            self.brackets.append(token)
        elif token.type in CLOSERS and self.brackets and self.brackets[-1].type == CLOSERS[token.type]:
            self.brackets.pop()
        self.previous = token
        return token

    def _next(self, acceptable: Container[str]) -> Token:
        while (start := self.position) < self.end:
            if self.text[start] in BLANKS:  # all that the expression would find there
                self.position += 1
                continue
            match = self._patterns[0].match(self.text, start, self.end)
            if match is None or match.lastgroup == "SUSPECT":
                token = _foreign()(self, acceptable)
                if token is not None:
                    return token
                if len(self.found) >= MOST_ERRORS:
                    self.position = self.end  # whatever this is, it is no spec
                if self.position > start:
                    continue
                match = self._patterns[1].match(self.text, start, self.end)
                assert match is not None, "`foreign` leaves only what the grammar knows"
            type = match.lastgroup
            assert type is not None
            end = match.end()
            if type == "NAME":
                word = self._words.get(match.group())
                if word is not None and (word in RESERVED or word in acceptable):
                    type = word
            elif type == "FLOAT" and "FLOAT" not in acceptable and "INT" in acceptable:
                digits = _INTEGER.match(self.text, start)
                assert digits is not None
                type, end = "INT", digits.end()
            self.position = end
            if type in self._ignored or (type == "DOC" and "DOC" not in acceptable):
                continue
            if type == "_NL" and not self._newline_counts():
                continue
            return Token(type, self.text[start:end], start, end)
        return Token("$END", "", self.end, self.end)

    def _newline_counts(self) -> bool:
        """Not inside `(` or `[`, and not after another newline."""
        if self.brackets and self.brackets[-1].type != "LBRACE":
            return False
        return self.previous is None or self.previous.type != "_NL"


Foreign = Callable[[Lexer, Container[str]], Token | None]


@cache
def _foreign() -> Foreign:
    """What reads suspect text; loaded when the first is met."""
    from graphspec.syntax.foreign import foreign

    return foreign
