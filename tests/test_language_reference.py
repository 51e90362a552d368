"""Each example of the language reference is a whole file: it runs, or gives the error it is there to show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import graphspec as gs
from graphspec.diagnostics import GraphSpecError, Source
from graphspec.diagnostics.catalogue import catalogue
from graphspec.syntax import parse

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "grammars" / "README.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^```gspec(?: error=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(match[2], match[1], id=f"line{REFERENCE.count(chr(10), 0, match.start()) + 2}")
    for match in EXAMPLE.finditer(REFERENCE)
]


@pytest.mark.parametrize(("text", "errors"), EXAMPLES)
def test_each_example_runs_or_gives_the_error_it_shows(text: str, errors: str | None):
    if errors is None:
        parse(Source("example.gspec", text))
        model = gs.loads(text, base=ROOT / "specs")
        results = model.forward(model.init(seed=0), model.draw(seed=0))
        assert results
        return
    with pytest.raises(GraphSpecError) as caught:
        gs.loads(text, base=ROOT / "specs")
    assert {d.id for d in caught.value.diagnostics} <= set(errors.split(","))


def test_every_diagnostic_that_is_mentioned_exists():
    mentioned = {id for ids in EXAMPLE.findall(REFERENCE) for id in filter(None, ids[0].split(","))}
    table = REFERENCE.split("## From other languages")[1]
    for row in re.findall(r"\| ([^|]*) \|$", table, re.MULTILINE):
        mentioned |= set(re.findall(r"`([a-z-]+)`", row))
    assert mentioned <= catalogue().keys()


def test_every_link_leads_to_a_heading():
    links = re.findall(r"\]\(#([a-z-]+)\)", REFERENCE)
    headings = [h.lower().replace(" ", "-") for h in re.findall(r"^## (.+)$", REFERENCE, re.MULTILINE)]
    assert set(links) <= set(headings)
