"""What graphspec says about a user's mistake: places in source text, diagnostics, and how they are shown."""

from graphspec.diagnostics.model import Diagnostic, Edit, Fix, GraphSpecError, Label, Severity
from graphspec.diagnostics.source import Source, Span

__all__ = ["Diagnostic", "Edit", "Fix", "GraphSpecError", "Label", "Severity", "Source", "Span"]
