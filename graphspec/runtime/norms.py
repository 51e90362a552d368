"""The norm of an array of any size and kind."""

from __future__ import annotations

import math
from typing import Any


def norm(array: Any) -> float:
    """The Euclidean norm in double precision, scaled so that squares neither overflow nor vanish."""
    flat = array.ravel().astype("float64")
    scale = float(abs(flat).max()) if flat.size else 0.0
    if scale == 0.0 or not math.isfinite(scale):
        return scale
    flat /= scale
    return scale * math.sqrt(float(flat @ flat))
