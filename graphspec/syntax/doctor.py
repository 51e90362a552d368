"""What is wrong with a statement that cannot be read on: the first symptom that fits gives the diagnostic.

A symptom is a function from the trouble to a repair, or None.  The most specific come first; what none knows
is an unexpected token.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from graphspec.diagnostics import Edit
from graphspec.diagnostics.catalogue import reflexes, statements, syntax
from graphspec.syntax import habits, words
from graphspec.syntax.automaton import Repair, Trouble
from graphspec.syntax.lexing import CLOSERS, Token
from graphspec.syntax.recovery import indentation, outdented_line

BINARY = words.BINARY | {"ELSE"}
OPEN_ENDED = BINARY | {"NOT", "EQUAL", "COMMA", "TILDE", "COLON"}
DECLARING = {"INPUT", "PARAM", "BUFFER", "NOISE"}


def doctor(trouble: Trouble) -> Repair:
    """The diagnosis, and the repair where one is certain."""
    for symptom in SYMPTOMS:
        repair = symptom(trouble)
        if repair is not None:
            return repair
    return unexpected(trouble)


def unexpected(t: Trouble) -> Repair:
    """Something else was expected here; a line that ends too early is blamed on its end."""
    place = t.span_of(t.token)
    ends = t.token.type in ("_NL", "$END") or (t.token.type == "PIPE" and "\n" in t.token.text)
    if ends and t.previous is not None:
        place = t.span(t.previous.end, t.previous.end)
    help = ""
    first = t.statement[0] if t.statement else t.token
    one = first.type in words.STATEMENT_WORDS - {"RETURN", "REQUIRE"}
    if t.token.type == "COMMA" and one and not t.inside_brackets:
        help = f"each `{first.text}` stands on a line of its own"
    return Repair(syntax.unexpected_token(place, words.found(t.token), words.expected(t.accepted), help))


# ---------------------------------------------------------------- brackets


def unclosed_bracket(t: Trouble) -> Repair | None:
    """A `(` or `[` without its closer, or with one behind a line that begins as the next statement would.

    Reading goes on at the next line that is not indented more, or behind the body whose `{` was met.
    """
    text = t.source.text
    for opener in reversed(t.lexer.brackets):
        if opener == t.token and opener.type == "LBRACE":
            continue
        if opener.type == "LBRACE":
            break
        if t.brackets.closer(opener.start) is None or _begins_a_line(t):
            noticed = None if t.token == opener or t.token.type == "$END" else t.span_of(t.token)
            diagnostic = syntax.unclosed_bracket(t.span_of(opener), noticed)
            if t.token.type == "LBRACE" and t.brackets.closer(t.token.start) is not None:
                return Repair(diagnostic)
            resume = outdented_line(text, opener.start, t.lexer.end)
            return Repair(diagnostic, resume=t.lexer.end if resume is None else resume)
    return None


def _begins_a_line(t: Trouble) -> bool:
    """Whether the token is the first on its line, which is indented no more than the statement being read."""
    text, start = t.source.text, t.token.start
    if not t.statement or t.token.type in CLOSERS or text[text.rfind("\n", 0, start) + 1 : start].strip():
        return False
    return t.token.type != "$END" and indentation(text, start) <= indentation(text, t.statement[0].start)


def unclosed_brace(t: Trouble) -> Repair | None:
    """A `{` without its `}`: noticed at the end, or at a line that stands as far left as the brace's."""
    if t.opener is None or t.brackets.closer(t.opener.start) is not None:
        return None
    first = t.statement[0] if t.statement else t.token
    noticed = None if t.token.type == "$END" else t.span_of(first)
    diagnostic = syntax.unclosed_bracket(t.span_of(t.opener), noticed)
    if t.token.type == "$END":
        return Repair(diagnostic, leave=True, resume=t.lexer.end)
    if indentation(t.source.text, first.start) > indentation(t.source.text, t.opener.start):
        return None
    resume = outdented_line(t.source.text, t.opener.start, t.lexer.end)
    return Repair(diagnostic, leave=True, resume=resume)


def unmatched_bracket(t: Trouble) -> Repair | None:
    if t.token.type not in CLOSERS or t.token.start in t.brackets.closers:
        return None
    return Repair(syntax.unmatched_bracket(t.span_of(t.token)), tokens=())


# ---------------------------------------------------------------- lines


