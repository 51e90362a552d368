"""How much memory may be taken, asked before anything is allocated.

Without a limit of the user's it is four fifths of what the machine has left: of main memory, within the
limits of the process and of its control group (a container's), or of the GPU.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue.data import memory_limit
from graphspec.runtime import blocks
from graphspec.runtime.backends import backend as find_backend

#: the part of what is left that one request may take
SHARE = 0.8
#: so many bytes are not worth asking the machine what it has left, which takes longer than to use them
LITTLE = 1 << 20
_LIMIT: ContextVar[int | None] = ContextVar("max_memory", default=None)
_CGROUP = Path("/sys/fs/cgroup")
#: limits, and what is used of them: of version 2 and version 1 of control groups
_CGROUP_FILES = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


@contextmanager
def limited(max_memory: int | None) -> Iterator[None]:
    """Within this context requests may take so many bytes, inputs included; None leaves all as it is."""
    if max_memory is None:
        yield
        return
    token = _LIMIT.set(max_memory)
    try:
        yield
    finally:
        _LIMIT.reset(token)


def check(needed: int, present: int = 0, backend: str = "numpy") -> None:
    """Raise GraphSpecError where `needed` more bytes are too many.

    `present` are those of arrays that are there already: they count against the user's limit, and not
    against what is left, from which they have been taken.
    """
    limit = _LIMIT.get()
    if limit is not None:
        if needed + present > limit:
            raise GraphSpecError(memory_limit(needed + present, limit, by_user=True))
        if needed + present + blocks.idle_bytes() > limit:
            blocks.release_idle()
        return
    if needed <= LITTLE:
        return
    if needed > _share(backend):
        blocks.release_idle()
        if needed > (limit := _share(backend)):
            raise GraphSpecError(memory_limit(needed, limit, by_user=False))


def _share(backend: str) -> int:
    """The bytes that a request may take without a limit of the user's."""
    left = available(backend)
    return sys.maxsize if left is None else int(left * SHARE)


def available(backend: str = "numpy") -> int | None:
    """The bytes that the machine has left; None where it does not say."""
    if backend == "cupy":
        xp = find_backend("cupy").xp
        free, _ = xp.cuda.runtime.memGetInfo()
        return int(free) + int(xp.get_default_memory_pool().free_bytes())
    known = [n for n in (_system(), _control_group(), _address_space()) if n is not None]
    return min(known, default=None)


def _system() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return _installed()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(fields["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in fields else _installed()


def _installed() -> int | None:
    """All memory of the machine, where what is left of it cannot be read."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _control_group() -> int | None:
    for limit, used in _CGROUP_FILES:
        try:
            return max(0, int((_CGROUP / limit).read_text()) - int((_CGROUP / used).read_text()))
        except (OSError, ValueError):  # no such file, or it says `max`
            continue
    return None


def _address_space() -> int | None:
    """What `ulimit -v` leaves, where there is such a limit."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        taken = 0
    return max(0, limit - taken)
