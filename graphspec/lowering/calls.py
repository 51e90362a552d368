"""Calls: which function a name means, how its arguments are bound, and what it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

from graphspec.diagnostics import Diagnostic, Span
from graphspec.diagnostics.catalogue import definitions as say
from graphspec.ir import DType, Literal, Scalar, Symbolic, TypeRuleError, Value, made_at
from graphspec.ir.scalars import FUNCTIONS as SCALAR_FUNCTIONS
from graphspec.ir.sizes import relation
from graphspec.lowering import blame, bodies, definitions, expressions, reflexes, repetition, special
from graphspec.lowering.context import Failed, Frame, LayerRef, fail, join
from graphspec.lowering.lookup import MISSING, describe, search
from graphspec.lowering.module import Check
from graphspec.lowering.signatures import Parameter, Signature, constructor, of_definition, of_primitive
from graphspec.syntax import ast

Piped = tuple[tuple[Any, ...], Span]


class Given(NamedTuple):
    """An argument's meaning and where it is written."""

    meaning: Any
    span: Span


def call(
    expr: ast.Call, piped: Piped | None, frame: Frame, name: str | None, label: str | None = None
) -> Any:
    """What a call means.  `label` is the application's name, where not its own `as` or `name`."""
    if expr.label:
        bodies.refuse_second(expr.label.text, expr.label.span, frame)
    label = expr.label.text if expr.label else label or name
    text = expr.function.text
    form = FORMS.get(text)
    layer = frame.names.get(text)
    if isinstance(layer, LayerRef):
        result = _apply_layer(layer, expr, piped, frame, label)
    elif form is not None and not definitions.find(text, frame):
        result = form(expr, piped, frame, label)
    else:
        result = _call_function(expr, piped, frame, label)
    if expr.label:
        bodies.register(expr.label.text, result, expr.label.span, frame)
    return result


def is_value_list(meaning: Any) -> bool:
    return isinstance(meaning, tuple) and bool(meaning) and all(isinstance(m, Value) for m in meaning)


def stage_span(expr: ast.Call) -> Span:
    """The call's own text, without what is piped into it."""
    return Span(expr.span.source, expr.function.span.start, expr.span.end)


def _call_function(expr: ast.Call, piped: Piped | None, frame: Frame, label: str | None) -> Any:
    found = definitions.find(expr.function.text, frame)
    if found is not None:
        definition, home = found
        bound = bind(of_definition(definition), expr, piped, frame)
        return bodies.apply_definition(definition, home, bound, expr, frame, label)
    if not definitions.is_primitive(expr.function.text):
        reflexes.unknown_function(expr, frame)
    return _call_primitive(expr, piped, frame, label)


def check_call(expr: ast.Call, frame: Frame) -> None:
    """Raise what is wrong with a call apart from the value piped into it, which has failed."""
    known = parameters_of(expr, frame)
    if known is not None:
        reflexes.check_arguments(expr, expr.function.text, known, frame)


def parameters_of(expr: ast.Call, frame: Frame) -> list[str] | None:
    """The parameters of what is called, None for a form of the language; raises where there is no such
    function.
    """
    text = expr.function.text
    layer = frame.names.get(text)
    found = definitions.find(text, frame)
    if isinstance(layer, LayerRef):
        signature = of_definition(layer.definition)
    elif found is not None:
        signature = of_definition(found[0])
    elif text in FORMS:
        return None
    elif definitions.is_primitive(text):
        signature = of_primitive(text)
    else:
        reflexes.unknown_function(expr, frame)
    return [p.name for p in signature.parameters]


def _apply_layer(
    layer: LayerRef, expr: ast.Call, piped: Piped | None, frame: Frame, label: str | None
) -> Any:
    signature = of_definition(layer.definition)
    free = Signature(layer.path, tuple(p for p in signature.parameters if p.name not in layer.statics))
    if label is not None:
        frame.ctx.applications.setdefault(layer.path, []).append(label)
    bound = bind(free, expr, piped, frame, fixed=layer.statics)
    for name, (meaning, span) in layer.statics.items():
        bound[name] = Given(meaning, span)
    return bodies.apply_definition(layer.definition, layer.home, bound, expr, frame, label, layer)


