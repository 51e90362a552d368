"""Expressions: what they mean before arrays exist.

A meaning is a static value (int, float, bool, str, None, a size, a dtype, a tuple of meanings), a tensor
(`Value`), or several tensors (a tuple of them).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

from graphspec.diagnostics import Diagnostic, Span
from graphspec.diagnostics.catalogue import definitions as say_definitions
from graphspec.diagnostics.catalogue import names as say_names
from graphspec.diagnostics.catalogue import types as say_types
from graphspec.ir import (
    DType,
    Node,
    Scalar,
    Symbolic,
    TensorType,
    TypeRuleError,
    Value,
    compute,
    literal,
    made_at,
)
from graphspec.ir.op import OPS, primitive
from graphspec.ir.sizes import relation
from graphspec.lowering import blame, calls, indexing
from graphspec.lowering.context import POISON, Failed, Frame, LayerRef, fail
from graphspec.lowering.lookup import MISSING, describe, find_name, search
from graphspec.lowering.signatures import OPERATORS
from graphspec.syntax import ast
from graphspec.syntax.walk import left_spine

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def is_number(meaning: Any) -> bool:
    return isinstance(meaning, int | float | Symbolic | Scalar) and not isinstance(meaning, bool)


def is_static(meaning: Any) -> bool:
    if isinstance(meaning, tuple):
        return all(map(is_static, meaning))
    return not isinstance(meaning, Value | LayerRef)


def evaluate(expr: ast.Expr, frame: Frame, name: str | None = None) -> Any:
    """The meaning of an expression; `name` is the left-hand name, which names a call that it is.

    Long chains (`a + b + c ...`, `x -> f -> g ...`, `y[0][0] ...`) are read along their left side,
    without recursion.
    """
    while isinstance(expr, ast.Conditional):
        expr = expr.then if static_bool(expr.condition, frame) else expr.otherwise
    frame.ctx.enter(expr.span, frame.trace)
    try:
        spine = left_spine(expr)
        return _leaf(expr, frame, name) if len(spine) == 1 else _along(spine, frame, name)
    finally:
        frame.ctx.leave()


def _along(spine: list[ast.Expr], frame: Frame, name: str | None) -> Any:
    """The meaning of a chain from its start to its end, or everything that is wrong with its links."""
    meaning: Any = None
    wrong: list[Diagnostic] | None = None
    for before, here in zip((None, *spine), spine, strict=False):
        if wrong is not None:
            wrong += _faults_beside(here, frame)
            continue
        try:
            meaning = _link(before, here, meaning, frame, name if here is spine[-1] else None)
        except Failed as failure:
            wrong = list(failure.diagnostics)
    if wrong is not None:
        raise Failed(*wrong)
    return meaning


def _faults_beside(link: ast.Expr, frame: Frame) -> tuple[Diagnostic, ...]:
    """What is wrong with the right side of a link whose left side has failed."""
    try:
        if isinstance(link, ast.Call):
            calls.check_call(link, frame)
        elif isinstance(link, ast.Binary):
            evaluate(link.right, frame)
    except Failed as failure:
        return failure.diagnostics
    return ()


def _leaf(expr: ast.Expr, frame: Frame, name: str | None) -> Any:
    """The meaning of what has no expression on its left."""
    match expr:
        case ast.Call():
            return calls.call(expr, None, frame, name)
        case ast.Name():
            return find_name(expr.path, frame)
        case ast.Number() | ast.String() | ast.Boolean():
            return expr.value
        case ast.NoneLiteral():
            return None
        case ast.Unary():
            return _unary(expr, frame)
        case ast.IsNone():
            return (evaluate(expr.operand, frame) is None) != expr.negated
        case ast.Tuple() | ast.List():
            return _list(expr, frame)
    raise AssertionError(f"not the start of an expression: {expr}")


def _list(expr: ast.Tuple | ast.List, frame: Frame) -> tuple[Any, ...]:
    """A list; one that holds itself many times over (`[b, b]` of `[a, a]` ...) is refused."""
    items = tuple(evaluate_all(expr.items, frame))
    waiting, count = [items], 0
    while waiting:
        here = waiting.pop()
        count += len(here)
        if count > MOST_ITEMS:
            text = expr.span.text.split("\n")[0]
            fail(
                say_types.no_static_value(
                    text, f"it has more than {MOST_ITEMS} items", expr.span, frame.trace
                )
            )
        waiting += [item for item in here if isinstance(item, tuple)]
    return items


def _link(before: ast.Expr | None, expr: ast.Expr, left: Any, frame: Frame, name: str | None) -> Any:
    """The meaning of one link of a chain, whose left side `before` means `left`; its start has none."""
    if before is None:
        return _leaf(expr, frame, name)
    match expr:
        case ast.Binary():
            return _binary(expr, left, frame)
        case ast.Call():
            piped = left if isinstance(left, tuple) and left else (left,)
            return calls.call(expr, (piped, before.span), frame, name)
        case ast.Index():
            return indexing.index(left, expr, frame)
    raise AssertionError(f"not a link of a chain: {expr}")


def evaluate_all(exprs: Iterable[ast.Expr], frame: Frame) -> list[Any]:
    """The meanings of several expressions; what is wrong in any of them is reported together."""
    meanings: list[Any] = []
    wrong: list[Diagnostic] = []
    failed = False
    for expr in exprs:
        try:
            meanings.append(evaluate(expr, frame))
        except Failed as failure:
            failed = True
            wrong.extend(failure.diagnostics)
    if failed:
        raise Failed(*wrong)
    return meanings


def _binary(expr: ast.Binary, left: Any, frame: Frame) -> Any:
    if expr.op in ("and", "or"):
        decided = _truth(left, expr.left, frame)
        if decided == (expr.op == "or"):
            return decided
        return static_bool(expr.right, frame)
    if expr.op in ("==", "!=") and isinstance(expr.right, ast.NoneLiteral):
        fail(say_types.none_in_arithmetic(expr.span, expr.op_span, frame.trace))
    right = evaluate(expr.right, frame)
    if isinstance(left, Value) and isinstance(right, Value) and expr.op != "@":
        left, right = _with_written_axes(expr, left, right, frame)
    if isinstance(left, Value) or isinstance(right, Value):
        return build(
            OPERATORS[expr.op],
            [(left, expr.left.span), (right, expr.right.span)],
            expr.op_span,
            expr.span,
            frame,
        )
    return _static_binary(expr, left, right, frame)


def _with_written_axes(expr: ast.Binary, left: Value, right: Value, frame: Frame) -> tuple[Value, Value]:
    """Operands of one rank where either writes its new axes out, as `t[:, none] >= t` does.

    An outer product is an error where it comes by accident; here it is meant.
    """
    if _writes_an_axis(expr.left) or _writes_an_axis(expr.right):
        rank = max(len(left.shape), len(right.shape))
        with made_at(frame.origin(expr.span)):
            return _of_rank(rank, left), _of_rank(rank, right)
    return left, right


def _of_rank(rank: int, x: Value) -> Value:
    """x with axes of size 1 in front."""
    shape = (1,) * (rank - len(x.shape)) + x.shape
    return x if shape == x.shape else Node(primitive("reshape", shape), (x,)).values[0]


def _writes_an_axis(expr: ast.Expr) -> bool:
    return isinstance(expr, ast.Index) and any(isinstance(i, ast.NoneLiteral) for i in expr.indices)


def _static_binary(expr: ast.Binary, left: Any, right: Any, frame: Frame) -> Any:
    if expr.op in COMPARISONS:
        return _compare(expr, left, right, frame)
    if not (is_number(left) and is_number(right)) or expr.op == "@":
        for operand, meaning in ((expr.left, left), (expr.right, right)):
            if isinstance(meaning, LayerRef) or calls.is_value_list(meaning):
                _no_tensor(meaning, operand.span, frame)
            if not is_number(meaning):
                fail(say_types.not_a_number(describe(meaning), expr.op, operand.span, frame.trace))
        fail(say_types.not_a_number("numbers", expr.op, expr.span, frame.trace))
    return static_compute(expr.op, (left, right), expr.span, frame)


def static_compute(function: str, arguments: tuple[Any, ...], span: Span, frame: Frame) -> Any:
    """A function of static numbers, computed in double; a domain error is the user's."""
    try:
        result = _compute(function, arguments)
    except ZeroDivisionError:
        fail(say_types.no_static_value(span.text, "division by zero", span, frame.trace))
    except ValueError:
        fail(say_types.no_static_value(span.text, "it is not defined there", span, frame.trace))
    except OverflowError:
        fail(say_types.no_static_value(span.text, "the result is too large", span, frame.trace))
    if isinstance(result, Scalar) and result.depth > 100:
        fail(say_definitions.nested_deeper_than_read(100, span, frame.trace))
    if isinstance(result, complex):
        fail(say_types.no_static_value(span.text, "the result is not a real number", span, frame.trace))
    return result


