"""The formatter: one style for all files, without options.

Lines of 100, two spaces for what is inside; comments, and one empty line where there were some, stay; a pipe
keeps the lines that it was given, a list with a comma behind its last item has an item a line.  Names, their
order and their labels are never touched.  What is written means the same, or nothing is written: the abstract
syntax and the comments before and after are compared.

Two things are decided by what was written, since a reader may tell the one from the other: where a pipe is
broken, and whether a body of one statement has lines of its own.  Everything else follows from the widths.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from graphspec.diagnostics import Source, Span
from graphspec.syntax import ast
from graphspec.syntax.concrete import comments, read
from graphspec.syntax.documents import Documents
from graphspec.syntax.layout import Item, Newline
from graphspec.syntax.page import lay_out
from graphspec.syntax.parser import parse


class FormatterError(Exception):
    """The formatted text would say something else: a mistake of the formatter's."""


def format_text(source: Source) -> str:
    """The text of a file in the one style; raises `GraphSpecError` where it has syntax errors.

    Lines end as the first line of the source does.  Raises `FormatterError` rather than change a meaning.
    """
    before = parse(source)
    text, kept = _laid_out(source)
    after = Source(source.name, text)
    if not same(before, parse(after)) or kept != comments(after):
        raise FormatterError(f"formatting would change what {source.name} says; it is left as it is")
    return after.text.replace("\n", "\r\n") if _ends_in_crlf(source.text) else after.text


def same(a: Any, b: Any) -> bool:
    """Whether two pieces of abstract syntax are equal but for places and the spelling of numbers."""
    waiting = [(a, b)]
    while waiting:
        a, b = waiting.pop()
        if type(a) is not type(b):
            return False
        if isinstance(a, Span | Source):
            continue
        if isinstance(a, tuple):
            if len(a) != len(b):
                return False
            waiting.extend(zip(a, b, strict=True))
        elif is_dataclass(a):
            spelling = "text" if isinstance(a, ast.Number) else ""
            waiting.extend((getattr(a, f.name), getattr(b, f.name)) for f in fields(a) if f.name != spelling)
        elif a != b:
            return False
    return True


def _laid_out(source: Source) -> tuple[str, list[str]]:
    """The formatted text, and the comments of the source."""
    documents = Documents()
    (header, *statements), end = read(source, documents.shift, documents.reduce)
    items = [Item(header)]
    for statement in statements:
        items += [Item(Newline(0, 0, blanks=True)), Item(statement)]
    text = lay_out([*items, Item(Newline(0, 0, blanks=True, closing=True)), Item(end)])
    return text, documents.comments


def _ends_in_crlf(text: str) -> bool:
    end = text.find("\n")
    return end > 0 and text[end - 1] == "\r"
