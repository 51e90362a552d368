"""Whatever the text, the answer is a file or diagnostics that render: never a traceback, never a hang."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from graphspec.diagnostics import Source
from graphspec.diagnostics.render import render_text, to_json
from graphspec.syntax.lexing import master_patterns
from graphspec.syntax.parser import parse_partial

TEXTS = [
    path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent / "cases").glob("*.gspec"))
]
TOKENS = sorted({match.group() for text in TEXTS for match in master_patterns()[1].finditer(text)})
STRANGE = [
    *"^!?;@$'\"\\→“²\x1b\t\r\x00\u202e", "&&", "True", "/*", '"""', "//", "--", "0x1", "1e", "5.", "+=",
    "lambda", "def", "elif", "gspec 1", "漢字",
]  # fmt: skip
PIECES = st.sampled_from([*TOKENS, *STRANGE]) | st.text(max_size=3)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A valid file with a few stretches replaced by other pieces."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        length = draw(st.sampled_from([0, 1, 3, 10, 80]))
        text = text[:start] + "".join(draw(st.lists(PIECES, max_size=3))) + text[start + length :]
    return text


def check(text: str) -> None:
    file, found = parse_partial(Source("fuzz.gspec", text))
    assert file is not None or found
    for d in found:
        shown = render_text(d)
        assert "\x1b" not in shown
        assert to_json(d)["id"] == d.id
        for label in (d.primary, *d.secondary):
            assert label is None or 0 <= label.span.start <= label.span.end <= len(text)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(mutated())
def test_mutated_files(text: str):
    check(text)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(PIECES, max_size=60).map(lambda pieces: "gspec 1\n" + " ".join(pieces)))
def test_random_tokens(text: str):
    check(text)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.text(max_size=200))
def test_random_text(text: str):
    check(text)
