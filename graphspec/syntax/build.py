"""Building the LALR(1) tables from `grammars/gspec.lark` with Lark: the only module that imports it.

`python -m graphspec.syntax.build` rewrites `grammars/gspec.tables.json` after a change of the grammar; a test
compares the two.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from graphspec.syntax.tables import RESERVED, STARTS, folder


def build(strict: bool = False) -> dict[str, Any]:
    """The tables in their JSON form, freshly made by Lark from the grammar.

    `strict` also proves the grammar: no conflict between rules, no two terminals that match the same text.
    States are numbered in the order of a walk from the start states, so that the result does not depend on
    hashing.
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
    order: list[Any] = []
    numbers: dict[Any, int] = {}
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
    return bool(terminal.pattern.type == "str" and terminal.pattern.value.isidentifier())


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
    """The JSON text, a state or rule a line: a change of the grammar has a readable difference."""
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
    sys.stderr.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
