"""Whether programs that are called often may use compiled kernels: the extra `fast`, which is numba.

Nothing here imports numba: that takes a third of a second, and many runs are over by then.
"""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec


def is_wanted() -> bool:
    """Whether numba is installed and `GRAPHSPEC_FAST=0` does not forbid it."""
    return os.environ.get("GRAPHSPEC_FAST", "1") != "0" and _is_installed()


@cache
def _is_installed() -> bool:
    return find_spec("numba") is not None


def load_kernels() -> None:
    """Register the compiled kernels."""
    import graphspec.runtime.kernels.fast  # noqa: F401  (registers them)
