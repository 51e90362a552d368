"""A file from text to a module: the statements in the order of their names, then what holds of the whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, TypeAlias

from graphspec.diagnostics import Diagnostic, GraphSpecError, Source, Span
from graphspec.diagnostics.catalogue import definitions as say
from graphspec.diagnostics.catalogue import names as say_names
from graphspec.diagnostics.catalogue import types as say_types
from graphspec.ir import DType, Origin, Size, Value, made_at
from graphspec.ir.sizes import collect_assumptions
from graphspec.lowering import declarations, expressions, plugins, statements
from graphspec.lowering.bodies import publish, register
from graphspec.lowering.context import POISON, Context, Errors, Exhausted, Failed, Frame, fail
from graphspec.lowering.definitions import read_source
from graphspec.lowering.dims import check_constraints, check_equal, read_dims
from graphspec.lowering.lookup import find_name
from graphspec.lowering.module import Check, Declared, Module, Result
from graphspec.lowering.namespaces import Importer, read_consts
from graphspec.lowering.ordering import in_order
from graphspec.lowering.patterns import matches
from graphspec.lowering.unapplied import check_unapplied
from graphspec.lowering.unused import unused
from graphspec.syntax import ast
from graphspec.syntax.parser import parse_expression, parse_partial


def lower_file(
    path: str, *, sets: Mapping[str, Any] | None = None, dtype: DType | None = None, training: bool = False
) -> Module:
    """The module that a `.gspec` file describes; raises GraphSpecError with every independent error.

    `sets` gives consts and dims from outside, `dtype` compiles everything in that floating dtype.
    """
    source = read_source(path, path)
    return lower_source(source, os.path.dirname(os.path.abspath(path)), path, sets or {}, dtype, training)


def lower_text(
    text: str,
    base: str | None = None,
    name: str = "<text>",
    *,
    sets: Mapping[str, Any] | None = None,
    dtype: DType | None = None,
    training: bool = False,
) -> Module:
    """As `lower_file`, of a text; `base` is the folder for its imports and data files."""
    return lower_source(Source(name, text), base, None, sets or {}, dtype, training)


def lower_source(
    source: Source,
    folder: str | None,
    path: str | None,
    sets: Mapping[str, Any],
    dtype: DType | None,
    training: bool,
) -> Module:
    """The module of a parsed source.

    A dim that decides the graph is first kept as a symbol, so that data may give it another number; where
    the file holds the symbol against that number (`stack(each(e in 0..E, ...))` as `[E, N]`), it is
    lowered again with the number in its place.
    """
    file, syntax_errors = parse_partial(source)
    if file is None:
        raise GraphSpecError(syntax_errors)
    failed_before = plugins.failures()
    ctx, frame = _lower(file, Context(training, dtype, sets, folder=folder), path)
    while ctx.errors.met and ctx.structural.keys() > ctx.numbers.keys():
        numbers = dict(ctx.structural)
        ctx, frame = _lower(file, Context(training, dtype, sets, folder=folder, numbers=numbers), path)
    errors = syntax_errors + ctx.errors.found
    if errors:
        asked = any(found.id == "unknown-function" for found in errors)
        places = sorted(errors, key=lambda found: _place(found, source))
        raise GraphSpecError((*places, *(plugins.failures() if asked else ())))
    return Module(
        source.name,
        {name: value for name, value in ctx.values.items() if isinstance(value, Value)},
        ctx.declared,
        ctx.results,
        ctx.updates,
        ctx.dims,
        frame.home.consts,
        ctx.structural,
        tuple(ctx.checks),
        (*unused(file, frame), *_cannot_tell(ctx.checks), *plugins.failures()[len(failed_before) :]),
        ctx.mode_matters,
        frame,
        file.doc,
    )


def _lower(file: ast.File, ctx: Context, path: str | None) -> tuple[Context, Frame]:
    """One reading of a whole file."""
    ctx.broken = file.broken
    frame = _file_frame(file, ctx, path)
    with ctx.collecting():
        read_dims(file, frame)
    if not file.broken:
        known = [*frame.home.consts, *ctx.symbols]
        ctx.report(say_names.unknown_set(name, known) for name in ctx.sets if name not in known)
    try:
        _run_file(file, frame)
    except Exhausted as stop:
        ctx.report([stop.diagnostic])
    check_unapplied(file, frame)
    ctx.declared.update(_apply_inits(file, frame))
    return ctx, frame


def _cannot_tell(checks: Iterable[Check]) -> Iterator[Diagnostic]:
    """A note for each pair of sizes that only numbers can compare."""
    seen: set[tuple[Size, Size, Span | None]] = set()
    for check in checks:
        if check.relation != "==":
            continue  # an ordinary bound of a slice
        place = check.origin.span if check.origin else None
        if (check.left, check.right, place) not in seen:
            seen.add((check.left, check.right, place))
            yield say_types.cannot_tell_sizes(str(check.left), str(check.right), place)


def lower_expression(module: Module, text: str, name: str = "<expression>") -> tuple[Value, ...]:
    """The values of an expression in a module's scope, as `--of` takes it; it can own nothing."""
    frame: Frame = module.scope
    expr = parse_expression(Source(name, text))
    ctx = replace(
        frame.ctx,
        values=dict(module.values),
        declared=dict(module.declared),
        checks=[],
        errors=Errors(),
        places=dict(frame.ctx.places),
    )
    scope = replace(frame, ctx=ctx, names=dict(frame.names), statement="")
    try:
        with collect_assumptions() as assumed:
            meaning = expressions.evaluate(expr, scope)
        items = meaning if isinstance(meaning, tuple) else (meaning,)
        values = tuple(expressions.expect_tensor(m, expr.span, scope) for m in items)
        if len(ctx.declared) > len(module.declared):
            fail(say.expression_owns(sorted(set(ctx.declared) - set(module.declared)), expr.span))
    except Failed as failure:
        raise GraphSpecError((*ctx.errors.found, *failure.diagnostics)) from None
    except Exhausted as stop:
        raise GraphSpecError(stop.diagnostic) from None
    place = Origin(expr.span)
    frame.ctx.late[text] = (*ctx.checks, *(Check(a, b, place) for a, b in dict.fromkeys(assumed)))
    return values


