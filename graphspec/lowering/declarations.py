"""Inputs, parameters, buffers and noise: their types, their names and how they begin."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import count
from typing import Any

from graphspec.diagnostics import Diagnostic
from graphspec.diagnostics.catalogue import definitions as say
from graphspec.diagnostics.catalogue import names as say_names
from graphspec.diagnostics.catalogue import types as say_types
from graphspec.ir import DType, Input, TensorType, Value, apply, made_at, primitive, reachable
from graphspec.lowering import bodies, calls, expressions, reflexes
from graphspec.lowering.context import Failed, Frame, current, fail, join
from graphspec.lowering.module import DataFile, Declared, Draw, Given
from graphspec.lowering.signatures import Parameter
from graphspec.ops.samplers import SAMPLERS, SamplerSignature
from graphspec.syntax import ast


def declare(statement: ast.Declare, frame: Frame) -> None:
    """Make the value that a declaration stands for, or find it where a shared layer is applied again."""
    local = statement.path.text
    public = (statement.public or statement.path).text
    type = read_type(statement, frame)
    full = _full_name(public, statement, frame)
    token = (frame.token, id(statement))
    shown = full if frame.is_file or frame.home.is_std else local
    known = frame.ctx.declared.get(full)
    if known is None:
        with made_at(frame.origin(statement.span)):
            value = apply(Input(full, type))
            start = _start(statement, type, frame)
        origin = frame.origin(statement.span)
        written = _symbolic_type(statement, type, frame)
        frame.ctx.declared[full] = Declared(
            full, statement.kind, value, start, origin, statement.doc, type=written
        )
        frame.ctx.tokens[full] = token
        bodies.publish(
            full, value, frame.site if frame.home.is_std and frame.site else statement.path.span, frame
        )
    else:
        first = known.origin.span if known.origin else None
        if frame.ctx.tokens[full] != token:
            if statement.kind == "noise" and frame.anonymous is not None:
                fail(_needs_a_name("noise", frame))
            place = frame.site if frame.home.is_std and frame.site else statement.path.span
            fail(say_names.duplicate_name(shown, place, first, frame.trace))
        value = known.value
        if value.type != type:
            fail(_shared_conflict(known, type, statement, frame))
    seen = current(value, frame)
    if frame.is_file:
        frame.names[local] = seen
        return
    for name in {local, public}:
        if name == public != local and name in frame.names:
            continue  # `param b[out] as bias`: an argument has the public name already
        if name in frame.names:
            fail(say_names.duplicate_name(name, statement.path.span, None, frame.trace))
        frame.names[name] = seen


def _shared_conflict(known: Declared, type: TensorType, statement: ast.Declare, frame: Frame) -> Diagnostic:
    """Two applications of a layer for which its weights differ, shown where their paths part."""
    assert known.origin is not None
    now = [*reversed(frame.trace), ("", statement.span)]
    before = [*reversed(known.origin.trace), ("", known.origin.span)]
    apart = next((i for i, (a, b) in enumerate(zip(now, before, strict=False)) if a[1] != b[1]), 0)
    return say_types.shared_parameter_conflict(
        known.name,
        str(known.value.type),
        str(type),
        now[apart][1],
        before[apart][1],
        tuple(reversed(now[:apart])),
    )


def _full_name(public: str, statement: ast.Declare, frame: Frame) -> str:
    """Parameters and buffers hang below their owner, noise below the application."""
    op = next((d for d in frame.stack if d.kind == "op"), None)
    if op is not None:
        assert frame.definition is not None
        if op is frame.definition:
            raise Failed  # a syntax error says so
        owner = frame.definition.name.text
        fail(say.op_owns_nothing(owner, statement.kind, op.name.text, statement.span, frame.trace))
    if statement.kind == "noise" or frame.is_file:
        return ".".join(filter(None, (frame.noise, public)))
    full = join(frame.owner, public)
    if full is None:
        fail(_needs_a_name(statement.kind, frame))
    return full


def _needs_a_name(kind: str, frame: Frame) -> Diagnostic:
    """A call without a name that owns something; a name is offered that nothing has."""
    assert frame.anonymous is not None
    what, where = frame.anonymous
    offered = frame.ctx.offered
    if where not in offered:
        stem = what.rpartition(".")[2]
        taken = {*frame.ctx.places, *offered.values()}
        offered[where] = next(name for i in count(1) if (name := f"{stem}{i}") not in taken)
    return say_names.needs_a_name(what, kind, offered[where], where, frame.trace)


def read_type(statement: ast.Declare, frame: Frame) -> TensorType:
    """The declared type; in a block without a dtype it is that of the first floating tensor argument."""
    written = statement.type
    dtype = (
        expressions.read_dtype(written.dtype, frame) if written.dtype else expressions.default_dtype(frame)
    )
    return TensorType(dtype, expressions.read_shape(written.shape, frame))


def _symbolic_type(statement: ast.Declare, type: TensorType, frame: Frame) -> TensorType:
    """The declared type with every dim as a symbol, also those that stand for their numbers."""
    if not frame.is_file or not frame.ctx.numbers:
        return type
    symbolic = replace(frame, names={**frame.names, **frame.ctx.symbols})
    return type.with_shape(expressions.read_shape(statement.type.shape, symbolic))


def _start(statement: ast.Declare, type: TensorType, frame: Frame) -> Draw | Given | DataFile | None:
    if statement.start is None:
        return None
    return read_start(statement.start, type, frame, statement.kind)


def read_start(start: ast.Start, type: TensorType, frame: Frame, kind: str) -> Draw | Given | DataFile:
    """How a tensor begins: a sampler with its arguments, a data file, or a value that needs no input."""
    if start.drawn:
        return _draw(start, type, frame)
    value = start.value
    if isinstance(value, ast.Call) and value.function.text == "file" and value.piped is None:
        if kind != "input":
            fail(say.file_outside_input(value.span, frame.trace))
        return _file(value, frame)
    return Given(_given(value, type, frame))


def _draw(start: ast.Start, type: TensorType, frame: Frame) -> Draw:
    expr = start.value
    if not isinstance(expr, ast.Call) or expr.function.text not in SAMPLERS:
        name = expr.function if isinstance(expr, ast.Call) else None
        span = name.span if name else expr.span
        written = name.text if name else expr.span.text
        here = reflexes.SAMPLERS.get(written.rpartition(".")[2])
        fail(say.unknown_sampler(written, here, sorted(SAMPLERS), span, frame.trace))
    sampler = SAMPLERS[expr.function.text]
    kind = "float" if type.dtype.is_float else "integer" if type.dtype.is_integer else "bool"
    if kind not in sampler.kinds:
        fitting = [s.name for s in SAMPLERS.values() if kind in s.kinds and s.min_rank <= len(type.shape)][:3]
        fail(say.sampler_dtype(sampler.name, str(type), sampler.kinds, fitting, expr.span, frame.trace))
    if len(type.shape) < sampler.min_rank:
        fail(say.sampler_rank(sampler.name, sampler.min_rank, str(type), expr.span, frame.trace))
    return Draw(sampler.name, tuple(_sampler_arguments(sampler, expr, frame).items()))


def _sampler_arguments(sampler: SamplerSignature, expr: ast.Call, frame: Frame) -> dict[str, Any]:
    """All arguments of a sampler in its order; `randint(10)` is `randint(high=10)`."""
    given: dict[str, calls.Given] = {}
    positional = [p.name for p in sampler.parameters]
    if sampler.lone is not None and sum(a.name is None for a in expr.arguments) == 1:
        positional = [sampler.lone]
    for argument in expr.arguments:
        assert not isinstance(argument.value, ast.Range)
        if argument.name is None and not positional:
            fail(say.too_many_positional(sampler.name, str(sampler), [], [argument.span], frame.trace))
        name = argument.name.text if argument.name else positional.pop(0)
        if name not in [p.name for p in sampler.parameters]:
            known = [p.name for p in sampler.parameters]
            fail(say.unknown_argument(name, sampler.name, known, argument.span, frame.trace))
        if name in given:
            fail(say.argument_twice(name, argument.span, given[name].span, frame.trace))
        given[name] = calls.Given(expressions.evaluate(argument.value, frame), argument.value.span)
    bound: dict[str, Any] = {}
    for p in sampler.parameters:
        if p.name in given:
            bound[p.name] = calls.static_argument(
                Parameter(p.name, p.word), given[p.name], sampler.name, frame
            )
            if p.choices and bound[p.name] not in p.choices:
                fail(say.unknown_choice(p.name, bound[p.name], p.choices, given[p.name].span, frame.trace))
        elif p.is_required:
            fail(say.missing_argument(sampler.name, p.name, str(sampler), expr.span, frame.trace))
        else:
            bound[p.name] = p.default
    return bound


def _file(expr: ast.Call, frame: Frame) -> DataFile:
    """`file("data/iris.npz", "x")`: relative to and below the spec's folder."""
    parts = [
        a.value.value if isinstance(a.value, ast.String) and a.name is None else None for a in expr.arguments
    ]
    if not 1 <= len(parts) <= 2 or None in parts:
        fail(say.file_form(expr.span, frame.trace))
    relative = parts[0] or ""
    folder = frame.ctx.folder
    if folder is None:
        fail(say.file_without_folder(relative, expr.span, frame.trace))
    path = os.path.normpath(os.path.join(folder, relative))
    below = os.path.realpath(path).startswith(os.path.realpath(folder) + os.sep)
    if os.path.isabs(relative) or "\0" in relative or not below:
        fail(say.file_outside_folder(relative, expr.span, frame.trace))
    return DataFile(path, parts[1] if len(parts) == 2 else None)


def _given(expr: ast.Expr, type: TensorType, frame: Frame) -> Value:
    if (
        isinstance(expr, ast.Call)
        and expr.function.text in ("zeros", "ones")
        and not expr.arguments
        and expr.piped is None
    ):
        number = 0 if expr.function.text == "zeros" else 1
        meaning: Any = bool(number) if type.dtype is DType.BOOL else number
    else:
        meaning = expressions.evaluate(expr, frame)
    value = expressions.as_tensor(meaning, type.dtype, expr.span, frame)
    for node in reachable([value]):
        if isinstance(node.op, Input):
            fail(say.start_needs_an_input(node.op.label, expr.span, frame.trace))
    if value.type == type:
        return value
    if value.type.dtype is not type.dtype or value.shape != ():
        fail(
            say_types.annotation_mismatch(
                "the initial value", str(value.type), str(type), expr.span, expr.span, frame.trace
            )
        )
    return apply(primitive("broadcast_to", type.shape), value)
