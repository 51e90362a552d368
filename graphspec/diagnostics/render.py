"""Diagnostics for people (text with the source lines marked) and for programs (JSON with stable keys)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from unicodedata import category, combining, east_asian_width

from graphspec.diagnostics.model import Diagnostic, Label
from graphspec.diagnostics.source import Source, Span

TAB = 4
"""Columns between tab stops in shown source lines."""

WIDEST = 160
"""Columns of a source line that are shown; a longer one is cut around the first mark."""

GAP = 2
"""Columns that stay free between a label and the next mark on its row."""

_COLORS = {
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "secondary": "1;34",
    "gutter": "1;34",
    "bold": "1",
}


def render_text(d: Diagnostic, color: bool = False) -> str:
    """The diagnostic as a person reads it: message, marked source lines, path of blocks, notes, help."""
    paint = _Paint(color)
    lines = [
        paint(d.severity, f"{d.severity}[{d.id}]") + paint("bold", f": {visible(d.message, newlines=True)}")
    ]
    files = _by_file(d)
    width = max((len(str(mark.line)) for marks in files.values() for mark in marks), default=1)
    gutter = " " * (width + 1)
    for i, (source, marks) in enumerate(files.items()):
        place = next((m for m in marks if m.primary), marks[0])
        arrow = "-->" if i == 0 else ":::"
        where = f"{visible(source.name)}:{place.line}:{place.column}"
        lines.append(" " * width + paint("gutter", arrow) + f" {where}")
        lines.append(gutter + paint("gutter", "|"))
        lines += _snippet(source, marks, width, d.severity, paint)
    for what, where_used in d.trace:
        line = where_used.source.position(where_used.start)[0]
        lines.append(_footer(gutter, paint, "in", f"{what}, used at {where_used.source.name}:{line}"))
    lines += [_footer(gutter, paint, "note", note) for note in d.notes]
    lines += [_footer(gutter, paint, "help", text) for text in d.help]
    said = {*d.help, *([d.primary.text] if d.primary else [])}
    lines += [_footer(gutter, paint, "help", fix.message) for fix in d.fixes if fix.message not in said]
    return "\n".join(lines)


def to_json(d: Diagnostic) -> dict[str, Any]:
    """The diagnostic as data with stable keys; lines and columns count from 1, offsets from 0."""
    return {
        "id": d.id,
        "severity": d.severity,
        "message": d.message,
        "primary": _label_json(d.primary) if d.primary else None,
        "secondary": [_label_json(label) for label in d.secondary],
        "notes": list(d.notes),
        "help": list(d.help),
        "fixes": [
            {"message": fix.message, "edits": [{**_span_json(e.span), "text": e.text} for e in fix.edits]}
            for fix in d.fixes
        ],
        "trace": [{"what": what, **_span_json(where)} for what, where in d.trace],
    }


def visible(text: str, newlines: bool = False) -> str:
    """`text` with characters that could steer a terminal, or hide, written out.

    >>> visible("a\\x1b[31mb")
    'a␛[31mb'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c == "\n" and newlines else _shown(c) for c in text)


# ---------------------------------------------------------------- snippets


@dataclass(frozen=True, slots=True)
class _Mark:
    """A stretch of one line to underline, from `start` to `end` (offsets in the line), and its label."""

    line: int
    start: int
    end: int
    text: str
    primary: bool

    @property
    def column(self) -> int:
        return self.start + 1


def _by_file(d: Diagnostic) -> dict[Source, list[_Mark]]:
    """The marks of each source, that of the primary place first."""
    files: dict[Source, list[_Mark]] = {}
    labels = ([(d.primary, True)] if d.primary else []) + [(label, False) for label in d.secondary]
    for label, primary in labels:
        files.setdefault(label.span.source, []).extend(_marks(label, primary))
    return files


def _marks(label: Label, primary: bool) -> Iterator[_Mark]:
    """The marks of one label: one, or for a span over several lines one on its first and one on its last."""
    source, text = label.span.source, label.text
    first, column = source.position(label.span.start)
    last, end = source.position(max(label.span.end, label.span.start))
    if last > first and end == 1:
        last -= 1
        end = len(source.line(last)) + 1
    if first == last:
        yield _Mark(first, column - 1, end - 1, text, primary)
        return
    yield _Mark(first, column - 1, max(len(source.line(first)), column), "", primary)
    line = source.line(last)
    yield _Mark(last, min(len(line) - len(line.lstrip()), end - 1), end - 1, text, primary)