def check_sizes(module: Module, env: Mapping[str, int], asked: Iterable[str] = ()) -> list[Diagnostic]:
    """What is wrong with these numbers for the dims: constraints and sizes that had to turn out equal.

    `asked` are the expressions from outside (`--of`) that are to be computed.
    """
    late: Mapping[str, tuple[Check, ...]] = module.scope.ctx.late
    checks = chain(module.checks, *(late.get(text, ()) for text in asked))
    return check_constraints(module, env) + check_equal(checks, env)


def _place(found: Diagnostic, main: Source) -> tuple[bool, str, int]:
    """The order of errors: those of the file itself, then those of its imports, as they are written."""
    if found.primary is None:
        return False, "", -1
    span = found.primary.span
    return span.source is not main, span.source.name, span.start


def _file_frame(file: ast.File, ctx: Context, path: str | None) -> Frame:
    importer = Importer(ctx, ctx.folder)
    home = importer.namespace(file, ctx.folder, "", (os.path.realpath(path),) if path else ())
    names: dict[str, Any] = dict.fromkeys(file.broken, POISON)
    frame = Frame(ctx, home, names, values="", owner="", is_file=True, token=())
    read_consts(file, frame, ctx.sets)
    return frame


Named: TypeAlias = ast.Declare | ast.Assign | ast.Layer | ast.Result
KINDS = (ast.Declare, ast.Assign, ast.Layer, ast.Result)


def _run_file(file: ast.File, frame: Frame) -> None:
    """All statements that make values, each once the names that it uses exist."""
    work = [s for s in file.statements if isinstance(s, KINDS)]
    named = [s for s in work if not (isinstance(s, ast.Result) and s.value is None)]
    for statement in in_order(_without_duplicates(named, file, frame), frame):
        _execute(statement, frame)
    for statement in work:
        if isinstance(statement, ast.Result) and statement.value is None:
            _execute(statement, frame)


