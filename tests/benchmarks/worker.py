"""One side of a comparison, in a process of its own: `python worker.py SIDE WORKLOAD FOLDER [--quick]`.

It prepares, writes its results into the folder and says "ready"; then each line on stdin asks for a round
of calls, whose seconds it answers as a list in JSON.  Between rounds it sleeps, and so do its threads.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import workloads

#: a round lasts this long, and at least so many calls
ROUND_SECONDS, ROUND_CALLS = 0.25, 3


def main() -> None:
    side_name, name, folder, *flags = sys.argv[1:]
    workload = next(w for w in workloads.WORKLOADS if w.name == name)
    sizes = workload.reduced if "--quick" in flags else workload.dims
    side = import_module(f"sides.{side_name.partition('-')[0]}")
    channel = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints is not an answer
    try:
        call = side.prepare(workload, sizes, Path(folder), variant=side_name.partition("-")[2])
    except side.NotForThisError as reason:
        answer = {"skip": str(reason)}
    else:
        answer = {"ready": True} | (getattr(side, "FACTS", {}))
    print(json.dumps(answer), file=channel, flush=True)
    if "skip" in answer:
        return
    for line in sys.stdin:
        seconds = float(line)
        print(json.dumps(_round(call, seconds)), file=channel, flush=True)


def _round(call, seconds: float) -> list[float]:
    """The duration of each call: of a call that answers a number, that number."""
    times: list[float] = []
    call()  # caches and threads awake again
    end = time.perf_counter() + seconds
    while len(times) < ROUND_CALLS or time.perf_counter() < end:
        start = time.perf_counter()
        given = call()
        times.append(given if isinstance(given, float) else time.perf_counter() - start)
        if seconds == 0:
            break
    return times


if __name__ == "__main__":
    main()
