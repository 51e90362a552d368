"""Symptoms of other languages' habits: how they show as syntax errors (see `doctor`), and what is meant."""

from __future__ import annotations

import re

from graphspec.diagnostics import Edit, Fix, Span
from graphspec.diagnostics.catalogue import reflexes
from graphspec.syntax.automaton import Repair, Trouble
from graphspec.syntax.lexing import Token
from graphspec.syntax.recovery import indentation, statement_end

LET = {"let", "var", "local", "val", "auto", "mut", "set", "my"}

STATEMENTS = {
    "def": "an op is `op name(x) = ...`, a block that owns weights `block name(x) { ... }`",
    "function": "an op is `op name(x) = ...`, a block that owns weights `block name(x) { ... }`",
    "fn": "an op is `op name(x) = ...`, a block that owns weights `block name(x) { ... }`",
    "func": "an op is `op name(x) = ...`, a block that owns weights `block name(x) { ... }`",
    "class": "a network is the file itself, a part with weights a `block name(x) { ... }`",
    "module": "a network is the file itself, a part with weights a `block name(x) { ... }`",
    "model": "a network is the file itself, a part with weights a `block name(x) { ... }`",
    "struct": "a network is the file itself, a part with weights a `block name(x) { ... }`",
    "from": 'other files are imported whole: `import "blocks/resnet.gspec" as resnet`',
    "using": 'other files are imported whole: `import "blocks/resnet.gspec" as resnet`',
    "include": 'other files are imported whole: `import "blocks/resnet.gspec" as resnet`',
    "for": "a chain is `x -> repeat(4, f())`, a list `each(i in 0..4, f(x))`",
    "while": "a chain is `x -> repeat(4, f())`; there are no loops whose end depends on data",
    "repeat": "a chain is `x -> repeat(4, f()) as stage`",
    "with": "to keep gradients from flowing there is `stop_gradient(x)`",
    "assert": 'in a body there is `require condition, "message"`',
    "raise": 'in a body there is `require condition, "message"`',
    "end": "bodies end with `}`",
    "pass": "an empty body is `{ }`",
    "del": "nothing needs to be deleted",
    "global": "bodies see the constants of their file",
    "elif": "after `}`, on the same line, there is `else if`",
    "switch": "values are chosen by `a if condition else b`, statements in a body by `if`",
    "match": "values are chosen by `a if condition else b`, statements in a body by `if`",
    "try": "there are no exceptions",
    "type": "a type is written where it is used: `x: f32[N, 3]`",
}
"""First words of statements elsewhere, and what there is here."""


def comment(t: Trouble) -> Repair | None:
    """`//`, `--` or `%` at the start of a line; behind a statement, before words that no expression has."""
    if not t.statement:
        opener = _comment_opener(t, t.token)
    else:
        opener = None
        line = t.source.position(t.token.start)[0]
        here = [token for token in t.statement if t.source.position(token.start)[0] == line]
        for token in here:
            opener = opener or (_comment_opener(t, token) if _after_space(t, token) else None)
        prose = t.previous is not None and t.previous.type == "NAME" and t.token.text[:1].isalpha()
        if opener is not None and not prose and t.previous not in (opener, _second_dash(t, opener)):
            return None
    if opener is None:
        return None
    sign = "--" if opener.type == "MINUS" else opener.text
    place = t.span(opener.start, opener.start + len(sign))
    return Repair(reflexes.foreign_comment(place, sign, (Edit(place, "#"),)))


def _comment_opener(t: Trouble, token: Token) -> Token | None:
    double = t.source.text.startswith("--", token.start)
    percent = token.type == "PERCENT" and not t.statement
    return token if token.type == "FLOOR" or (token.type == "MINUS" and double) or percent else None


def _after_space(t: Trouble, token: Token) -> bool:
    return t.source.text[token.start - 1 : token.start].isspace()


def _second_dash(t: Trouble, opener: Token) -> Token | None:
    return next((token for token in t.statement if token.start == opener.start + 1), None)


def docstring(t: Trouble) -> Repair | None:
    """A string that stands as a statement, as Python's documentation does."""
    if t.statement or t.token.type != "STRING":
        return None
    text, start = t.source.text, t.token.start
    if text.startswith('"""', start):
        end = text.find('"""', start + 3, t.lexer.end)
        end = t.lexer.end if end < 0 else end + 3
        inner = text[start + 3 : end].removesuffix('"""')
        lines = [line.strip() for line in inner.strip().split("\n")]
        indent = "\n" + " " * indentation(text, start)
        new = indent.join(f"## {line}".rstrip() for line in lines)
        place = t.span(start, start + 3)
        resume = statement_end(t.brackets, end, (), t.in_body, t.lexer.end)
        return Repair(reflexes.foreign_comment(place, '"""', (Edit(t.span(start, end), new),)), resume=resume)
    inner = t.token.text[1:-1].strip()
    edit = Edit(t.span_of(t.token), f"## {inner}")
    return Repair(reflexes.foreign_comment(t.span_of(t.token), '"""', (edit,)))


