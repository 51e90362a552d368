"""Kernels that numba compiles, for programs that are called often; each agrees with the one it replaces."""

from graphspec.runtime.kernels.fast import convolution, outer, pooling

__all__ = ["convolution", "outer", "pooling"]
