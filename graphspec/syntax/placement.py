from __future__ import annotations

from graphspec.diagnostics import Diagnostic
from graphspec.syntax import ast


def misplaced(where: ast.File | ast.Definition) -> list[Diagnostic]:
    return []
