"""Where statements may stand: the grammar has one kind of body, for blocks and ops alike."""

from __future__ import annotations

from collections.abc import Iterator

from graphspec.diagnostics import Diagnostic
from graphspec.diagnostics.catalogue import statements
from graphspec.syntax import ast


def misplaced(where: ast.File | ast.Definition) -> list[Diagnostic]:
    """The statements of a file, or of one definition, that may not stand where they do."""
    if isinstance(where, ast.Definition):
        return list(_definition(where))
    found: list[Diagnostic] = []
    for statement in where.statements:
        if isinstance(statement, ast.Definition):
            found += _definition(statement)
        elif isinstance(statement, ast.Declare) and statement.type.dtype is None:
            found.append(statements.missing_dtype(statement.type.span, statement.kind, statement.path.text))
    return found


def _definition(definition: ast.Definition) -> Iterator[Diagnostic]:
    if definition.kind == "block":
        yield from _block(definition.body)
        return
    if definition.value is not None:
        for statement in definition.body:
            if not isinstance(statement, ast.Gradient):
                why = "behind `= expression`, the braces of an op hold `gradient` and `surrogate` lines only"
                yield statements.misplaced_statement(statement.span, _what(statement), why)
        return
    yield from _op(definition.body)
    gradient: ast.Gradient | None = None
    for statement in definition.body:
        if isinstance(statement, ast.Gradient):
            gradient = gradient or statement
        elif gradient is not None:
            why = "the gradient lines stand last in the body"
            yield statements.misplaced_gradient(statement.span, why, gradient.span)
            return


def _block(body: tuple[ast.Statement, ...]) -> Iterator[Diagnostic]:
    for statement in _all(body):
        if isinstance(statement, ast.Gradient):
            why = "only an op can have its gradient written by hand; the block may call such an op"
            yield statements.misplaced_gradient(statement.span, why)


def _op(body: tuple[ast.Statement, ...]) -> Iterator[Diagnostic]:
    for statement in _all(body):
        if isinstance(statement, ast.Declare | ast.Layer | ast.Update):
            why = "an op owns nothing; make it a `block`"
            yield statements.misplaced_statement(statement.span, _what(statement), why)
        elif isinstance(statement, ast.If):
            for inner in _all((*statement.then, *statement.otherwise)):
                if isinstance(inner, ast.Gradient):
                    yield statements.misplaced_gradient(
                        inner.span, "gradient lines stand at the end of the op, outside of any `if`"
                    )


def _all(body: tuple[ast.Statement, ...]) -> Iterator[ast.Statement]:
    """The statements of a body and of the bodies in it."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If):
            yield from _all(statement.then)
            yield from _all(statement.otherwise)


def _what(statement: ast.Statement) -> str:
    """The statement's word, as a message names it."""
    match statement:
        case ast.Declare(kind=kind):
            return f"`{kind}`"
        case ast.Assign():
            return "a named value"
        case _:
            return f"`{type(statement).__name__.lower()}`"
