"""From the grammar's productions to documents: one method for each, called as the text is read.

The methods are named as those of `Actions` (graphspec/syntax/actions.py), but get all symbols of a
production, punctuation included, since comments may stand before any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeAlias

from graphspec.syntax.concrete import Gap
from graphspec.syntax.layout import ATOM, Body, Brackets, Doc, Leaf, Operators, Paren, Part, Pipe, Row, Value
from graphspec.syntax.lexing import Token
from graphspec.syntax.numerals import shortest

Docs: TypeAlias = "list[Doc]"

PIPE, CHOICE, OR, AND, NOT, COMPARISON, SUM, PRODUCT, PREFIX, POWER, LABELLED = range(11)
"""How tightly an expression's outermost operator binds, from the loosest on; all others are `ATOM`."""

LEVELS = {
    "or": OR, "and": AND, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "//": PRODUCT, "%": PRODUCT,
    "@": PRODUCT, "**": POWER,
}  # fmt: skip
"""The level of binary operators; comparisons are the rest."""

PLAIN = {
    (POWER, PRODUCT), (POWER, SUM), (POWER, COMPARISON), (PRODUCT, SUM), (PRODUCT, COMPARISON),
    (SUM, COMPARISON), (COMPARISON, AND), (COMPARISON, OR), (PIPE, PIPE),
}  # fmt: skip
"""Operands and operators whose order everybody knows: in `(a * b) + c` the parentheses go.  Elsewhere they
stay as they were written: `(a and b) or c`, `-(x ** 2)`, `(f(x) as y) + z`."""

SIGNS = {":", ",", "=", "~", "->"}
"""What is followed by a space, also before brackets."""


