"""One side of a comparison, in a process of its own: `python worker.py SIDE WORKLOAD FOLDER [--quick]`.

It computes once, writes its results into the folder and says what it knows, as JSON in one line; then each
line on stdin asks for a round of calls, whose seconds it answers as a list.  Between rounds it sleeps, and
so do its threads.  The side `data` draws the parameters and inputs that all sides use, and ends.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import memory
import numpy as np
import workloads

#: calls before the first round, so that what adapts has adapted; a round has at least so many
WARM_CALLS, ROUND_CALLS = 3, 3


def main() -> None:
    name, workload_name, folder, *flags = sys.argv[1:]
    workload = next(w for w in workloads.WORKLOADS if w.name == workload_name)
    sizes = workload.reduced if "--quick" in flags else workload.dims
    module, _, variant = name.partition("-")
    channel = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints is not an answer
    _stay_on(int(os.environ["OMP_NUM_THREADS"]))
    call = None
    if module == "data":
        np.savez(Path(folder, "data.npz"), **import_module("sides.own").draw(workload, sizes))
        answer: dict[str, Any] = {}
    else:
        side = import_module(f"sides.{module}")
        answer, call = _begin(side, workload, sizes, Path(folder), name, variant)
    print(json.dumps(answer), file=channel, flush=True)
    if call is None:
        return
    is_often = workload.kind != "compile"
    for line in sys.stdin:
        print(json.dumps(_round(call, float(line), is_often)), file=channel, flush=True)


def _begin(
    side: Any, workload: Any, sizes: dict[str, int], folder: Path, name: str, variant: str
) -> tuple[dict[str, Any], Callable[[], Any]]:
    """The first call, whose results are written down: what is known then, and how to call again."""
    side.warm_up(variant)
    gc.collect()
    before = memory.start()
    arrays = dict(np.load(folder / "data.npz"))
    call = side.prepare(workload, sizes, arrays, variant)
    del arrays  # a side may have made its own of them
    start = time.perf_counter()
    found = call()
    answer = {"first": time.perf_counter() - start, "memory": memory.peak() - before}
    np.savez(folder / f"{name}.npz", **{key: np.asarray(array) for key, array in found.items()})
    del found
    if workload.kind in ("memory", "compile"):
        return answer, call
    for _ in range(WARM_CALLS):
        call()
    if hasattr(side, "costs"):
        answer |= side.costs(call)
    return answer, call


def _round(call: Callable[[], Any], seconds: float, is_often: bool) -> dict[str, Any]:
    """The duration of each call, and how many cores were at work; with no seconds of one call."""
    times: list[float] = []
    if is_often:
        call()  # caches and threads awake again
    begin, used = time.perf_counter(), time.process_time()
    while not times or (seconds and len(times) < ROUND_CALLS) or time.perf_counter() < begin + seconds:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    cores = (time.process_time() - used) / (time.perf_counter() - begin)
    return {"times": times, "cores": cores}


def _stay_on(threads: int) -> None:
    """Use so many cores at most, whatever a library thinks: XLA counts those that it may run on."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        if threads < len(allowed):
            os.sched_setaffinity(0, allowed[:threads])


if __name__ == "__main__":
    main()
