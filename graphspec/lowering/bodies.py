"""Applications of blocks and ops: patterns are matched, bodies are read, calls are made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from graphspec.diagnostics import Span
from graphspec.diagnostics.catalogue import definitions as say
from graphspec.diagnostics.catalogue import names as say_names
from graphspec.diagnostics.catalogue import types as say_types
from graphspec.ir import Body, Call, HandGradient, Input, Node, Origin, Tap, Value, apply, made_at
from graphspec.ir.types import format_shape
from graphspec.lowering import blame, calls, expressions, statements
from graphspec.lowering.context import (
    POISON,
    BodyBuilder,
    Failed,
    Frame,
    LayerRef,
    Namespace,
    current,
    fail,
    join,
    updates_of,
)
from graphspec.lowering.signatures import Parameter, of_definition
from graphspec.syntax import ast


def register(name: str, value: Any, span: Span, frame: Frame) -> None:
    """Give a value its name; no name is given twice."""
    refuse_second(name, span, frame)
    frame.names[name] = value
    full = join(frame.values, name)
    if full is not None and isinstance(value, Value):
        publish(full, value, span, frame)


def refuse_second(name: str, span: Span, frame: Frame) -> None:
    """No name is given twice in one frame."""
    if name not in frame.names or frame.names[name] is POISON:
        return
    parameters = frame.definition.parameters if frame.definition is not None else ()
    dim = frame.ctx.dims.get(name) if frame.is_file else None
    first = frame.ctx.places.get(join(frame.values, name) or "")
    if dim is not None and dim.origin is not None:
        first = dim.origin.span
    first = next((p.name.span for p in parameters if p.name.text == name), first)
    fail(say_names.duplicate_name(name, span, first, frame.trace))


def publish(full: str, value: Value, span: Span, frame: Frame) -> None:
    """Enter a value into the table of names that may be asked for."""
    known = frame.ctx.values.get(full)
    if known is not None and known is not POISON and known is not value:
        fail(say_names.duplicate_name(full, span, frame.ctx.places.get(full), frame.trace))
    frame.ctx.values[full] = value
    frame.ctx.places.setdefault(full, span)


def tap(full: str, value: Value, frame: Frame) -> Value:
    """`value` as it arrives at one place, under the name `full`."""
    with made_at(value.node.origin):
        tapped = apply(Tap(full), value)
    if full in frame.ctx.values:
        return tapped
    frame.ctx.values[full] = tapped
    return tapped


def apply_definition(
    definition: ast.Definition,
    home: Namespace,
    bound: dict[str, calls.Given],
    expr: ast.Call,
    frame: Frame,
    label: str | None,
    layer: LayerRef | None = None,
) -> Any:
    """The result, or results, of applying a definition to its arguments.

    A block of the user's is read in place, so that its values have names, and so is an op with locals
    that is applied under a name.  Other ops, and the blocks of std, become one `Call` each.
    """
    span = calls.stage_span(expr)
    frame.ctx.spend(span)
    frame.ctx.read.add(id(definition))
    name = definition.name.text
    if definition in frame.stack:
        fail(say.recursive_definition(name, span, definition.name.span, frame.trace))
    in_place = not home.is_std and (definition.kind == "block" or _shows_locals(definition, frame, label))
    inner = _frame(definition, home, span, frame, label, layer, expr, in_place)
    operands: dict[str, blame.Operand] = {}
    frame.ctx.enter(span, frame.trace)
    try:
        with blame.at_the_call(name, home, operands, span, frame):
            _bind_arguments(definition, bound, operands, inner, frame, label)
            if not in_place:
                return _apply_whole(definition, inner, span, frame)
            met = frame.ctx.errors.met
            results = statements.read_body(definition, inner)
            if frame.ctx.errors.met > met:
                raise Failed
            return results if len(results) > 1 else results[0]
        raise AssertionError("a failed call raises")
    finally:
        frame.ctx.leave()


def _shows_locals(definition: ast.Definition, frame: Frame, label: str | None) -> bool:
    """Whether an op's locals are values with names.

    A hand-written gradient needs the op whole, and locals that begin with `_` are private.
    """
    if label is None or frame.values is None or any(isinstance(s, ast.Gradient) for s in definition.body):
        return False
    targets = [t.path.text for s in definition.body if isinstance(s, ast.Assign) for t in s.targets]
    return any(not name.startswith("_") for name in targets)


def _apply_whole(definition: ast.Definition, inner: Frame, span: Span, frame: Frame) -> Any:
    """One `Call` node with the body of a definition, which is read once per statics and argument types."""
    parameters = of_definition(definition).parameters
    arguments = [p.name for p in parameters if p.is_tensor and isinstance(inner.names.get(p.name), Value)]
    outer_values = [inner.names[name] for name in arguments]
    inner.body = BodyBuilder(frame.body)
    key = _key(definition, inner, arguments)
    if key in frame.ctx.bodies:
        return _call(definition, inner, frame.ctx.bodies[key], outer_values, span, frame)
    for name in arguments:
        with made_at(None):
            inner.names[name] = apply(Input(name, inner.names[name].type))
    formal = [inner.names[name] for name in arguments]
    met = frame.ctx.errors.met
    results = statements.read_body(definition, inner)
    gradients = _hand_gradients(definition, inner, arguments, results)
    if frame.ctx.errors.met > met:
        raise Failed
    updates = tuple(inner.body.updates)
    body = Body((*formal, *inner.body.lifted.values()), (*results, *inner.body.updates.values()), gradients)
    made = (body, tuple(inner.body.lifted), updates)
    if not inner.body.lifted and not updates:
        frame.ctx.bodies[key] = made
    return _call(definition, inner, made, outer_values, span, frame)


def _key(definition: ast.Definition, inner: Frame, arguments: list[str]) -> Any:
    statics = tuple((n, v) for n, v in sorted(inner.names.items()) if not isinstance(v, Value))
    return id(definition), statics, tuple((name, inner.names[name].type) for name in arguments)


def _call(
    definition: ast.Definition, inner: Frame, made: Any, arguments: list[Value], span: Span, frame: Frame
) -> Any:
    body, lifted, updates = made
    parameters = {p.name.text for p in definition.parameters}
    statics = tuple(
        (n, v) for n, v in sorted(inner.names.items()) if n in parameters and not isinstance(v, Value)
    )
    name = (
        definition.name.text
        if inner.home.is_std or not inner.home.name
        else f"{inner.home.name}.{definition.name.text}"
    )
    with made_at(frame.origin(span)):
        node = Node(Call(name, statics, body), (*arguments, *(current(v, frame) for v in lifted)))
    count = len(node.values) - len(updates)
    for full, value in zip(updates, node.values[count:], strict=True):
        put_update(full, value, frame)
    return node.values[:count] if count > 1 else node.values[0]


def put_update(full: str, value: Value, frame: Frame) -> None:
    """The new value of a buffer, carried out through the calls that hold the block."""
    updates_of(frame)[full] = value


def _frame(
    definition: ast.Definition,
    home: Namespace,
    span: Span,
    frame: Frame,
    label: str | None,
    layer: LayerRef | None,
    expr: ast.Call,
    in_place: bool,
) -> Frame:
    """The frame in which a definition is read: what its names hang below, and whom its errors blame."""
    name = definition.name.text
    is_named = label is not None and frame.owner is not None
    owner = layer.owner if layer else join(frame.owner, label) if label else None
    anonymous = None if is_named else frame.anonymous or (name, span)
    within_std = home.is_std and frame.home.is_std
    return Frame(
        frame.ctx,
        home,
        {},
        values=join(frame.values, label) if in_place and label is not None else None,
        owner=owner if definition.kind == "block" else None,
        trace=frame.trace if within_std else ((f"{definition.kind} `{name}`", span), *frame.trace),
        definition=definition,
        body=frame.body,
        anonymous=anonymous,
        stack=(*frame.stack, definition),
        site=frame.site if frame.home.is_std and frame.site else span,
        token=(layer.path, id(layer)) if layer else (frame.token, id(expr)),
        noise=".".join(filter(None, (frame.noise, label or frame.statement, None if label else name))),
    )


def _bind_arguments(
    definition: ast.Definition,
    bound: dict[str, calls.Given],
    operands: dict[str, blame.Operand],
    inner: Frame,
    frame: Frame,
    label: str | None,
) -> None:
    """Arguments into the body's names: statics first, then in order (a default may name earlier ones)."""
    signature = of_definition(definition)
    name = definition.name.text
    tensors = [bound[p.name].meaning for p in signature.parameters if p.is_tensor and p.name in bound]
    dtype = expressions.common_dtype(tensors, frame)
    for parameter in signature.parameters:
        if not parameter.is_tensor and parameter.name in bound:
            inner.names[parameter.name] = calls.static_argument(parameter, bound[parameter.name], name, frame)
    for tensor in tensors:
        if isinstance(tensor, Value) and tensor.dtype.is_float:
            inner.dtype = tensor.type.dtype
            break
    for parameter in signature.parameters:
        if parameter.name not in bound:
            inner.names[parameter.name] = _default(parameter, name, inner)
        elif parameter.is_tensor:
            given = bound[parameter.name]
            if given.meaning is None and not parameter.is_required:
                inner.names[parameter.name] = None
                continue
            if isinstance(given.meaning, tuple | LayerRef):
                expressions.expect_tensor(given.meaning, given.span, frame)
            value = expressions.as_tensor(given.meaning, dtype, given.span, frame)
            operands[parameter.name] = (value, given.span)
            value = calls.tapped(value, label, parameter.name, frame)
            inner.names[parameter.name] = value
            if parameter.shape is not None:
                _match(parameter, value, given, inner, frame, name)


