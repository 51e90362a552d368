"""Every diagnostic graphspec can give: one function each, whose docstring is what `explain` prints.

A function is decorated with `@diagnostic` (severity by argument); its id is its name in kebab-case.
"""

from __future__ import annotations

from importlib import import_module

from graphspec.diagnostics.catalogue._register import CATALOGUE, Entry, diagnostic

AREAS = (
    "syntax",
    "statements",
    "reflexes",
    "names",
    "types",
    "definitions",
    "files",
    "derivatives",
    "batching",
    "checks",
    "plugins",
    "requests",
    "data",
)


def catalogue() -> dict[str, Entry]:
    """All diagnostics by id."""
    for area in AREAS:
        import_module(f"{__name__}.{area}")
    return dict(sorted(CATALOGUE.items()))


__all__ = ["AREAS", "CATALOGUE", "Entry", "catalogue", "diagnostic"]
