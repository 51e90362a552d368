"""Parameters from files: by name, with prefixes, other names and other layouts, all mistakes told at once.

`.safetensors` and `.npz` are told apart by what they hold, not by what they are called.  A pickle (`.pt`,
`.pth`, `.bin`) is never read: to read one is to run it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from graphspec.diagnostics import Diagnostic, GraphSpecError
from graphspec.diagnostics.catalogue import data as say
from graphspec.ir import DType, TensorType
from graphspec.runtime import data, tensors
from graphspec.runtime.backends import backend as find_backend
from graphspec.runtime.files import AnyPath, explained, is_stream
from graphspec.runtime.tensors import is_tensors, read_tensors, write_tensors
from graphspec.runtime.unknowns import Place, solve

Array: TypeAlias = Any
#: the words of the language for dtypes that files have
_WORDS = {"bool": "booleans", "object": "Python objects", "bfloat16": "bf16"} | {
    f"{kind}{bits}": f"{kind[0]}{bits}" for kind in ("float", "int", "uint") for bits in (8, 16, 32, 64)
}
_NUMBERS = frozenset(_WORDS) - {"object", "bfloat16", "float8"}


@dataclass(frozen=True, slots=True)
class Mapped:
    """How the names and layouts of a file become those of a spec.

    Only names that begin with `prefix` count, and they lose it; then `rename` replaces a name, or its
    leading part up to a dot; `transpose` are those whose last two axes are swapped, by the spec's names.
    """

    prefix: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)
    transpose: Collection[str] = ()

    def names(self, stored: Iterable[str]) -> dict[str, str]:
        """The names in the file by the names in the spec."""
        found: dict[str, str] = {}
        for name in stored:
            if name.startswith(self.prefix):
                found.setdefault(self._renamed(self._bare(name)), name)
        return found

    def applies(self, old: str, stored: str) -> bool:
        """Whether a key of `rename` is the name, or its leading part, that the file has after the prefix."""
        name = self._bare(stored)
        return stored.startswith(self.prefix) and f"{name}.".startswith(f"{old}.")

    def _bare(self, stored: str) -> str:
        return stored[len(self.prefix) :].lstrip(".")

    def _renamed(self, name: str) -> str:
        for old in sorted(self.rename, key=len, reverse=True):
            if f"{name}.".startswith(f"{old}."):
                return f"{self.rename[old]}{name[len(old) :]}"
        return name


@dataclass(frozen=True, slots=True)
class Loaded:
    """Arrays in their declared dtypes; the names in the file that are not used; what there is to say."""

    arrays: dict[str, Array]
    notes: tuple[Diagnostic, ...]


def load_parameters(
    path: AnyPath,
    expected: Mapping[str, TensorType],
    mapped: Mapped,
    *,
    known: Mapping[str, int],
    declared: Collection[str] = (),
) -> Loaded:
    """The arrays of a file for parameters and buffers of these types.

    `known` are the dims that are fixed; `declared` the other parameters of the spec, which may be in the
    file too.  Raises GraphSpecError with one diagnostic that lists every tensor that is missing, has
    another shape, or elements of another kind.
    """
    stored = read_header(path)
    names = mapped.names(stored)
    unused = [old for old in mapped.rename if not any(mapped.applies(old, name) for name in stored)]
    missing = [name for name in expected if name not in names]
    wrong: list[str] = []
    shapes: dict[str, tuple[int, ...]] = {}
    for name, type in expected.items():
        if name not in names:
            continue
        dtype, shape = stored[names[name]]
        if not _same_kind(dtype, type.dtype):
            wrong.append(f"`{name}` is {type}, but the file has {_WORDS.get(dtype, dtype)}")
        elif name in mapped.transpose and len(shape) < 2:
            wrong.append(f"`{name}` has shape {list(shape)} in the file: there are no two axes to swap")
        else:
            shapes[name] = (*shape[:-2], shape[-1], shape[-2]) if name in mapped.transpose else shape
    set_outside = {name: (number, Place("the number that was set")) for name, number in known.items()}
    _, misfits = solve(expected, shapes, known=set_outside, defaults={}, spans={})
    wrong += [misfit.message for misfit in misfits if misfit.id != "size-undetermined"]
    extra = [old for name, old in names.items() if name not in expected and name not in declared]
    if missing or wrong or unused:
        wanted = {name: str(type) for name, type in expected.items()}
        help = (*_prefix_for(missing, stored, mapped), *_to_transpose(expected, shapes))
        raise GraphSpecError(
            say.parameters_do_not_fit(
                str(path), {name: wanted[name] for name in missing}, wrong, unused, extra, help
            )
        )
    found = read_arrays(path, [names[name] for name in expected])
    arrays = {name: found[names[name]] for name in expected}
    arrays |= {
        name: np.swapaxes(arrays[name], -1, -2).copy() for name in expected if name in mapped.transpose
    }
    return _cast(arrays, expected, [say.extra_parameters(str(path), extra)] if extra else [])


def _same_kind(found: str, wanted: DType) -> bool:
    kinds = "f" if wanted.is_float else "iu" if wanted.is_integer else "b"
    return found in _NUMBERS and np.dtype(found).kind in kinds


def _prefix_for(missing: Sequence[str], stored: Iterable[str], mapped: Mapped) -> list[str]:
    """The prefix that every missing name has in the file, if there is one."""
    if mapped.prefix or not missing:
        return []
    prefixes = [
        {name[: -len(wanted)] for name in stored if name.endswith(f".{wanted}")} for wanted in missing
    ]
    common = sorted(set.intersection(*prefixes))
    return [f"the file has them below `{common[0]}`: `--params-prefix {common[0]}`"] if common else []


def _to_transpose(expected: Mapping[str, TensorType], shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """What would fit the other way round."""
    turned = [
        name
        for name, shape in shapes.items()
        if len(shape) > 1
        and shape != expected[name].shape
        and (*shape[:-2], shape[-1], shape[-2]) == expected[name].shape
    ]
    return [f"transposed, `{turned[0]}` fits: `--transpose '{turned[0]}'`"] if turned else []


def _cast(arrays: Mapping[str, Array], expected: Mapping[str, TensorType], notes: list[Diagnostic]) -> Loaded:
    """The arrays in their declared dtypes."""
    wrong: list[Diagnostic] = []
    narrowed: list[tuple[str, str, str]] = []
    cast: dict[str, Array] = {}
    for name, array in arrays.items():
        wanted = expected[name].dtype
        dtype = np.dtype(wanted.array_name)
        if wanted.is_integer and array.size and not np.can_cast(array.dtype, dtype):
            for extreme in (int(array.min()), int(array.max())):
                if not np.iinfo(dtype).min <= extreme <= np.iinfo(dtype).max:
                    wrong.append(say.integers_do_not_fit(name, str(expected[name]), extreme, None))
                    break
        elif wanted.is_float and not np.can_cast(array.dtype, dtype):
            narrowed.append((name, _WORDS.get(array.dtype.name, array.dtype.name), str(wanted)))
        with np.errstate(all="ignore"):
            cast[name] = array.astype(dtype, copy=False)
    if wrong:
        raise GraphSpecError(wrong)
    return Loaded(cast, (*notes, say.precision_narrowed(narrowed)) if narrowed else tuple(notes))


def save_arrays(path: AnyPath, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name to a `.safetensors` or `.npz` file, whole or not at all.

    Arrays may lie on a device.  Raises GraphSpecError.
    """
    require_writable(path)
    on_host = {name: _to_host(array) for name, array in arrays.items()}
    wrong = [say.array_unwritable(n, str(a.dtype)) for n, a in on_host.items() if a.dtype.kind not in "biuf"]
    if wrong:
        raise GraphSpecError(wrong)
    if Path(path).suffix.lower() == ".safetensors":
        write_tensors(path, on_host)
    else:
        data.write_archive(path, on_host)


def require_writable(path: AnyPath) -> None:
    """End here, before anything is computed, where arrays are not written to files of that name or folder."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".npz", ".safetensors", "") and not is_stream(path):
        raise GraphSpecError(say.array_format_unknown(str(path), suffix))
    target = Path(os.path.realpath(path))
    with explained(path):
        os.stat(f"{target.parent}{os.sep}")  # with the separator, so that it must be a folder
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))


def read_arrays(path: AnyPath, names: Collection[str] | None = None) -> dict[str, Array]:
    """The arrays of a `.npz` or `.safetensors` file by name, or those of `names`.  Raises GraphSpecError."""
    return read_tensors(path, names) if is_tensors(path) else data.read_archive(path, names)


def read_header(path: AnyPath) -> dict[str, tuple[str, tuple[int, ...]]]:
    """What a `.npz` or `.safetensors` file holds: dtype and shape by name.  Raises GraphSpecError."""
    return tensors.read_header(path) if is_tensors(path) else data.read_header(path)


def _to_host(array: Any) -> Any:
    """An array as one of numpy; those on a device are fetched."""
    if hasattr(array, "__cuda_array_interface__"):
        return find_backend("cupy").to_numpy(array)
    return np.asarray(array)
