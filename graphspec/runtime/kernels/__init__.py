"""Kernels: what no single call of numpy or cupy computes, one function each, or one per backend."""

from graphspec.runtime.kernels import (
    convolution,
    convolution_on_cpu,
    elementwise,
    erf,
    indexing,
    indexing_on_device,
    matmul,
    pooling,
    selection,
    shape,
)
from graphspec.runtime.kernels.registry import KERNELS, find_kernel, find_scratch, kernel, plain_kernel

__all__ = [
    "KERNELS",
    "convolution",
    "convolution_on_cpu",
    "elementwise",
    "erf",
    "find_kernel",
    "find_scratch",
    "indexing",
    "indexing_on_device",
    "kernel",
    "matmul",
    "plain_kernel",
    "pooling",
    "selection",
    "shape",
]