def line_ends_early(t: Trouble) -> Repair | None:
    """The line ends after `->` or an operator, and the next, indented more, goes on."""
    before = t.previous
    if t.token.type != "_NL" or before is None or not _goes_on(t):
        return None
    follow = t.lexer.position
    if before.type == "PIPE":
        start = before.end - 2
        gap = t.span(start - (t.source.text[start - 1] == " "), follow)
        plain = t.source.text[before.end : follow].isspace()
        diagnostic = syntax.arrow_at_line_end(t.span(start, before.end), gap if plain else None)
        return Repair(diagnostic, tokens=())
    if before.type in OPEN_ENDED:
        plain = t.source.text[before.end : follow].isspace()
        join = t.span(before.end, follow) if plain else None
        return Repair(syntax.broken_line(t.span_of(before), before.text, join), tokens=())
    return None


def _goes_on(t: Trouble) -> bool:
    """Whether the next line is indented more than the statement and begins like an operand."""
    text, follow = t.source.text, t.lexer.position
    if follow >= t.lexer.end or not re.match(r"[\w\"(\[-]", text[follow]):
        return False
    return indentation(text, follow) > indentation(text, t.statement[0].start)


def line_starts_with_operator(t: Trouble) -> Repair | None:
    if t.statement or t.token.type not in BINARY - {"IF", "ELSE"}:
        return None
    text, start = t.source.text, t.token.start
    gap = re.search(r"\s*\Z", text[:start])
    assert gap is not None
    line = text[text.rfind("\n", 0, gap.start()) + 1 : gap.start()]
    join = t.span(gap.start(), start) if line.strip() and "#" not in line else None
    return Repair(syntax.broken_line(t.span_of(t.token), t.token.text, join))


def else_on_new_line(t: Trouble) -> Repair | None:
    if t.statement or t.token.type != "ELSE":
        return None
    before = t.source.text[: t.token.start].rstrip()
    if not before.endswith("}"):
        return None
    place = t.span_of(t.token)
    return Repair(syntax.else_on_new_line(place, t.span(len(before), t.token.start)))


# ---------------------------------------------------------------- statements


def misplaced_statement(t: Trouble) -> Repair | None:
    """A word that begins statements elsewhere."""
    first = t.statement[0] if t.statement else t.token
    if first.type == "IF" and not t.statement and not t.in_body:
        why = "a file chooses by `a if condition else b`; an `if` with a body stands in a block or op"
        return Repair(statements.misplaced_statement(t.span_of(first), "`if`", why))
    if first.type != "NAME" or len(t.statement) != 1:
        return None
    if first.text == "gspec":
        why = "the header is the first statement, and the only one of its kind"
    elif first.text.upper() not in words.STATEMENT_WORDS:
        return None
    elif t.in_body:
        why = f"`{first.text}` stands in the file, outside of blocks and ops"
    else:
        why = f"`{first.text}` stands in the body of a block or an op"
    return Repair(statements.misplaced_statement(t.span_of(first), f"`{first.text}`", why))


_FORMS = {
    "DIM": "dim N = 100",
    "IMPORT": 'import "blocks/resnet.gspec" as resnet',
    "RETURN": "return ...",
    "REQUIRE": 'require condition, "message"',
    "GRADIENT": "gradient(dy) x = ...",
    "SURROGATE": "surrogate(dy) x = ...",
    "BLOCK": "block name(x) { ... }",
    "OP": "op name(x) = ...",
    "INIT": "init conv1.weight ~ normal()",
    **{type: f"{type.lower()} name: f32[N, 3]" for type in DECLARING},
}


def statement_word_as_name(t: Trouble) -> Repair | None:
    if len(t.statement) != 1 or t.token.type not in ("EQUAL", "COMMA", "COLON", "DOT", "PIPE"):
        return None
    word = t.statement[0]
    if word.type not in words.STATEMENT_WORDS or word.type == "RETURN":
        return None
    if t.token.type == "DOT" and t.source.text.startswith("backward", t.token.end):
        return habits.backward(t, t.span(word.start, t.token.end + len("backward")))
    form = _FORMS.get(word.type, f"{word.text} name = ...")
    return Repair(statements.statement_word_as_name(t.span_of(word), form))


_DTYPE = "(?:bool|[if](?:16|32|64))"


