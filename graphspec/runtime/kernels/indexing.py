"""Reading and adding at computed places, with the bounds checked."""

from __future__ import annotations

from typing import Any

from graphspec.runtime.errors import IndexOutOfRange
from graphspec.runtime.kernels.registry import kernel


@kernel("gather")
def gather(xp: Any, out: Any, x: Any, *indices: Any, axis: int) -> None:
    """out = x[:, ..., index_1, ..., index_n], with the indices from `axis` on."""
    for k, index in enumerate(indices):
        _check(index, x.shape[axis + k], axis + k)
    if len(indices) == 1:
        # "clip" writes straight into `out`; nothing is clipped, for the bounds were checked
        mode = {"mode": "clip"} if xp.__name__ == "numpy" else {}
        xp.take(x, indices[0], axis=axis, out=out, **mode)
    else:
        out[...] = x[(slice(None),) * axis + indices]


@kernel("scatter_add")
def scatter_add(xp: Any, out: Any, g: Any, *indices: Any, axis: int, shape: tuple[int, ...]) -> None:
    """out = 0, then out[:, ..., index_1, ..., index_n] += g."""
    end = axis + len(indices)
    for k, index in enumerate(indices):
        _check(index, shape[axis + k], axis + k)
    place: Any = 0
    for size, index in zip(shape[axis:end], indices, strict=True):
        place = place * size + index
    # before the indexed axes, at them, after them
    lead, tail = _count(shape[:axis]), _count(shape[end:])
    place = xp.ravel(place)
    _add_at(
        xp,
        out.reshape(lead, _count(shape[axis:end]), tail),
        place,
        xp.reshape(g, (lead, place.size, tail)),
    )


@kernel("take_along_axis")
def take_along_axis(xp: Any, out: Any, x: Any, indices: Any, axis: int) -> None:
    """out[a, i, b] = x[a, indices[a, i, b], b]."""
    _check(indices, x.shape[axis], axis)
    out[...] = xp.take_along_axis(x, indices, axis)


@kernel("add_along_axis")
def add_along_axis(xp: Any, out: Any, g: Any, indices: Any, axis: int, size: int) -> None:
    """out = 0, then out[a, indices[a, i, b], b] += g[a, i, b]."""
    _check(indices, size, axis)
    lead, tail = _count(g.shape[:axis]), _count(g.shape[axis + 1 :])
    rows = xp.arange(lead).reshape(lead, 1, 1) * (size * tail)
    place = rows + indices.reshape(lead, -1, tail) * tail + xp.arange(tail)
    _add_at(xp, out.reshape(1, -1, 1), xp.ravel(place), xp.reshape(g, (1, -1, 1)))


def _check(index: Any, size: int, axis: int) -> None:
    """Raise IndexOutOfRange for the first index that is negative or not below `size`."""
    if index.size == 0 or (index.min() >= 0 and index.max() < size):
        return
    flat = index.ravel()
    wrong = (flat < 0) | (flat >= size)
    raise IndexOutOfRange(int(flat[int(wrong.argmax())]), size, axis)


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _add_at(xp: Any, out: Any, place: Any, g: Any) -> None:
    """out[:, :, :] = 0, then out[:, place[m], :] += g[:, m, :].  Equal places are summed in one order."""
    out.fill(0)
    if place.size == 0:
        return
    if xp.__name__ == "numpy" and out.shape[0] == out.shape[2] == 1:
        xp.add.at(out[0, :, 0], place, g[0, :, 0])
        return
    order = xp.argsort(place, kind="stable")
    place, g = place[order], g[:, order]
    is_first = xp.ones(place.shape, dtype=bool)
    is_first[1:] = place[1:] != place[:-1]
    if not is_first.all():
        g = _sum_runs(xp, g, place, is_first)
    out[:, place[is_first]] = g


def _sum_runs(xp: Any, g: Any, place: Any, is_first: Any) -> Any:
    """The sums of g[:, m] over each run of equal `place[m]`."""
    if xp.__name__ == "numpy":
        return xp.add.reduceat(g, xp.flatnonzero(is_first), axis=1)
    # cupy has no `reduceat`.  Step k adds to each term the one 2**k further on, where that is in its run.
    reach = 1
    while reach < place.size:
        together = place[reach:] == place[:-reach]
        if not together.any():
            break
        g[:, :-reach] += xp.where(together[:, None], g[:, reach:], 0)
        reach *= 2
    return g[:, is_first]
