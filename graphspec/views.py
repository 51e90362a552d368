"""Graphs to look at: printed as `.gspec` text, drawn in notebooks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from graphspec.ir import Graph, Value
from graphspec.lowering.module import Module

if TYPE_CHECKING:
    from graphspec.lifting.facts import Facts, Measured


@dataclass(frozen=True, eq=False)
class View(Graph):
    """A graph of a file that can be looked at: printed it is `.gspec` text, in a notebook it is drawn.

    `whole` gives the same graph as people read it, with calls of definitions in one piece, where this one
    is the graph as it is run.  Drawings with more than `limit` boxes have blocks folded into one box each.
    They say what values were in a run where `measured` has that.
    """

    module: Module | None = None
    title: str = ""
    whole: Callable[[], Graph] | None = None
    measured: Mapping[Value, Measured] = field(default_factory=dict)

    @cached_property
    def shown(self) -> Graph:
        """The graph that is printed and drawn."""
        return self.whole() if self.whole else self

    @cached_property
    def facts(self) -> Facts:
        """What the file says beside the graph."""
        from graphspec.facts import facts_of
        from graphspec.lifting.facts import Facts

        found = facts_of(self.module, self.title) if self.module else Facts(title=self.title)
        return replace(found, measured=self.measured)

    def __str__(self) -> str:
        from graphspec.lifting.gspec import print_graph

        return print_graph(self.shown, self.facts)

    def to_svg(self, *, limit: int | None = None) -> str:
        """A drawing as SVG."""
        from graphspec.lifting.svg import print_svg

        return print_svg(self.shown, self.facts, limit)

    def to_dot(self, *, limit: int | None = None) -> str:
        """A drawing as text for Graphviz."""
        from graphspec.lifting.dot import print_dot

        return print_dot(self.shown, self.facts, limit)

    def to_mermaid(self, *, limit: int | None = None) -> str:
        """A drawing as text for Mermaid."""
        from graphspec.lifting.mermaid import print_mermaid

        return print_mermaid(self.shown, self.facts, limit)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook shows."""
        return {
            "image/svg+xml": self.to_svg(),
            "text/vnd.mermaid": self.to_mermaid(),
            "text/plain": str(self),
        }