# ---------------------------------------------------------------- arguments


def bind(
    signature: Signature,
    expr: ast.Call,
    piped: Piped | None,
    frame: Frame,
    *,
    tensors: bool = True,
    fixed: Any = (),
) -> dict[str, Given]:
    """The arguments by parameter name, as far as they are given.

    The required tensors and at most one static argument (the first) are positional; the rest is named.
    With `tensors` off (`layer enc = encoder(64)`) there are only static ones.
    """
    own = stage_span(expr)
    positional = [Given(m, piped[1]) for m in piped[0]] if piped else []
    named: dict[str, Given] = {}
    wrong: list[Diagnostic] = []  # in all arguments of the call
    failed = False
    for argument in expr.arguments:
        try:
            if argument.name is not None:
                _check_keyword(argument, named, signature, fixed, frame)
            meaning = _argument(argument, signature, frame)
        except Failed as failure:
            wrong.extend(failure.diagnostics)
            failed = True
            continue
        given = Given(meaning, argument.value.span)
        if argument.name is None:
            positional.append(given)
        else:
            named[argument.name.text] = given
    if failed:
        raise Failed(*wrong)
    return _fill(signature, positional, named, own, frame, tensors)


def _argument(argument: ast.Argument, signature: Signature, frame: Frame) -> Any:
    value = argument.value
    if isinstance(value, ast.Range):
        raise Failed  # a syntax error says so
    if argument.name is not None and isinstance(value, ast.Name) and value.path.text.isidentifier():
        name = argument.name.text
        is_string = any(p.name == name and p.word == "str" for p in signature.parameters)
        if is_string and search(value.path.text, frame) is MISSING:
            fail(say.string_without_quotes(signature.name, name, value.path.text, value.span, frame.trace))
    return expressions.evaluate(value, frame)


def _check_keyword(
    argument: ast.Argument, named: dict[str, Given], signature: Signature, fixed: Any, frame: Frame
) -> None:
    """Refuse a keyword that the function does not take, or was given."""
    assert argument.name is not None
    key = argument.name.text
    known = [p.name for p in signature.parameters]
    if key not in known:
        if key in fixed:
            fail(say.fixed_by_layer(key, signature.name, argument.span, fixed[key][1], frame.trace))
        fail(reflexes.unknown_argument(argument, signature.name, known, frame))
    if key in named:
        fail(say.argument_twice(key, argument.name.span, named[key].span, frame.trace))


def _fill(
    signature: Signature,
    positional: list[Given],
    named: dict[str, Given],
    own: Span,
    frame: Frame,
    tensors: bool,
) -> dict[str, Given]:
    bound = dict(named)
    wanted = (
        [p for p in signature.parameters if p.is_tensor and p.is_required and p.name not in named]
        if tensors
        else []
    )
    variadic = next((p for p in wanted if p.variadic), None)
    if variadic is not None:
        return _fill_variadic(signature, variadic, positional, bound, own, frame)
    for given in positional if tensors and not wanted else ():
        again = next((p.name for p in signature.parameters if p.is_tensor and p.name in named), None)
        if again is not None and isinstance(given.meaning, Value):
            fail(say.argument_twice(again, named[again].span, given.span, frame.trace))
    for parameter in wanted:
        if not positional:
            fail(say.missing_argument(signature.name, parameter.name, str(signature), own, frame.trace))
        bound[parameter.name] = positional.pop(0)
    if positional:
        _fill_static(signature, positional, bound, own, frame)
    _require_all(signature, bound, own, frame, tensors)
    return bound