def _default(parameter: Parameter, name: str, inner: Frame) -> Any:
    meaning = expressions.evaluate(parameter.default, inner)
    if parameter.is_tensor:
        if meaning is not None:
            fail(say.tensor_default(parameter.name, parameter.default.span, inner.trace))
        return None
    return calls.static_argument(parameter, calls.Given(meaning, parameter.default.span), name, inner)


def _match(
    parameter: Parameter, value: Value, given: calls.Given, inner: Frame, frame: Frame, name: str
) -> None:
    """Hold an argument against its pattern; the names in it that mean nothing yet are bound."""
    assert parameter.shape is not None
    sizes = parameter.shape.sizes
    dots = expressions.ellipsis_in(parameter.shape, inner)
    shape = value.shape
    pattern = parameter.name + parameter.shape.span.text

    def refuse(why: str) -> None:
        is_number = expressions.is_number(given.meaning)
        labels = () if is_number else blame.operand_labels([(value, given.span)], given.span)
        fail(
            say_types.pattern_mismatch(
                name, pattern, str(value.type), why, is_number, given.span, labels, frame.trace
            )
        )

    least = len(sizes) if dots is None else len(sizes) - 1
    if len(shape) != least if dots is None else len(shape) < least:
        refuse(f"it has rank {len(shape)}, and {'at least ' if dots is not None else ''}{least} is needed")
    if dots is None:
        pairs = list(zip(sizes, shape, strict=True))
    else:
        tail = len(sizes) - dots - 1
        pairs = [*zip(sizes[:dots], shape[:dots], strict=True)]
        pairs += zip(sizes[dots + 1 :], shape[len(shape) - tail :], strict=True)
        middle = shape[dots : len(shape) - tail]
        if inner.ellipsis is not None:
            agree = len(inner.ellipsis) == len(middle) and all(
                calls.sizes_agree(a, b, given.span, frame)
                for a, b in zip(inner.ellipsis, middle, strict=True)
            )
            if not agree:
                earlier, here = format_shape(inner.ellipsis), format_shape(middle)
                refuse(f"`...` is {here} here and {earlier} in an earlier argument")
        else:
            inner.ellipsis = middle
    for written, size in pairs:
        assert not isinstance(written, ast.Ellipsis)
        if expressions.binds_size(written, inner):
            inner.names[written.path.text] = size  # type: ignore[union-attr]  # what binds is a path
            continue
        expected = expressions.read_size(written, inner)
        if not calls.sizes_agree(expected, size, given.span, frame):
            text = written.span.text
            refuse(
                f"`{text}` is {expected} here, not {size}"
                if text != str(expected)
                else f"{expected} is needed, not {size}"
            )