def declaration_without_type(t: Trouble) -> Repair | None:
    """`input x f32[N]`, `input x = f32[N]`, `input x[N]`, `param w = zeros()`."""
    if not t.statement or t.statement[0].type not in DECLARING or "COLON" not in t.accepted:
        return None
    path = t.span(t.statement[1].start, t.statement[-1].end)
    text = t.source.text
    if t.token.type == "NAME":
        return Repair(
            statements.missing_colon(path, t.span_of(t.token)),
            tokens=(_meant(t.token, "COLON", ":"), t.token),
        )
    if t.token.type == "EQUAL" and re.match(rf"[ \t]*{_DTYPE}\b", text[t.token.end :]):
        return Repair(
            reflexes.equals_before_type(t.span_of(t.token)), tokens=(_meant(t.token, "COLON", ":"),)
        )
    late = re.compile(rf"[^\n#]*?(:[ \t]*{_DTYPE}\[)").match(text, t.token.end)
    if t.token.type in ("TILDE", "EQUAL") and late:
        return Repair(
            statements.wrong_order(t.span(late.start(1), late.end(1) - 1), "the type", f"`{t.token.text}`")
        )
    return Repair(statements.missing_type(path, t.statement[0].text, path.text))


def type_without_sizes(t: Trouble) -> Repair | None:
    """`input x: f32`, and `input x: f32(3)`."""
    if (
        "LSQB" not in t.accepted
        or len(t.accepted - {"DOT"}) != 1
        or t.previous is None
        or t.previous.type != "NAME"
    ):
        return None
    place = t.span_of(t.previous)
    if t.token.type == "LPAR":
        if not re.fullmatch(r"bool|[a-z]+[0-9]+|float|int|double|long", t.previous.text):
            return None
        closer = t.brackets.closer(t.token.start)
        edits = () if closer is None else habits.replace_brackets(t, t.token.start, closer)
        return Repair(reflexes.type_in_parentheses(t.span_of(t.token), edits))
    if t.token.type not in ("_NL", "$END", "EQUAL", "TILDE", "COMMA", "AS", "LBRACE"):
        return None
    meant = (_meant(t.token, "LSQB", "["), _meant(t.token, "RSQB", "]"), t.token)
    known = re.fullmatch(_DTYPE, place.text) is not None
    return Repair(statements.type_without_sizes(place, known), tokens=meant)


def wrong_order(t: Trouble) -> Repair | None:
    if not t.statement:
        return None
    first, types = t.statement[0].type, {token.type for token in t.statement}
    place = t.span_of(t.token)
    typed = first in DECLARING | {"OUTPUT", "LOSS", "OBJECTIVE", "NAME"} and types & {"TILDE", "EQUAL"}
    if t.token.type == "COLON" and not t.inside_brackets and typed:
        sign = "`~`" if "TILDE" in types else "`=`"
        return Repair(statements.wrong_order(place, "the type", sign))
    if first == "DIM" and t.token.type == "EQUAL" and "WHERE" in types:
        return Repair(statements.wrong_order(place, "the size, `= ...`,", "`where`"))
    if first in DECLARING and t.token.type == "AS" and types & {"TILDE", "EQUAL"}:
        return Repair(statements.wrong_order(place, "`as`", "the initialiser"))
    return None


def import_form(t: Trouble) -> Repair | None:
    if not t.statement or t.statement[0].type != "IMPORT":
        return None
    if t.token.type in ("_NL", "$END") and len(t.statement) == 2:
        stem = re.search(r"([A-Za-z_]\w*)(?:\.gspec)?\"$", t.statement[1].text)
        fix = f" as {stem.group(1)}" if stem else ""
        return Repair(statements.import_form(t.span_of(t.statement[1]), fix))
    return Repair(statements.import_form(t.span(t.statement[0].start, t.token.end)))


def block_without_body(t: Trouble) -> Repair | None:
    if t.token.type != "EQUAL" or not t.statement or t.statement[0].type != "BLOCK" or t.inside_brackets:
        return None
    return Repair(statements.block_without_body(t.span_of(t.token)))


def unnamed_value(t: Trouble) -> Repair | None:
    """A statement that is only a path so far, and goes on as an expression would."""
    if not t.statement or not all(token.type in ("NAME", "DOT", "INT") for token in t.statement):
        return None
    place = t.span(t.statement[0].start, t.statement[-1].end)
    if t.token.type == "LSQB" and t.brackets.closer(t.token.start) is not None:
        after = t.source.text[t.brackets.pairs[t.token.start] + 1 :]
        if re.match(r"[ \t]*=(?!=)", after):
            return Repair(reflexes.assignment_to_part(place))
    if t.token.type in BINARY | {"LPAR", "LSQB", "PIPE", "_NL", "$END"} and "EQUAL" in t.accepted:
        method = place.text.rpartition(".")[2]
        if method in ("backward", "zero_grad", "step"):
            return habits.backward(t, place)
        line = t.source.text[place.start :].split("\n", 1)[0].split("#")[0].strip()
        shown = line if len(line) < 40 else f"{place.text} ..."
        lone = t.token.type in ("_NL", "$END")
        help = f"`output {place.text}` makes it a result" if lone else f"write `name = {shown}`"
        return Repair(statements.unnamed_value(place, help))
    return None


