"""Walking expressions without recursion: `a + b + c ...` and `x -> f ...` may have thousands of parts."""

from __future__ import annotations

from collections.abc import Iterator

from graphspec.diagnostics import Span
from graphspec.syntax import ast

#: expressions without others in them: most of all
_LEAVES = frozenset((ast.Name, ast.Number, ast.String, ast.Boolean, ast.NoneLiteral))


def walk(expr: ast.Expr) -> Iterator[ast.Expr]:
    """`expr` and all expressions in it, a node before its parts, the parts in the order of the text."""
    waiting = [expr]
    while waiting:
        here = waiting.pop()
        yield here
        if type(here) not in _LEAVES:
            waiting.extend(reversed(children(here)))


def children(expr: ast.Expr) -> list[ast.Expr]:
    """The expressions directly in `expr`, in the order of the text; bounds of ranges and slices too."""
    match expr:  # the most frequent first
        case ast.Binary(left=left, right=right):
            return [left, right]
        case ast.Call():
            found = [] if expr.piped is None else [expr.piped]
            for argument in expr.arguments:
                value = argument.value
                found += [value.start, value.stop] if isinstance(value, ast.Range) else [value]
            return found
        case ast.Index(operand=operand, indices=indices):
            found = [operand]
            for index in indices:
                if isinstance(index, ast.Slice):
                    found += [bound for bound in (index.start, index.stop, index.step) if bound is not None]
                elif not isinstance(index, ast.Ellipsis):
                    found.append(index)
            return found
        case ast.Unary(operand=operand) | ast.IsNone(operand=operand):
            return [operand]
        case ast.Conditional(then=then, condition=condition, otherwise=otherwise):
            return [then, condition, otherwise]
        case ast.Tuple(items=items) | ast.List(items=items):
            return list(items)
        case _:
            return []


def left_spine(expr: ast.Expr) -> list[ast.Expr]:
    """From the innermost left operand out to `expr`: `a, a + b, a + b + c` for `a + b + c`.

    Each element but the first holds the one before as `left`, `piped` or `operand` (of an `Index`), so a
    value can be computed along the list in a loop.
    """
    spine = [expr]
    while (inner := _left(spine[-1])) is not None:
        spine.append(inner)
    spine.reverse()
    return spine


def extent(expr: ast.Expr) -> Span:
    """All text of an expression: unlike its span, for a piped call, with the value that is piped."""
    return left_spine(expr)[0].span.to(expr.span)


def _left(expr: ast.Expr) -> ast.Expr | None:
    match expr:
        case ast.Binary(left=left):
            return left
        case ast.Call(piped=piped):
            return piped
        case ast.Index(operand=operand):
            return operand
        case _:
            return None