def _hand_gradients(
    definition: ast.Definition, inner: Frame, arguments: list[str], results: tuple[Value, ...]
) -> dict[int, HandGradient]:
    """The `gradient` and `surrogate` lines, by the position of their argument."""
    made: dict[int, HandGradient] = {}
    lines = [s for s in definition.body if isinstance(s, ast.Gradient)]
    for line in lines:
        name = line.argument.text
        parameters = [p.name.text for p in definition.parameters]
        if name not in parameters:
            fail(say.gradient_of_no_argument(name, parameters, line.argument.span, inner.trace))
        if name not in arguments:
            continue  # an optional argument that is not given
        if len(line.cotangents) != len(results):
            fail(say.wrong_number_of_cotangents(len(results), len(line.cotangents), line.span, inner.trace))
        position = arguments.index(name)
        if position in made:
            first = next(s for s in lines if s.argument.text == name)
            fail(say.gradient_twice(name, line.span, first.span, inner.trace))
        x = inner.names[name]
        if not x.dtype.is_float:
            fail(say.gradient_of_integers(name, str(x.type), line.argument.span, inner.trace))
        frame = _with_cotangents(line, inner, results)
        value = expressions.expect_tensor(expressions.evaluate(line.value, frame), line.value.span, frame)
        _check_gradient(line, value, x, inner)
        cotangents = tuple(frame.names[c.text] for c in line.cotangents)
        made[position] = HandGradient(value, cotangents, line.surrogate, Origin(line.span, inner.trace))
    return made


def _with_cotangents(line: ast.Gradient, inner: Frame, results: tuple[Value, ...]) -> Frame:
    names = dict(inner.names)
    for path, result in zip(line.cotangents, results, strict=True):
        refuse_second(path.text, path.span, inner)
        names[path.text] = apply(Input(path.text, result.type))
    return replace(inner, names=names)


def _check_gradient(line: ast.Gradient, value: Value, x: Value, inner: Frame) -> None:
    """A gradient has its argument's dtype, and its shape up to broadcasting."""
    rank = len(x.shape)
    tail = value.shape[len(value.shape) - rank :] if len(value.shape) >= rank else None
    fits = tail is not None and all(
        b == 1 or a == 1 or calls.sizes_agree(a, b, line.value.span, inner)
        for a, b in zip(tail, x.shape, strict=True)
    )
    grows = len(value.shape) < rank
    if value.dtype is not x.dtype or not (fits or grows):
        fail(
            say.gradient_type(line.argument.text, str(x.type), str(value.type), line.value.span, inner.trace)
        )