#: what integers are within, the terms that a size may have, the items that a list may have in all
LARGEST, MOST_TERMS, MOST_ITEMS = 2**63 - 1, 1000, 100_000


def _compute(function: str, arguments: tuple[Any, ...]) -> Any:
    """The result; raises OverflowError where it would take more room than anything real."""
    if function == "**" and isinstance(arguments[1], int):
        base, power = arguments
        if isinstance(base, Symbolic) and power > 16:
            raise OverflowError
        if isinstance(base, int) and abs(base) > 1 and power > 63:
            raise OverflowError
    result = compute(function, *arguments)
    if isinstance(result, int) and abs(result) > LARGEST:
        raise OverflowError
    if isinstance(result, Symbolic) and len(result.terms) > MOST_TERMS:
        raise OverflowError
    return result


def _compare(expr: ast.Binary, left: Any, right: Any, frame: Frame) -> bool:
    if is_number(left) and is_number(right):
        if isinstance(left, int | Symbolic) and isinstance(right, int | Symbolic):
            gap = left - right
            if isinstance(gap, Symbolic) and relation(left, right) != "equal":
                gap = int(frame.ctx.number(gap, expr.span, frame))
            left, right = (gap, 0) if not isinstance(gap, Symbolic) else (0, 0)
        else:
            left, right = frame.ctx.number(left, expr.span, frame), frame.ctx.number(right, expr.span, frame)
    elif isinstance(left, tuple) and isinstance(right, tuple) and expr.op in ("==", "!="):
        equal = len(left) == len(right) and all(
            _compare(ast.Binary("==", expr.left, expr.right, expr.span, expr.op_span), a, b, frame)
            for a, b in zip(left, right, strict=True)
        )
        return equal == (expr.op == "==")
    elif expr.op not in ("==", "!="):
        worse, operand = (right, expr.right) if is_number(left) else (left, expr.left)
        fail(say_types.not_a_number(describe(worse), expr.op, operand.span, frame.trace))
    match expr.op:
        case "==":
            return bool(left == right)
        case "!=":
            return bool(left != right)
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
        case _:
            return bool(left >= right)


