"""What the shell completes: the names of the spec on the line, ids of diagnostics, names of functions.

The spec is read and typed, and no array library is imported.  A spec with errors completes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from graphspec.lowering.module import Module

Suggested = list[tuple[str, str]]


def complete_wrt(ctx: typer.Context, incomplete: str) -> Suggested:
    """`--wrt`: roles and everything that floats; after a comma the next name."""
    module = _module(ctx)
    if module is None:
        return []
    before, comma, last = incomplete.rpartition(",")
    roles = [("@params", "all parameters"), ("@inputs", "all inputs")]
    names = [(name, str(v.type)) for name, v in module.values.items() if v.dtype.is_float]
    return [(before + comma + name, text) for name, text in _beginning_with(last, [*roles, *names])]


def complete_of(ctx: typer.Context, incomplete: str) -> Suggested:
    """`--of`: results of the spec first, then all other values."""
    module = _module(ctx)
    if module is None:
        return []
    results = [(result.name, result.kind) for result in module.results.values()]
    values = [(n, str(v.type)) for n, v in module.values.items() if n not in module.results]
    return list(_beginning_with(incomplete, [*results, *values]))


def complete_set(ctx: typer.Context, incomplete: str) -> Suggested:
    """`--set`: consts and dims, with the sign that follows them."""
    module = _module(ctx)
    if module is None or "=" in incomplete:
        return []
    consts = [(f"{name}=", f"const, now {value}") for name, value in module.consts.items()]
    dims = [
        (f"{name}=", "dim" if dim.default is None else f"dim, now {dim.default}")
        for name, dim in module.dims.items()
    ]
    return list(_beginning_with(incomplete, [*consts, *dims]))


def complete_input(ctx: typer.Context, incomplete: str) -> Suggested:
    """`--draw`: what the spec declares as input."""
    module = _module(ctx)
    if module is None:
        return []
    inputs = [(d.name, str(d.value.type)) for d in module.declared.values() if d.kind == "input"]
    return list(_beginning_with(incomplete, inputs))


def complete_id(incomplete: str) -> Suggested:
    """Ids of diagnostics."""
    from graphspec.diagnostics.catalogue import catalogue

    return list(_beginning_with(incomplete, ((e.id, e.severity) for e in catalogue().values())))


def complete_function(incomplete: str) -> Suggested:
    """Functions of the language."""
    from graphspec.lowering.reference import reference

    return list(_beginning_with(incomplete, ((f.name, f.kind) for f in reference().values())))


def _module(ctx: typer.Context) -> Module | None:
    """The spec that stands on the line, with what `--set` says if that fits."""
    from graphspec.compiler import Settings, Spec, load
    from graphspec.diagnostics import GraphSpecError

    # an option that still lacks its value keeps the parser from the arguments: these are left over then
    path = ctx.params.get("spec") or next(iter(ctx.args), None)
    if path is None:
        return None
    given = dict(text.split("=", 1) for text in ctx.params.get("set") or () if "=" in text)
    for sets in ({name: _number(text) for name, text in given.items()}, {}):
        try:
            return load(Spec(str(path)), Settings(sets))
        except GraphSpecError:
            continue
    return None


def _number(text: str) -> int | str:
    return int(text) if text.isdecimal() else text


def _beginning_with(start: str, known: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((name, text) for name, text in known if name.startswith(start))
