"""The command that prints a stand-alone program: emit."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from graphspec.cli import options, texts
from graphspec.cli.report import Report
from graphspec.cli.running import load_model


class Cotangent(StrEnum):
    """The cotangents that a program knows by itself."""

    ones = "ones"


def emit(
    spec: options.SpecPath,
    wrt: options.Wrt,
    of: options.Of = None,
    cotangent: Annotated[
        Cotangent | None,
        typer.Option(
            "--cotangent", help="Weigh an objective that is no scalar with ones, not with an array given."
        ),
    ] = None,
    set: options.Sets = None,
    dtype: options.DTypeOption = None,
    mode: options.ModeOption = options.Mode.eval,
    allow_zero: options.AllowZero = False,
    no_opt: options.NoOpt = False,
    json: options.JsonFlag = False,
) -> None:
    """Print a program that computes gradients with numpy alone.

    It is for the sizes that the dims of the spec have by default, or by --set.
    """
    sets = texts.read_sets(set)
    with Report("emit", as_json=json) as report:
        model = load_model(report, spec, sets, dtype, mode, simplify=not no_opt)
        text = model.emit(
            texts.split_names(wrt), of, cotangent="ones" if cotangent else None, allow_zero=allow_zero
        )
        report.result = {"program": text}
        report.line(text)
