"""Data files: `.npy` holds one array, `.npz` arrays by name.  Pickles are never read.

A file is not believed: what its headers declare is compared with what it has before memory is taken.
"""

from __future__ import annotations

import io
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue import data as say
from graphspec.runtime import memory
from graphspec.runtime.files import AnyPath, explained, is_stream, replacing

Array: TypeAlias = np.ndarray[Any, Any]

_NPY = b"\x93NUMPY"
_ZIP = b"PK"
_PICKLE = b"\x80"
_NUMBERS = "biufc"
#: what zipfile and numpy raise about damage, encryption, and compressions that they do not know
_DAMAGE = (
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_array(path: AnyPath, key: str | None = None) -> Array:
    """One array of a file: that of a `.npy`, or that called `key` of a `.npz`.

    Without a key an archive must hold exactly one array.  Raises GraphSpecError.
    """
    with _opened(path) as (file, is_archive):
        if not is_archive:
            if key is not None:
                raise GraphSpecError(say.data_not_an_archive(str(path), key))
            return _read(file, os.fstat(file.fileno()).st_size, path, None)
        with zipfile.ZipFile(file) as archive:
            members = _members(archive, path)
            if key is None:
                if len(members) != 1:
                    raise GraphSpecError(say.data_key_needed(str(path), list(members)))
                (key,) = members
            if key not in members:
                raise GraphSpecError(say.data_key_missing(str(path), key, list(members)))
            return _read_member(archive, members[key], path, key)


def read_archive(path: AnyPath, keys: Collection[str] | None = None) -> dict[str, Array]:
    """All arrays of a `.npz` by name, or those of `keys`.  Raises GraphSpecError."""
    with _opened(path) as (file, is_archive):
        if not is_archive:
            raise GraphSpecError(say.data_not_an_archive(str(path), None))
        with zipfile.ZipFile(file) as archive:
            members = _members(archive, path)
            for key in keys or ():
                if key not in members:
                    raise GraphSpecError(say.data_key_missing(str(path), key, list(members)))
            return {
                key: _read_member(archive, member, path, key)
                for key, member in members.items()
                if keys is None or key in keys
            }


def read_header(path: AnyPath) -> dict[str, tuple[str, tuple[int, ...]]]:
    """What a `.npz` holds, without reading it: numpy's word for the dtype, and the shape.

    Raises GraphSpecError.
    """
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    with _opened(path) as (file, is_archive):
        if not is_archive:
            raise GraphSpecError(say.data_not_an_archive(str(path), None))
        with zipfile.ZipFile(file) as archive:
            for key, member in _members(archive, path).items():
                with archive.open(member) as stream:
                    header = _read_header(stream)
                    found[key] = header.dtype.name, header.shape
    return found


def write_archive(path: AnyPath, arrays: Mapping[str, Any]) -> None:
    """Write a `.npz`, whole or not at all; the same arrays give the same bytes.  Raises GraphSpecError."""
    if is_stream(path):
        buffer = io.BytesIO()
        _write(buffer, arrays)
        with explained(path):
            Path(path).write_bytes(buffer.getbuffer())
        return
    with replacing(path) as draft, draft.open("wb") as file:
        _write(file, arrays)


def _write(file: IO[bytes], arrays: Mapping[str, Any]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            # ZipInfo's own date is 1980, so that the file does not depend on the clock
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


@contextmanager
def _opened(path: AnyPath) -> Iterator[tuple[IO[bytes], bool]]:
    """A data file, and whether it is an archive; what is wrong with the file becomes a diagnostic."""
    try:
        with open(path, "rb") as file:
            start = file.read(len(_NPY))
            file.seek(0)
            if start.startswith(_PICKLE):
                raise GraphSpecError(say.data_pickled(str(path)))
            if start != _NPY and not start.startswith(_ZIP):
                reason = "it is empty" if not start else "it is none of .npy, .npz and .safetensors"
                raise GraphSpecError(say.data_file_unreadable(str(path), reason))
            yield file, start != _NPY
    except FileNotFoundError:
        raise GraphSpecError(say.data_file_missing(str(path), _similar(path))) from None
    except OSError as error:
        raise GraphSpecError(say.data_file_unreadable(str(path), error.strerror or str(error))) from None
    except MemoryError:
        raise GraphSpecError(say.data_file_unreadable(str(path), "it does not fit into memory")) from None
    except _DAMAGE as error:
        raise GraphSpecError(say.data_file_unreadable(str(path), _sentence(error))) from None


def _sentence(error: Exception) -> str:
    first = str(error).partition("\n")[0]
    return f"it is damaged ({first})" if first else "it is damaged"


def _similar(path: AnyPath) -> list[str]:
    folder = Path(path).parent
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return []
    return [str(folder / name) for name in get_close_matches(Path(path).name, names, n=1)]


def _members(archive: zipfile.ZipFile, path: AnyPath) -> dict[str, zipfile.ZipInfo]:
    """The arrays in an archive; what PyTorch saves is an archive too, of a pickle."""
    if any(name.endswith("/data.pkl") for name in archive.namelist()):
        raise GraphSpecError(say.data_pickled(str(path)))
    return {m.filename.removesuffix(".npy"): m for m in archive.infolist() if m.filename.endswith(".npy")}


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: AnyPath, key: str) -> Array:
    with archive.open(member) as file:
        return _read(file, member.file_size, path, key)


@dataclass(frozen=True, slots=True)
class _Header:
    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]


def _read_header(file: IO[bytes]) -> _Header:
    """What the array that begins here says of itself."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        header = _Header(*np.lib.format.read_array_header_1_0(file))
    elif version == (2, 0):
        header = _Header(*np.lib.format.read_array_header_2_0(file))
    else:
        raise ValueError(f"version {version[0]}.{version[1]} of the format")
    if any(size < 0 for size in header.shape):
        raise ValueError("a negative size")
    return header


def _read(file: IO[bytes], length: int, path: AnyPath, key: str | None) -> Array:
    """The array that begins here and should fill `length` bytes."""
    header = _read_header(file)
    shape, dtype = header.shape, header.dtype
    if dtype.hasobject:
        raise GraphSpecError(say.data_of_objects(str(path), key))
    if dtype.kind not in _NUMBERS:
        raise GraphSpecError(say.data_file_unreadable(str(path), f"its elements are {dtype}, not numbers"))
    declared, there = math.prod(shape) * dtype.itemsize, length - file.tell()
    if declared != there:
        what = "cut short" if declared > there else "longer than it says"
        reason = f"it is {what}: {declared} bytes are declared, and {there} are there"
        raise GraphSpecError(say.data_file_unreadable(str(path), reason))
    memory.check(declared)
    array: Array = np.empty(math.prod(shape), dtype)
    into = array.view(np.uint8).data
    filled = 0
    while filled < len(into):
        count = file.readinto(into[filled:])  # type: ignore[attr-defined]  # files and members of archives have it
        if not count:
            raise EOFError(f"{filled} of {declared} bytes")
        filled += count
    if file.read(1):
        raise ValueError("more bytes than it declares")
    return array.reshape(shape[::-1]).T if header.is_fortran else array.reshape(shape)
