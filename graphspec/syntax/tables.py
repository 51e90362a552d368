"""The LALR(1) tables of the grammar: built by Lark from `gspec.lark`, kept beside it as JSON, loaded when parsing.

Building takes Lark and a good part of a second; loading takes a few milliseconds and only the standard library.
`python -m graphspec.syntax.tables` rewrites the JSON after a change of the grammar; a test compares the two.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
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
    """

    origin: str
    size: int
    action: str
    passes: bool
    take: tuple[int | None, ...]


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


def decode(data: dict[str, Any]) -> Tables:
    """The tables from their JSON form."""
    return Tables(
        terminals=tuple((name, pattern) for name, pattern in data["terminals"]),
        words=data["words"],
        ignored=frozenset(data["ignored"]),
        rules=tuple(Rule(o, size, action, passes, tuple(take)) for o, size, action, passes, take in data["rules"]),
        states=tuple(data["states"]),
        starts=data["starts"],
        ends=data["ends"],
    )


def build(strict: bool = False) -> dict[str, Any]:
    """The tables in their JSON form, freshly made by Lark from the grammar.

    `strict` also proves the grammar: no conflict between rules, no two terminals that match the same text.
    States are numbered in the order of a walk from the start states, so that the result does not depend on hashing.
    """
    import lark

    class Words:
        """What Lark asks of a post-lexer; here only which terminals every state may see."""

        always_accept = ("_NL", "NAME", *RESERVED)

        def process(self, stream: Any) -> Any:
            return stream

    parser: Any = lark.Lark(
        (folder() / "gspec.lark").read_text(encoding="utf-8"),
        parser="lalr",
        lexer="contextual",
        start=list(STARTS),
        maybe_placeholders=True,
        postlex=Words(),
        strict=strict,
    )
    table = parser.parser.parser._parse_table
    order, numbers = [], {}
    queue = [table.start_states[start] for start in STARTS]
    for state in queue:
        if state in numbers:
            continue
        numbers[state] = len(order)
        order.append(state)
        row = table.states[state]
        queue.extend(row[symbol][1] for symbol in sorted(row) if isinstance(row[symbol][1], int))

    rules: list[Any] = []
    known: dict[Any, int] = {}
    states = []
    for state in order:
        row = {}
        for symbol, (_, target) in sorted(table.states[state].items()):
            if isinstance(target, int):
                row[symbol] = numbers[target]
            else:
                if target not in known:
                    known[target] = len(rules)
                    rules.append(_rule(target))
                row[symbol] = -known[target] - 1
        states.append(row)

    terminals = sorted(
        parser.terminals, key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name)
    )
    return {
        "terminals": [[t.name, t.pattern.to_regexp()] for t in terminals if not _is_word(t)],
        "words": {t.pattern.value: t.name for t in terminals if _is_word(t)},
        "ignored": sorted(parser.ignore_tokens),
        "rules": rules,
        "states": states,
        "starts": {start: numbers[table.start_states[start]] for start in STARTS},
        "ends": {start: numbers[table.end_states[start]] for start in STARTS},
    }


def _is_word(terminal: Any) -> bool:
    return terminal.pattern.type == "str" and terminal.pattern.value.isidentifier()


def _rule(rule: Any) -> list[Any]:
    """A Lark rule as the arguments of `Rule`: which values are kept, as Lark's own tree builder would."""
    missing = [0] * (len(rule.expansion) + 1)
    if rule.options.empty_indices:
        flags = "".join("1" if empty else "0" for empty in rule.options.empty_indices)
        missing = [len(ones) for ones in flags.split("0")]
    take: list[int | None] = []
    for i, symbol in enumerate(rule.expansion):
        take += [None] * missing[i]
        if symbol.is_term:
            if not symbol.filter_out:
                take.append(i)
        else:
            take.append(-i - 1 if symbol.name.startswith("_") else i)
    take += [None] * missing[-1]
    origin = str(rule.origin.name)
    passes = bool(rule.options.expand1) and not rule.alias
    action = "" if origin.startswith("_") else rule.alias or origin
    return [origin, len(rule.expansion), action, passes, take]


def dump(data: dict[str, Any]) -> str:
    """The JSON text: one state and one rule a line, so that a change of the grammar has a readable difference."""
    parts = []
    for key, value in data.items():
        if key in ("rules", "states", "terminals"):
            lines = ",\n".join(json.dumps(item, separators=(",", ":")) for item in value)
            parts.append(f'"{key}":[\n{lines}\n]')
        else:
            parts.append(f'"{key}":{json.dumps(value, separators=(",", ":"))}')
    return "{" + ",\n".join(parts) + "}\n"


def main() -> None:
    """Rewrite `gspec.tables.json` from `gspec.lark`."""
    path = folder() / "gspec.tables.json"
    path.write_text(dump(build(strict=False)), encoding="ascii")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