def _fill_variadic(
    signature: Signature,
    variadic: Parameter,
    positional: list[Given],
    bound: dict[str, Given],
    own: Span,
    frame: Frame,
) -> dict[str, Given]:
    """`concat(a, b)`, `(a, b) -> concat`, `stack(list)`: tensors one by one, or lists of them."""
    flat: list[Any] = []
    while positional and (isinstance(positional[0].meaning, Value) or is_value_list(positional[0].meaning)):
        meaning = positional.pop(0).meaning
        flat.extend(meaning if isinstance(meaning, tuple) else (meaning,))
    if not flat and positional and isinstance(positional[0].meaning, tuple):
        given = positional[0]
        for item in given.meaning:
            expressions.expect_tensor(None if expressions.is_static(item) else item, given.span, frame)
        fail(say.nothing_to_join(signature.name, given.span, frame.trace))
    if not flat:
        fail(say.missing_argument(signature.name, variadic.name, str(signature), own, frame.trace))
    bound[variadic.name] = Given(tuple(flat), own)
    if positional:
        _fill_static(signature, positional, bound, own, frame)
    _require_all(signature, bound, own, frame, True)
    return bound


def _fill_static(
    signature: Signature, positional: list[Given], bound: dict[str, Given], own: Span, frame: Frame
) -> None:
    """One static argument may be positional, the first; all others say their name."""
    statics = [p for p in signature.parameters if not p.is_tensor]
    for extra in positional:
        if isinstance(extra.meaning, Value) or is_value_list(extra.meaning):
            optional = [p.name for p in signature.parameters if p.is_tensor and p.name not in bound]
            fail(say.too_many_tensors(signature.name, str(signature), optional, extra.span, frame.trace))
    if statics and statics[0].name not in bound:
        first = positional[0]
        numbers = all(expressions.is_number(extra.meaning) for extra in positional)
        if len(positional) > 1 and statics[0].count == 0 and numbers:
            listed = first.span.to(positional[-1].span)
            fail(say.list_without_brackets(signature.name, statics[0].name, listed, frame.trace))
        bound[statics[0].name] = positional.pop(0)
    if positional:
        free = [p.name for p in statics[1:] if p.name not in bound]
        spans = [extra.span for extra in positional]
        fail(say.too_many_positional(signature.name, str(signature), free, spans, frame.trace))


def _require_all(
    signature: Signature, bound: dict[str, Given], own: Span, frame: Frame, tensors: bool
) -> None:
    for parameter in signature.parameters:
        if parameter.is_required and parameter.name not in bound and (tensors or not parameter.is_tensor):
            fail(say.missing_argument(signature.name, parameter.name, str(signature), own, frame.trace))


def static_argument(parameter: Parameter, given: Given, function: str, frame: Frame) -> Any:
    """A static argument in the form its parameter wants: a number for `int[2]` is two of it."""
    meaning = given.meaning
    if meaning is None and (parameter.default is None or isinstance(parameter.default, ast.NoneLiteral)):
        return None
    if parameter.word == "any":
        return meaning
    if parameter.count is None:
        return _one(parameter, meaning, given, function, frame)
    if not isinstance(meaning, tuple):
        return (_one(parameter, meaning, given, function, frame),) * (parameter.count or 1)
    items = tuple(_one(parameter, item, given, function, frame) for item in meaning)
    if parameter.count and len(items) != parameter.count:
        fail(say.wrong_count(parameter.name, parameter.count, len(items), given.span, frame.trace))
    return items


def _one(parameter: Parameter, meaning: Any, given: Given, function: str, frame: Frame) -> Any:
    word = parameter.word
    whole = isinstance(meaning, int | Symbolic) and not isinstance(meaning, bool)
    fits = {
        "int": whole,
        "size": whole,
        "float": whole or isinstance(meaning, float | Scalar),
        "bool": isinstance(meaning, bool),
        "str": isinstance(meaning, str),
        "dtype": type(meaning).__name__ == "DType",
    }[word]
    if not fits:
        fail(say.argument_kind(function, parameter.name, word, describe(meaning), given.span, frame.trace))
    return float(meaning) if word == "float" and isinstance(meaning, int) else meaning


