"""Documents, and how they are laid out in lines: what of the formatter does not know the language's grammar.

A document stands on one line where it fits; otherwise it says of which parts and line breaks it consists, and
each part is again put on one line where that fits.  Comments belong to the leaf that follows them and stay
between the same two leaves, behind the text or on lines of their own, as they were.  So a layout depends on
nothing that laying out changes, and formatting twice is formatting once.

Nothing recurses: documents know their width when they are made, and `lay_out` keeps a stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple, TypeAlias

from graphspec.syntax.concrete import Comment, Gap

MOST = 100
"""The length of a line."""

STEP = 2
"""How far the lines inside brackets, braces and pipes are indented."""

ATOM = 100
"""The level of what binds tighter than every operator."""


class Mode(Enum):
    """Whether a document is on one line, in its parts, or whichever fits."""

    FIT = "fit"
    FLAT = "flat"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Newline:
    """A line break.  Comments before it stand at `comments`, the text behind it at `indent`.

    Between statements (`blanks`) empty lines are kept, but not right behind (`opened`) or before
    (`closing`) a brace.
    """

    indent: int
    comments: int
    blanks: bool = False
    opened: bool = False
    closing: bool = False


class Item(NamedTuple):
    """A piece of a layout, the indentation of its line, the width of what must follow on that line."""

    what: Doc | str | Newline
    indent: int = 0
    reserve: int = 0
    mode: Mode = Mode.FIT


class Place(NamedTuple):
    """Where a document begins: the column, the indentation of its line, the width of what must follow."""

    column: int
    indent: int
    reserve: int


class Doc:
    """A document.

    `width` is its width on one line, where it cannot stand if `forced`.  `exposed` says that it holds a
    comment outside of brackets, `loose` that its layout has line breaks outside of brackets, which the
    language only knows before `->`.  `level` is the binding strength of its outermost operator.  `opening`
    is the width up to the first part that finds room for itself, a value, a body or broken brackets, or None.
    """

    __slots__ = ("exposed", "first", "forced", "level", "loose", "opening", "width")

    first: Leaf
    opening: int | None
    width: int
    forced: bool
    exposed: bool
    loose: bool
    level: int

    def parts(self) -> Iterable[Part]:
        """What stands on one line."""
        raise NotImplementedError

    def layout(self, at: Place) -> list[Item]:
        """The parts and line breaks where it does not fit on one line."""
        raise NotImplementedError

    def _holds(self, first: Doc, others: Iterable[Doc]) -> None:
        """Take over what follows from the parts: the first, and those in whose front a comment is inside."""
        self.first = first.first
        self.forced, self.exposed, self.loose = first.forced, first.exposed, first.loose
        for other in others:
            self._hold(other)

    def _hold(self, other: Doc) -> None:
        commented = bool(other.first.comments)
        self.forced = self.forced or other.forced or commented
        self.exposed = self.exposed or other.exposed or commented
        self.loose = self.loose or other.loose


Part: TypeAlias = "Doc | str"


def _width(part: Part) -> int:
    return len(part) if isinstance(part, str) else part.width


class Leaf(Doc):
    """A word, with the comments in front of it."""

    __slots__ = ("blank", "comments", "newline", "text")

    def __init__(self, text: str, before: Gap, level: int = ATOM) -> None:
        self.text = text
        self.comments = before.comments
        self.newline = before.newline
        self.blank = before.blank
        self.first = self
        self.width = len(text)
        self.forced = self.exposed = self.loose = False
        self.level = level
        self.opening = None

    def adopt(self, comments: Sequence[Comment], *, after: bool = False) -> None:
        """Take comments that stood elsewhere, before or after its own; only the first can share a line."""
        if comments:
            first, *others = (*self.comments, *comments) if after else (*comments, *self.comments)
            self.comments = (first, *(replace(comment, own_line=True) for comment in others))
            self.newline = True

    def parts(self) -> Iterable[Part]:
        raise AssertionError("a leaf has no parts")

    layout = Doc.layout


class Row(Doc):
    """Parts side by side, each broken for itself."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Sequence[Part], level: int = ATOM) -> None:
        self._parts = list(parts)
        self.level = level
        self.width = 0
        self.opening: int | None = None
        docs = []
        for part in parts:
            if isinstance(part, Doc):
                docs.append(part)
                if self.opening is None and part.opening is not None:
                    self.opening = self.width + part.opening
            self.width += _width(part)
        self._holds(docs[0], docs[1:])

    def append(self, part: Doc) -> None:
        """One more part at the end."""
        self._parts.append(part)
        self.width += part.width
        self._hold(part)

    def parts(self) -> list[Part]:
        return self._parts

    def layout(self, at: Place) -> list[Item]:
        items: list[Item] = []
        reserve = at.reserve
        for part in reversed(self._parts):
            mode = Mode.BROKEN if isinstance(part, Body) else Mode.FIT
            items.append(Item(part, at.indent, reserve, mode))
            opening = part.opening if isinstance(part, Doc) else None
            reserve = reserve + _width(part) if opening is None else opening
        items.reverse()
        return items


