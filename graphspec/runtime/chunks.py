"""Runs a program on slices of a batch, one after the other: memory for a slice instead of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from graphspec.runtime.backends import backend as find_backend
from graphspec.runtime.program import Program


def cut(count: int, chunk: int) -> Iterator[tuple[int, int]]:
    """Parts of a range, start and stop, of at most `chunk` and of sizes that differ by one at most."""
    parts = max(1, -(-count // chunk))
    return pairwise(count * k // parts for k in range(parts + 1))


def run_in_chunks(
    program_for: Callable[[int], Program],
    arrays: Mapping[str, Any],
    axes: Mapping[str, int],
    count: int,
    chunk: int,
    backend: str,
) -> dict[str, Any]:
    """What a program gives for `count` examples, computed at most `chunk` of them at a time.

    `program_for` gives the program for a number of examples; `axes` says along which axis an array
    holds them, the others are whole for each slice.  Every result leads with the examples.
    """
    found: dict[str, Any] = {}
    for start, stop in cut(count, chunk):
        sliced = {
            name: array[(slice(None),) * axes[name] + (slice(start, stop),)] if name in axes else array
            for name, array in arrays.items()
        }
        results = program_for(stop - start)(sliced)
        if not found:
            xp = find_backend(backend).xp
            found = {name: xp.empty((count, *r.shape[1:]), r.dtype) for name, r in results.items()}
        for name, result in results.items():
            found[name][start:stop] = result
    return found