class Documents:
    """The documents of one text, and its comments in their order."""

    def __init__(self) -> None:
        self.comments: list[str] = []

    def shift(self, token: Token, before: Gap) -> Leaf:
        self.comments += [comment.text for comment in before.comments]
        return Leaf("->" if token.type == "PIPE" else token.text, before)

    def reduce(self, action: str, parts: Docs) -> Any:
        method: Callable[[Docs], Any] = getattr(self, f"on_{action}")
        return method(parts)

    # ---------------------------------------------------------------- the file and its statements

    def on_start(self, parts: Docs) -> Docs:
        return parts

    def on_words(self, parts: Docs) -> Doc:
        """Words, names and types side by side."""
        return Row(_spaced(parts)) if len(parts) > 1 else parts[0]

    on_header = on_dim = on_init = on_import_ = on_words
    on_input = on_param = on_buffer = on_noise = on_public = on_target = on_words
    on_block = on_op = on_result = on_type = on_bare_type = on_name = on_ellipsis = on_words

    def on_dim_item(self, parts: Docs) -> Doc:
        """`NAME = default where constraint`."""
        rest = [part if i % 2 == 0 else _value(part, CHOICE) for i, part in enumerate(parts[1:])]
        return Row(_spaced([parts[0], *rest]))

    def on_ending(self, parts: Docs) -> Doc:
        """Words, and a value behind them."""
        return Row(_spaced([*parts[:-1], _value(parts[-1])]))

    on_given = on_drawn = on_const = on_layer = on_assign = on_update = on_gradient = on_ending

    def on_output(self, parts: Docs) -> Doc:
        """`output path: type = value`, where the type and the value may be absent."""
        signs = [part.text for part in parts if isinstance(part, Leaf)]
        return self.on_ending(parts) if "=" in signs else self.on_words(parts)

    on_loss = on_objective = on_output

    def on_path(self, parts: Docs) -> Doc:
        """A name with its dots, which touch."""
        first = parts[0].first
        _relabel(first, "".join(part.first.text for part in parts))
        return first

    on_pattern = on_path

    # ---------------------------------------------------------------- bodies

    def on_tensor_parameter(self, parts: Docs) -> Doc:
        """`name[shape] = default` or `name: word = default`."""
        if len(parts) > 1 and _is_sign(parts[-2], {"="}):
            return Row(_spaced([*parts[:-1], _value(parts[-1], CHOICE)]))
        return self.on_words(parts)

    on_static_parameter = on_tensor_parameter

    def on_parameters(self, parts: Docs) -> Doc:
        return _brackets(parts, comma=True)

    def on_cotangents(self, parts: Docs) -> Doc:
        return _brackets(parts)

    def on_body(self, parts: Docs) -> Doc:
        return Body(parts[0].first, parts[1:-1], parts[-1].first)

    def on_return_(self, parts: Docs) -> Doc:
        rest = [part if i % 2 else _value(part) for i, part in enumerate(parts[1:])]
        return Row(_spaced([parts[0], *rest]))

    def on_require(self, parts: Docs) -> Doc:
        word, condition, comma, message = parts
        return Row(_spaced([word, _value(condition, CHOICE), comma, message]))

    def on_if_(self, parts: Docs) -> Doc:
        """`if condition { } else { }`; an `if` behind `else` becomes part of the row."""
        row = _spaced([parts[0], _value(parts[1], CHOICE), *parts[2:4]])
        for part in parts[4:]:
            row += [" ", *(part.parts() if isinstance(part, Row) else [part])]
        return Row(row)

    # ---------------------------------------------------------------- brackets and calls

    def on_shape(self, parts: Docs) -> Doc:
        return _brackets(parts, loosest=CHOICE)

    def on_arguments(self, parts: Docs) -> Doc:
        return _brackets(parts, comma=True)

    def on_positional(self, parts: Docs) -> Doc:
        return _whole(parts[0])

    def on_keyword(self, parts: Docs) -> Doc:
        """`name=value`; comments inside go in front."""
        name, sign, given = parts
        given = _value(given)
        inside = (*sign.first.comments, *given.first.comments)
        sign.first.comments = given.first.comments = ()
        before = (*name.first.comments, *(replace(comment, own_line=True) for comment in inside))
        name.first.comments = ()
        name.first.adopt(before)
        return Row([name, sign, given])

    def on_range(self, parts: Docs) -> Doc:
        name, word, start, dots, stop = parts
        return Row([name, " ", word, " ", _whole(start, SUM), dots, _whole(stop, SUM)])

    def on_call(self, parts: Docs) -> Doc:
        return Row(parts)

    def on_labelled(self, parts: Docs) -> Doc:
        call, word, label = parts
        return Row([*call.parts(), " ", word, " ", label], LABELLED)

    def on_stage(self, parts: Docs) -> Doc:
        return Row(_spaced(parts))

    def on_pipe(self, parts: Docs) -> Doc:
        left, arrow, stage = parts
        left = _operand(left, PIPE)
        pipe = left if isinstance(left, Pipe) else Pipe(left, PIPE)
        pipe.append(arrow.first, stage)
        return pipe

    def on_indexed(self, parts: Docs) -> Doc:
        operand, *rest = parts
        operand = _operand(operand, ATOM)
        index = _brackets(rest)
        if isinstance(operand, Row) and operand.level == ATOM:
            operand.append(index)
            return operand
        return Row([operand, index])

    def on_slice(self, parts: Docs) -> Doc:
        return Row([_whole(part) for part in parts])

    def on_tuple(self, parts: Docs) -> Doc:
        return _brackets(parts, comma=True, single=True)

    def on_list(self, parts: Docs) -> Doc:
        return _brackets(parts, comma=True, fill=all(_is_number(part) for part in parts[1:-1:2]))

    def on_atom(self, parts: Docs) -> Doc:
        open, inner, close = parts
        return Paren(open.first, [_whole(inner)], close.first)

    # ---------------------------------------------------------------- operators

    def on_choose(self, parts: Docs) -> Doc:
        """`a if c else b`; a choice behind `else` is part of the same one."""
        then, if_, condition, else_, otherwise = parts
        operands = [_operand(then, CHOICE), _operand(condition, CHOICE), _operand(otherwise, CHOICE)]
        operators = [if_.first, else_.first]
        last = operands[-1]
        if isinstance(last, Operators) and last.level == CHOICE:
            operands[-1:], operators = last.operands, [*operators, *last.operators]
        return Operators(operands, operators, CHOICE)

    def on_binary(self, parts: Docs) -> Doc:
        left, operator, right = parts
        sign = operator.first
        level = LEVELS.get(sign.text, COMPARISON)
        left, right = _operand(left, level, is_left=True), _operand(right, level)
        if level == POWER:
            return Row([left, " ", sign, " ", right], POWER)
        if isinstance(left, Operators) and left.level == level:
            left.append(sign, right)
            return left
        return Operators([left, right], [sign], level)

    def on_unary(self, parts: Docs) -> Doc:
        sign, operand = parts
        if sign.first.text == "not":
            return Row([sign, " ", _operand(operand, NOT)], NOT)
        return Row([sign, _operand(operand, PREFIX)], PREFIX)

    def on_is_none(self, parts: Docs) -> Doc:
        return Row(_spaced([_operand(parts[0], COMPARISON), *parts[1:]]), COMPARISON)

    def on_value(self, parts: Docs) -> Doc:
        return parts[0]

    on_string = on_boolean = on_none = on_value

    def on_integer(self, parts: Docs) -> Doc:
        number = parts[0].first
        _relabel(number, shortest(number.text))
        return number

    on_float = on_integer