class Brackets(Doc):
    """Items between brackets: on one line between theirs, or on a line each, with a comma behind the last.

    `comma` says that one may stand there, `magic` that one was written, which keeps each item on its line,
    `single` that it makes a tuple of one item; `fill` puts as many items on a line as fit.
    """

    __slots__ = ("close", "comma", "fill", "items", "open", "single")

    def __init__(
        self, open: Leaf, items: Sequence[Doc], close: Leaf, *, comma: bool = False, magic: bool = False,
        single: bool = False, fill: bool = False,
    ) -> None:  # fmt: skip
        self.open, self.items, self.close = open, items, close
        self.comma, self.single, self.fill = comma, single, fill
        self.first = open
        self.level = ATOM
        self.width = 2 + sum(item.width for item in items) + 2 * max(len(items) - 1, 0) + single
        inside = any(item.forced or item.first.comments for item in items)
        self.forced = magic or inside or bool(close.comments)
        self.exposed = self.loose = False
        self.opening = 1 if self.forced else None

    def parts(self) -> Iterable[Part]:
        yield self.open
        for i, item in enumerate(self.items):
            if i:
                yield ", "
            yield item
        if self.single:
            yield ","
        yield self.close

    def layout(self, at: Place) -> list[Item]:
        if not self.items and not self.close.comments:
            return [Item(self.open), Item(self.close)]
        indent = at.indent + STEP
        inside = Newline(indent, indent)
        if not self.forced and indent + self.width - 2 <= MOST:
            *line, close = list(self.parts())[1:]
            flat = [Item(part, indent, 0, Mode.FLAT) for part in line]
            return [Item(self.open), Item(inside), *flat, Item(Newline(at.indent, indent)), Item(close)]
        items = [Item(self.open, at.indent)]
        column = MOST
        for i, item in enumerate(self.items):
            if not self.fill or column + 2 + item.width > MOST or item.first.comments:
                items.append(Item(inside))
                column = indent + item.width
            else:
                items.append(Item(" "))
                column += 2 + item.width
            comma = self.comma or self.single or i < len(self.items) - 1
            items.append(Item(item, indent, int(comma)))
            if comma:
                items.append(Item(","))
        return [*items, Item(Newline(at.indent, indent)), Item(self.close, at.indent)]


class Paren(Brackets):
    """One document in parentheses that group."""

    __slots__ = ()

    @property
    def inner(self) -> Doc:
        return self.items[0]

    @property
    def commented(self) -> bool:
        """Whether a comment would be outside of brackets if the parentheses went."""
        return self.inner.exposed or bool(self.inner.first.comments or self.close.comments)


class Operators(Doc):
    """Operands with operators between them, all of one level; the line breaks before the operators."""

    __slots__ = ("operands", "operators")

    def __init__(self, operands: Sequence[Doc], operators: Sequence[Leaf], level: int) -> None:
        self.operands = [operands[0]]
        self.operators: list[Leaf] = []
        self.level = level
        self.width = operands[0].width
        self._holds(operands[0], ())
        self.loose = True
        self.opening = None
        for operator, operand in zip(operators, operands[1:], strict=True):
            self.append(operator, operand)

    def append(self, operator: Leaf, operand: Doc) -> None:
        """One more operator, with its right operand; comments between the two move before the operator."""
        operator.adopt(operand.first.comments, after=True)
        operand.first.comments = ()
        self.operators.append(operator)
        self.operands.append(operand)
        self.width += operator.width + operand.width + 2
        self._hold(operator)
        self._hold(operand)

    def parts(self) -> Iterable[Part]:
        yield self.operands[0]
        for operator, operand in zip(self.operators, self.operands[1:], strict=True):
            yield from (" ", operator, " ", operand)

    def layout(self, at: Place) -> list[Item]:
        if prefers_hugging(self, at) and (self.forced or not self.fits_on_lines(at.indent, at.reserve)):
            return hug(self, at)
        items = [Item(self.operands[0], self._indent(0, at))]
        for i, operator in enumerate(self.operators, 1):
            last = i == len(self.operators)
            items.append(Item(Newline(at.indent, at.indent)))
            items.append(Item(operator, at.indent))
            items.append(Item(" "))
            items.append(Item(self.operands[i], self._indent(i, at), at.reserve if last else 0))
        return items

    def _indent(self, i: int, at: Place) -> int:
        """The lines of operators in operators are indented once more."""
        return at.indent + STEP * isinstance(self.operands[i], Operators)

    def fits_on_lines(self, indent: int, reserve: int) -> bool:
        """Whether each operand fits on a line of its own."""
        widths = [operand.width for operand in self.operands]
        for i, operator in enumerate(self.operators, 1):
            widths[i] += operator.width + 1
        widths[-1] += reserve
        return indent + max(widths) <= MOST


