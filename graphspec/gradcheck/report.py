"""What a gradient check found: one row for each derivative that was checked, and what is to be said."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from graphspec.diagnostics import Diagnostic
from graphspec.tables import aligned

Verdict: TypeAlias = Literal["right", "wrong", "kink", "too small", "surrogate", "unknown"]


@dataclass(frozen=True, slots=True)
class Row:
    """One derivative that was checked.

    `name` is what it is with respect to: a parameter, an input, a value, or `op.argument` for a
    hand-written gradient; `of` what is differentiated.  `error` is |g - g_est| / |g + g_est|, None
    where nothing could be compared.  The verdicts: "right", "wrong"; "kink", where the derivative has a
    jump at the point itself; "too small", below what differences can tell from 0; "surrogate", meant to
    be another; "unknown", where no point could be checked.
    """

    name: str
    kind: str
    of: str
    order: int
    compared: str
    error: float | None
    verdict: Verdict

    @property
    def cells(self) -> list[str]:
        """The row as a table has it."""
        error = "" if self.error is None else f"{self.error:.1e}"
        return [self.name, self.kind, self.of, str(self.order), self.compared, error, self.verdict]

    def as_dict(self) -> dict[str, Any]:
        """The row as a document has it; an error that is no number is None there."""
        error = self.error if self.error is not None and math.isfinite(self.error) else None
        return {
            "name": self.name,
            "kind": self.kind,
            "of": self.of,
            "order": self.order,
            "compared": self.compared,
            "error": error,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class GradcheckReport:
    """The result of a gradient check: true where no derivative is wrong.  It prints as a table.

    `diagnostics` say what is wrong and on which line, and where a kink kept the check from telling.
    """

    rows: tuple[Row, ...]
    diagnostics: tuple[Diagnostic, ...]

    #: the words over the columns of the table
    header: ClassVar[tuple[str, ...]] = ("name", "kind", "of", "order", "compared", "error", "verdict")

    def __bool__(self) -> bool:
        return not any(row.verdict == "wrong" for row in self.rows)

    def __str__(self) -> str:
        from graphspec.diagnostics.render import render_text

        table = "\n".join(aligned([self.header, *(row.cells for row in self.rows)]))
        return "\n\n".join([table, *map(render_text, self.diagnostics)])
