"""Statements of bodies: the path through static `if`s, their order by names, and their effect."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphspec.diagnostics import Diagnostic
from graphspec.diagnostics.catalogue import definitions as say
from graphspec.diagnostics.catalogue import names as say_names
from graphspec.diagnostics.catalogue import types as say_types
from graphspec.ir import Value
from graphspec.lowering import bodies, calls, declarations, definitions, expressions, reflexes
from graphspec.lowering.context import POISON, Failed, Frame, LayerRef, fail, join
from graphspec.lowering.lookup import describe, search
from graphspec.lowering.ordering import in_order, reads, reads_of_expression, writes
from graphspec.lowering.signatures import of_definition
from graphspec.syntax import ast


def read_body(definition: ast.Definition, frame: Frame) -> tuple[Value, ...]:
    """The results of a body whose arguments are bound; errors are reported, and a failed result raises."""
    if definition.value is not None:
        results: tuple[Any, ...] = (expressions.evaluate(definition.value, frame),)
        spans = [definition.value.span]
    else:
        returned = _run(definition, frame)
        frame.statement = ""
        results = tuple(expressions.evaluate(v, frame) for v in returned.values)
        spans = [v.span for v in returned.values]
        if len(results) == 1 and calls.is_value_list(results[0]):
            spans, results = spans * len(results[0]), results[0]
    values = tuple(expressions.expect_tensor(r, s, frame) for r, s in zip(results, spans, strict=True))
    if definition.results is not None:
        if len(definition.results) != len(values):
            fail(
                say.wrong_number_of_results(
                    len(definition.results), len(values), definition.name.span, frame.trace
                )
            )
        for value, written, span in zip(values, definition.results, spans, strict=True):
            expressions.check_type(value, written, frame, "the result", span, binds=True)
    return values


def _run(definition: ast.Definition, frame: Frame) -> ast.Return:
    """Decide the static `if`s top to bottom up to the first `return`, and execute what is on the path."""
    path = _Path(frame)
    returned = path.walk(definition.body)
    path.finish()
    if returned is None:
        fail(say.no_return(definition.name.text, definition.name.span, frame.trace))
    return returned


class _Path:
    """The statements on the path taken: executed when a condition needs them, or at the end."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.waiting: list[ast.Statement] = []

    def walk(self, statements: Iterable[ast.Statement]) -> ast.Return | None:
        for statement in statements:
            match statement:
                case ast.Return():
                    return statement
                case ast.If():
                    self._prepare(statement.condition)
                    taken = expressions.static_bool(statement.condition, self.frame)
                    returned = self.walk(statement.then if taken else statement.otherwise)
                    if returned is not None:
                        return returned
                case ast.Gradient():
                    pass
                case _:
                    self.waiting.append(statement)
        return None

    def _prepare(self, condition: ast.Expr) -> None:
        """Execute what a condition names, and what that needs."""
        wanted = {r.name for r in reads_of_expression(condition)}
        by_name = {name: s for s in self.waiting for name in writes(s)}
        needed: list[ast.Statement] = []
        todo = [by_name[n] for n in wanted if n in by_name]
        while todo:
            statement = todo.pop()
            if statement not in needed:
                needed.append(statement)
                todo.extend(by_name[r.name] for r in reads(statement) if r.name in by_name)
        if needed:
            self.waiting = [s for s in self.waiting if s not in needed]
            run_all(needed, self.frame)

    def finish(self) -> None:
        run_all(self.waiting, self.frame)


def run_all(statements: list[ast.Statement], frame: Frame) -> None:
    """Execute statements in the order of their names; a failed one poisons what it names."""
    for statement in in_order(statements, frame):
        try:
            execute(statement, frame)
        except Failed as failure:
            if isinstance(statement, ast.Require):
                raise  # the rest of the body counts on it
            frame.ctx.report(failure.diagnostics)
            poison(statement, frame)


def poison(statement: ast.Statement, frame: Frame) -> None:
    for name in writes(statement):
        if not isinstance(frame.names.get(name), Value):
            frame.names[name] = POISON


def execute(statement: ast.Statement, frame: Frame) -> None:
    """The effect of one statement of a body or of a file."""
    match statement:
        case ast.Assign():
            _assign(statement, frame)
        case ast.Declare():
            declarations.declare(statement, frame)
        case ast.Layer():
            _layer(statement, frame)
        case ast.Require():
            if not expressions.static_bool(statement.condition, frame):
                fail(_broken(statement, frame))
        case ast.Update():
            _update(statement, frame)
        case _:
            raise AssertionError(f"no statement of a body: {statement}")


