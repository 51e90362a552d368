"""Each wrong request about single examples or Jacobians gives exactly what is in tests/wrong/batching."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from graphspec.cli import app
from graphspec.diagnostics import Source, Span
from graphspec.diagnostics.catalogue import CATALOGUE, batching
from graphspec.diagnostics.render import render_text

WRONG = Path(__file__).parent / "wrong" / "batching"
REQUESTS = WRONG.parent / "requests"

EACH = ["--wrt", "embed.weight", "--per-example"]
COUPLED = {
    name: ["grad", "coupled.gspec", *EACH, "--of", name]
    for name in (
        "centre",
        "contrast",
        "weighted",
        "first",
        "some",
        "place",
        "turned",
        "neighbours",
        "saliency",
    )
}
COMMANDS = {
    **COUPLED,
    "normal": ["grad", "coupled.gspec", *EACH, "--of", "normal", "--mode", "train"],
    "several_coupled": ["grad", "coupled.gspec", *EACH, "--of", "centre", "--of", "first"],
    "several_batches": ["grad", "batches.gspec", "--wrt", "@params", "--per-example", "--of", "both"],
    "unknown_batch": [
        "grad",
        "batches.gspec",
        "--wrt",
        "@params",
        "--per-example",
        "--of",
        "both",
        "--batch",
        "n",
    ],
    "no_batch": ["grad", "batches.gspec", "--wrt", "@params", "--per-example", "--of", "none_at_all"],
    "not_an_axis": ["grad", "batches.gspec", "--wrt", "x", "--per-example", "--of", "doubled"],
    "a_later_example": ["grad", "batches.gspec", "--wrt", "x", "--per-example", "--of", "later"],
    "several_elements": ["grad", "batches.gspec", "--wrt", "x", "--per-example", "--of", "wide"],
    "needless_batch": ["grad", "batches.gspec", "--wrt", "x", "--of", "sum(wide)", "--batch", "N"],
    "needless_chunk": ["grad", "batches.gspec", "--wrt", "x", "--of", "sum(wide)", "--chunk", "2"],
    "differs": ["jacobian", "batches.gspec", "--of", "squares", "--wrt", "x", "--rows", "1:4", "--check"],
    "several_names": ["jacobian", "batches.gspec", "--of", "wide", "--wrt", "@params"],
    "no_such_row": ["jacobian", "batches.gspec", "--of", "wide", "--wrt", "x", "--rows", "3,12"],
    "no_such_columns": ["jacobian", "batches.gspec", "--of", "wide", "--wrt", "x", "--cols", "2:9"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_command_says_exactly_this(
    name: str, expect: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(WRONG)
    result = CliRunner().invoke(app, COMMANDS[name])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.exit_code == 1
    errors = result.stderr[result.stderr.index("error[") :]
    expect(WRONG / f"{name}.txt", errors)


def test_what_only_extensions_and_rare_sizes_meet_is_said_in_full(
    expect: Callable[[Path, str], None],
) -> None:
    span = Span(Source("a.gspec", "y = odd(x)"), 4, 10)
    made = [
        batching.no_batching_rule("odd", span, ()),
        batching.no_example_alone("N", "the slice 1:2 is not within axis 0 of f32[1]", place=span, trace=()),
        batching.no_chunks(0),
    ]
    expect(WRONG / "of_extensions.txt", "\n\n".join(map(render_text, made)) + "\n")


@pytest.mark.parametrize("arguments", [["--per-example", "--per-example-norms"], ["--chunk", "0"]])
def test_options_that_mean_nothing_are_the_commands_own_errors(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["grad", str(WRONG / "coupled.gspec"), "--wrt", "x", *arguments])
    assert result.exit_code == 2


@pytest.mark.parametrize("rows", ["a", "1:b", "1,"])
def test_rows_are_numbers(rows: str) -> None:
    spec = str(WRONG / "batches.gspec")
    result = CliRunner().invoke(app, ["jacobian", spec, "--of", "wide", "--wrt", "x", "--rows", rows])
    assert (result.exit_code, "whole numbers" in result.stderr) == (2, True)


def test_every_diagnostic_about_batches_has_a_case() -> None:
    shown = "".join(path.read_text() for path in (*WRONG.glob("*.txt"), *REQUESTS.glob("*.txt")))
    functions = {name.replace("_", "-") for name in vars(batching)}
    assert not [id for id in CATALOGUE if id in functions and f"[{id}]" not in shown]
    assert set(re.findall(r"^(?:error|note)\[([a-z0-9-]+)\]:", shown, re.M)) <= set(CATALOGUE)
