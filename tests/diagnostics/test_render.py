"""Diagnostics as text (a snippet a file, lines in order, marks under what they mean) and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from textwrap import dedent

from graphspec.diagnostics import Diagnostic, Edit, Fix, GraphSpecError, Label, Source, Span
from graphspec.diagnostics.render import render_all, render_text, to_json

SIAMESE = Source(
    "siamese.gspec",
    "gspec 1\n"
    "za = encL(left)  -> flatten\n"
    "zb = encR(right) -> flatten\n"
    "\n"
    "\n"
    "\n"
    "d = (za, zb) -> concat(axis=0)\n"
    "e = d\n"
    "f = e\n",
)


def place(source: Source, text: str, nth: int = 0) -> Span:
    start = -1
    for _ in range(nth + 1):
        start = source.text.index(text, start + 1)
    return Span(source, start, start + len(text))


def error(message: str, *labels: Label, **more: object) -> Diagnostic:
    made = Diagnostic("some-error", "error", message, labels[0] if labels else None, labels[1:])
    return replace(made, **more)


def check(d: Diagnostic, text: str) -> None:
    assert render_text(d) == dedent(text).strip("\n")


def test_the_whole_form():
    d = error(
        "`concat` needs equal sizes on axis 1, but they are 64 and 48",
        Label(place(SIAMESE, "concat(axis=0)"), "axis 0 joins the batch, so axis 1 must match"),
        Label(place(SIAMESE, "flatten"), "f32[N, 64]"),
        Label(place(SIAMESE, "flatten", 1), "f32[N, 48]"),
        trace=(("block `fusion`", place(SIAMESE, "e = d")),),
        notes=("sizes of axis 1 are added only by `axis=1`",),
        help=("`axis=1` gives f32[N, 112]",),
    )
    check(
        d,
        """
        error[some-error]: `concat` needs equal sizes on axis 1, but they are 64 and 48
         --> siamese.gspec:7:17
          |
        2 | za = encL(left)  -> flatten
          |                     ------- f32[N, 64]
        3 | zb = encR(right) -> flatten
          |                     ------- f32[N, 48]
        ...
        7 | d = (za, zb) -> concat(axis=0)
          |                 ^^^^^^^^^^^^^^ axis 0 joins the batch, so axis 1 must match
          = in: block `fusion`, used at siamese.gspec:8
          = note: sizes of axis 1 are added only by `axis=1`
          = help: `axis=1` gives f32[N, 112]
        """,
    )


def test_without_a_place_there_is_no_snippet():
    check(
        error("no such file", notes=("first\nsecond",)),
        "error[some-error]: no such file\n  = note: first\n          second",
    )


def test_one_line_between_two_is_shown_more_are_left_out():
    d = error(
        "m", Label(place(SIAMESE, "za")), Label(place(SIAMESE, "d = (za")), Label(place(SIAMESE, "f = e"))
    )
    check(
        d,
        """
        error[some-error]: m
         --> siamese.gspec:2:1
          |
        2 | za = encL(left)  -> flatten
          | ^^
        ...
        7 | d = (za, zb) -> concat(axis=0)
          | -------
        8 | e = d
        9 | f = e
          | -----
        """,
    )


def test_the_gutter_is_as_wide_as_the_largest_line_number():
    source = Source("long.gspec", "\n" * 98 + "a = b\nc = d\n")
    d = error("m", Label(place(source, "a")), Label(place(source, "d"), "here"))
    check(
        d,
        """
        error[some-error]: m
           --> long.gspec:99:1
            |
         99 | a = b
            | ^
        100 | c = d
            |     - here
        """,
    )


def test_labels_that_overlap_stand_on_rows_of_their_own_and_others_share_one():
    source = Source("t", "output y = h + b\n")
    d = error(
        "m",
        Label(place(source, "h + b"), "shapes differ"),
        Label(place(source, "h"), "f32[3]"),
        Label(place(source, "b"), "f32[4]"),
        Label(place(source, "y")),
    )
    check(
        d,
        """
        error[some-error]: m
         --> t:1:12
          |
        1 | output y = h + b
          |        -   ^^^^^ shapes differ
          |                - f32[4]
          |            - f32[3]
        """,
    )


def test_several_files_are_several_snippets_that_of_the_primary_place_first():
    other = Source("blocks/fusion.gspec", "gspec 1\nblock fusion(a, b) { return a + b }\n")
    d = error("m", Label(place(other, "a + b"), "added"), Label(place(SIAMESE, "za"), "given as `a`"))
    check(
        d,
        """
        error[some-error]: m
         --> blocks/fusion.gspec:2:29
          |
        2 | block fusion(a, b) { return a + b }
          |                             ^^^^^ added
         ::: siamese.gspec:2:1
          |
        2 | za = encL(left)  -> flatten
          | -- given as `a`
        """,
    )


def test_a_span_over_several_lines_marks_its_first_and_last():
    source = Source("t", "y = f(\n  a,\n  b,\n  c\n)\nz = 1\n")
    whole = Span(source, source.text.index("f("), source.text.index("\nz"))
    check(
        error("m", Label(whole, "this call")),
        """
        error[some-error]: m
         --> t:1:5
          |
        1 | y = f(
          |     ^^
        ...
        5 | )
          | ^ this call
        """,
    )


def test_an_empty_span_is_one_mark_also_behind_the_end_of_a_line():
    source = Source("t", "y = x +\n")
    check(
        error("m", Label(Span(source, 7, 7), "here")),
        """
        error[some-error]: m
         --> t:1:8
          |
        1 | y = x +
          |        ^ here
        """,
    )
    assert "1 |" in render_text(error("m", Label(Span(Source("t", ""), 0, 0))))


def test_tabs_and_wide_characters_keep_marks_under_their_text():
    source = Source("t", '\ty = f("漢字")\t+ b # e\u0301\n')
    check(
        error("m", Label(place(source, '"漢字"'), "wide"), Label(place(source, "b"), "after")),
        """
        error[some-error]: m
         --> t:1:8
          |
        1 |     y = f("漢字")   + b # e\u0301
          |           ^^^^^^ wide
          |                       - after
        """,
    )


def test_control_characters_never_reach_the_terminal():
    source = Source("evil\x1b[31m.gspec", "y = x \x1b[31m\x07\u202e + b\r\n")
    shown = render_text(error("bad \x1b[0m", Label(place(source, "b"), "\x1b"), help=("\x07",)))
    assert shown == (
        "error[some-error]: bad ␛[0m\n --> evil␛[31m.gspec:1:17\n  |\n1 | y = x ␛[31m␇<U+202E> + b\n"
        "  |                        ^ ␛\n  = help: ␇"
    )


def test_colour_only_adds_to_the_text():
    import re

    d = error("m", Label(place(SIAMESE, "za"), "x"), Label(place(SIAMESE, "zb"), "y"), help=("h",))
    colored = render_text(d, color=True)
    assert "\x1b[1;31m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == render_text(d)


def test_a_very_long_line_is_cut_around_the_mark():
    source = Source("t", "y = " + "a + " * 1000 + "b + " + "c + " * 1000 + "d")
    shown = render_text(error("m", Label(place(source, "b"))))
    text, marks = shown.split("\n")[3:5]
    assert len(text) < 200
    assert text[marks.index("^")] == "b"
    assert text.startswith("1 | ... ")
    assert text.endswith(" ...")


def test_fixes_are_shown_as_help_once():
    fix = Fix("write `b`", (Edit(place(SIAMESE, "za"), "b"),))
    assert render_text(error("m", fixes=(fix,), help=("write `b`",))).count("write `b`") == 1
    assert render_text(error("m", fixes=(fix,))).endswith("= help: write `b`")


def test_json_has_stable_keys_and_both_positions_and_offsets():
    fix = Fix("write `b`", (Edit(place(SIAMESE, "za"), "b"),))
    d = error(
        "m", Label(place(SIAMESE, "zb"), "l"), Label(place(SIAMESE, "za")),
        notes=("n",), help=("h",), fixes=(fix,), trace=(("block `b`", place(SIAMESE, "d =")),),
    )  # fmt: skip
    data = to_json(d)
    json.dumps(data)
    assert list(data) == [
        "id",
        "severity",
        "message",
        "primary",
        "secondary",
        "notes",
        "help",
        "fixes",
        "trace",
    ]
    assert data["primary"] == {
        "file": "siamese.gspec",
        "start": {"line": 3, "column": 1, "offset": 36},
        "end": {"line": 3, "column": 3, "offset": 38},
        "label": "l",
    }
    assert data["fixes"][0]["edits"][0]["text"] == "b"
    assert data["trace"][0]["what"] == "block `b`"
    assert to_json(error("m"))["primary"] is None


def test_several_are_apart_by_a_blank_line_and_an_exception_prints_them():
    d = error("m")
    assert render_all([d, d]) == "error[some-error]: m\n\nerror[some-error]: m"
    assert str(GraphSpecError([d, d])) == render_all([d, d])
