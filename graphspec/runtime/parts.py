"""The functions that a program's text is made of, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from graphspec.ir import Node, Size, Value

Shape: TypeAlias = "tuple[Size, ...]"


@dataclass(eq=False)
class Part:
    """A function of the program: what it sets up once, what it does at each call.

    `needs` are the arrays of other parts, and inputs, that it reads; `makes` those that it makes and
    that are not storage of the arena, which every part can set up for itself.
    """

    setup: list[tuple[str, Node | None]] = field(default_factory=list)
    lines: list[tuple[str, Node | None]] = field(default_factory=list)
    steps: int = 0
    bound: set[Value] = field(default_factory=set)
    needs: dict[str, None] = field(default_factory=dict)
    makes: dict[str, None] = field(default_factory=dict)
    shaped: dict[tuple[str, Shape], str] = field(default_factory=dict)


class Writer:
    """Lines of text, and the node that each belongs to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.nodes: dict[int, Node] = {}

    def add(self, text: str, node: Node | None = None) -> None:
        self.lines.append(text)
        if node is not None:
            self.nodes[len(self.lines)] = node

    def function(self, name: str, part: Part, parameters: Iterable[str], last: str) -> None:
        self.add("")
        self.add("")
        self.add(f"def {name}(arena, xp, kernels):")
        for text, node in part.setup:
            self.add(f"    {text}", node)
        if part.setup:
            self.add("")
        self.add(f"    def run({', '.join(parameters)}):")
        for text, node in part.lines:
            self.add(f"        {text}", node)
        self.add(f"        {last}")
        self.add("")
        self.add("    return run")

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"