def _unary(expr: ast.Unary, frame: Frame) -> Any:
    """`-x`, `not x`, and any number of these signs in a row."""
    signs = [expr]
    while isinstance(signs[-1].operand, ast.Unary):
        signs.append(signs[-1].operand)
    meaning = evaluate(signs[-1].operand, frame)
    for sign in reversed(signs):
        meaning = _signed(sign, meaning, frame)
    return meaning


def _signed(expr: ast.Unary, meaning: Any, frame: Frame) -> Any:
    if expr.op == "not":
        return not _truth(meaning, expr.operand, frame)
    if isinstance(meaning, Value):
        return build("neg", [(meaning, expr.operand.span)], expr.span, expr.span, frame)
    if not is_number(meaning):
        fail(say_types.not_a_number(describe(meaning), "-", expr.operand.span, frame.trace))
    return static_compute("neg", (meaning,), expr.span, frame)


def static_bool(expr: ast.Expr, frame: Frame) -> bool:
    """The truth of a static condition."""
    return _truth(evaluate(expr, frame), expr, frame)


def _truth(meaning: Any, expr: ast.Expr, frame: Frame) -> bool:
    if isinstance(meaning, bool):
        return meaning
    if isinstance(meaning, Value):
        fail(say_types.condition_not_static(str(meaning.type), expr.span, frame.trace))
    fail(say_types.not_a_condition(describe(meaning), expr.span, frame.trace))


