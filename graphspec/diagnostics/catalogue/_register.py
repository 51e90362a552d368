"""The decorator by which a catalogue function becomes a diagnostic."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, ParamSpec

from graphspec.diagnostics.model import Diagnostic, Severity

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Entry:
    """A diagnostic as the catalogue lists it: id, severity, long form."""

    id: str
    severity: Severity
    explanation: str


CATALOGUE: dict[str, Entry] = {}


def diagnostic(
    severity: Severity = "error",
) -> Callable[[Callable[P, Diagnostic]], Callable[P, Diagnostic]]:
    """Register a function of the catalogue; it gives its diagnostic id and severity."""

    def register(make: Callable[P, Diagnostic]) -> Callable[P, Diagnostic]:
        id = make.__name__.replace("_", "-")
        assert id not in CATALOGUE, f"two diagnostics are called {id}"
        CATALOGUE[id] = Entry(id, severity, inspect.getdoc(make) or "")

        @functools.wraps(make)
        def made(*args: P.args, **kwargs: P.kwargs) -> Diagnostic:
            return replace(make(*args, **kwargs), id=id, severity=severity)

        return made

    return register


def finding(message: str, **fields: Any) -> Diagnostic:
    """A diagnostic whose id and severity the decorator fills in."""
    return Diagnostic("", "error", message, **fields)


def suggestions(name: str, known: Iterable[str], most: int = 4) -> list[str]:
    """The known names most like one that is not known.

    First those equal but for case, then those of the same letters (`gleu`: `gelu`), then by similarity.
    """
    names = list(dict.fromkeys(known))
    folded = [k for k in names if k.lower() == name.lower()]
    folded += [k for k in names if len(k) == len(name) and sorted(k) == sorted(name)]
    close = difflib.get_close_matches(name, names, n=most, cutoff=0.6)
    tail = [k for k in names if "." in k and k.rpartition(".")[2] == name]
    return list(dict.fromkeys([*folded, *close, *tail]))[:most]
