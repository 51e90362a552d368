"""Compiles the loops of fused groups, and keeps them on disk for the next run."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

_LOCK = threading.Lock()
_HEADER = '''"""A loop that graphspec wrote; it may be deleted at any time."""
from math import inf, nan
from numba import njit
from numpy import bool_ as bool, empty, float32, float64, int32, int64
from graphspec.runtime.kernels.fast.functions import {functions}
from graphspec.runtime.kernels.fast.products import checked, product
'''
_SETTINGS = 'nogil=True, fastmath={"contract"}, error_model="numpy"'


@cache
def compiled(text: str) -> Callable[..., None]:
    """The compiled loop of a text, which defines `loop`; from the cache on disk where it is there.

    What it was compiled from is part of its file's name: another version of graphspec or numba makes another.
    """
    with _LOCK:
        folder = cache_folder()
        if folder is None:
            namespace: dict[str, Any] = {}
            exec(_header() + _decorated(text, cache=False), namespace)
        else:
            namespace = vars(_module(folder, text))
        loop: Callable[..., None] = namespace["loop"]
        return loop


def _module(folder: Path, text: str) -> ModuleType:
    """The module of a text that is kept in a folder."""
    name = f"graphspec_loop_{_digest(text)}"
    if name in sys.modules:
        return sys.modules[name]
    path = folder / f"{name}.py"
    if not path.exists():
        _write(path, _header() + _decorated(text, cache=True))
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # numba looks modules up by their names
    spec.loader.exec_module(module)
    return module


@cache
def cache_folder() -> Path | None:
    """Where loops are kept: below `GRAPHSPEC_CACHE`, else in the user's cache; None if it is not writable."""
    try:
        folder = _base() / "loops"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError):  # a user without a home
        return None
    return folder if os.access(folder, os.W_OK) else None


def _base() -> Path:
    if asked := os.environ.get("GRAPHSPEC_CACHE"):
        return Path(asked)
    of_user = os.environ.get("XDG_CACHE_HOME")
    return (Path(of_user) if of_user else Path.home() / ".cache") / "graphspec"


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all: others may be reading it."""
    handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(partial).replace(path)


def _digest(text: str) -> str:
    return hashlib.sha256((_version() + text).encode()).hexdigest()[:24]


@cache
def _version() -> str:
    """What a compiled loop depends on besides its text."""
    import numba

    from graphspec.runtime.kernels.fast import compiling, functions, products, vectors

    modules = (compiling, functions, products, vectors)
    source = "".join(map(inspect.getsource, modules)).encode()
    frame = _header() + _decorated("def loop():", cache=True)
    return f"{numba.__version__} {hashlib.sha256(source).hexdigest()} {frame}"


def _decorated(text: str, *, cache: bool) -> str:
    """A text with each of its functions compiled; `loop` is the last, which calls the others."""
    *inner, loop = f"\n{text}".split("\ndef ")[1:]
    only_called_by_it = "no_cpython_wrapper=True, no_cfunc_wrapper=True"
    steps = [f"@njit({_SETTINGS}, {only_called_by_it})\ndef {step}" for step in inner]
    return "\n".join([*steps, f"@njit({_SETTINGS}, cache={cache})\ndef {loop}"])


def _header() -> str:
    from graphspec.runtime.kernels.fast.functions import ANY, SINGLE

    return _HEADER.format(functions=", ".join(["plus", *ANY, *SINGLE]))