def _broken(statement: ast.Require, frame: Frame) -> Diagnostic:
    """A requirement that a call does not fulfil, with the values of the names in it."""
    named = dict.fromkeys(read.name for read in reads(statement) if not read.called)
    known = {name: search(name, frame) for name in named}
    shown = [f"`{name}` = {value}" for name, value in known.items() if expressions.is_number(value)]
    call = None if frame.home.is_std else frame.site
    return say.requirement_failed(statement.message, statement.condition.span, shown, call, frame.trace)


def _assign(statement: ast.Assign, frame: Frame) -> None:
    targets = statement.targets
    frame.statement = targets[0].path.text
    lone = targets[0].path.text if len(targets) == 1 else None
    for target in targets:
        bodies.refuse_second(target.path.text, target.path.span, frame)
    meaning = expressions.evaluate(statement.value, frame, lone)
    if lone is None:
        if not isinstance(meaning, tuple):
            fail(say_types.cannot_unpack(len(targets), describe(meaning), statement.value.span, frame.trace))
        if len(meaning) != len(targets):
            fail(
                say_types.cannot_unpack(
                    len(targets), f"{len(meaning)} results", statement.value.span, frame.trace
                )
            )
        meanings = meaning
    else:
        meanings = (meaning,)
    for target, item in zip(targets, meanings, strict=True):
        bind_target(target.path, target.type, item, statement.value, frame)


def bind_target(
    path: ast.Path, written: ast.Type | None, meaning: Any, value: ast.Expr, frame: Frame
) -> None:
    """Give the meaning of a right side its left-hand name, and check the type written there."""
    if isinstance(meaning, LayerRef):
        expressions.expect_tensor(meaning, value.span, frame)
    if written is not None:
        tensor = expressions.expect_tensor(meaning, value.span, frame)
        expressions.check_type(tensor, written, frame, f"`{path.text}`", value.span)
        meaning = tensor
    bodies.register(path.text, meaning, path.span, frame)


def _layer(statement: ast.Layer, frame: Frame) -> None:
    value = statement.value
    name = statement.path.text
    if not isinstance(value, ast.Call) or value.piped is not None or value.label is not None:
        fail(say.layer_form(name, value.span, frame.trace))
    found = definitions.find(value.function.text, frame)
    if found is None:
        if definitions.is_primitive(value.function.text):
            fail(say.layer_of_an_op(value.function.text, value.span, frame.trace))
        reflexes.unknown_function(value, frame)
    definition, home = found
    if definition.kind == "op":
        fail(say.layer_of_an_op(value.function.text, value.span, frame.trace))
    signature = of_definition(definition)
    bound = calls.bind(signature, value, None, frame, tensors=False)
    for parameter in signature.parameters:
        if parameter.is_tensor and parameter.name in bound:
            fail(say.layer_with_a_tensor(parameter.name, name, bound[parameter.name].span, frame.trace))
    statics = {n: (g.meaning, g.span) for n, g in bound.items()}
    ref = LayerRef(name, join(frame.owner, name), definition, home, statics, statement.span)
    bodies.register(name, ref, statement.path.span, frame)
    full = join(frame.values, name)
    if full is not None:
        frame.ctx.places.setdefault(full, statement.path.span)


def _update(statement: ast.Update, frame: Frame) -> None:
    name = statement.path.text
    current = frame.names.get(name)
    full = join(frame.owner, name) or ""
    declared = frame.ctx.declared.get(full)
    if not isinstance(current, Value) or declared is None or declared.kind != "buffer":
        fail(say.update_of_no_buffer(name, statement.path.span, frame.trace))
    meaning = expressions.evaluate(statement.value, frame)
    value = expressions.as_tensor(meaning, current.type.dtype, statement.value.span, frame)
    if value.type.dtype is not current.type.dtype or value.type.shape != current.type.shape:
        fail(
            say_types.annotation_mismatch(
                f"the update of `{name}`",
                str(value.type),
                str(current.type),
                statement.span,
                statement.value.span,
                frame.trace,
            )
        )
    if full in frame.updated:
        fail(say_names.duplicate_name(f"update {name}", statement.span, None, frame.trace))
    frame.updated.add(full)
    bodies.put_update(full, value, frame)
