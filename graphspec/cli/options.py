"""The typer application, and the options that several commands share."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from graphspec.cli.complete import complete_input, complete_of, complete_set, complete_wrt

app = typer.Typer(
    help="Describe a network in a small text file; get the gradient of anything in it, by name.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class DTypeName(StrEnum):
    """The floating dtypes that a whole graph can be compiled in."""

    f16 = "f16"
    f32 = "f32"
    f64 = "f64"


class Mode(StrEnum):
    """What `training` is."""

    eval = "eval"
    train = "train"


class Backend(StrEnum):
    """The array libraries."""

    numpy = "numpy"
    cupy = "cupy"


SpecPath = Annotated[Path, typer.Argument(metavar="SPEC", help="A .gspec file.", show_default=False)]
JsonFlag = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
Of = Annotated[
    list[str] | None,
    typer.Option(
        "--of",
        metavar="EXPR",
        help="A value, loss or expression of the spec; may be repeated.",
        autocompletion=complete_of,
    ),
]
WRT_HELP = "Names, patterns (`conv*.*`), @params or @inputs; with commas, or repeated."
Wrt = Annotated[
    list[str],
    typer.Option("--wrt", metavar="NAME", help=WRT_HELP, show_default=False, autocompletion=complete_wrt),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A const or a dim of the spec.",
        autocompletion=complete_set,
    ),
]
DTypeOption = Annotated[
    DTypeName | None, typer.Option("--dtype", help="Compile everything that floats in this dtype.")
]
ModeOption = Annotated[Mode, typer.Option("--mode", help="What `training` is in the spec.")]
BackendOption = Annotated[Backend, typer.Option("--backend", help="Where the program runs.")]
Seed = Annotated[int, typer.Option("--seed", help="The seed of everything that is drawn.")]
Data = Annotated[
    list[Path] | None, typer.Option("--data", metavar="FILE.npz", help="Inputs by name, from an archive.")
]
InputFiles = Annotated[
    list[str] | None, typer.Option("--input", metavar="NAME=FILE.npy", help="One input from a file.")
]
Take = Annotated[
    str | None, typer.Option("--take", metavar="A:B", help="Only these rows of the data (half-open).")
]
DrawNames = Annotated[
    list[str] | None,
    typer.Option(
        "--draw", metavar="NAME", help="Draw this input by its sampler.", autocompletion=complete_input
    ),
]
Params = Annotated[
    Path | None,
    typer.Option("--params", metavar="FILE", help="Parameters and buffers: a .safetensors or .npz file."),
]
ParamsPrefix = Annotated[
    str,
    typer.Option("--params-prefix", metavar="TEXT", help="What the file's names begin with, to be left out."),
]
Rename = Annotated[
    list[str] | None,
    typer.Option("--rename", metavar="OLD=NEW", help="A name in the file of parameters, or how names begin."),
]
Transpose = Annotated[
    list[str] | None,
    typer.Option(
        "--transpose", metavar="PATTERN", help="Parameters whose last two axes the file has swapped."
    ),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        "--max-memory", metavar="SIZE", help="Refuse what needs more, as in 8GB; else 80% of what is left."
    ),
]
PerExample = Annotated[
    bool,
    typer.Option("--per-example", help="The gradient of each example, along a new first axis."),
]
PerExampleNorms = Annotated[
    bool, typer.Option("--per-example-norms", help="The norm of each example's gradient, for each name.")
]
Batch = Annotated[
    str | None, typer.Option("--batch", metavar="DIM", help="Which dim counts the examples, if several may.")
]
Chunk = Annotated[
    int | None, typer.Option("--chunk", metavar="N", min=1, help="At most so many at a time, in less memory.")
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write the arrays to a .npz or .safetensors file."),
]
Plot = Annotated[
    Path | None,
    typer.Option(
        "--plot", metavar="FILE", help="Draw what came back to a .png, .svg or .pdf file (with matplotlib)."
    ),
]
NoOpt = Annotated[bool, typer.Option("--no-opt", help="Run the graph as it is written, not simplified.")]
CheckFinite = Annotated[
    bool, typer.Option("--check-finite", help="If a result is not finite, say what made it so.")
]
Verify = Annotated[bool, typer.Option("--verify", help="Check the graph after each pass of the compiler.")]


def split_names(texts: list[str] | None) -> list[str]:
    """`a,b` and a repeated option are the same: a list of names."""
    return [name.strip() for text in texts or [] for name in text.split(",") if name.strip()]


def read_sets(texts: list[str] | None) -> dict[str, Any]:
    """`NAME=VALUE`: numbers, `true`, `false` and lists as JSON has them, anything else is a string."""
    return {name: _read_value(value) for name, value in _pairs(texts, "--set", "VALUE")}


def read_files(texts: list[str] | None) -> dict[str, Path]:
    """`NAME=FILE` by name."""
    return {name: Path(value) for name, value in _pairs(texts, "--input", "FILE")}


def read_renames(texts: list[str] | None) -> dict[str, str]:
    """`OLD=NEW` by the old name; a new one that is empty leaves the old out."""
    found: dict[str, str] = {}
    for text in texts or []:
        old, equals, new = text.partition("=")
        if not (old and equals):
            raise typer.BadParameter(f"{text!r} is not OLD=NEW", param_hint="--rename")
        found[old] = new
    return found


def read_bytes(text: str | None) -> int | None:
    """`8GB`, `512 MiB`, `2e9`: a number of bytes."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgt]?)(i?)b?\s*", text, re.IGNORECASE)
    try:
        number = float(match[1]) if match else -1.0
    except ValueError:
        number = -1.0
    if match is None or not 0 <= number < 1e18:
        raise typer.BadParameter(f"{text!r} is no size, as 8GB or 512MiB are", param_hint="--max-memory")
    step = 1024 if match[3] else 1000
    return int(number * step ** " kmgt".index(match[2].lower() or " "))


def read_take(text: str | None) -> slice | None:
    """`A:B`, either end may be left out."""
    if text is None:
        return None
    start, colon, stop = text.partition(":")
    try:
        rows = slice(int(start) if start else None, int(stop) if stop else None)
    except ValueError:
        rows = None
    if rows is None or not colon:
        raise typer.BadParameter(f"{text!r} is not A:B with whole numbers, as in 0:100", param_hint="--take")
    return rows


def read_part(text: str | None, option: str) -> slice | list[int] | None:
    """`A:B` (either end may be left out), a number, or numbers with commas."""
    if text is None:
        return None
    try:
        if ":" in text:
            start, _, stop = text.partition(":")
            return slice(int(start) if start else None, int(stop) if stop else None)
        return [int(number) for number in text.split(",")]
    except ValueError:
        reason = f"{text!r} is neither A:B, as in 0:100, nor whole numbers, as in 3 or 0,2,5"
        raise typer.BadParameter(reason, param_hint=option) from None


def _pairs(texts: list[str] | None, option: str, what: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"{text!r} is not NAME={what}", param_hint=option)
        pairs.append((name, value))
    return pairs


def _read_value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if value is None or isinstance(value, dict) else value
