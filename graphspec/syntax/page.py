"""From layouts to lines: what fits is put on one line, the rest asked for its layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from graphspec.syntax.concrete import Comment
from graphspec.syntax.layout import MOST, Item, Leaf, Mode, Newline, Place


def lay_out(items: Sequence[Item]) -> str:
    """The text of a layout, with a newline at its end."""
    page = _Page()
    page.pending = Newline(0, 0, blanks=True, opened=True)
    stack = list(reversed(items))
    while stack:
        what, indent, reserve, mode = stack.pop()
        if isinstance(what, str):
            page.write(what)
        elif isinstance(what, Newline):
            page.pending = what
        elif isinstance(what, Leaf):
            page.leaf(what, indent)
        else:
            column = indent if what.first.comments else page.column
            fits = not what.forced and column + what.width + reserve <= MOST
            if mode is Mode.FLAT or (mode is Mode.FIT and fits):
                stack.extend(Item(part, indent, 0, Mode.FLAT) for part in reversed(list(what.parts())))
            else:
                stack.extend(reversed(what.layout(Place(column, indent, reserve))))
    return page.text()


class _Page:
    """Lines as they are written; a line break waits for what comes behind it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line: list[str] = []
        self.width = 0
        self.pending: Newline | None = None

    @property
    def column(self) -> int:
        return self.width if self.pending is None else self.pending.indent

    def write(self, text: str) -> None:
        if self.pending is not None:
            self._break(self.pending.indent, blank=False)
            self.pending = None
        self._add(text)

    def leaf(self, leaf: Leaf, indent: int) -> None:
        if leaf.comments:
            self._comments(leaf.comments, indent)
        if self.pending is not None:
            keep = self.pending.blanks and not (self.pending.opened or self.pending.closing)
            self._break(self.pending.indent, blank=leaf.blank and keep)
            self.pending = None
        self._add(leaf.text)

    def _comments(self, comments: Sequence[Comment], indent: int) -> None:
        """Comments, each to the end of its line, so that a line break follows."""
        line = self.pending or Newline(indent, indent)
        for comment in comments:
            if comment.own_line:
                self._break(line.comments, blank=comment.blank and line.blanks and not line.opened)
                line = replace(line, opened=False)
                self._add(comment.text)
            else:
                self._add(f"  {comment.text}")
        self.pending = line

    def _break(self, indent: int, blank: bool) -> None:
        if self.line or self.lines:
            self.lines.append("".join(self.line).rstrip())
            if blank:
                self.lines.append("")
        self.line = [" " * indent]
        self.width = indent

    def _add(self, text: str) -> None:
        self.line.append(text)
        self.width += len(text)

    def text(self) -> str:
        return "\n".join([*self.lines, "".join(self.line).rstrip()]).rstrip("\n") + "\n"
