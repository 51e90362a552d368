"""The abstract syntax as a tree of lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphspec.diagnostics import Source
from graphspec.lifting.tree import print_tree
from graphspec.syntax.parser import parse

SPECS = Path(__file__).parents[2] / "specs"


def tree(text: str) -> list[str]:
    return print_tree(parse(Source("a.gspec", f"gspec 1\n{text}\n"))).splitlines()


def test_a_line_is_a_node_and_what_it_says() -> None:
    assert tree("input x: f32[N, 3] ~ normal(std=0.5)") == [
        "File version=1",
        "  statements: Declare kind=input path=x",
        "    type: Type dtype=f32",
        "      shape: Shape",
        "        sizes: Name path=N",
        "        sizes: Number value=3",
        "    start: Start drawn=true",
        "      value: Call function=normal",
        "        arguments: Argument name=std",
        "          value: Number value=0.5",
    ]


def test_stages_and_operands_stand_side_by_side() -> None:
    assert tree("y = x + 1 - z")[3:] == [
        "    value: Binary",
        "      first: Name path=x",
        "      then: Binary op=+",
        "        right: Number value=1",
        "      then: Binary op=-",
        "        right: Name path=z",
    ]
    assert tree("y = x -> f(2) as a -> g")[3:] == [
        "    value: Call",
        "      first: Name path=x",
        "      then: Call function=f label=a",
        "        arguments: Argument",
        "          value: Number value=2",
        "      then: Call function=g bare=true",
    ]


def test_long_chains_are_no_deeper_than_short_ones() -> None:
    for line in ("y = x" + " -> sin" * 5000, "y = x" + " + 1" * 5000, "y = x" + "[0]" * 5000):
        lines = tree(line)
        assert len(lines) > 5000
        assert max(len(line) - len(line.lstrip()) for line in lines) <= 8


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.gspec")), ids=lambda p: p.stem)
def test_every_spec_has_a_tree(path: Path) -> None:
    file = parse(Source(path.name, path.read_text("utf-8")))
    lines = print_tree(file).splitlines()
    assert sum(line.startswith("  statements:") for line in lines) == len(file.statements)
    assert not any("Span" in line or "Source(" in line for line in lines)
