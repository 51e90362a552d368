"""Packing: where in one block of memory each buffer lies, so that buffers alive together never overlap."""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import NamedTuple

ALIGNMENT = 64  # a cache line, and the widest vector register
#: above this many buffers only the sweep is tried, which is close to linear
_GREEDY_LIMIT = 700


class Interval(NamedTuple):
    """A buffer: alive from step `start` to step `end`, both included."""

    start: int
    end: int
    size: int


def pack(buffers: Sequence[Interval]) -> tuple[list[int], int]:
    """The offset of each buffer, and the size of the block.

    No packing is smaller than the most that is alive at one step.  A sweep over time often reaches
    that; where it does not, and the buffers are few, placing the largest first is tried too.
    """
    sizes = [-(-b.size // ALIGNMENT) * ALIGNMENT for b in buffers]
    offsets, total = _sweep(buffers, sizes)
    if total > _most_alive(buffers, sizes) and len(buffers) <= _GREEDY_LIMIT:
        greedy, smaller = _largest_first(buffers, sizes)
        if smaller < total:
            return greedy, smaller
    return offsets, total


def _most_alive(buffers: Sequence[Interval], sizes: Sequence[int]) -> int:
    changes = [(b.start, size) for b, size in zip(buffers, sizes, strict=True)]
    changes += [(b.end + 1, -size) for b, size in zip(buffers, sizes, strict=True)]
    most = alive = 0
    for _, change in sorted(changes):
        alive += change
        most = max(most, alive)
    return most


class _FreeBlocks:
    """The gaps below `top`: by size for the best fit, by their ends to join neighbours."""

    def __init__(self) -> None:
        self.top = 0
        self._by_size: list[tuple[int, int]] = []
        self._size_at: dict[int, int] = {}
        self._start_before: dict[int, int] = {}

    def take(self, size: int) -> int:
        """The offset of `size` bytes: the tightest gap that has them, else the end of the block."""
        position = bisect_left(self._by_size, (size, -1))
        if position < len(self._by_size):
            length, offset = self._by_size[position]
            self._remove(offset)
            if length > size:
                self._insert(offset + size, length - size)
            return offset
        offset = self.top
        if self.top in self._start_before:  # the last gap is too small: it grows
            offset = self._start_before[self.top]
            self._remove(offset)
        self.top = offset + size
        return offset

    def give(self, offset: int, size: int) -> None:
        """Make a gap again, joined with the gaps on both sides."""
        if offset + size in self._size_at:
            after = offset + size
            size += self._size_at[after]
            self._remove(after)
        if offset in self._start_before:
            before = self._start_before[offset]
            self._remove(before)
            offset, size = before, size + offset - before
        self._insert(offset, size)

    def _insert(self, offset: int, size: int) -> None:
        insort(self._by_size, (size, offset))
        self._size_at[offset] = size
        self._start_before[offset + size] = offset

    def _remove(self, offset: int) -> None:
        size = self._size_at.pop(offset)
        del self._start_before[offset + size]
        del self._by_size[bisect_left(self._by_size, (size, offset))]


def _sweep(buffers: Sequence[Interval], sizes: Sequence[int]) -> tuple[list[int], int]:
    """Allocate and free in the order of time, into the tightest gap (best fit)."""
    offsets = [0] * len(buffers)
    free = _FreeBlocks()
    ends: list[tuple[int, int]] = []
    for i in sorted(range(len(buffers)), key=lambda i: (buffers[i].start, -sizes[i])):
        if not sizes[i]:
            continue
        while ends and ends[0][0] < buffers[i].start:
            _, gone = heapq.heappop(ends)
            free.give(offsets[gone], sizes[gone])
        offsets[i] = free.take(sizes[i])
        heapq.heappush(ends, (buffers[i].end, i))
    return offsets, free.top


def _largest_first(buffers: Sequence[Interval], sizes: Sequence[int]) -> tuple[list[int], int]:
    """Place each buffer into the lowest gap among those that live with it, the largest first.

    Source: Pisarchyk & Lee (2020), "Efficient memory management for deep neural net inference",
    arXiv:2001.03288, greedy by size.
    """
    offsets = [0] * len(buffers)
    placed: list[tuple[int, int]] = []  # (offset, buffer), sorted
    total = 0
    for i in sorted(range(len(buffers)), key=lambda i: (-sizes[i], buffers[i].start)):
        if not sizes[i]:
            continue
        start, end, size = buffers[i].start, buffers[i].end, sizes[i]
        offset = 0
        for other, j in placed:
            if buffers[j].start > end or buffers[j].end < start:
                continue
            if other - offset >= size:
                break
            offset = max(offset, other + sizes[j])
        offsets[i] = offset
        insort(placed, (offset, i))
        total = max(total, offset + size)
    return offsets, total