def statement_of_another_language(t: Trouble) -> Repair | None:
    """`def`, `let`, `for`, decorators and their like; an indented block below belongs to them."""
    if not t.statement:
        adjacent = re.match(r"[A-Za-z_]", t.source.text[t.token.end :])
        if t.token.type != "AT" or not adjacent or indentation(t.source.text, t.token.start) > 0:
            return None
        help = "there are no decorators; an op may have its derivative written in its body"
        return Repair(reflexes.foreign_statement(t.span_of(t.token), help))
    first = t.statement[0]
    if first.type != "NAME" or len(t.statement) > 2:
        return None
    if first.text in LET and t.token.type == "NAME" and len(t.statement) == 1:
        gap = t.span(first.start, t.token.start)
        fix = Fix(f"remove `{first.text}`", (Edit(gap, ""),))
        diagnostic = reflexes.foreign_statement(t.span_of(first), "a value is named by `name = ...`", fix)
        return Repair(diagnostic)
    if first.text not in STATEMENTS or t.token.type == "EQUAL":
        return None
    if len(t.statement) == 2 and t.statement[1].type != "COLON":
        return None
    diagnostic = reflexes.foreign_statement(t.span_of(first), STATEMENTS[first.text])
    return Repair(diagnostic, resume=_end_of_indented(t, first))


def backward(t: Trouble, place: Span) -> Repair:
    """`loss.backward()`, `optimizer.step()`."""
    help = "a gradient is asked for, `graphspec grad FILE --wrt NAME`, or is a value, `grad(loss, x)`"
    return Repair(reflexes.foreign_statement(place, help))


def parenthesised_targets(t: Trouble) -> Repair | None:
    """`(a, b) = f(x)`."""
    if t.statement or t.token.type != "LPAR":
        return None
    closer = t.brackets.closer(t.token.start)
    if closer is None or not re.match(r"[ \t]*=(?!=)", t.source.text[closer + 1 :]):
        return None
    edits = (Edit(t.span_of(t.token), ""), Edit(t.span(closer, closer + 1), ""))
    return Repair(reflexes.parenthesised_targets(t.span(t.token.start, closer + 1), edits))


def assignment_sign(t: Trouble) -> Repair | None:
    """`x == 3`, `x <- 3` and `x := 3` as statements."""
    if not t.statement or not all(token.type in ("NAME", "DOT", "INT", "COLON") for token in t.statement):
        return None
    before = t.statement[-1]
    if t.token.type == "EQUAL" and before.type == "COLON" and before.end == t.token.start:
        return Repair(reflexes.assignment_sign(t.span(before.start, t.token.end), "="))
    if t.token.type != "COMPARE" or "EQUAL" not in t.accepted:
        return None
    equal = Token("EQUAL", "=", t.token.start, t.token.end)
    if t.token.text == "==":
        return Repair(reflexes.assignment_sign(t.span_of(t.token), "="), tokens=(equal,))
    if t.token.text == "<" and t.source.text.startswith("-", t.token.end):
        place = t.span(t.token.start, t.token.end + 1)
        return Repair(reflexes.assignment_sign(place, "="), tokens=(equal,), resume=t.token.end + 1)
    return None


def method_call(t: Trouble) -> Repair | None:
    """`x:relu()`, as a value or alone."""
    text = t.source.text
    if t.token.type == "COLON" and t.previous is not None and t.previous.end == t.token.start:
        if not re.match(r"[A-Za-z_][\w.]*\(", text[t.token.end :]):
            return None
        pipe = Token("PIPE", "->", t.token.start, t.token.end)
        diagnostic = reflexes.method_call(t.span_of(t.token), Edit(t.span_of(t.token), " -> "))
        return Repair(diagnostic, tokens=(pipe,))
    alone = [token.type for token in t.statement] == ["NAME", "COLON", "NAME"]
    if t.token.type == "LPAR" and alone and t.statement[0].end == t.statement[1].start:
        return Repair(reflexes.method_call(t.span_of(t.statement[1]), None))
    return None