def sizes_agree(a: Any, b: Any, span: Span, frame: Frame) -> bool:
    """Whether two sizes are equal; what cannot be told is a check for when sizes are known."""
    answer = relation(a, b)
    if answer == "unknown":
        frame.ctx.checks.append(Check(a, b, frame.origin(span)))
    return answer != "different"


# ---------------------------------------------------------------- primitives


def _in_numbers(meaning: Any, parameter: Parameter, given: Given, frame: Frame) -> Any:
    """An attribute of a primitive that must be known (a stride, an axis): a dim in it decides the graph."""
    if parameter.word != "int" or meaning is None:
        return meaning
    if isinstance(meaning, tuple):
        return tuple(frame.ctx.number(item, given.span, frame) for item in meaning)
    return frame.ctx.number(meaning, given.span, frame)


def _call_primitive(expr: ast.Call, piped: Piped | None, frame: Frame, label: str | None) -> Any:
    name = expr.function.text
    signature = of_primitive(name)
    bound = bind(signature, expr, piped, frame)
    own = stage_span(expr)
    given = [bound[p.name] for p in signature.parameters if p.is_tensor and p.name in bound]
    flat = [m for g in given for m in (g.meaning if isinstance(g.meaning, tuple) else (g.meaning,))]
    if given and name in SCALAR_FUNCTIONS and all(map(expressions.is_number, flat)):
        return expressions.static_compute(name, tuple(flat), own, frame)
    if name == "sum" and len(given) == 1 and given[0].meaning == ():
        fail(say.nothing_to_join(name, given[0].span, frame.trace))
    if name == "sum" and len(given) == 1 and is_value_list(given[0].meaning) and "axis" not in bound:
        return _sum_list(given[0].meaning, own, frame)
    dtype = expressions.common_dtype(flat, frame)
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    operands: list[tuple[Value, Span]] = []
    for parameter in signature.parameters:
        if parameter.name not in bound:
            if isinstance(parameter.default, DType) and parameter.default.is_float and frame.ctx.float_dtype:
                keywords[parameter.name] = frame.ctx.float_dtype  # `zeros([3])` where all is in double
            continue
        argument = bound[parameter.name]
        if not parameter.is_tensor:
            static = static_argument(parameter, argument, name, frame)
            keywords[parameter.name] = _in_numbers(static, parameter, argument, frame)
            continue
        if parameter.variadic:
            positional.extend(argument.meaning)
            operands.extend((m, m.node.origin.span if m.node.origin else own) for m in argument.meaning)
            continue
        value = None
        if argument.meaning is not None:
            value = expressions.as_tensor(argument.meaning, dtype, argument.span, frame)
            value = tapped(value, label, parameter.name, frame)
            operands.append((value, argument.span))
        if parameter.is_required:
            positional.append(value)
        else:
            keywords[parameter.name] = value
    with made_at(frame.origin(own)):
        try:
            return constructor(name)(*positional, **keywords)
        except TypeRuleError as error:
            fail(blame.type_rule_failed(error, own, operands, frame))


def _sum_list(values: tuple[Value, ...], span: Span, frame: Frame) -> Value:
    total = values[0]
    for value in values[1:]:
        total = expressions.build("add", [(total, span), (value, span)], span, span, frame)
    return total


def tapped(value: Value, label: str | None, argument: str, frame: Frame) -> Value:
    """The argument of a named application as a value of its own: `conv1.x`."""
    full = join(frame.values, f"{label}.{argument}") if label else None
    if full is None or isinstance(value.node.op, Literal):
        return value
    return bodies.tap(full, value, frame)


FORMS: dict[str, Callable[[ast.Call, Piped | None, Frame, str | None], Any]] = {
    "repeat": repetition.repeat,
    "each": repetition.each,
    "fold": repetition.fold,
    "grad": special.grad,
    "jvp": special.jvp,
    "rank": special.rank,
    "shape": special.shape,
    "dtype": special.dtype,
    "size": special.size,
    "file": special.misplaced_file,
}

__all__ = [
    "Given",
    "Piped",
    "bind",
    "call",
    "replace",
    "sizes_agree",
    "stage_span",
    "static_argument",
    "tapped",
]