# ---------------------------------------------------------------- expressions


def chained_comparison(t: Trouble) -> Repair | None:
    """`a < b < c`, after a whole `a < b`; read as `a < b and b < c`."""
    if t.token.type != "COMPARE" or "AND" not in t.accepted:
        return None
    start, end = t.places[-1]
    middle = [token for token in t.statement if start <= token.start and token.end <= end]
    first = [token for token in t.statement if token.type == "COMPARE" and token.end <= start]
    if not middle or not first:
        return None
    diagnostic = statements.chained_comparison(t.span_of(t.token), t.span_of(first[-1]), t.span(start, end))
    return Repair(diagnostic, tokens=(_meant(t.token, "AND", "and"), *middle, t.token))


def operator_after_pipe(t: Trouble) -> Repair | None:
    """`x -> f + 1`: the pipe in parentheses, where the statement shows where it begins."""
    pipes = [i for i, token in enumerate(t.statement) if token.type == "PIPE"]
    if t.token.type not in BINARY - {"IF", "ELSE", "IS"} or not pipes or "PIPE" not in t.accepted:
        return None
    edits: tuple[Edit, ...] = ()
    signs = [token for token in t.statement if token.type == "EQUAL"]
    if not t.inside_brackets and t.statement[0].type not in ("OP", "BLOCK") and signs:
        first = t.statement[t.statement.index(signs[0]) + 1]
        end = t.statement[-1].end
        edits = (Edit(t.span(first.start, first.start), "("), Edit(t.span(end, end), ")"))
    return Repair(statements.operator_after_pipe(t.span_of(t.token), edits))


def label_without_call(t: Trouble) -> Repair | None:
    if t.token.type != "AS" or "PLUS" not in t.accepted:
        return None
    return Repair(statements.label_without_call(t.span_of(t.token)))


def missing_comma(t: Trouble) -> Repair | None:
    """In brackets, an operand behind a whole operand."""
    if not t.inside_brackets or "COMMA" not in t.accepted or t.previous is None:
        return None
    if t.token.type not in words.EXPRESSION - {"MINUS", "LPAR", "LSQB"}:
        return None
    diagnostic = syntax.missing_comma(t.span_of(t.previous), t.span_of(t.token))
    return Repair(diagnostic, tokens=(_meant(t.token, "COMMA", ","), t.token))


def two_statements(t: Trouble) -> Repair | None:
    """A whole statement, and behind it the start of another."""
    if "_NL" not in t.accepted or t.inside_brackets or not t.statement or t.token.type not in ("NAME", "IF"):
        return None
    line = t.source.text[t.token.start :].split("\n", 1)[0]
    if t.token.text.upper() in words.STATEMENT_WORDS or re.match(r"[A-Za-z_][\w.]*[ \t]*(?:=(?!=)|,)", line):
        end = t.statement[-1].end
        indent = " " * indentation(t.source.text, end)
        diagnostic = syntax.two_statements_on_a_line(t.span_of(t.token), t.span(end, t.token.start), indent)
        return Repair(diagnostic, tokens=(_meant(t.token, "_NL", "\n"),), resume=t.token.start)
    return None


def _meant(token: Token, type: str, text: str) -> Token:
    """A token that is not in the text, in the place before `token`."""
    return Token(type, text, token.start, token.start)


Symptom = Callable[[Trouble], "Repair | None"]

SYMPTOMS: tuple[Symptom, ...] = (
    habits.docstring,
    habits.comment,
    unclosed_brace,
    unclosed_bracket,
    unmatched_bracket,
    line_ends_early,
    else_on_new_line,
    habits.statement_of_another_language,
    line_starts_with_operator,
    habits.parenthesised_targets,
    misplaced_statement,
    statement_word_as_name,
    habits.assignment_sign,
    habits.method_call,
    habits.body_without_braces,
    habits.else_if,
    habits.lambda_or_comprehension,
    declaration_without_type,
    type_without_sizes,
    wrong_order,
    import_form,
    block_without_body,
    chained_comparison,
    habits.equals_in_condition,
    habits.braces_literal,
    habits.called_call,
    unnamed_value,
    operator_after_pipe,
    label_without_call,
    missing_comma,
    two_statements,
)
"""In this order; brackets and comments come first because what follows them misleads."""
