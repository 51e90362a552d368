"""The primitives: one class is one op, with its type rule, derivative, source text and tests' samples."""

from graphspec.ops import (
    arithmetic,
    comparison,
    construction,
    contraction,
    convolution,
    derivatives,
    indexing,
    pooling,
    reduction,
    rounding,
    selection,
    shape,
    transcendental,
)

__all__ = [
    "arithmetic",
    "comparison",
    "construction",
    "contraction",
    "convolution",
    "derivatives",
    "indexing",
    "pooling",
    "reduction",
    "rounding",
    "selection",
    "shape",
    "transcendental",
]