def _execute(statement: ast.Statement, frame: Frame) -> None:
    ctx = frame.ctx
    with collect_assumptions() as assumed:
        try:
            if isinstance(statement, ast.Result):
                _result(statement, frame)
            else:
                statements.execute(statement, frame)
        except Failed as failure:
            ctx.report(failure.diagnostics)
            statements.poison(statement, frame)
    ctx.checks.extend(Check(a, b, Origin(statement.span)) for a, b in dict.fromkeys(assumed))


def _without_duplicates(work: list[Named], file: ast.File, frame: Frame) -> list[ast.Statement]:
    """The statements whose left-hand names are new; a name that is given twice keeps its first meaning."""
    first: dict[str, Span] = {}
    kept: list[ast.Statement] = []
    for statement in file.statements:
        if isinstance(statement, ast.Const | ast.Dim | ast.Import):
            first.setdefault(statement.name.text, statement.name.span)
    for statement in work:
        paths = [t.path for t in statement.targets] if isinstance(statement, ast.Assign) else [statement.path]
        for path in paths:
            if path.text in first:
                frame.ctx.report([say_names.duplicate_name(path.text, path.span, first[path.text], ())])
                break
            first[path.text] = path.span
        else:
            kept.append(statement)
    return kept


def _result(statement: ast.Result, frame: Frame) -> None:
    """`output`, `loss` or `objective`."""
    ctx = frame.ctx
    name = statement.path.text
    frame.statement = name
    if statement.value is None:
        meaning = find_name(statement.path, frame)
        span = statement.path.span
    else:
        meaning = expressions.evaluate(statement.value, frame, name)
        span = statement.value.span
    with made_at(Origin(span)):
        value = expressions.expect_tensor(meaning, span, frame)
    if statement.type is not None:
        expressions.check_type(value, statement.type, frame, f"`{name}`", span)
    if statement.kind != "output":
        if value.shape != ():
            fail(say_types.loss_not_scalar(statement.kind, name, str(value.type), span))
        if not value.dtype.is_float:
            fail(say_types.loss_not_floating(statement.kind, name, str(value.type), span))
    if statement.kind == "objective":
        other = next((r for r in ctx.results.values() if r.kind == "objective"), None)
        if other is not None and other.origin is not None:
            fail(say_names.second_objective(name, other.name, statement.span, other.origin.span))
    if name in ctx.results:
        first = ctx.results[name].origin
        fail(say_names.duplicate_name(name, statement.path.span, first.span if first else None, ()))
    if statement.value is not None:
        register(name, value, statement.path.span, frame)
    elif not isinstance(meaning, Value):
        publish(name, value, statement.path.span, frame)  # a static value becomes one that can be asked for
    kind: Any = statement.kind  # one of those of a result: the grammar has no other
    ctx.results[name] = Result(name, kind, value, Origin(statement.span), statement.doc)


def _apply_inits(file: ast.File, frame: Frame) -> dict[str, Declared]:
    """`init PATTERN ~ sampler`: later lines win; a pattern that matches nothing is an error."""
    ctx = frame.ctx
    changed: dict[str, Declared] = {}
    is_whole = not ctx.errors.met  # else a parameter may be missing only because its line failed
    for statement in file.statements:
        if not isinstance(statement, ast.Init):
            continue
        pattern = statement.pattern.text
        hit = [d for d in ctx.declared.values() if d.kind in ("param", "buffer") and matches(pattern, d.name)]
        if not hit and is_whole:
            known = [d.name for d in ctx.declared.values() if d.kind in ("param", "buffer")]
            ctx.report([say_names.init_matches_nothing(pattern, known, statement.pattern.span)])
        for declared in hit:
            with ctx.collecting(), made_at(Origin(statement.span)):
                start = declarations.read_start(statement.start, declared.value.type, frame, declared.kind)
                changed[declared.name] = replace(declared, start=start)
    return changed
