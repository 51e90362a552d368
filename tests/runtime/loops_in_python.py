"""Loops of fused groups run by Python itself: slow, but without a compiler to wait for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

OF_NUMPY = (
    *("exp", "expm1", "log", "log1p", "tanh", "sqrt", "sign", "maximum", "minimum"),
    *("float32", "float64", "int32", "int64", "empty"),
)


def product(out: Any, x: Any, y: Any) -> None:
    out[...] = x @ y


def checked(out: Any, x: Any, index: Any, size: int) -> bool:
    out[...] = x
    return bool(((index < 0) | (index >= size)).any())


def run_in_python(text: str) -> Callable[..., None]:
    """What `runtime.compiled.compiled` gives, with numpy's own functions for those of the loops."""
    functions: dict[str, Any] = {name: getattr(np, name) for name in OF_NUMPY}
    functions |= {"inf": math.inf, "nan": math.nan, "plus": np.add}
    functions["erf"] = lambda x: x.dtype.type(math.erf(x))
    functions["erfc"] = lambda x: x.dtype.type(math.erfc(x))
    functions |= {"product": product, "checked": checked}
    namespace: dict[str, Any] = dict(functions)
    exec(text, namespace)
    loop = namespace["loop"]

    def quiet(*arrays: Any) -> Any:
        with np.errstate(all="ignore"):
            return loop(*arrays)

    return quiet