class Pipe(Doc):
    """A value, and the stages it goes through.

    Lines that were begun with `->` stay, as the groups of stages that they are.  Where a line has no room for
    its stages, each of them has its own.
    """

    __slots__ = ("head", "stages")

    def __init__(self, head: Doc, level: int) -> None:
        self.head = Value(head) if head.loose else head
        self.stages: list[tuple[Leaf, Doc]] = []
        self.level = level
        self.width = self.head.width
        self.opening = None
        self._holds(self.head, ())

    def append(self, arrow: Leaf, stage: Doc) -> None:
        """One more stage; comments between the arrow and the stage move before the arrow."""
        arrow.adopt(stage.first.comments, after=True)
        stage.first.comments = ()
        self.stages.append((arrow, stage))
        self.width += stage.width + 4
        self._hold(arrow)
        self._hold(stage)
        self.forced = self.forced or arrow.newline

    def parts(self) -> Iterable[Part]:
        yield self.head
        for arrow, stage in self.stages:
            yield from (" ", arrow, " ", stage)

    def layout(self, at: Place) -> list[Item]:
        groups: list[list[tuple[Leaf, Doc]]] = [[]]
        for arrow, stage in self.stages:
            if arrow.newline:
                groups.append([])
            groups[-1].append((arrow, stage))
        beside = groups.pop(0)
        indent = at.indent + STEP
        room = MOST - at.column - self.head.width - (0 if groups else at.reserve)
        together = not self.head.forced and self._go_together(beside, room, may_break=not groups)
        items = [Item(self.head, at.indent)]
        for arrow, stage in beside:
            if together:
                items += [Item(" "), Item(arrow), Item(" "), Item(stage, at.indent, at.reserve)]
            else:
                items += self._on_a_line(arrow, stage, indent, at.reserve)
        for group in groups:
            together = self._go_together(group, MOST + 1 - indent, may_break=True)
            items += self._on_a_line(*group[0], indent, at.reserve)
            for arrow, stage in group[1:]:
                if together:
                    items += [Item(" "), Item(arrow), Item(" "), Item(stage, indent, at.reserve)]
                else:
                    items += self._on_a_line(arrow, stage, indent, at.reserve)
        return items

    @staticmethod
    def _on_a_line(arrow: Leaf, stage: Doc, indent: int, reserve: int) -> list[Item]:
        line = Item(Newline(indent, indent))
        return [line, Item(arrow, indent), Item(" "), Item(stage, indent, reserve)]

    @staticmethod
    def _go_together(stages: Sequence[tuple[Leaf, Doc]], room: int, may_break: bool) -> bool:
        """Whether stages fit beside each other; the last may be one that has line breaks in its brackets."""
        if not stages:
            return True
        width = sum(stage.width + 4 for _, stage in stages)
        if any(stage.forced for _, stage in stages[:-1]):
            return False
        last = stages[-1][1]
        if not last.forced:
            return width <= room
        bracket = last_bracket(last)
        return may_break and bracket is not None and width - last.width + _before(last, bracket) <= room


class Value(Doc):
    """An expression that does not begin its line: if it needs line breaks, it gets parentheses for them."""

    __slots__ = ("expr",)

    def __init__(self, expr: Doc) -> None:
        self.expr = expr
        self.level = expr.level
        self.width = expr.width
        self.opening = 1 if expr.loose else _lead(expr)
        self._holds(expr, ())
        self.exposed = expr.exposed and not expr.loose  # otherwise the parentheses are around it
        self.loose = False

    def parts(self) -> Iterable[Part]:
        yield self.expr

    def layout(self, at: Place) -> list[Item]:
        expr = self.expr
        if not expr.loose:
            return [Item(expr, at.indent, at.reserve)]
        indent = at.indent + STEP
        lines = expr.fits_on_lines(indent, 0) if isinstance(expr, Operators) else indent + expr.width <= MOST
        if prefers_hugging(expr, at) and (expr.forced or not lines):
            return hug(expr, at)
        return [
            Item("("), Item(Newline(indent, indent)), Item(expr, indent),
            Item(Newline(at.indent, indent)), Item(")"),
        ]  # fmt: skip


