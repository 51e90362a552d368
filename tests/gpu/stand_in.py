"""numpy in the clothes of cupy, so that the way a GPU goes is tested where there is none.

An array of the stand-in refuses what cupy's refuses, and what would make the host wait for the device: to be
looked at, to be mixed with numpy's arrays, to select by a mask.  `waiting` allows it for a while.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np

_state = threading.local()
#: keywords that cupy's ufuncs know
_KEYWORDS = {"out", "dtype", "casting"}


class Waited(AssertionError):  # noqa: N818  (what happened, not an error of the code)
    """The host would have waited for the device."""


@contextmanager
def waiting() -> Iterator[None]:
    """Within this context the host may look at arrays of the device."""
    before = getattr(_state, "may_wait", False)
    _state.may_wait = True
    try:
        yield
    finally:
        _state.may_wait = before


def _wait(what: str) -> None:
    if not getattr(_state, "may_wait", False):
        raise Waited(f"{what} of an array on the device")


def host(x: Any) -> Any:
    """The same elements as an array of numpy."""
    return np.ndarray.view(x, np.ndarray) if isinstance(x, DeviceArray) else x


class DeviceArray(np.ndarray):
    """An array that lies on a device."""

    __module__ = "cupy"
    __cuda_array_interface__: ClassVar[dict[str, Any]] = {}

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **keywords: Any) -> Any:
        for x in (*inputs, *out):
            if isinstance(x, np.ndarray) and not isinstance(x, DeviceArray):
                raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        allowed = _KEYWORDS | ({"axis", "keepdims"} if method == "reduce" or ufunc is np.matmul else set())
        assert keywords.keys() <= allowed, f"cupy.{ufunc.__name__} does not know {keywords.keys() - allowed}"
        assert method in ("__call__", "reduce", "accumulate"), f"cupy has no ufunc.{method}"
        if out:
            keywords["out"] = tuple(map(host, out))
        found = getattr(ufunc, method)(*map(host, inputs), **keywords)
        return out[0] if out else _on_device(found)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(issubclass(t, np.ndarray) and not issubclass(t, DeviceArray) for t in types):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        if function in (np.nonzero, np.flatnonzero, np.argwhere, np.unique):
            _wait(function.__name__)
        if function is np.take:  # cupy knows one mode only
            assert "mode" not in kwargs
            kwargs = {**kwargs, "mode": "wrap"}
        kept = kwargs.get("out")
        kwargs = {key: host(x) for key, x in kwargs.items()}
        found = function(*[_all_host(x) for x in args], **kwargs)
        return _on_device(found) if kept is None else kept

    def __getitem__(self, key: Any) -> Any:
        _check_key(key)
        return _on_device(host(self)[_all_host(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        _check_key(key)
        if isinstance(value, np.ndarray) and not isinstance(value, DeviceArray):
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        host(self)[_all_host(key)] = host(value)

    def __bool__(self) -> bool:
        _wait("the truth")
        return bool(host(self))

    def __int__(self) -> int:
        _wait("the number")
        return int(host(self))

    def __float__(self) -> float:
        _wait("the number")
        return float(host(self))

    def __index__(self) -> int:
        _wait("the number")
        return host(self).__index__()

    def item(self, *index: Any) -> Any:
        _wait("the item")
        return host(self).item(*index)

    def tolist(self) -> Any:
        _wait("the list")
        return host(self).tolist()

    def get(self) -> Any:
        _wait("the elements")
        return host(self).copy()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")


for _name in ("sum", "max", "min", "any", "all", "argmax", "take", "ravel", "reshape", "transpose", "copy"):

    def _method(self: DeviceArray, *args: Any, _name: str = _name, **kwargs: Any) -> Any:
        kwargs = {key: host(x) for key, x in kwargs.items()}
        return _on_device(getattr(host(self), _name)(*map(host, args), **kwargs))

    setattr(DeviceArray, _name, _method)


def _all_host(x: Any) -> Any:
    return type(x)(map(_all_host, x)) if isinstance(x, list | tuple) else host(x)


def _on_device(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(map(_on_device, x))
    return np.asarray(x).view(DeviceArray) if isinstance(x, np.ndarray | np.generic) else x


def _check_key(key: Any) -> None:
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, np.ndarray) and part.dtype.kind == "b":
            _wait("a selection by a mask")


def _made(function: Any) -> Any:
    def make(*args: Any, **kwargs: Any) -> Any:
        return _on_device(function(*map(_all_host, args), **kwargs))

    return make


def cupy() -> ModuleType:
    """A module to stand in for cupy."""
    module = ModuleType("cupy")
    vars(module).update({name: getattr(np, name) for name in np.__all__ if hasattr(np, name)})
    for name in ("empty", "zeros", "ones", "full", "arange", "asarray", "array", "ascontiguousarray"):
        setattr(module, name, _made(getattr(np, name)))
    strided = _made(lambda x, shape, strides: np.lib.stride_tricks.as_strided(x, shape, strides))
    module.lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=strided))
    module.ndarray = DeviceArray
    module.asnumpy = lambda x: x.get() if isinstance(x, DeviceArray) else np.asarray(x)
    stream = SimpleNamespace(ptr=0, synchronize=lambda: _wait("the stream"))
    module.cuda = SimpleNamespace(
        is_available=lambda: True,
        get_current_stream=lambda: stream,
        runtime=SimpleNamespace(getDevice=lambda: 0, memGetInfo=lambda: (1 << 34, 1 << 35)),
    )
    pool = SimpleNamespace(free_bytes=lambda: 1 << 30)
    module.get_default_memory_pool = lambda: pool
    return module
