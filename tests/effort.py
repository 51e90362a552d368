"""How much work a call does, counted instead of timed: the same number on every machine, busy or not."""

from __future__ import annotations

import gc
from collections.abc import Callable
from cProfile import Profile

Work = Callable[[], object]


def effort(work: Work) -> int:
    """The calls made meanwhile: of functions written in Python and in C, and of generators for an element.

    Call `work` once before where the first call fills a cache.
    """
    profile = Profile()
    collecting = gc.isenabled()
    gc.disable()  # what is called when garbage is collected depends on what ran before
    profile.enable()
    try:
        work()
    finally:
        profile.disable()
        if collecting:
            gc.enable()
    return sum(entry.callcount for entry in profile.getstats())


def growth(prepare: Callable[[int], Work], size: int) -> float:
    """How many times the effort twice the size takes: 2 where it is in proportion, 4 for a square.

    `prepare(n)` makes ready, uncounted, what is to be done for size n.
    """
    prepare(size // 10)()
    return effort(prepare(2 * size)) / effort(prepare(size))


#: The most that `growth` may be where effort is in proportion; n log n stays below it as well.
IN_PROPORTION = 2.3
