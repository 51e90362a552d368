"""How a command speaks: results on stdout, diagnostics on stderr, or all of it as one JSON document."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer

from graphspec.cli.progress import LifeSign
from graphspec.tables import aligned

if TYPE_CHECKING:
    from graphspec.diagnostics import Diagnostic, GraphSpecError

#: grows when a key of the documents changes its meaning or goes away; new keys may come at any time
SCHEMA_VERSION = 1

#: the exit status of a command that Ctrl-C ended, as shells have it: 128 + SIGINT
INTERRUPTED = 130


class Report:
    """What one command says.  Used as a context: a GraphSpecError inside ends the command with its status.

    The JSON document has the keys `schema_version`, `command`, `ok`, `diagnostics` and `result`; `documents`
    says what they hold.  With `annotate` diagnostics are annotations of GitHub's, on stdout.
    """

    def __init__(self, command: str, *, as_json: bool, annotate: bool = False) -> None:
        self.command = command
        self.as_json = as_json
        self.annotate = annotate
        self.result: Any = None
        self.exit_code = 0
        self._diagnostics: list[Diagnostic] = []
        self._shown = ""
        self._life = LifeSign(command)

    def tell(self, diagnostic: Diagnostic) -> None:
        """Say something about the spec, the data or the request; long things with a blank line between."""
        self._diagnostics.append(diagnostic)
        if self.annotate:
            from graphspec.diagnostics.github import render_github

            self.line(render_github(diagnostic))
        elif not self.as_json:
            from graphspec.diagnostics.render import render_text

            text = render_text(diagnostic, color=_wants_color())
            self._life.hide()
            gap = "\n" if self._shown and "\n" in text + self._shown else ""
            sys.stderr.write(f"{gap}{text}\n")
            self._shown = text

    def be_still(self) -> None:
        """Show no more signs of life: they would disturb what is measured."""
        self._life.close()

    def fail(self, error: GraphSpecError) -> None:
        """Tell a mistake, and end the command with its status."""
        for diagnostic in error.diagnostics:
            self.tell(diagnostic)
        self.exit_code = max(self.exit_code, error.exit_code)

    def line(self, text: str = "") -> None:
        """One line of the result, where it is text."""
        self.write(text.rstrip() + "\n")

    def write(self, text: str) -> None:
        """A text of the result as it stands."""
        if not self.as_json:
            self._life.hide()
            sys.stdout.write(text)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
        """Aligned columns, those of `right` to the right."""
        for line in aligned([header, *rows], right):
            self.line(line)

    def arrays(self, arrays: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """A table of arrays; returns its facts by name, for the document."""
        facts = {name: self.facts(array) for name, array in arrays.items()}
        rows = []
        for name, f in facts.items():
            numbers = ["" if f[key] is None else f"{float(f[key]):.6g}" for key in ("norm", "min", "max")]
            rows.append([name, f"[{', '.join(map(str, f['shape']))}]", f["dtype"], *numbers])
        self.table(("name", "shape", "dtype", "norm", "min", "max"), rows, right=(3, 4, 5))
        return facts

    def facts(self, array: Any) -> dict[str, Any]:
        """Shape, dtype, Euclidean norm, least and greatest element of an array of numpy or cupy."""
        from graphspec.runtime.norms import norm

        low, high = (float(array.min()), float(array.max())) if array.size else (None, None)
        return {
            "shape": list(array.shape),
            "dtype": dtype_name(array),
            "norm": portable(norm(array)),
            "min": portable(low),
            "max": portable(high),
        }

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._life.close()
        if isinstance(error, KeyboardInterrupt):
            sys.stderr.write("interrupted\n")
            raise typer.Exit(INTERRUPTED) from None
        from graphspec.diagnostics import GraphSpecError

        if isinstance(error, GraphSpecError):
            self.fail(error)
        elif error is not None:
            return
        if self.as_json:
            sys.stdout.write(json.dumps(self._document(), indent=2, allow_nan=False) + "\n")
        if self.exit_code:
            raise typer.Exit(self.exit_code) from None

    def _document(self) -> dict[str, Any]:
        from graphspec.diagnostics.render import to_json

        return {
            "schema_version": SCHEMA_VERSION,
            "command": self.command,
            "ok": self.exit_code == 0,
            "diagnostics": [to_json(d) for d in self._diagnostics],
            "result": self.result,
        }


def dtype_name(array: Any) -> str:
    """The dtype in the words of the language: `f32`."""
    return str(array.dtype).replace("float", "f").replace("int", "i")


def portable(number: float | None) -> float | str | None:
    """A number that JSON knows: what is not finite becomes the string `nan`, `inf` or `-inf`."""
    return number if number is None or math.isfinite(number) else str(number)


def _wants_color() -> bool:
    """Colour is for terminals, and for those who did not say no (https://no-color.org)."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
