"""The array libraries that programs run on: numpy always, cupy where there is a GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue.data import backend_unavailable, unknown_backend

NAMES = ("numpy", "cupy")


@dataclass(frozen=True, eq=False)
class Backend:
    """An array library and the few things in which the two differ.

    `xp` is the module; `device` says where its memory is, in words; `quiet` opens a context in which
    overflow and invalid operations raise no warning: infinities and NaNs are the user's right.
    `queue` tells which queue of the device the calling thread's work goes to; on a CPU there is none.
    """

    name: str
    xp: Any
    device: str
    asarray: Callable[[Any], Any]
    to_numpy: Callable[[Any], np.ndarray[Any, Any]]
    synchronize: Callable[[], None]
    quiet: Callable[[], AbstractContextManager[Any]]
    queue: Callable[[], int]

    def empty_bytes(self, count: int) -> Any:
        """Uninitialised storage that begins at a multiple of 64 bytes."""
        if self.name == "cupy":  # its allocator aligns to 512
            return self.xp.empty(count, dtype="uint8")
        storage = np.empty(count + 63, dtype="uint8")
        skip = -storage.ctypes.data % 64
        return storage[skip : skip + count]


def backend(name: str) -> Backend:
    """The backend of that name.  Raises GraphSpecError, with exit code 3, where it cannot run here."""
    if name not in NAMES:
        raise GraphSpecError(unknown_backend(name, NAMES))
    return _numpy() if name == "numpy" else _cupy()


@cache
def _numpy() -> Backend:
    return Backend(
        name="numpy",
        xp=np,
        device="in main memory",
        asarray=np.asarray,
        to_numpy=np.asarray,
        synchronize=lambda: None,
        quiet=lambda: np.errstate(all="ignore"),
        queue=lambda: 0,
    )


@cache
def _cupy() -> Backend:
    try:
        import cupy
    except ImportError as error:
        remedy = 'install it with `pip install "graphspec[cuda13]"` (or `cuda12`, by the driver\'s version)'
        raise GraphSpecError(backend_unavailable("cupy", f"{error}", remedy), exit_code=3) from None
    if not cupy.cuda.is_available():
        remedy = "the numpy backend needs no device"
        raise GraphSpecError(backend_unavailable("cupy", "there is no CUDA device", remedy), exit_code=3)
    return Backend(
        name="cupy",
        xp=cupy,
        device="on the GPU",
        asarray=cupy.asarray,
        to_numpy=cupy.asnumpy,
        synchronize=lambda: cupy.cuda.get_current_stream().synchronize(),
        quiet=nullcontext,
        queue=lambda: hash((cupy.cuda.runtime.getDevice(), cupy.cuda.get_current_stream().ptr)),
    )