# ---------------------------------------------------------------- tensors


def as_tensor(meaning: Any, dtype: DType, span: Span, frame: Frame) -> Value:
    """A tensor, or a number as a scalar of `dtype`."""
    if isinstance(meaning, Value):
        return meaning
    if isinstance(meaning, bool) and dtype is DType.BOOL:
        return literal(meaning, dtype)
    if not is_number(meaning):
        _no_tensor(meaning, span, frame)
    whole = isinstance(meaning, int | Symbolic)
    too_large = dtype is DType.I32 and isinstance(meaning, int) and not -(2**31) <= meaning < 2**31
    if dtype is DType.BOOL or (dtype.is_integer and not whole) or too_large:
        fail(say_types.literal_does_not_fit(str(meaning), str(dtype), span, frame.trace))
    if dtype.is_float and isinstance(meaning, int):
        try:
            meaning = float(meaning)
        except OverflowError:
            fail(say_types.literal_does_not_fit(str(meaning), str(dtype), span, frame.trace))
    with made_at(frame.origin(span)):
        return literal(meaning, dtype)


def default_dtype(frame: Frame) -> DType:
    return frame.dtype or frame.ctx.float_dtype or DType.F32


def build(op_name: str, operands: list[tuple[Any, Span]], at: Span, whole: Span, frame: Frame) -> Value:
    """One node of an op without attributes; numbers among the operands take the tensors' dtype."""
    dtype = common_dtype([m for m, _ in operands], frame)
    values = [as_tensor(meaning, dtype, span, frame) for meaning, span in operands]
    at = whole if frame.home.is_std else at
    with made_at(frame.origin(whole)):
        try:
            made = OPS[op_name].make(*values)
            assert isinstance(made, Value)
            return made
        except TypeRuleError as error:
            spans = [span for _, span in operands]
            fail(blame.type_rule_failed(error, at, list(zip(values, spans, strict=True)), frame))


def common_dtype(meanings: list[Any], frame: Frame) -> DType:
    """The dtype that number literals take: that of the first tensor that is not bool."""
    tensors = [m for m in meanings if isinstance(m, Value)]
    for tensor in tensors:
        if tensor.dtype is not DType.BOOL:
            return tensor.type.dtype
    if tensors and any(isinstance(m, bool) for m in meanings):
        return DType.BOOL
    return default_dtype(frame)


def expect_tensor(meaning: Any, span: Span, frame: Frame) -> Value:
    """A tensor where one is needed, with numbers as scalars of the default dtype."""
    if isinstance(meaning, Value):
        return meaning
    if isinstance(meaning, bool):
        return literal(meaning, DType.BOOL)
    if is_number(meaning):
        return as_tensor(meaning, default_dtype(frame), span, frame)
    _no_tensor(meaning, span, frame)


def _no_tensor(meaning: Any, span: Span, frame: Frame) -> NoReturn:
    if meaning is POISON:
        raise Failed
    if isinstance(meaning, LayerRef):
        fail(say_names.layer_is_not_a_value(meaning.path, span, frame.trace))
    if isinstance(meaning, tuple) and meaning and all(isinstance(m, Value) for m in meaning):
        fail(say_types.several_results(len(meaning), span, frame.trace))
    fail(say_types.not_a_tensor(describe(meaning), span, frame.trace))


# ---------------------------------------------------------------- types


def read_size(expr: ast.Expr, frame: Frame) -> Any:
    """A size in a type or a pattern: an integer or integer arithmetic on dims."""
    meaning = evaluate(expr, frame)
    if isinstance(meaning, Symbolic) or (isinstance(meaning, int) and not isinstance(meaning, bool)):
        if isinstance(meaning, int) and meaning < 0:
            fail(say_types.negative_size(meaning, expr.span, frame.trace))
        return meaning
    if isinstance(meaning, Value):
        fail(say_types.size_is_a_tensor(expr.span, frame.trace))
    divides = isinstance(expr, ast.Binary) and expr.op == "/"
    fail(say_types.not_a_size(describe(meaning), divides, expr.span, frame.trace))


