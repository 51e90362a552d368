"""How names are written in the Python interface, and in which form its answers come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from graphspec.compiler import Derived

#: an array of numpy or cupy; what is given may be anything with `__array__` or DLPack, or a number
Array: TypeAlias = Any
Names: TypeAlias = "str | Sequence[str]"

T = TypeVar("T")


def texts(names: Iterable[str] | None) -> tuple[str, ...] | None:
    """Names as a request has them: one may be given without a list."""
    return None if names is None else (names,) if isinstance(names, str) else tuple(names)


def backend_of(arrays: Mapping[str, Array]) -> str:
    """Where arrays are: on a device if any of them is."""
    return "cupy" if any(type(a).__module__.partition(".")[0] == "cupy" for a in arrays.values()) else "numpy"


def as_asked(of: Names | None, by_objective: dict[str, T]) -> Any:
    """A dict by objective where a list of them was asked for, else what belongs to the only one."""
    if of is None or isinstance(of, str):
        (only,) = by_objective.values()
        return only
    return by_objective


def by_objective(derived: Derived, found: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """The gradients of a request, by objective and by what they belong to."""
    return {
        objective: {name: found[key] for name, key in keys.items()}
        for objective, keys in derived.gradients.items()
    }