def _relabel(leaf: Leaf, text: str) -> None:
    leaf.text, leaf.width = text, len(text)


def _is_sign(part: Part, signs: set[str]) -> bool:
    return isinstance(part, Leaf) and part.text in signs


def _spaced(parts: Sequence[Doc]) -> list[Part]:
    """Parts with spaces between them, but for commas, colons and what is attached to a name."""
    row: list[Part] = [parts[0]]
    for before, part in pairwise(parts):
        attached = isinstance(part, Brackets) and isinstance(before, Leaf) and before.text not in SIGNS
        if not attached and not _is_sign(part, {",", ":"}):
            row.append(" ")
        row.append(part)
    return row


def _value(doc: Doc, loosest: int = PIPE) -> Doc:
    """An expression that is delimited on both sides, behind other words."""
    return Value(_whole(doc, loosest))


def _whole(doc: Doc, loosest: int = PIPE) -> Doc:
    """An expression that is delimited on both sides: it needs no parentheses, unless it binds more loosely
    than the place allows."""
    while isinstance(doc, Paren) and doc.inner.level >= loosest and not doc.commented:
        doc = _opened(doc)
    return doc


def _operand(doc: Doc, level: int, *, is_left: bool = False) -> Doc:
    """An operand of an operator, without parentheses that tell nobody anything."""
    while isinstance(doc, Paren) and not doc.commented:
        inner = doc.inner.level
        if not (inner == ATOM or (inner, level) in PLAIN or (is_left and inner == level == SUM)):
            break
        doc = _opened(doc)
    return doc


def _opened(paren: Paren) -> Doc:
    """What stands in the parentheses; comments before them go to it."""
    paren.inner.first.adopt(paren.open.comments)
    return paren.inner


def _brackets(
    parts: Docs, *, loosest: int = PIPE, comma: bool = False, single: bool = False, fill: bool = False
) -> Brackets:
    """Brackets from all their symbols; comments before a comma go behind it.

    `comma` says that one may stand behind the last item, `single` that it then makes a tuple of one.
    """
    items: list[Doc] = []
    moved: list[Any] = []
    trailing = False
    for part in parts[1:-1]:
        trailing = _is_sign(part, {","})
        if trailing:
            moved += part.first.comments
            continue
        item = _whole(part, loosest)
        item.first.adopt(moved)
        items.append(item)
        moved = []
    open, close = parts[0].first, parts[-1].first
    close.adopt(moved)
    single = single and len(items) == 1
    return Brackets(open, items, close, comma=comma, magic=trailing and not single, single=single, fill=fill)


def _is_number(doc: Doc) -> bool:
    """A number, or its negative."""
    if isinstance(doc, Row) and doc.level == PREFIX:
        doc = [part for part in doc.parts() if isinstance(part, Doc)][-1]
    return isinstance(doc, Leaf) and doc.text[0].isdigit()