def read_dtype(path: ast.Path, frame: Frame) -> DType:
    dtype = dtype_named(path.text, frame)
    if dtype is None:
        fail(say_types.unknown_dtype(path.text, path.span))
    return dtype


def dtype_named(name: str, frame: Frame) -> DType | None:
    """The dtype of that name; with `--dtype`, every floating one is that one."""
    try:
        dtype = DType(name)
    except ValueError:
        return None
    return frame.ctx.float_dtype if dtype.is_float and frame.ctx.float_dtype else dtype


def read_shape(shape: ast.Shape, frame: Frame) -> tuple[Any, ...]:
    """The sizes of a written shape; `...` is what the body's patterns' `...` matched."""
    sizes: list[Any] = []
    ellipsis_in(shape, frame)
    for size in shape.sizes:
        if isinstance(size, ast.Ellipsis):
            if frame.ellipsis is None:
                fail(say_types.ellipsis_not_bound(size.span, frame.trace))
            sizes.extend(frame.ellipsis)
        else:
            sizes.append(read_size(size, frame))
    return tuple(sizes)


def ellipsis_in(shape: ast.Shape, frame: Frame) -> int | None:
    """The place of the one `...` in a written shape."""
    dots = [i for i, size in enumerate(shape.sizes) if isinstance(size, ast.Ellipsis)]
    if len(dots) > 1:
        fail(say_types.two_ellipses(shape.sizes[dots[1]].span, frame.trace))
    return dots[0] if dots else None


def binds_size(written: ast.Expr, frame: Frame) -> bool:
    """A name in a pattern binds unless the call has it already; it hides a const."""
    if not isinstance(written, ast.Name):
        return False
    text = written.path.text
    return text not in frame.names and (search(text, frame) is MISSING or text in frame.home.consts)


def check_type(
    value: Value, written: ast.Type, frame: Frame, what: str, at: Span, *, binds: bool = False
) -> None:
    """Hold a value against a written type, which may leave the dtype open and hold one `...`.

    In the results of a definition, as in its arguments, a name that means nothing yet `binds`.
    """
    sizes = written.shape.sizes
    dots = ellipsis_in(written.shape, frame)
    actual = value.shape
    fits = len(actual) == len(sizes) if dots is None else len(actual) >= len(sizes) - 1
    if fits:
        tail = 0 if dots is None else len(sizes) - dots - 1
        head = list(zip(sizes if dots is None else sizes[:dots], actual, strict=False))
        pairs = head + (
            list(zip(sizes[len(sizes) - tail :], actual[len(actual) - tail :], strict=True)) if tail else []
        )
        for expr, size in pairs:
            assert not isinstance(expr, ast.Ellipsis)
            if binds and binds_size(expr, frame):
                assert isinstance(expr, ast.Name)
                frame.names[expr.path.text] = size
                continue
            fits &= calls.sizes_agree(read_size(expr, frame), size, expr.span, frame)
    if fits and written.dtype is not None:
        fits = read_dtype(written.dtype, frame) is value.dtype
    if not fits:
        text = written.span.text
        wanted = _with_numbers(written, frame)
        text = text if wanted == text else f"{text}, which is {wanted}"
        fail(say_types.annotation_mismatch(what, str(value.type), text, written.span, at, frame.trace))


def _with_numbers(written: ast.Type, frame: Frame) -> str:
    """A written type with what its sizes are."""
    sizes = [
        s.span.text if isinstance(s, ast.Ellipsis) else str(read_size(s, frame)) for s in written.shape.sizes
    ]
    return f"{written.dtype.text if written.dtype else ''}[{', '.join(sizes)}]"


__all__ = [
    "TensorType",
    "as_tensor",
    "build",
    "check_type",
    "evaluate",
    "expect_tensor",
    "is_number",
    "read_shape",
]
