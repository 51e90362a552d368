"""What a spec or data give occasion to say, as Python's warnings."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import TypeAlias

from graphspec.diagnostics import Diagnostic

Notify: TypeAlias = Callable[[Diagnostic], None]


class GraphSpecWarning(UserWarning):
    """Something in a spec or in data that is legal and hardly meant."""


class PrecisionWarning(GraphSpecWarning):
    """Data were rounded to the smaller dtype that the spec declares."""


def warn(diagnostic: Diagnostic) -> None:
    """Warnings of a spec and of data as Python's warnings, at the line outside that called us."""
    from graphspec.diagnostics.render import render_text

    if diagnostic.severity != "warning":
        return
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("graphspec"):
        level, frame = level + 1, frame.f_back
    category = PrecisionWarning if diagnostic.id == "precision-narrowed" else GraphSpecWarning
    warnings.warn(render_text(diagnostic), category, stacklevel=level)