def body_without_braces(t: Trouble) -> Repair | None:
    """`block f(x):`, `if c:`, `if c then`."""
    if not t.statement or t.inside_brackets or "LBRACE" not in t.accepted:
        return None
    rest = t.source.text[t.token.end :].split("\n", 1)[0]
    colon = t.token.type == "COLON" and (
        not rest.strip() or rest.strip().startswith("#") or t.statement[0].type == "IF"
    )
    if not colon and t.token.text != "then":
        return None
    return Repair(
        reflexes.body_without_braces(t.span_of(t.token)), resume=_end_of_indented(t, t.statement[0])
    )


def else_if(t: Trouble) -> Repair | None:
    if t.token.text not in ("elif", "elseif", "elsif") or t.previous is None or t.previous.type != "RBRACE":
        return None
    meant = (Token("ELSE", "else", t.token.start, t.token.end), Token("IF", "if", t.token.start, t.token.end))
    return Repair(reflexes.foreign_else_if(t.span_of(t.token)), tokens=meant)


def lambda_or_comprehension(t: Trouble) -> Repair | None:
    if t.previous is not None and t.previous.type == "NAME" and t.previous.text == "lambda":
        help = "a function of one's own is an op: `op name(x) = ...`"
        return Repair(reflexes.foreign_statement(t.span_of(t.previous), help))
    if t.token.text == "for" and t.inside_brackets:
        return Repair(reflexes.foreign_statement(t.span_of(t.token), "a list is `each(i in 0..4, f(x))`"))
    return None


def equals_in_condition(t: Trouble) -> Repair | None:
    """`=` where a condition stands: in `if`, `require`, and `a if b else c`."""
    if t.token.type != "EQUAL" or not t.statement or "PLUS" not in t.accepted:
        return None
    condition = t.statement[0].type in ("IF", "REQUIRE") or any(
        token.type in ("IF", "WHERE") for token in t.statement
    )
    if not condition:
        return None
    meant = Token("COMPARE", "==", t.token.start, t.token.end)
    return Repair(reflexes.equals_in_condition(t.span_of(t.token)), tokens=(meant,))


def braces_literal(t: Trouble) -> Repair | None:
    """`{1, 2}` and `{"a": 1}` where a value stands."""
    if t.token.type != "LBRACE" or not {"INT", "STRING"} <= t.accepted:
        return None
    closer = t.brackets.closer(t.token.start)
    edits: tuple[Edit, ...] = ()
    if closer is not None and not re.search(r"[:={\n]|\A\s*\Z", t.source.text[t.token.end : closer]):
        edits = replace_brackets(t, t.token.start, closer)
    resume = None if closer is None else statement_end(t.brackets, closer + 1, (), t.in_body, t.lexer.end)
    return Repair(reflexes.braces_literal(t.span_of(t.token), edits), resume=resume)


def replace_brackets(t: Trouble, opener: int, closer: int) -> tuple[Edit, ...]:
    """The edits that make `[` and `]` of a pair of brackets."""
    return (Edit(t.span(opener, opener + 1), "["), Edit(t.span(closer, closer + 1), "]"))


def called_call(t: Trouble) -> Repair | None:
    """`linear(64)(x)`: the tensors move to the front of the first call."""
    before = t.previous
    if t.token.type != "LPAR" or before is None or before.type != "RPAR" or before.end != t.token.start:
        return None
    opener = next((o for o, c in t.brackets.pairs.items() if c == before.start), None)
    closer = t.brackets.closer(t.token.start)
    name = next((token for token in t.statement if opener is not None and token.end == opener), None)
    edits: tuple[Edit, ...] = ()
    if opener is not None and closer is not None and name is not None and name.type in ("NAME", "INT"):
        tensors = t.source.text[t.token.end : closer].strip().rstrip(",")
        empty = not t.source.text[opener + 1 : before.start].strip()
        if tensors and "\n" not in tensors:
            moved = tensors if empty else f"{tensors}, "
            edits = (Edit(t.span(opener + 1, opener + 1), moved), Edit(t.span(t.token.start, closer + 1), ""))
    return Repair(reflexes.called_call(t.span_of(t.token), edits))


def _end_of_indented(t: Trouble, first: Token) -> int:
    """The end of the lines below that are indented more, in other languages the body of the statement."""
    text = t.source.text
    limit = indentation(text, first.start)
    end = statement_end(t.brackets, t.token.start, (), t.in_body, t.lexer.end)
    while end < t.lexer.end and text[end] == "\n":
        line = re.compile(r"\n((?:[ \t]*\r?\n)*)([ \t]*)([^\n]*)").match(text, end, t.lexer.end)
        assert line is not None
        if not line.group(3) or len(line.group(2)) <= limit or (line.group(3).startswith("}") and t.in_body):
            break
        end = line.end()
    return end
