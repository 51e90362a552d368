"""Memory for large results that serves again: fresh memory costs as much as filling it.

The kernel hands out memory page by page and zeroes each page as it is first touched.  So a program keeps the
blocks of earlier results, once nothing looks at them any more, for the results of its next call.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from graphspec.runtime.plan import LARGE

#: bytes that blocks of all programs may hold idle when one of them asks for more memory
MOST_IDLE = 1 << 29
_ALIGNMENT = 64

_POOLS: weakref.WeakSet[Pool] = weakref.WeakSet()
_LOCK = threading.RLock()  # of the set; held for no work


class Pool:
    """The blocks of one program, which has results of these sizes in bytes.

    As many blocks of a size are kept as the program has results of that size.  Any thread may take a block,
    and a block comes back in whatever thread drops its last array, in the middle of anything: so there is
    no lock, only what lists do in one step.
    """

    def __init__(self, sizes: Iterable[int]) -> None:
        self._most = Counter(size for size in sizes if size >= LARGE)
        self._idle: dict[int, list[Any]] = {size: [] for size in self._most}
        self._self = weakref.ref(self)
        if self._most:
            with _LOCK:
                _POOLS.add(self)

    def empty(self, shape: tuple[Any, ...], dtype: str) -> Any:
        """An uninitialised array, as `numpy.empty` gives it, that nothing else looks at."""
        kind = np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        idle = self._idle.get(size)
        if idle is None:
            return np.empty(shape, kind)
        try:
            block = idle.pop()
        except IndexError:
            block = _allocate(size)
        return np.asarray(_Lease(block, shape, kind, self._self))

    def give(self, block: Any) -> None:
        """Take a block back that no array looks at."""
        size = block.size - _ALIGNMENT
        if len(self._idle[size]) < self._most[size]:
            self._idle[size].append(block)

    def release(self) -> None:
        """Give all blocks that are idle back to the system."""
        for idle in self._idle.values():
            idle.clear()

    @property
    def idle_bytes(self) -> int:
        """What the blocks hold that no array looks at."""
        return sum(size * len(idle) for size, idle in self._idle.items())


class _Lease:
    """Holds a block for as long as arrays look at it: it is what numpy calls their base."""

    __slots__ = ("__array_interface__", "__weakref__", "_block", "_pool")

    def __init__(
        self, block: Any, shape: tuple[Any, ...], kind: np.dtype[Any], pool: weakref.ref[Pool]
    ) -> None:
        address = block.__array_interface__["data"][0]
        start = address + -address % _ALIGNMENT
        self.__array_interface__ = {"data": (start, False), "shape": shape, "typestr": kind.str, "version": 3}
        self._block = block
        self._pool = pool

    def __del__(self) -> None:
        pool = self._pool()
        if pool is not None:
            pool.give(self._block)


def idle_bytes() -> int:
    """What the blocks of all programs hold that no array looks at."""
    return sum(pool.idle_bytes for pool in _pools())


def release_idle() -> None:
    """Give back all blocks that no array looks at."""
    for pool in _pools():
        pool.release()


def _pools() -> list[Pool]:
    with _LOCK:
        return list(_POOLS)


def _allocate(size: int) -> Any:
    """A new block; where the others hold much that is idle, or nothing is left, in exchange for it.

    numpy asks for huge pages where a block is large enough for them.
    """
    if idle_bytes() + size > MOST_IDLE:
        release_idle()
    try:
        return np.empty(size + _ALIGNMENT, np.uint8)
    except MemoryError:
        release_idle()
        return np.empty(size + _ALIGNMENT, np.uint8)
