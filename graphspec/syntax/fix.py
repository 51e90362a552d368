"""Applying the repairs that diagnostics offer, until none applies, and formatting what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from graphspec.diagnostics import Diagnostic, Edit, Fix, Source
from graphspec.syntax.format import format_text
from graphspec.syntax.parser import parse_partial

MOST_ROUNDS = 50
"""A repair can bring up further findings; beyond so many rounds they are left."""


class Fixed(NamedTuple):
    """The repaired text, formatted if it parses, what is still found in it, and what was repaired."""

    text: str
    remaining: list[Diagnostic]
    repaired: list[Diagnostic]


def fix_text(source: Source, diagnose: Callable[[Source], Sequence[Diagnostic]]) -> Fixed:
    """Apply the repairs of the findings that `diagnose` makes in a text.

    A finding with one repair gets it; where there are several to choose from, the choice is the author's.
    Repairs that overlap go one after the other.
    """
    repaired: list[Diagnostic] = []
    seen: set[str] = set()
    for _ in range(MOST_ROUNDS):
        found = list(diagnose(source))
        applied, edits = _compatible(found, source)
        text = _edited(source.text, edits)
        if not applied or text in seen:
            break
        seen.add(text)
        repaired += applied
        source = Source(source.name, text)
    else:
        found = list(diagnose(source))
    return Fixed(source.text if parse_partial(source)[1] else format_text(source), found, repaired)


def _compatible(found: Iterable[Diagnostic], source: Source) -> tuple[list[Diagnostic], set[Edit]]:
    """The findings whose repairs can be made at once, from the first on, and their edits."""
    applied: list[Diagnostic] = []
    edits: set[Edit] = set()
    for diagnostic in found:
        if len(diagnostic.fixes) == 1 and _applies(diagnostic.fixes[0], edits, source):
            applied.append(diagnostic)
            edits.update(diagnostic.fixes[0].edits)
    return applied, edits


def _applies(fix: Fix, edits: set[Edit], source: Source) -> bool:
    """Whether a repair is one of this text, and changes no place that another edit changes."""
    for edit in fix.edits:
        if edit.span.source.name != source.name or edit.span.source.text != source.text:
            return False
        if edit not in edits and any(_touch(edit, other) for other in edits):
            return False
    return True


def _touch(a: Edit, b: Edit) -> bool:
    return a.span.start <= b.span.end and b.span.start <= a.span.end


def _edited(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made; they do not overlap."""
    pieces: list[str] = []
    end = 0
    for edit in sorted(edits, key=lambda edit: (edit.span.start, edit.span.end)):
        pieces += (text[end : edit.span.start], edit.text)
        end = edit.span.end
    return "".join((*pieces, text[end:]))
