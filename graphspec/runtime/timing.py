"""How long a program takes, and each of its steps: the medians of many runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphspec.runtime.backends import Backend
from graphspec.runtime.cost import cost
from graphspec.runtime.parallel import ParallelProgram
from graphspec.runtime.program import Program
from graphspec.runtime.threads import blas_in_one_thread, count_blas_threads

#: calls are measured in so many rounds, between the rounds of timed runs: a machine has moods
ROUNDS = 5
#: the most calls, where seconds say how many, and the most times that are kept
MOST_CALLS, MOST_TIMES = 10_000, 4_000_000


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some times, in seconds, and the two between which half of them lie."""

    median: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Calls as they are, in `threads` threads, and runs of the same program with a look at the clock after
    each step.

    Where calls work on pieces of the batch (`in_pieces`), the runs work on the whole of it, in one thread.
    `steps` are medians by step of the plan; views that are set up once take no time.  `waited` is the part of
    the runs in which the thread had no processor: others had it.
    """

    call: Spread
    run: Spread
    steps: tuple[float, ...]
    threads: int
    in_pieces: bool
    waited: float


class Clock:
    """Notes when each step of a run ended."""

    def __init__(self, backend: Backend) -> None:
        self._wait = backend.synchronize if backend.name != "numpy" else None
        self.steps: list[int] = []
        self.times: list[int] = []

    def __call__(self, step: int) -> None:
        if self._wait is not None:
            self._wait()
        self.times.append(time.perf_counter_ns())
        self.steps.append(step)

    def clear(self) -> None:
        self.steps.clear()
        self.times.clear()

    def cost(self) -> float:
        """What a look at the clock takes, in seconds."""
        self.clear()
        for _ in range(1000):
            self(0)
        return float(np.median(np.diff(self.times))) / 1e9


def time_program(
    program: Program,
    call: Callable[[], Any],
    arrays: Mapping[str, Any],
    *,
    calls: int | None = None,
    seconds: float = 1.0,
) -> Timing:
    """Time `call`, which calls a program, and the steps of the program on arrays.

    There are `calls` of each, or as many as take about so many seconds.
    """
    backend = program.backend
    clock = Clock(backend)
    plan = program.plan
    timed = Program(program.graph, plan.env, backend.name, clock=clock, means=program.means)
    in_pieces = isinstance(program.parallel, ParallelProgram)
    in_one = blas_in_one_thread if in_pieces else nullcontext
    of_clock = clock.cost()

    def run() -> float:
        clock.clear()
        return _seconds(lambda: timed(arrays), backend)

    _seconds(call, backend)  # compiles, and takes memory
    once = _seconds(call, backend)
    with in_one():
        run()
        once += run()
    if calls is None:
        most = min(MOST_CALLS, MOST_TIMES // max(1, len(clock.steps)))
        calls = max(3, min(most, int(seconds / once)))
    of_calls: list[float] = []
    of_runs: list[float] = []
    stamps: list[np.ndarray[Any, Any]] = []
    worked = 0.0
    for k in range(ROUNDS):
        count = calls * (k + 1) // ROUNDS - calls * k // ROUNDS
        of_calls += [_seconds(call, backend) for _ in range(count)]
        with in_one():
            began = time.thread_time()
            for _ in range(count):
                of_runs.append(run())
                stamps.append(np.array(clock.times))
            worked += time.thread_time() - began
    of_steps = np.median(np.diff(np.array(stamps), axis=1), axis=0) / 1e9 - of_clock
    steps = dict(zip(clock.steps[1:], of_steps, strict=True))
    return Timing(
        _spread(of_calls),
        _spread([max(0.0, taken - len(clock.steps) * of_clock) for taken in of_runs]),
        tuple(max(0.0, float(steps.get(i, 0.0))) for i in range(len(plan.steps))),
        program.parallel.threads if isinstance(program.parallel, ParallelProgram) else _threads(program),
        in_pieces,
        max(0.0, 1 - worked / sum(of_runs)) if backend.name == "numpy" else 0.0,
    )


def _threads(program: Program) -> int:
    """How many threads the products of a program may use."""
    has_products = any(cost(step, program.plan).flops for step in program.plan.steps)
    return count_blas_threads() if has_products and program.backend.name == "numpy" else 1


def _seconds(call: Callable[[], Any], backend: Backend) -> float:
    start = time.perf_counter()
    call()
    backend.synchronize()
    return time.perf_counter() - start


def _spread(times: list[float]) -> Spread:
    low, median, high = np.quantile(times, [0.25, 0.5, 0.75])
    return Spread(float(median), float(low), float(high), len(times))
