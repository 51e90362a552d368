"""Large texts take effort in proportion to their length, chains no recursion; deep nesting is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graphspec.diagnostics import Source
from graphspec.syntax import ast, parse
from graphspec.syntax.parser import parse_partial
from graphspec.syntax.walk import left_spine, walk
from tests.effort import IN_PROPORTION, Work, growth

MANY = 2_000  # far more than functions may be inside one another

LONG = {
    "statements": lambda n: "".join(f"y{i} = relu(x{i}) + 3\n" for i in range(n)),
    "sum": lambda n: "y = " + " + ".join(["x"] * n),
    "pipe": lambda n: "y = x" + "\n  -> relu" * n,
    "index": lambda n: "y = x" + "[0]" * n,
    "list": lambda n: "const c = [" + "1, " * n + "]",
    "dots": lambda n: "y = " + "a." * n + "b",
    "blank lines": lambda n: "y = x\n" + "    \n" * n + "  -> relu",
    "comments": lambda n: "y = x\n" + "  # comment -> \n" * n + "  -> relu",
    "documentation": lambda n: "## doc\n\n" * n + "y = x",
}
DEEP = {
    "parentheses": lambda n: "y = " + "(" * n + "x" + ")" * n,
    "open parentheses": lambda n: "y = " + "(" * n,
    "calls": lambda n: "y = " + "f(k=1 + " * n + "x" + ")" * n,
    "lists": lambda n: "const c = " + "[" * n + "]" * n,
    "minus": lambda n: "y = " + "-" * n + "x",
    "not": lambda n: "y = " + "not " * n + "x",
    "power": lambda n: "y = " + "x ** " * n + "x",
    "conditional": lambda n: "y = " + "x if c else " * n + "x",
    "bodies": lambda n: "block b(x) {" + "if c {\n" * n + "return x" + "}\n" * n + "}",
    "open bodies": lambda n: "block b(x) {" + "if c {\n" * n + "return x",
    "else if": lambda n: "block b(x) {" + "if c { return x } else " * n + "{ return x } }",
}
BROKEN = {
    "errors": lambda n: "y = = 3\n" * n,
    "open brackets": lambda n: "y = f(x\n" * n,
    "open braces": lambda n: "block b(x) {\n  return x\n" * n,
    "closers": lambda n: "y = x" + ")" * n,
    "commas": lambda n: "y = f(" + "x " * n + ")",
    "comparisons": lambda n: "y = " + "a < " * n + "b",
    "quotes": lambda n: "y = " + '"' * n,
    "letters": lambda n: "y = " + " + ".join(f"α{i}" for i in range(n)),  # noqa: RUF001  (letters that are not ASCII)
    "powers": lambda n: "y = x" + " ^ 2" * n,
    "numbers": lambda n: "y = " + "1e" * n,
    "slashes": lambda n: "/*" * n,
}


def parsing(make: Callable[[int], str]) -> Callable[[int], Work]:
    """What is to be done for the text of size n, as `growth` asks for it."""

    def prepare(n: int) -> Work:
        source = Source("long", "gspec 1\n" + make(n))
        return lambda: parse_partial(source)

    return prepare


@pytest.mark.parametrize("name", LONG)
def test_the_effort_of_parsing_a_long_text_grows_with_its_length(name: str):
    parse(Source("long", "gspec 1\n" + LONG[name](MANY)))
    assert growth(parsing(LONG[name]), 500) < IN_PROPORTION


@pytest.mark.parametrize("name", ["sum", "pipe", "index"])
def test_a_long_chain_is_walked_without_recursion(name: str):
    file = parse(Source("long", "gspec 1\n" + LONG[name](MANY)))
    (statement,) = file.statements
    assert isinstance(statement, ast.Assign)
    assert len(left_spine(statement.value)) >= MANY
    assert sum(1 for _ in walk(statement.value)) >= MANY


@pytest.mark.parametrize("name", DEEP)
def test_deep_nesting_is_refused(name: str):
    _, found = parse_partial(Source("deep", "gspec 1\n" + DEEP[name](MANY)))
    assert "nested-too-deep" in {d.id for d in found} or "unclosed-bracket" in {d.id for d in found}
    assert growth(parsing(DEEP[name]), MANY) < IN_PROPORTION


@pytest.mark.parametrize("name", DEEP)
def test_nesting_that_people_write_is_fine(name: str):
    _, found = parse_partial(Source("deep", "gspec 1\n" + DEEP[name](20)))
    assert {d.id for d in found} <= {"unclosed-bracket"}


@pytest.mark.parametrize("name", BROKEN)
def test_the_effort_a_long_text_full_of_errors_takes_grows_with_its_length(name: str):
    _, found = parse_partial(Source("broken", "gspec 1\n" + BROKEN[name](MANY)))
    assert 1 <= len(found) <= 200
    assert growth(parsing(BROKEN[name]), MANY) < IN_PROPORTION


@pytest.mark.parametrize(
    "text", ["-" * 190 + "x", "relu(" * 95 + "x" + ")" * 95, "x if false else " * 45 + "x"]
)
def test_the_deepest_expressions_that_are_read_also_compile(text: str):
    import graphspec as gs

    gs.loads(f"gspec 1\ninput x: f32[3]\noutput y = {text}\n")