def _lead(doc: Doc) -> int:
    """The width of what stands before the first line break that a document can have."""
    width = 0
    while not isinstance(doc, Leaf | Brackets | Operators):
        if isinstance(doc, Pipe):
            doc = doc.head
        elif isinstance(doc, Value):
            doc = doc.expr
        else:
            for part in doc.parts():
                if isinstance(part, Doc) and not isinstance(part, Leaf):
                    doc = part
                    break
                width += _width(part)
            else:
                return width
    return width + (doc.width if isinstance(doc, Leaf) else 1)


class Body(Doc):
    """Statements in braces; on one line only if there is at most one, and it was written so."""

    __slots__ = ("close", "open", "statements")

    def __init__(self, open: Leaf, statements: Sequence[Doc], close: Leaf) -> None:
        self.open, self.statements, self.close = open, statements, close
        self.first = open
        self.level = ATOM
        self.width = 4 + sum(statement.width for statement in statements) - (not statements)
        lines = [*(statement.first for statement in statements), close]
        apart = bool(statements) and any(leaf.newline for leaf in lines)
        inside = any(statement.forced for statement in statements)
        self.forced = apart or inside or any(leaf.comments for leaf in lines)
        self.exposed = self.loose = False
        self.opening = 1

    def parts(self) -> Iterable[Part]:
        yield self.open
        yield " "
        for statement in self.statements:
            yield from (statement, " ")
        yield self.close

    def layout(self, at: Place) -> list[Item]:
        if not self.statements and not self.close.comments:
            return [Item(self.open), Item(" "), Item(self.close)]
        indent = at.indent + STEP
        items = [Item(self.open, at.indent)]
        for i, statement in enumerate(self.statements):
            items.append(Item(Newline(indent, indent, blanks=True, opened=i == 0)))
            items.append(Item(statement, indent))
        opened = not self.statements
        closing = Newline(at.indent, indent, blanks=True, opened=opened, closing=True)
        return [*items, Item(closing), Item(self.close, at.indent)]


# ---------------------------------------------------------------- all on one line but the last brackets


def last_bracket(doc: Doc) -> Brackets | None:
    """The brackets that a document ends with, but for words behind them: those of `f` in `a + f(x) as y`."""
    while not isinstance(doc, Brackets):
        if isinstance(doc, Operators):
            doc = doc.operands[-1]
        elif isinstance(doc, Row):
            found = [part for part in doc.parts() if isinstance(part, Doc) and not isinstance(part, Leaf)]
            if not found or isinstance(found[-1], Value):
                return None
            doc = found[-1]
        else:
            return None
    return doc if doc.items or doc.close.comments else None


def _path_to(doc: Doc, bracket: Brackets) -> list[tuple[list[Part], list[Part]]]:
    """From the outside in, what stands before and what behind the brackets on the line."""
    path: list[tuple[list[Part], list[Part]]] = []
    while doc is not bracket:
        parts = list(doc.parts())
        at = max(i for i, part in enumerate(parts) if isinstance(part, Doc) and not isinstance(part, Leaf))
        path.append((parts[:at], parts[at + 1 :]))
        inner = parts[at]
        assert isinstance(inner, Doc)
        doc = inner
    return path


def _before(doc: Doc, bracket: Brackets) -> int:
    """The width of what stands before the last brackets, and of the opening one."""
    return 1 + sum(_width(part) for before, _ in _path_to(doc, bracket) for part in before)


def prefers_hugging(doc: Doc, at: Place) -> bool:
    """Whether only the last brackets have to be broken, and what stands before them fits."""
    bracket = last_bracket(doc)
    if bracket is None or bracket.open.comments:
        return False
    path = _path_to(doc, bracket)
    rest = [part for before, behind in path for part in (*before, *behind) if isinstance(part, Doc)]
    if any(part.forced or (part.first.comments and part.first is not doc.first) for part in rest):
        return False
    return at.column + _before(doc, bracket) <= MOST


def hug(doc: Doc, at: Place) -> list[Item]:
    """All on one line but for the last brackets."""
    bracket = last_bracket(doc)
    assert bracket is not None
    path = _path_to(doc, bracket)
    flat = [Item(part, at.indent, 0, Mode.FLAT) for before, _ in path for part in before]
    behind = [Item(part, at.indent, 0, Mode.FLAT) for _, after in reversed(path) for part in after]
    return [*flat, Item(bracket, at.indent, at.reserve, Mode.BROKEN), *behind]
