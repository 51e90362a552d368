"""The LALR(1) automaton: runs Lark's tables over the lexer's tokens, and goes on after an error.

It is written here, not taken from Lark, for three reasons: nothing heavy is imported to read a small file;
actions run as productions are reduced, so no depth of text becomes a depth of recursion; and recovery needs
the stacks. tests/syntax/test_grammar.py checks that Lark reads every test file the same way.

Recovery is panic mode: whenever a statement begins, the height of the stack is marked; after an error the
stack is cut back to the mark, the text is skipped to the end of the statement, and reading goes on.  A
mistake that can only be meant in one way is repaired instead: the tokens that were meant are read in place
of those that stand there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from graphspec.diagnostics import Diagnostic, Source, Span
from graphspec.syntax.actions import Actions
from graphspec.syntax.lexing import MOST_ERRORS, OPENERS, Lexer, Token
from graphspec.syntax.recovery import Brackets, statement_end
from graphspec.syntax.tables import Rule, Tables, climb, load

MOST_BRACKETS = 100
MOST_STATES = 200
"""Beyond these a text is refused: brackets in brackets, states on the stack."""


@dataclass(slots=True)
class Mark:
    """Where the statements of a file or a body begin.

    `states` is the height of the stack and `previous` the last token before the statement; `brackets` are
    open there; `opener` is the brace around a body, `outer` the tokens of the statement that the body
    belongs to.
    """

    states: int
    previous: Token | None
    brackets: tuple[Token, ...] = ()
    opener: Token | None = None
    outer: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class Repair:
    """What an error says, and the tokens meant, or None where that cannot be known.

    `resume` is the place to go on at, where that is not behind the token or the broken statement; `leave`
    ends the innermost body.
    """

    diagnostic: Diagnostic | None
    tokens: tuple[Token, ...] | None = None
    resume: int | None = None
    leave: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error as the doctor sees it.

    `token` cannot follow; `statement` are the tokens of the statement before it; `accepted` could stand here.
    `places` are those of the values on the stack, `in_body` says that the statement stands in braces, whose
    `{` is `opener`.
    """

    source: Source
    token: Token
    statement: list[Token]
    accepted: frozenset[str]
    places: list[tuple[int, int]]
    lexer: Lexer
    brackets: Brackets
    opener: Token | None

    @property
    def in_body(self) -> bool:
        return self.opener is not None

    @property
    def inside_brackets(self) -> bool:
        """Whether the statement has a `(` or `[` open."""
        brackets = self.lexer.brackets
        return bool(brackets) and brackets[-1].type != "LBRACE"

    @property
    def previous(self) -> Token | None:
        return self.statement[-1] if self.statement else None

    def span(self, start: int, end: int) -> Span:
        return Span(self.source, start, end)

    def span_of(self, token: Token) -> Span:
        return Span(self.source, token.start, token.end)


@dataclass(slots=True)
class Outcome:
    """What a text gave: its value, or None; what was found; the places of the statements that were lost."""

    value: Any = None
    found: list[Diagnostic] = field(default_factory=list)
    lost: list[Span] = field(default_factory=list)


