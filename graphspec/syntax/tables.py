"""The LALR(1) tables of the grammar, loaded from the JSON beside it (graphspec/syntax/build.py makes it).

Building them takes Lark and a good part of a second; loading takes a few milliseconds and the standard
library.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

STARTS = ("start", "expression", "definition")
RESERVED = ("AS", "IF", "ELSE", "AND", "OR", "NOT", "IS", "TRUE", "FALSE", "NONE")

Row = dict[str, int]
"""What to do in a state, by symbol: n >= 0 goes to state n, n < 0 reduces by rule -n - 1."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One production, and how the values of its symbols become arguments of its action.

    `take` lists the symbols whose values are kept: i >= 0 is the value of symbol i, -i - 1 the list that an
    inlined rule (`_item`, `x*`) gave, to be spliced in, None an optional part that is absent.
    `action` is "" where the production only groups: a list to be spliced in, or its single value passed on.
    `is_unit` says that it only passes one value on, `is_plain` that nothing is spliced or absent.
    """

    origin: str
    size: int
    action: str
    passes: bool
    take: tuple[int | None, ...]
    is_unit: bool = field(init=False)
    is_plain: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_unit", self.passes and self.size == 1 and self.take == (0,))
        object.__setattr__(self, "is_plain", all(i is not None and i >= 0 for i in self.take))


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything the lexer and the parser read: terminals in the order to try them, rules, states."""

    terminals: tuple[tuple[str, str], ...]
    words: dict[str, str]
    ignored: frozenset[str]
    rules: tuple[Rule, ...]
    states: tuple[Row, ...]
    starts: dict[str, int]
    ends: dict[str, int]


def folder() -> Path:
    """Where the grammar lies: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "grammars"
    return inside if inside.is_dir() else package.parent / "grammars"


@cache
def load() -> Tables:
    """The tables as kept in `gspec.tables.json`."""
    return decode(json.loads((folder() / "gspec.tables.json").read_text(encoding="ascii")))


@cache
def climb(below: int, top: int, terminal: str) -> int:
    """The state above `below` that units lead to from `top`, before a terminal.

    An operand alone is an expression of every level, from the tightest operator to the loosest; so most
    reductions are units, and the way up is always the same.
    """
    tables = load()
    while (action := tables.states[top].get(terminal)) is not None and action < 0:
        rule = tables.rules[-action - 1]
        if not rule.is_unit:
            break
        top = tables.states[below][rule.origin]
    return top


def decode(data: dict[str, Any]) -> Tables:
    """The tables from their JSON form."""
    return Tables(
        terminals=tuple((name, pattern) for name, pattern in data["terminals"]),
        words=data["words"],
        ignored=frozenset(data["ignored"]),
        rules=tuple(
            Rule(o, size, action, passes, tuple(take)) for o, size, action, passes, take in data["rules"]
        ),
        states=tuple(data["states"]),
        starts=data["starts"],
        ends=data["ends"],
    )
