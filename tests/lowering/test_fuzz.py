"""Broken specs: whatever the text, lowering gives a module or diagnostics that can be shown, and ends."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.render import render_all
from graphspec.lowering.lower import check_sizes, lower_text

HERE = Path(__file__).parent
TEXTS = [
    path.read_text(encoding="utf-8")
    for folder in (HERE / "cases", HERE.parent.parent / "specs", HERE.parent / "wrong" / "types")
    for path in sorted(folder.glob("*.gspec"))
    if path.stat().st_size < 3000
]
TOKEN = re.compile(r"\s+|[A-Za-z_]\w*|\d+(?:\.\d+)?(?:e-?\d+)?|->|\*\*|//|[=!<>]=|\.\.\.?|.", re.S)
WORDS = ["0", "-1", "2.5", "99999999999", "none", "true", "inf", "...", "()", "[]", '"a"', "x", "N", "0..3"]
WORDS += ["f32", "training", "stack", "sum", "grad", "repeat", "each", "fold", "linear", "as a", "require"]

Edit = st.tuples(
    st.sampled_from(["delete", "repeat", "swap", "copy", "word"]),
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.sampled_from(WORDS),
)


def mutated(text: str, edits: list[tuple[str, int, int, str]]) -> str:
    """A text with some of its tokens deleted, repeated, swapped or replaced."""
    tokens = TOKEN.findall(text)
    for how, i, j, word in edits:
        i, j = i % len(tokens), j % len(tokens)
        match how:
            case "delete":
                tokens[i] = ""
            case "repeat":
                tokens[i] += tokens[i]
            case "swap":
                tokens[i], tokens[j] = tokens[j], tokens[i]
            case "copy":
                tokens[i] = tokens[j]
            case _:
                tokens[i] = word
    return "".join(tokens)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(TEXTS), st.lists(Edit, min_size=1, max_size=5))
@example(
    "gspec 1\nop f(x[..., N, ...]) = x\ninput x: f32[3] ~ normal()\noutput y = f(x)\n", [("delete", 0, 0, "")]
)
def test_a_broken_spec_gives_a_module_or_diagnostics(text: str, edits: list[tuple[str, int, int, str]]):
    try:
        module = lower_text(mutated(text, edits), base=str(HERE / "cases"))
        found = [*module.warnings, *check_sizes(module, dict.fromkeys(module.dims, 3))]
        assert module.graph().nodes is not None
    except GraphSpecError as error:
        found = list(error.diagnostics)
        assert found
    render_all(found)
