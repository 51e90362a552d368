"""Reading and adding at computed places on a GPU, without waiting for it.

The host cannot look at an index without stopping the device.  So whether it is out of range is computed on
the device too, noted, and read when the whole program has been sent there (see `Notes`).  Meanwhile cupy
wraps an index that is too large around, so nothing outside an array is touched.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from graphspec.runtime.errors import IndexOutOfRange
from graphspec.runtime.kernels.places import along_axis, count, flat_places
from graphspec.runtime.kernels.registry import kernel

#: the kernels that note their indices, each once a call
NOTING = frozenset({"gather", "indexing", "scatter_add", "take_along_axis", "add_along_axis"})


@dataclass(frozen=True, slots=True)
class _Note:
    """An index of the kernel call with this number: whether one of its elements is wrong, and the first.

    `is_wrong` and `first` are arrays without axes on the device.  The index itself is not kept: its memory
    may be used again before anybody looks.
    """

    call: int
    size: int
    axis: int
    is_wrong: Any
    first: Any


@dataclass(eq=False)
class Notes:
    """The indices that the kernels of one run have used; kernel calls are counted in their order."""

    calls: int = 0
    notes: list[_Note] = field(default_factory=list)

    def add(self, indices: Sequence[Any], sizes: Sequence[int], axis: int) -> None:
        """Note the indices of one kernel call, over `sizes` from `axis` on."""
        for k, (index, size) in enumerate(zip(indices, sizes, strict=True)):
            if index.size:
                flat = index.ravel()
                wrong = (flat < 0) | (flat >= size)
                self.notes.append(_Note(self.calls, size, axis + k, wrong.any(), flat.take(wrong.argmax())))
        self.calls += 1

    def first_wrong(self, xp: Any) -> tuple[int, IndexOutOfRange] | None:
        """The first kernel call with an index out of range.  This waits for the device, once."""
        if not self.notes:
            return None
        wrong = xp.stack([note.is_wrong for note in self.notes]).tolist()
        if not any(wrong):
            return None
        note = self.notes[wrong.index(True)]
        return note.call, IndexOutOfRange(int(note.first), note.size, note.axis)


_current = threading.local()


@contextmanager
def noted() -> Iterator[Notes]:
    """What the kernels below note while the context is open, in this thread."""
    _current.notes = notes = Notes()
    try:
        yield notes
    finally:
        del _current.notes


def _note(indices: Sequence[Any], sizes: Sequence[int], axis: int) -> None:
    notes: Notes | None = getattr(_current, "notes", None)
    if notes is not None:
        notes.add(indices, sizes, axis)


@kernel("gather", "cupy")
def gather(xp: Any, out: Any, x: Any, *indices: Any, axis: int) -> None:
    """out = x[:, ..., index_1, ..., index_n], with the indices from `axis` on."""
    _note(indices, x.shape[axis : axis + len(indices)], axis)
    if len(indices) == 1:
        xp.take(x, indices[0], axis=axis, out=out)
    else:
        out[...] = x[(slice(None),) * axis + indices]


@kernel("indexing", "cupy")
def indexing(xp: Any, out: Any, x: Any, *indices: Any, axis: int, sizes: tuple[int, ...]) -> None:
    """out = x, with the indices that it was read at noted."""
    _note(indices, sizes, axis)
    xp.copyto(out, x)


@kernel("scatter_add", "cupy")
def scatter_add(xp: Any, out: Any, g: Any, *indices: Any, axis: int, shape: tuple[int, ...]) -> None:
    """out = 0, then out[:, ..., index_1, ..., index_n] += g."""
    end = axis + len(indices)
    _note(indices, shape[axis:end], axis)
    place = xp.ravel(flat_places(indices, shape[axis:end]))
    lead, tail = count(shape[:axis]), count(shape[end:])
    _add_at(
        xp,
        out.reshape(lead, count(shape[axis:end]), tail),
        place,
        xp.reshape(g, (lead, place.size, tail)),
    )


@kernel("take_along_axis", "cupy")
def take_along_axis(xp: Any, out: Any, x: Any, indices: Any, axis: int) -> None:
    """out[a, i, b] = x[a, indices[a, i, b], b]."""
    _note((indices,), (x.shape[axis],), axis)
    out[...] = xp.take_along_axis(x, indices, axis)


@kernel("add_along_axis", "cupy")
def add_along_axis(xp: Any, out: Any, g: Any, indices: Any, axis: int, size: int) -> None:
    """out = 0, then out[a, indices[a, i, b], b] += g[a, i, b]."""
    _note((indices,), (size,), axis)
    place = xp.ravel(along_axis(xp, indices, axis, size))
    _add_at(xp, out.reshape(1, -1, 1), place, xp.reshape(g, (1, -1, 1)))


def _add_at(xp: Any, out: Any, place: Any, g: Any) -> None:
    """out[:, :, :] = 0, then out[:, place[m], :] += g[:, m, :].  Equal places are summed in one order.

    Sorted by place, equal ones are neighbours.  Step k adds to each term the one 2**k further on where
    that has the same place: then the first of a run is its sum, and each place fetches its own.
    """
    if place.size == 0 or out.size == 0:
        out.fill(0)
        return
    order = xp.argsort(place, kind="stable")
    place, g = place[order], g[:, order]
    reach = 1
    while reach < place.size:
        together = (place[reach:] == place[:-reach])[:, None]
        g[:, :-reach] += xp.where(together, g[:, reach:], xp.zeros((), g.dtype))
        reach *= 2
    places = xp.arange(out.shape[1], dtype=place.dtype)
    first = xp.searchsorted(place, places, side="left")
    is_hit = first < xp.searchsorted(place, places, side="right")
    sums = g[:, xp.minimum(first, place.size - 1)]
    out[...] = xp.where(is_hit[:, None], sums, xp.zeros((), g.dtype))
