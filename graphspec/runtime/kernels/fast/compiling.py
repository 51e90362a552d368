"""How the functions of this folder are compiled: kept on disk, free of Python's lock, NaN being NaN.

What is compiled is kept by the text of its own module: a function that is inlined from another module is
compiled anew only when the module that uses it changes, or its `__pycache__` is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from graphspec.ir import DType, TensorType

#: sums may be reordered and contracted; infinities and NaN keep their meaning
FASTMATH = frozenset({"contract", "reassoc", "nsz"})


def compiled(function: Callable[..., Any]) -> Any:
    """The function, compiled for each set of types when it is first called with them."""
    return numba.njit(nogil=True, cache=True, fastmath=set(FASTMATH), error_model="numpy")(function)


def inlined(function: Callable[..., Any]) -> Any:
    """The function, compiled into those that call it."""
    settings = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}  # nobody else calls it
    return numba.njit(nogil=True, fastmath=set(FASTMATH), error_model="numpy", **settings)(function)


def is_compiled(type: TensorType) -> bool:
    """Whether there are compiled kernels for this dtype: single and double precision."""
    return type.dtype in (DType.F32, DType.F64)


def is_compiled_for(array: Any) -> bool:
    """As `is_compiled`, for an array."""
    return array.dtype in (np.float32, np.float64)


def plain(array: Any) -> Any:
    """The array, or a copy if its elements do not follow one another."""
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)
