"""`.safetensors` files: arrays by name behind a header in JSON, read without running anything."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue import data as say
from graphspec.runtime import memory
from graphspec.runtime.files import AnyPath, explained, is_stream, replacing

Array: TypeAlias = np.ndarray[Any, Any]

#: numpy's words for those of the format; bf16, which numpy has not, is read as f32, whose upper half it is
_DTYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F16": "float16",
    "BF16": "float32",
    "F32": "float32",
    "F64": "float64",
}


def is_tensors(path: AnyPath) -> bool:
    """Whether a file looks like one of these: a length, then a header in braces."""
    try:
        with open(path, "rb") as file:
            return file.read(9)[8:] == b"{"
    except OSError:
        return False


def read_header(path: AnyPath) -> dict[str, tuple[str, tuple[int, ...]]]:
    """What the file holds, by name: dtype (as numpy says it, where it can) and shape.

    Raises GraphSpecError.
    """
    with _opened(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
        words = {name: str(s.get_dtype()) for name, s in slices.items()}
        return {
            name: (_DTYPES.get(words[name], words[name]), tuple(s.get_shape())) for name, s in slices.items()
        }


def read_tensors(path: AnyPath, names: Collection[str] | None = None) -> dict[str, Array]:
    """The arrays of the file, or those of `names`.  Raises GraphSpecError."""
    header = read_header(path)
    wanted = list(header if names is None else names)
    for name in wanted:
        if header[name][0] not in _DTYPES.values():
            reason = f"the elements of `{name}` are {header[name][0]}, which numpy does not have"
            raise GraphSpecError(say.data_file_unreadable(str(path), reason))
    memory.check(sum(np.dtype(header[name][0]).itemsize * math.prod(header[name][1]) for name in wanted))
    with _opened(path) as file:
        half = {name for name in wanted if str(file.get_slice(name).get_dtype()) == "BF16"}
        arrays = {name: file.get_tensor(name) for name in wanted if name not in half}
    return {**arrays, **_widened(path, half)}


def write_tensors(path: AnyPath, arrays: Mapping[str, Any]) -> None:
    """Write a file of arrays, whole or not at all.  Raises GraphSpecError."""
    from safetensors.numpy import save, save_file

    # 0.8 writes the memory of a transposed array as if it were not transposed, hence order="C"
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    if is_stream(path):
        with explained(path), open(path, "wb") as stream:
            stream.write(save(plain))
        return
    with replacing(path) as draft:
        save_file(plain, draft)


@contextmanager
def _opened(path: AnyPath) -> Iterator[Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            yield file
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise GraphSpecError(say.data_file_unreadable(str(path), f"it is damaged ({reason})")) from None
    except OSError as error:
        raise GraphSpecError(say.data_file_unreadable(str(path), error.strerror or str(error))) from None


def _widened(path: AnyPath, names: Collection[str]) -> dict[str, Array]:
    """The arrays of bfloat16 in a file whose header has been checked: the upper halves of f32 numbers."""
    if not names:
        return {}
    found: dict[str, Array] = {}
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        for name in names:
            start, end = header[name]["data_offsets"]
            file.seek(8 + length + start)
            halves = np.frombuffer(file.read(end - start), "<u2").astype("u4")
            found[name] = (halves << 16).view("f4").reshape(header[name]["shape"])
    return found
