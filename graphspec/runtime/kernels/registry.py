"""The table of kernels, and how they are called.

A kernel is called as `kernel(xp, out, *inputs, *scratch, **attributes)`: it writes its result into
`out`; `scratch` are the arrays that the op's `scratch` asked for; attributes are the op's fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

KERNELS: dict[tuple[str, str], Callable[..., None]] = {}

F = TypeVar("F", bound=Callable[..., None])


def kernel(name: str, backend: str = "common") -> Callable[[F], F]:
    """Register a kernel for "numpy", for "cupy", or ("common") for both."""

    def register(function: F) -> F:
        assert (name, backend) not in KERNELS, f"two kernels are called {name} on {backend}"
        KERNELS[name, backend] = function
        return function

    return register


def find_kernel(name: str, backend: str) -> Callable[..., Any]:
    """The kernel for a backend: its own, else the common one."""
    return KERNELS.get((name, backend)) or KERNELS[name, "common"]
