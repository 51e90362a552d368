"""The table of kernels, and how they are called.

A kernel is called as `kernel(xp, out, *inputs, *scratch, **attributes)`: it writes its result into
`out`; `scratch` are the arrays that the op's `scratch` asked for; attributes are the op's fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue.plugins import op_name_taken
from graphspec.ir import Op, TensorType

KERNELS: dict[tuple[str, str], Callable[..., None]] = {}
#: of "fast" kernels that need other working storage than the op's `scratch` says: its types
SCRATCH: dict[str, Callable[..., tuple[TensorType, ...]]] = {}

F = TypeVar("F", bound=Callable[..., None])


def kernel(
    name: str, backend: str = "common", *, scratch: Callable[..., tuple[TensorType, ...]] | None = None
) -> Callable[[F], F]:
    """Register a kernel for "numpy", for "cupy", or ("common") for both; "fast" is numpy with a compiler.

    `scratch(op, *operand types)` gives the types of the working storage of a "fast" kernel, where those that
    the op says will not do.

    The same function may be registered again (a cell of a notebook); another one may not take its name.
    """

    def register(function: F) -> F:
        for (other, where), known in KERNELS.items():
            if other == name and _clash(known, function, where == backend):
                holder = f"a kernel of the module `{known.__module__}`"
                raise GraphSpecError(op_name_taken(name, "the kernel", function.__module__, holder))
        KERNELS[name, backend] = function
        if scratch is not None:
            assert backend == "fast", "the plan of other backends asks the op"
            SCRATCH[name] = scratch
        return function

    return register


def _clash(known: Callable[..., Any], new: Callable[..., Any], is_one_backend: bool) -> bool:
    """Whether two kernels may not have one name: those of one backend, and those of different owners."""
    if is_one_backend:
        return (known.__module__, known.__qualname__) != (new.__module__, new.__qualname__)
    return known.__module__.partition(".")[0] != new.__module__.partition(".")[0]


def find_kernel(name: str, backend: str, *, fast: bool = False) -> Callable[..., Any]:
    """The kernel for a backend: its own, else the common one; with `fast` a compiled one if there is one."""
    found = KERNELS.get((name, "fast")) if fast and backend == "numpy" else None
    return found or KERNELS.get((name, backend)) or KERNELS[name, "common"]


def find_scratch(op: Op, operands: Sequence[TensorType], *, fast: bool = False) -> tuple[TensorType, ...]:
    """The working storage of an op: what its kernel asks for, else what the op says."""
    own = SCRATCH.get(op.kernel) if fast and op.kernel else None
    return own(op, *operands) if own else op.scratch(*operands)


def plain_kernel(name: str) -> Callable[..., Any]:
    """The kernel for reading, in numpy: the common one where there is one, else numpy's own."""
    return KERNELS.get((name, "common")) or KERNELS[name, "numpy"]
