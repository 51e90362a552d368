"""Large texts take time in proportion to their length, chains no recursion; deep nesting is refused."""

from __future__ import annotations

from time import perf_counter

import pytest

from graphspec.diagnostics import Source
from graphspec.syntax import ast, parse
from graphspec.syntax.parser import parse_partial
from graphspec.syntax.walk import left_spine, walk

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
    "letters": lambda n: "y = " + " + ".join(f"α{i}" for i in range(n)),  # noqa: RUF001
    "powers": lambda n: "y = x" + " ^ 2" * n,
    "numbers": lambda n: "y = " + "1e" * n,
    "slashes": lambda n: "/*" * n,
}


@pytest.mark.parametrize("name", LONG)
def test_long_texts_parse_in_time_proportional_to_their_length(name: str):
    def seconds(n: int) -> float:
        source = Source("long", "gspec 1\n" + LONG[name](n))
        start = perf_counter()
        parse(source)
        return perf_counter() - start

    seconds(100)
    short, long = seconds(1_000), seconds(10_000)
    assert long < max(60 * short, 0.5), "ten times the text; sixty allows for a busy machine"


@pytest.mark.parametrize("name", ["sum", "pipe", "index"])
def test_a_chain_of_ten_thousand_is_walked_without_recursion(name: str):
    file = parse(Source("long", "gspec 1\n" + LONG[name](10_000)))
    (statement,) = file.statements
    assert isinstance(statement, ast.Assign)
    assert len(left_spine(statement.value)) >= 10_000
    assert sum(1 for _ in walk(statement.value)) >= 10_000


@pytest.mark.parametrize("name", DEEP)
def test_deep_nesting_is_refused(name: str):
    start = perf_counter()
    _, found = parse_partial(Source("deep", "gspec 1\n" + DEEP[name](20_000)))
    assert "nested-too-deep" in {d.id for d in found} or "unclosed-bracket" in {d.id for d in found}
    assert perf_counter() - start < 5


@pytest.mark.parametrize("name", DEEP)
def test_nesting_that_people_write_is_fine(name: str):
    _, found = parse_partial(Source("deep", "gspec 1\n" + DEEP[name](20)))
    assert {d.id for d in found} <= {"unclosed-bracket"}


@pytest.mark.parametrize("name", BROKEN)
def test_long_texts_full_of_errors_end_soon(name: str):
    start = perf_counter()
    _, found = parse_partial(Source("broken", "gspec 1\n" + BROKEN[name](10_000)))
    assert 1 <= len(found) <= 200
    assert perf_counter() - start < 5


@pytest.mark.parametrize(
    "text", ["-" * 190 + "x", "relu(" * 95 + "x" + ")" * 95, "x if false else " * 45 + "x"]
)
def test_the_deepest_expressions_that_are_read_also_compile(text: str):
    import graphspec as gs

    gs.loads(f"gspec 1\ninput x: f32[3]\noutput y = {text}\n")
