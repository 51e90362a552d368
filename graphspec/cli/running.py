"""What the commands that run a spec have in common: the model, where its arrays come from and go to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from graphspec.cli import options, texts
from graphspec.cli.report import Report

if TYPE_CHECKING:
    from graphspec.model import Model


@dataclass(frozen=True, slots=True)
class ParameterFile:
    """Where parameters come from, and how its names become the spec's."""

    path: Path
    prefix: str
    rename: dict[str, str]
    transpose: list[str]


@dataclass(frozen=True, slots=True)
class Given:
    """What the options say about where arrays come from."""

    archives: list[Path]
    files: dict[str, Path]
    take: slice | None
    draw: list[str]
    params: ParameterFile | None
    seed: int


def read_options(given: options.ArrayOptions) -> Given:
    """What the options about arrays mean; one that is written wrongly ends the command."""
    return Given(
        given.data or [],
        texts.read_files(given.input),
        texts.read_take(given.take),
        texts.split_names(given.draw),
        _parameter_file(given),
        given.seed,
    )


def _parameter_file(given: options.ArrayOptions) -> ParameterFile | None:
    how = {"--params-prefix": given.params_prefix, "--rename": given.rename, "--transpose": given.transpose}
    if given.params is None:
        for option, value in how.items():
            if value:
                raise typer.BadParameter("there is no --params that it would be for", param_hint=option)
        return None
    renames, transposed = texts.read_renames(given.rename), texts.split_names(given.transpose)
    return ParameterFile(given.params, given.params_prefix, renames, transposed)


def require_backend(backend: options.Backend) -> None:
    """End here, before anything is read or drawn, where the backend cannot run."""
    from graphspec.runtime.backends import backend as find_backend

    find_backend(backend.value)


def require_writable(out: Path | None) -> None:
    """End here, before anything is computed, where `--out` names no file that arrays are written to."""
    from graphspec.runtime.parameters import require_writable

    if out is not None:
        require_writable(out)


def load_model(
    report: Report,
    spec: Path,
    sets: dict[str, Any],
    dtype: options.DTypeName | None,
    mode: options.Mode,
    *,
    simplify: bool = True,
    verify: bool = False,
    max_memory: int | None = None,
) -> Model:
    from graphspec.diagnostics.catalogue import requests as say
    from graphspec.loading import load

    model = load(
        spec,
        consts=sets,
        dtype=dtype.value if dtype else None,
        mode=mode.value,
        simplify=simplify,
        verify=verify or None,
        notify=report.tell,
        max_memory=max_memory,
    )
    if model.mode:
        report.tell(say.mode_matters(model.mode))
    return model


def arguments(
    report: Report, model: Model, given: Given, needed: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and inputs of a request: from files, or drawn, which is said with the seed."""
    from graphspec.diagnostics.catalogue import requests as say

    wanted = [name for name, kind in needed.items() if kind == "input"]
    inputs = _read_inputs(report, model, given, wanted)
    drawn = given.draw
    if not (given.archives or given.files):
        drawn = [*drawn, *(name for name in wanted if name not in inputs and name not in drawn)]
    if drawn:
        inputs |= model.draw(given.seed, names=drawn, inputs=inputs)
        report.tell(say.inputs_drawn(drawn, given.seed))
    owned = [name for name, kind in needed.items() if kind in ("param", "buffer")]
    if given.params is not None:
        source = given.params
        parameters = model.load_params(
            source.path, prefix=source.prefix, rename=source.rename, transpose=source.transpose, names=owned
        )
    else:
        parameters = model.init(given.seed, names=owned, inputs=inputs)
        if owned:
            report.tell(say.parameters_drawn(len(owned), given.seed))
    return parameters, inputs


def _read_inputs(report: Report, model: Model, given: Given, wanted: list[str]) -> dict[str, Any]:
    """The arrays of files: those of the options, and those that the spec names for what is wanted."""
    from graphspec.diagnostics import GraphSpecError
    from graphspec.diagnostics.catalogue import requests as say
    from graphspec.runtime.data import read_array
    from graphspec.runtime.parameters import read_arrays, read_header

    inputs: dict[str, Any] = {}
    for path in given.archives:
        there = read_header(path)
        known = [name for name in there if model.kind(name) in ("input", "noise")]
        if len(known) < len(there):
            report.tell(say.extra_arrays(str(path), sorted(there.keys() - set(known))))
        inputs |= read_arrays(path, known)
    inputs |= {name: read_array(path) for name, path in given.files.items()}
    inputs |= model.default_data([name for name in wanted if name not in inputs and name not in given.draw])
    if given.take is not None:
        rows = [name for name in model.batched(inputs) if inputs[name].ndim]
        if not rows:
            raise GraphSpecError(say.nothing_to_take())
        for name in rows:
            array, inputs[name] = inputs[name], inputs[name][given.take]
            if len(array) and not len(inputs[name]):
                raise GraphSpecError(say.nothing_taken(texts.as_written(given.take), name, len(array)))
    return inputs


def write(out: Path | None, arrays: Mapping[str, Any]) -> None:
    from graphspec.loading import save_params

    if out is not None:
        save_params(out, arrays)