def _snippet(source: Source, marks: list[_Mark], width: int, severity: str, paint: _Paint) -> Iterator[str]:
    """The marked lines in order, each with its underlines; `...` where lines are left out."""
    bar = paint("gutter", "|")
    numbers = sorted({mark.line for mark in marks})
    before: int | None = None
    for number in numbers:
        if before is not None and number == before + 2:
            between, _ = _shown_line(source.line(before + 1), 0)
            yield f"{paint('gutter', f'{before + 1:>{width}}')} {bar} {between}".rstrip()
        elif before is not None and number > before + 2:
            yield paint("gutter", "...")
        here = [mark for mark in marks if mark.line == number]
        text, columns = _shown_line(source.line(number), min(mark.start for mark in here))
        yield f"{paint('gutter', f'{number:>{width}}')} {bar} {text}".rstrip()
        for row in _rows(here, columns):
            yield " " * (width + 1) + f"{bar} " + _underline(row, severity, paint)
        before = number


_Placed = tuple[int, int, _Mark]


def _rows(marks: list[_Mark], columns: list[int]) -> list[list[_Placed]]:
    """Marks as (from column, to column, mark), in rows where none meets another or its label."""
    rows: list[tuple[list[_Placed], list[tuple[int, int]]]] = []
    for mark in sorted(marks, key=lambda m: (not m.primary, -m.start, m.end)):
        start = columns[min(mark.start, len(columns) - 1)]
        end = max(columns[min(mark.end, len(columns) - 1)], start + 1)
        right = end + (1 + _width(visible(mark.text)) if mark.text else 0)
        fits = (row for row in rows if all(right + GAP < left or start > stop + GAP for left, stop in row[1]))
        row = next(fits, None)
        if row is None:
            row = ([], [])
            rows.append(row)
        row[0].append((start, end, mark))
        row[1].append((start, right))
    return [sorted(placed, key=lambda p: p[0]) for placed, _ in rows]


def _underline(row: list[_Placed], severity: str, paint: _Paint) -> str:
    out, at = "", 0
    for start, end, mark in row:
        sign = ("^" if mark.primary else "-") * (end - start)
        words = sign + (f" {visible(mark.text)}" if mark.text else "")
        out += " " * (start - at) + paint(severity if mark.primary else "secondary", words)
        at = start + _width(words)
    return out


def _shown_line(line: str, focus: int) -> tuple[str, list[int]]:
    """A source line as shown, and the column of each of its characters (and of its end) in it.

    A line wider than `WIDEST` is cut to a part around the character `focus`.
    """
    pieces: list[str] = []
    columns: list[int] = []
    column = 0
    first = 0 if len(line) <= WIDEST else max(0, min(focus - WIDEST // 4, len(line) - WIDEST))
    last = len(line) if len(line) <= WIDEST else first + WIDEST
    if first > 0:
        pieces.append("... ")
        column = 4
        columns = [column] * first
    for character in line[first:last]:
        piece = " " * (TAB - column % TAB) if character == "\t" else _shown(character)
        columns.append(column)
        column += _width(piece)
        pieces.append(piece)
    columns += [column] * (len(line) - last + 1)
    if last < len(line):
        pieces.append(" ...")
    return "".join(pieces), columns


def _shown(character: str) -> str:
    """A character that is safe and plain to show: control and format characters are written out."""
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return " " if category(character) == "Zs" else f"<U+{code:04X}>"


def _width(text: str) -> int:
    """Columns that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


# ---------------------------------------------------------------- the rest


class _Paint:
    """Wraps text in a colour of the terminal, or leaves it as it is."""

    def __init__(self, color: bool) -> None:
        self.color = color

    def __call__(self, kind: str, text: str) -> str:
        return f"\x1b[{_COLORS[kind]}m{text}\x1b[0m" if self.color else text


def _footer(gutter: str, paint: _Paint, word: str, text: str) -> str:
    """`   = help: text`, further lines of the text indented under the first."""
    first, *rest = visible(text, newlines=True).split("\n")
    lead = f"{gutter}{paint('gutter', '=')} {paint('bold', word)}: "
    indent = " " * (len(gutter) + len(word) + 4)
    return "\n".join([lead + first, *(indent + line for line in rest)])


def _label_json(label: Label) -> dict[str, Any]:
    return {**_span_json(label.span), "label": label.text}


def _span_json(span: Span) -> dict[str, Any]:
    return {
        "file": span.source.name,
        "start": _position_json(span.source, span.start),
        "end": _position_json(span.source, span.end),
    }


def _position_json(source: Source, offset: int) -> dict[str, int]:
    line, column = source.position(offset)
    return {"line": line, "column": column, "offset": offset}


def render_all(diagnostics: Iterable[Diagnostic], color: bool = False) -> str:
    """Several diagnostics, a blank line between."""
    return "\n\n".join(render_text(d, color) for d in diagnostics)
