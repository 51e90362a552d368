"""Laying an array into a larger one."""

from __future__ import annotations

from typing import Any

from graphspec.runtime.kernels.registry import kernel


@kernel("embed")
def embed(
    xp: Any,
    out: Any,
    x: Any,
    shape: tuple[int, ...],
    starts: tuple[int, ...],
    steps: tuple[int, ...],
    value: float,
) -> None:
    """out = x at every `steps`-th place from `starts` on, and `value` elsewhere."""
    out.fill(value)
    places = tuple(
        slice(start, start + size * step, step)
        for start, size, step in zip(starts, x.shape, steps, strict=True)
    )
    out[places] = x