class Automaton:
    """One run over one text."""

    def __init__(self, lexer: Lexer, start: str, actions: Any = None) -> None:
        self.tables: Tables = load()
        self.lexer = lexer
        self.source = lexer.source
        self.end_state = self.tables.ends[start]
        self.states: list[int] = [self.tables.starts[start]]
        self.values: list[Any] = []
        self.places: list[tuple[int, int]] = []
        self.marks: list[Mark] = [Mark(1, None)]
        self.statement: list[Token] = []
        self.outcome = Outcome()
        self.brackets = Brackets(self.source.text)
        self.actions = actions or Actions(self.source)
        self._calls: list[Any] = [
            getattr(self.actions, f"on_{rule.action}", None) for rule in self.tables.rules
        ]
        self._tainted = False
        self._errors = 0

    def run(self, prelude: tuple[Token, ...] = ()) -> Outcome:
        """Read the whole text; `prelude` is read before it, as if it stood there."""
        rows = self.tables.states
        for token in prelude:
            self.feed(token)
            self.lexer.previous = token
        while self._errors + len(self.lexer.found) + len(self.actions.found) < MOST_ERRORS:
            found = len(self.lexer.found)
            token = self.lexer.next(rows[self.states[-1]])
            if len(self.lexer.found) > found:
                self._tainted = True
            if token.type == "$END" and self._errors and self.marks[0].states == 1:
                break
            if self.feed(token) and token.type == "$END":
                self.outcome.value = self.values[-1]
                break
        self.outcome.found += self.lexer.found
        self.outcome.found += self.actions.found
        return self.outcome

    # ---------------------------------------------------------------- shifting and reducing

    def feed(self, token: Token) -> bool:
        """Read one token, after all reductions it calls for; at an error, recover and return False."""
        rows, rules, states = self.tables.states, self.tables.rules, self.states
        while True:
            action = rows[states[-1]].get(token.type)
            if action is None:
                self.recover(token)
                return False
            if action >= 0:
                break
            if rules[-action - 1].is_unit:  # value and place stay as they are
                states[-1] = climb(states[-2], states[-1], token.type)
            else:
                self.reduce(-action - 1, token)
            if states[-1] == self.end_state and token.type == "$END":
                return True
        if len(states) > MOST_STATES or (token.type in OPENERS and len(self.lexer.brackets) > MOST_BRACKETS):
            self.too_deep(token)
            return False
        states.append(action)
        self.values.append(token)
        self.places.append((token.start, token.end))
        self.follow(token)
        return True

    def reduce(self, number: int, token: Token) -> None:
        """Replace the symbols of a production by its origin, with the value that its action makes."""
        rule = self.tables.rules[number]
        size, states, places = rule.size, self.states, self.places
        place = (places[-size][0], places[-1][1]) if size else (token.start, token.start)
        values = self.values[len(self.values) - size :]
        parts: list[Any]
        if rule.is_plain:
            parts = [values[index] for index in rule.take]  # type: ignore[index]  # plain: all are numbers
        else:
            parts = _spliced(rule, values)
        value: Any = parts
        if rule.passes and len(parts) == 1:
            value = parts[0]
        elif rule.action:
            value = self._calls[number](parts, Span(self.source, *place))
        if size == 1:  # as most are: what stands there is replaced
            states[-1] = self.tables.states[states[-2]][rule.origin]
            self.values[-1] = value
            return
        if size:
            del states[-size:], self.values[-size:], places[-size:]
        states.append(self.tables.states[states[-1]][rule.origin])
        self.values.append(value)
        places.append(place)

    def follow(self, token: Token) -> None:
        """Note where statements begin: after a newline, and after the brace that opens a body."""
        if token.type == "LBRACE":
            outer = (*self.statement, token)
            self.marks.append(Mark(len(self.states), token, tuple(self.lexer.brackets), token, outer))
        elif token.type == "RBRACE":
            self.statement = [*self.marks.pop().outer, token]
            return
        elif token.type == "_NL":
            mark = self.marks[-1]
            mark.states, mark.previous = len(self.states), token
        else:
            self.statement.append(token)
            return
        self.statement = []
        self._tainted = False

    # ---------------------------------------------------------------- errors

    def accepted(self) -> frozenset[str]:
        """The terminals that could follow, found by trying each on a copy of the states."""
        rows = self.tables.states
        return frozenset(
            s for s in rows[self.states[-1]] if (s.isupper() or s == "_NL") and self.accepts([s])
        )

    def accepts(self, types: list[str]) -> bool:
        """Whether these terminals could follow one after another."""
        rows, rules = self.tables.states, self.tables.rules
        states = self.states.copy()
        for type in types:
            while True:
                action = rows[states[-1]].get(type)
                if action is None:
                    return False
                if action >= 0:
                    states.append(action)
                    break
                rule = rules[-action - 1]
                if rule.size:
                    del states[-rule.size :]
                states.append(rows[states[-1]][rule.origin])
                if type == "$END" and states[-1] == self.end_state:
                    break
        return True

    def too_deep(self, token: Token) -> None:
        from graphspec.diagnostics.catalogue.syntax import nested_too_deep

        self._errors += 1
        self.report(nested_too_deep(Span(self.source, token.start, token.end)))
        self.panic(token)

    def recover(self, token: Token) -> None:
        """Say what is wrong, then read what was meant, or skip the statement."""
        from graphspec.syntax.doctor import doctor  # needed for wrong texts only

        self._errors += 1
        accepted, opener = self.accepted(), self.marks[-1].opener
        trouble = Trouble(
            self.source, token, self.statement, accepted, self.places, self.lexer, self.brackets, opener
        )
        repair = doctor(trouble)
        if repair.diagnostic is not None and not self._tainted:
            self.report(repair.diagnostic)
        if repair.tokens is not None and self.accepts([t.type for t in repair.tokens]):
            for meant in repair.tokens:
                self.feed(meant)
            if repair.resume is not None:
                self.lexer.position = repair.resume
            self.lexer.previous = self.statement[-1] if self.statement else self.marks[-1].previous
            return
        self.panic(token, repair.resume, repair.leave)

    def report(self, diagnostic: Diagnostic) -> None:
        """Keep a diagnostic, once."""
        same = (diagnostic.id, diagnostic.primary and diagnostic.primary.span)
        if all((d.id, d.primary and d.primary.span) != same for d in self.outcome.found):
            self.outcome.found.append(diagnostic)

    def panic(self, token: Token, resume: int | None = None, leave: bool = False) -> None:
        """Give up the statement, or with `leave` the body around it; go on behind it, or at `resume`."""
        first = self.statement[0].start if self.statement else token.start
        if (leave or token.type == "$END") and len(self.marks) > 1:
            first = self.marks.pop().outer[0].start
        mark = self.marks[-1]
        if resume is None:
            opened = self.lexer.brackets[len(mark.brackets) :]
            resume = statement_end(self.brackets, token.start, opened, len(self.marks) > 1, self.lexer.end)
        self.outcome.lost.append(Span(self.source, min(first, resume), resume))
        del self.states[mark.states :], self.values[mark.states - 1 :], self.places[mark.states - 1 :]
        self.lexer.brackets[:] = mark.brackets
        self.lexer.previous = mark.previous
        self.lexer.position = resume
        self.statement = []
        self._tainted = False


def _spliced(rule: Rule, values: list[Any]) -> list[Any]:
    """The parts of a production, with the items of lists among its values, and None for what is absent."""
    take = rule.take
    parts: list[Any] = []
    if not rule.action and take and take[0] == -1:  # a list that grows by one: no copy, or it costs a square
        parts, take = values[0], take[1:]
    for index in take:
        if index is None:
            parts.append(None)
        elif index >= 0:
            parts.append(values[index])
        else:
            parts += values[-index - 1]
    return parts
