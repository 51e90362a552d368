"""Models from files and texts, and parameters to files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from graphspec.answers import Array
from graphspec.compiler import Settings, Spec
from graphspec.ir import DType
from graphspec.model import Model
from graphspec.notices import Notify
from graphspec.optimisations import ALL, left_out

Mode: TypeAlias = Literal["eval", "train"]

#: what holds where the caller does not say: which optimisations are left out, and whether graphs are checked
#: after each pass; the tests set others
WITHOUT: frozenset[str] = frozenset()
VERIFY = False


def load(
    path: str | os.PathLike[str],
    *,
    dims: Mapping[str, int] | None = None,
    consts: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    mode: Mode = "eval",
    simplify: bool = True,
    without: Iterable[str] | None = None,
    verify: bool | None = None,
    notify: Notify | None = None,
    max_memory: int | None = None,
) -> Model:
    """Compile the spec in a file.

    `dims` and `consts` set what the spec leaves open or gives a default; `dtype="f64"` compiles
    everything that floats in double precision; `mode` is what `training` is in the spec.
    `simplify=False` runs graphs as they are written, `without` leaves out single optimisations by name
    (`"threads"`), `verify=True` checks graphs after each pass of the compiler.  Warnings and notes go to
    `notify`; without it, warnings become Python's.  `max_memory` is how many bytes a request may take;
    without it, four fifths of what the machine has left.

    Raises GraphSpecError with every error of the spec.
    """
    settings = _settings(dims, consts, dtype, mode)
    return Model(
        Spec(os.fspath(path)),
        settings,
        without=_without(simplify, without),
        verify=VERIFY if verify is None else verify,
        notify=notify,
        max_memory=max_memory,
    )


def loads(
    text: str,
    *,
    base: str | os.PathLike[str] | None = None,
    dims: Mapping[str, int] | None = None,
    consts: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    mode: Mode = "eval",
    simplify: bool = True,
    without: Iterable[str] | None = None,
    verify: bool | None = None,
    notify: Notify | None = None,
    max_memory: int | None = None,
) -> Model:
    """Compile a spec given as text, as `load` does; its imports and data files lie below `base`."""
    spec = Spec(None, text, None if base is None else os.fspath(base))
    settings = _settings(dims, consts, dtype, mode)
    return Model(
        spec,
        settings,
        without=_without(simplify, without),
        verify=VERIFY if verify is None else verify,
        notify=notify,
        max_memory=max_memory,
    )


def save_params(path: str | os.PathLike[str], params: Mapping[str, Array]) -> None:
    """Write arrays by name to a `.safetensors` or `.npz` file, whole or not at all.

    Raises GraphSpecError where it cannot be written.
    """
    from graphspec.runtime.parameters import save_arrays

    save_arrays(path, params)


def _without(simplify: bool, without: Iterable[str] | None) -> frozenset[str]:
    if not simplify:
        return ALL
    return WITHOUT if without is None else left_out(without)


def _settings(
    dims: Mapping[str, int] | None, consts: Mapping[str, Any] | None, dtype: str | None, mode: str
) -> Settings:
    if mode not in ("eval", "train"):
        raise ValueError(f'mode is "eval" or "train", not {mode!r}')
    floats = {d.value: d for d in DType if d.is_float}
    if dtype is not None and dtype not in floats:
        raise ValueError(f"dtype is one of {', '.join(floats)}, not {dtype!r}")
    sets = {**(consts or {}), **(dims or {})}
    return Settings(sets, floats[dtype] if dtype else None, mode == "train")
