"""What a file says and nothing uses: a warning each, since a forgotten line is usually a mistake."""

from __future__ import annotations

from collections.abc import Iterator

from graphspec.diagnostics import Diagnostic
from graphspec.diagnostics.catalogue import names as say
from graphspec.ir import Input, Value, reachable
from graphspec.lowering.context import Frame, LayerRef
from graphspec.syntax import ast


def unused(file: ast.File, frame: Frame) -> tuple[Diagnostic, ...]:
    """Warnings about values that lead nowhere, inputs and consts without use, layers never applied."""
    return tuple(_unused(file, frame))


def _unused(file: ast.File, frame: Frame) -> Iterator[Diagnostic]:
    ctx = frame.ctx
    if not ctx.results:
        yield say.no_result(file.span)
        return
    live = set(reachable([*(r.value for r in ctx.results.values()), *ctx.updates.values()]))
    for declared in ctx.declared.values():
        if declared.value.node not in live and declared.origin is not None and "." not in declared.name:
            yield say.unused_declaration(declared.kind, declared.name, declared.origin.span)
    for statement in file.statements:
        match statement:
            case ast.Assign():
                for target in statement.targets:
                    value = frame.names.get(target.path.text)
                    if (
                        isinstance(value, Value)
                        and value.node not in live
                        and not isinstance(value.node.op, Input)
                    ):
                        yield say.leads_nowhere(target.path.text, target.span)
            case ast.Layer():
                ref = frame.names.get(statement.path.text)
                applied = any(name.startswith(statement.path.text + ".") for name in ctx.declared)
                if isinstance(ref, LayerRef) and not applied:
                    yield say.unused_declaration("layer", statement.path.text, statement.span)
