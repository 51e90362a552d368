"""Who is blamed for an error: the user's line, with the places where its operands were made.

A type rule refuses in a plain sentence; here it gets its places.  What goes wrong inside a definition of
the standard library is shown at the user's call of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from graphspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from graphspec.diagnostics.catalogue import types as say
from graphspec.ir import Literal, TypeRuleError, Value
from graphspec.lowering.context import Failed, Frame, Namespace
from graphspec.lowering.definitions import LibrarySource

Operand = tuple[Value, Span]


def type_rule_failed(error: TypeRuleError, at: Span, operands: list[Operand], frame: Frame) -> Diagnostic:
    """The diagnostic of an op's refusal: the place, and where each operand was made with its type."""
    help, fixes = _remedy(error.help, operands, frame)
    return say.type_rule(
        error.id, error.message, at, operand_labels(operands, at), (help,) if help else (), fixes, frame.trace
    )


def operand_labels(
    operands: list[Operand], place: Span, roles: Mapping[Span, str] | None = None
) -> tuple[Label, ...]:
    """Where each operand was made, with its type; where it is used, if that is all that is known.

    `roles` are the parameters that the operands were given as, by the place where they are used.
    """
    labels: list[Label] = []
    for value, used in operands:
        if isinstance(value.node.op, Literal):
            continue  # the text says it
        made = value.node.origin.span if value.node.origin else None
        # a stage of the very chain that is blamed is marked where it stands
        where = made if made is not None and not _inside(made, place) and not is_std(made) else used
        role = roles.get(used) if roles and roles.get(used) != used.text else None
        label = Label(where, f"{value.type}, given as `{role}`" if role else str(value.type))
        if where != place and label not in labels:
            labels.append(label)
    return tuple(labels)


def is_std(span: Span) -> bool:
    """Whether a place lies in the standard library."""
    return isinstance(span.source, LibrarySource)


def _inside(inner: Span, outer: Span) -> bool:
    return inner.source is outer.source and outer.start <= inner.start and inner.end <= outer.end


_CALL = re.compile(r"`(?P<function>cast|squeeze|reshape|transpose)\(\.\.\.(?P<rest>[^`]*)\)`")


def _remedy(help: str, operands: list[Operand], frame: Frame) -> tuple[str, tuple[Fix, ...]]:
    """A remedy with the operand's own text in the place of `...`, and as an edit where it is one.

    >>> _CALL.search("`squeeze(..., axis=1)` gives [N]")["rest"]
    ', axis=1'
    """
    found = _CALL.search(help)
    if found is None or not operands or frame.home.is_std:
        return help, ()
    function, rest = found["function"], found["rest"]
    meant = _operands_meant(function, rest, operands)
    if not meant or any(_is_stage(span) for span in meant):
        return help, ()
    first = meant[0]
    shown = help.replace(found[0], f"`{function}({first.text}{rest})`")
    if found.start() or (function in ("squeeze", "reshape") and not frame.is_file):
        return shown, ()  # one remedy of several, or with sizes of the file, which a body may call otherwise
    edits = [
        edit
        for span in meant
        for edit in (
            Edit(Span(span.source, span.start, span.start), f"{function}("),
            Edit(Span(span.source, span.end, span.end), f"{rest})"),
        )
    ]
    return "", (Fix(shown, tuple(edits)),)


def _is_stage(span: Span) -> bool:
    """A stage of a chain cannot be wrapped in a call."""
    return "\n" in span.text or span.source.text[: span.start].rstrip().endswith("->")


def _operands_meant(function: str, rest: str, operands: list[Operand]) -> list[Span]:
    """Which operands a remedy is for: those of another dtype, the one with an axis too many or too few."""
    if function == "cast":
        return [
            span
            for value, span in operands
            if rest != f", {value.dtype}" and not isinstance(value.node.op, Literal)
        ]
    if function == "transpose":
        return [operands[-1][1]]
    ranks = [len(value.shape) for value, _ in operands]
    return [operands[ranks.index(max(ranks) if function == "squeeze" else min(ranks))][1]]


@contextmanager
def at_the_call(
    name: str, home: Namespace, operands: Mapping[str, Operand], call: Span, frame: Frame
) -> Iterator[None]:
    """Errors met inside a definition of std are raised as errors of the user's call of it.

    `operands` are the call's tensors by parameter.  Inside the user's own definitions, and from one
    definition of std to the next, nothing changes.
    """
    if not home.is_std or frame.home.is_std:
        yield
        return
    failed = False
    with frame.ctx.apart() as errors:
        try:
            yield
        except Failed as failure:
            failed = True
            errors.add(failure.diagnostics)
    if failed or errors.met:
        raise Failed(*(_moved(found, name, operands, call, frame) for found in errors.found))


def _moved(
    found: Diagnostic, name: str, operands: Mapping[str, Operand], call: Span, frame: Frame
) -> Diagnostic:
    """A diagnostic of a line of std, as one of the call; what std itself wrote becomes a note."""
    if found.primary is None or not is_std(found.primary.span):
        return replace(found, trace=frame.trace)
    roles = {used: parameter for parameter, (_, used) in operands.items()} if len(operands) > 1 else {}
    labels = operand_labels(list(operands.values()), call, roles)
    kept = tuple(label for label in found.secondary if not is_std(label.span) and label.span != call)
    spans = {label.span for label in labels}
    line = found.primary.span.text.split("\n")[0]
    return replace(
        found,
        primary=Label(call),
        secondary=(*labels, *(label for label in kept if label.span not in spans)),
        notes=(f"inside `{name}`, at `{line}`", *found.notes),
        fixes=(),
        help=(*found.help, *(fix.message for fix in found.fixes)),
        trace=frame.trace,
    )
