"""Arrays from outside: checked against their declarations, cast, and what they say about sizes.

Every mistake of a call is found before anything runs, and all of them are reported together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from graphspec.diagnostics import Diagnostic, GraphSpecError, Span
from graphspec.diagnostics.catalogue import data as say
from graphspec.ir import DType, TensorType
from graphspec.runtime.backends import Backend
from graphspec.runtime.backends import backend as find_backend
from graphspec.runtime.unknowns import Place, solve

Array: TypeAlias = Any

#: signatures remembered by one `Binder`
_CACHE_LIMIT = 256
_KINDS = {"f": "floating-point numbers", "i": "integers", "u": "integers", "b": "booleans"}
_OTHER_KINDS = {
    "O": "Python objects",
    "U": "text",
    "S": "bytes",
    "T": "text",
    "M": "dates",
    "m": "durations",
    "c": "complex numbers",
    "V": "records",
}


class Bound(NamedTuple):
    """The arrays in their declared dtypes, the numbers that dims are, and what there is to say about it."""

    arrays: dict[str, Array]
    env: dict[str, int]
    notes: tuple[Diagnostic, ...]


def bind(
    expected: Mapping[str, TensorType],
    given: Mapping[str, Any],
    env: Mapping[str, int] | None = None,
    *,
    defaults: Mapping[str, int] | None = None,
    spans: Mapping[str, Span] | None = None,
    others: Collection[str] = (),
    backend: str = "numpy",
) -> Bound:
    """Check and cast the arrays of one call; see `Binder`, which remembers what it has seen."""
    return Binder(expected, env, defaults=defaults, spans=spans, others=others, backend=backend)(given)


@dataclass(frozen=True, slots=True)
class _Signature:
    """What is known of all calls with arrays of the same dtypes and shapes."""

    env: Mapping[str, int]
    casts: Mapping[str, DType]
    notes: tuple[Diagnostic, ...]


@dataclass(eq=False)
class Binder:
    """Checks the arrays of calls that all expect the same.

    `env` are the dims that are fixed, which arrays may not contradict; `defaults` gives way to the
    arrays.  `others` are names that exist but are not needed: they may be given and are left out of the
    result.  Raises GraphSpecError with every mistake: names, kinds of elements, shapes, sizes.
    """

    expected: Mapping[str, TensorType]
    env: Mapping[str, int] | None = None
    defaults: Mapping[str, int] | None = None
    spans: Mapping[str, Span] | None = None
    others: Collection[str] = ()
    backend: str = "numpy"
    _known: dict[tuple[Any, ...], _Signature] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._backend: Backend = find_backend(self.backend)
        self._array_type: Any = self._backend.xp.ndarray
        self._dtypes = {name: np.dtype(type.dtype.array_name) for name, type in self.expected.items()}

    def __call__(self, given: Mapping[str, Any]) -> Bound:
        """The arrays of one call, ready for a program."""
        errors: list[Diagnostic] = []
        arrays: dict[str, Array] = {}
        if given.keys() != self.expected.keys():
            errors += self._wrong_names(given)
        key: list[Any] = []
        for name in self.expected:
            if name not in given:
                continue
            array = given[name]
            if type(array) is not self._array_type or array.dtype.kind not in _KINDS:
                try:
                    array = self._convert(name, array)
                except GraphSpecError as error:
                    errors += error.diagnostics
                    continue
            arrays[name] = array
            key += (array.dtype, array.shape)
        signature = self._known.get(tuple(key)) if not errors else None
        if signature is None:
            signature = self._examine(arrays, errors)
            if len(self._known) >= _CACHE_LIMIT:
                self._known.clear()
            self._known[tuple(key)] = signature
        if signature.casts:
            arrays |= self._cast(arrays, signature.casts)
        return Bound(arrays, dict(signature.env), signature.notes)

    def _span(self, name: str) -> Span | None:
        return (self.spans or {}).get(name)

    def _wrong_names(self, given: Mapping[str, Any]) -> list[Diagnostic]:
        known = [*self.expected, *(name for name in self.others if name not in self.expected)]
        unknown = [name for name in given if name not in known]
        missing = [name for name in self.expected if name not in given]
        return [say.argument_unknown(name, known) for name in unknown] + [
            say.argument_missing(name, str(self.expected[name]), self._span(name), list(given))
            for name in missing
        ]

    def _convert(self, name: str, value: Any) -> Array:
        """An array of the backend from what the caller gave."""
        type = self.expected[name]
        try:
            array = self._read(value, type)
        except Exception as error:  # the conversion is foreign code and may raise anything
            raise GraphSpecError(
                self._refuse(name, f"what was given cannot be read as an array: {error}")
            ) from None
        if array is None:
            raise GraphSpecError(
                self._refuse(name, f"what was given is a `{value.__class__.__name__}`, no array")
            )
        if array.dtype.kind not in _KINDS:
            reason = f"the elements given are {_OTHER_KINDS.get(array.dtype.kind, array.dtype)}"
            raise GraphSpecError(self._refuse(name, reason))
        return array if isinstance(array, self._array_type) else self._backend.asarray(array)

    def _refuse(self, name: str, reason: str) -> Diagnostic:
        return say.argument_not_an_array(name, str(self.expected[name]), reason, self._span(name))

    def _read(self, value: Any, type: TensorType) -> Array | None:
        """The value as an array of some library; None where it is none."""
        if isinstance(value, bool | int | float | list | tuple) and not isinstance(value, np.generic):
            return _from_python(value, type.dtype)
        if np.ma.is_masked(value):
            raise ValueError("some of its elements are masked")
        if isinstance(value, np.ndarray) or hasattr(value, "__array__"):
            if self._backend.name != "numpy" and hasattr(value, "__cuda_array_interface__"):
                return self._backend.xp.asarray(value)
            return np.asarray(value)
        if hasattr(value, "__dlpack__"):
            return self._backend.xp.from_dlpack(value)
        return None

    def _examine(self, arrays: Mapping[str, Array], errors: list[Diagnostic]) -> _Signature:
        """Check dtypes and shapes.  Raises GraphSpecError with these mistakes and those found before."""
        casts: dict[str, DType] = {}
        narrowed: list[tuple[str, str, str]] = []
        for name, array in arrays.items():
            wanted, found = self.expected[name], array.dtype
            if not _same_kind(found, wanted.dtype):
                cast = f'{name.rpartition(".")[2]}.astype("{wanted.dtype.array_name}")'
                errors.append(say.argument_dtype(name, str(wanted), _describe(found), cast, self._span(name)))
            elif found != self._dtypes[name]:
                casts[name] = wanted.dtype
                if wanted.dtype.is_float and not np.can_cast(found, self._dtypes[name]):
                    narrowed.append((name, _describe(found), str(wanted.dtype)))
        shapes = {name: tuple(array.shape) for name, array in arrays.items()}
        env, wrong = solve(
            self.expected,
            shapes,
            known={name: (n, Place("the number that was set")) for name, n in (self.env or {}).items()},
            defaults=self.defaults or {},
            spans=self.spans or {},
        )
        errors += wrong
        if errors:
            raise GraphSpecError(errors)
        return _Signature(env, casts, (say.precision_narrowed(narrowed),) if narrowed else ())

    def _cast(self, arrays: Mapping[str, Array], casts: Mapping[str, DType]) -> dict[str, Array]:
        """The arrays in other dtypes.  Integers that the dtype does not have are an error."""
        made: dict[str, Array] = {}
        errors: list[Diagnostic] = []
        for name, dtype in casts.items():
            array, wanted = arrays[name], self._dtypes[name]
            if dtype.is_integer and array.size and not np.can_cast(array.dtype, wanted):
                limits = np.iinfo(wanted)
                for extreme in (int(array.min()), int(array.max())):
                    if not limits.min <= extreme <= limits.max:
                        type = str(self.expected[name])
                        errors.append(say.integers_do_not_fit(name, type, extreme, self._span(name)))
                        break
            with self._backend.quiet():
                made[name] = array.astype(wanted)
        if errors:
            raise GraphSpecError(errors)
        return made


def _from_python(value: Any, dtype: DType) -> Array:
    """Python numbers, which have no precision of their own: they take the declared dtype within its kind.

    Whole numbers will do for floating-point ones.
    """
    array = np.asarray(value)
    if array.size == 0 or _same_kind(array.dtype, dtype) or (dtype.is_float and array.dtype.kind in "iu"):
        with np.errstate(all="ignore"):
            return np.asarray(value, dtype=dtype.array_name)
    return array


def _same_kind(found: np.dtype[Any], wanted: DType) -> bool:
    kinds = "f" if wanted.is_float else "iu" if wanted.is_integer else "b"
    return found.kind in kinds


def _describe(dtype: np.dtype[Any]) -> str:
    """A dtype by the language's name for it where it has one."""
    names = {d.array_name: str(d) for d in DType}
    return names.get(dtype.name, dtype.name)
