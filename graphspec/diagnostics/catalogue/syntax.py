from __future__ import annotations

from graphspec.diagnostics import Diagnostic, Label, Span
from graphspec.diagnostics.catalogue._register import diagnostic, finding


@diagnostic()
def unexpected_token(place: Span, found: str, expected: list[str]) -> Diagnostic:
    return finding(f"expected {expected}, found {found}", primary=Label(place))
