"""The typer application, and the options that several commands share: their names, helps and completions.

A command takes an option by a parameter of its type, and all options about arrays by one of `ArrayOptions`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from enum import StrEnum
from functools import wraps
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
OneOf = Annotated[
    str,
    typer.Option(
        "--of",
        metavar="EXPR",
        help="The value to differentiate.",
        show_default=False,
        autocompletion=complete_of,
    ),
]
Cotangents = Annotated[
    list[str] | None,
    typer.Option(
        "--cotangent",
        metavar="[NAME=]FILE|ones",
        help="Weights of an objective that is no scalar; of several, a file for each, or an archive.",
    ),
]


def _wrt(help: str) -> Any:
    return typer.Option("--wrt", metavar="NAME", help=help, show_default=False, autocompletion=complete_wrt)


_NAMES = "Names, patterns (`conv*.*`), @params or @inputs; with commas, or repeated."
Wrt = Annotated[list[str], _wrt(_NAMES)]
WrtOrValues = Annotated[list[str] | None, _wrt(f"{_NAMES}  [default: values alone]")]
WrtOrAll = Annotated[list[str] | None, _wrt(f"{_NAMES}  [default: all that the objective uses]")]
WrtOfStage = Annotated[list[str] | None, _wrt(f"For --stage gradient and plan.  {_NAMES}")]
OneWrt = Annotated[str, _wrt("What it is differentiated by.")]
AllowZero = Annotated[
    bool, typer.Option("--allow-zero", help="Zeros where the objective does not depend on a name.")
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


@dataclass(frozen=True)
class ArrayOptions:
    """Where the arrays of a run come from."""

    data: Data = None
    input: InputFiles = None
    take: Take = None
    draw: DrawNames = None
    params: Params = None
    params_prefix: ParamsPrefix = ""
    rename: Rename = None
    transpose: Transpose = None
    seed: Seed = 0


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer reads it: a parameter of a dataclass is an option for each of its fields."""
    parameters = inspect.signature(command, eval_str=True).parameters
    groups: dict[str, Any] = {
        name: p.annotation for name, p in parameters.items() if is_dataclass(p.annotation)
    }
    fields = {name: inspect.signature(group, eval_str=True).parameters for name, group in groups.items()}
    flat = [option for name, p in parameters.items() for option in fields.get(name, {name: p}).values()]

    @wraps(command)
    def run(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field: given.pop(field) for field in fields[name]})
        command(**given)

    keyword = inspect.Parameter.KEYWORD_ONLY
    run.__signature__ = inspect.Signature([p.replace(kind=keyword) for p in flat])  # type: ignore[attr-defined]  # typer reads it
    return run
