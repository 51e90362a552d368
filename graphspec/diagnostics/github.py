"""Diagnostics as annotations of GitHub's, which it shows beside the lines of a change.

Source: GitHub Docs, "Workflow commands for GitHub Actions": `::error file=F,line=L,col=C::MESSAGE`.
"""

from __future__ import annotations

from graphspec.diagnostics.model import Diagnostic, Severity

_WORDS: dict[Severity, str] = {"error": "error", "warning": "warning", "note": "notice"}


def render_github(d: Diagnostic) -> str:
    """The diagnostic in one line: where it is, its id as title, then what it says with notes and help."""
    properties = {"title": d.id}
    lines = [d.message]
    if d.primary:
        source, span = d.primary.span.source, d.primary.span
        line, column = source.position(span.start)
        last, end = source.position(max(span.end, span.start))
        properties = {"file": source.name, "line": str(line), "endLine": str(last), "col": str(column)}
        if last == line:  # of a span over lines GitHub takes no end column
            properties["endColumn"] = str(end)
        properties["title"] = d.id
        lines += [d.primary.text] if d.primary.text else []
    lines += [f"note: {note}" for note in d.notes]
    said = {*d.help, *([d.primary.text] if d.primary else [])}
    lines += [f"help: {text}" for text in (*d.help, *(f.message for f in d.fixes if f.message not in said))]
    listed = ",".join(f"{key}={_escaped(text, ':,')}" for key, text in properties.items())
    return f"::{_WORDS[d.severity]} {listed}::{_escaped(chr(10).join(lines))}"


def _escaped(text: str, more: str = "") -> str:
    """The text with what would end it, or the line, as percent and number."""
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
