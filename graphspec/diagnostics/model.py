"""The one model of a diagnostic: renderers turn it into text or JSON, the catalogue makes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from graphspec.diagnostics.source import Span

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Label:
    """A place in a source and the few words written beneath it."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the text of `span` by `text`."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A repair that the formatter can apply: what it does, in words, and its edits."""

    message: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding about the user's text, data or request.

    `id` is kebab-case and never reused; `message` stands on its own; `primary` is the smallest place
    that made the mistake, `secondary` the places it conflicts with; `trace` is the path of
    instantiation through blocks, innermost first, as (what, where) pairs.
    """

    id: str
    severity: Severity
    message: str
    primary: Label | None = None
    secondary: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    fixes: tuple[Fix, ...] = ()
    trace: tuple[tuple[str, Span], ...] = ()


class GraphSpecError(Exception):
    """A mistake of the user's, as diagnostics with place and remedy.

    `exit_code` is the status a command ends with: 1 for the spec, a file or the request, 3 for a
    backend or device that is not there.
    """

    def __init__(self, diagnostics: Diagnostic | Iterable[Diagnostic], exit_code: int = 1) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = (
            (diagnostics,) if isinstance(diagnostics, Diagnostic) else tuple(diagnostics)
        )
        self.exit_code = exit_code
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from graphspec.diagnostics.render import render_text

        return "\n\n".join(render_text(d) for d in self.diagnostics)
