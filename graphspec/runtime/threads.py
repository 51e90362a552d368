"""Threads that work on pieces of a batch, while the BLAS works in one thread of each of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from queue import SimpleQueue
from typing import Any, TypeAlias

Task: TypeAlias = "Callable[[], Any]"


def count_threads() -> int:
    """How many threads to use: as many as the BLAS does, which knows what the user wants of it.

    `GRAPHSPEC_THREADS` says otherwise; so does what the process may run on.
    """
    asked = os.environ.get("GRAPHSPEC_THREADS", "")
    if asked.isdigit():
        return max(1, int(asked))
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, count_blas_threads())


def count_blas_threads() -> int:
    """How many threads the BLAS uses for products that are large enough."""
    return min((library.num_threads for library in _libraries()), default=1)


def run_together(tasks: Sequence[Task]) -> list[Any]:
    """The results of tasks, of which the first runs in this thread.  Raises the first of their errors."""
    if len(tasks) == 1:
        return [tasks[0]()]
    done: SimpleQueue[int] = SimpleQueue()
    results: list[Any] = [None] * len(tasks)
    errors: list[BaseException | None] = [None] * len(tasks)

    def work(i: int) -> None:
        try:
            results[i] = tasks[i]()
        except BaseException as error:  # it belongs to the caller, whatever it is
            errors[i] = error
        done.put(i)

    workers = _workers(os.getpid(), len(tasks) - 1)
    for i in range(1, len(tasks)):
        workers[i - 1].put(partial(work, i))
    work(0)
    for _ in tasks:
        done.get()
    for error in errors:
        if error is not None:
            raise error
    return results


@contextmanager
def blas_in_one_thread() -> Iterator[None]:
    """Products inside are computed in the thread that asks for them."""
    _LIMIT.enter()
    try:
        yield
    finally:
        _LIMIT.leave()


class _Limit:
    """The limit on the threads of the BLAS, which holds while anybody wants it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before: list[int] = []

    def enter(self) -> None:
        with self._lock:
            if not self._users:
                self._before = [library.num_threads for library in _libraries()]
                for library in _libraries():
                    library.set_num_threads(1)
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                for library, count in zip(_libraries(), self._before, strict=True):
                    library.set_num_threads(count)


_LIMIT = _Limit()


@cache
def _libraries() -> list[Any]:
    """What controls the threads of each BLAS that is loaded."""
    from threadpoolctl import ThreadpoolController  # some milliseconds, which few runs need

    return [lib for lib in ThreadpoolController().lib_controllers if lib.user_api == "blas"]


@cache
def _workers(process: int, count: int) -> list[SimpleQueue[Task]]:
    """The queues of threads that wait for work; a process that was forked has none yet."""
    queues: list[SimpleQueue[Task]] = [SimpleQueue() for _ in range(count)]
    for queue in queues:
        threading.Thread(target=_serve, args=(queue,), name="graphspec", daemon=True).start()
    return queues


def _serve(queue: SimpleQueue[Task]) -> None:
    while True:
        queue.get()()
