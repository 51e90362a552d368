"""What the machine can do, measured: products of matrices, copies, and calls that do nothing."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from graphspec.ir import DType
from graphspec.runtime.backends import Backend
from graphspec.runtime.cost import Cost
from graphspec.runtime.threads import blas_in_one_thread, run_together

Kind: TypeAlias = Literal["products", "memory"]

#: sizes of the matrices whose products are measured: up to the first large one that takes so many seconds,
#: or the first at all that takes ten times as many
SIZES, LARGE, LONG = (128, 256, 512, 1024, 2048, 4096), 1024, 1e-2
#: how long each of them is repeated, in seconds
ENOUGH = 2e-2
#: bytes that are read and written by the copies that are measured
COPIES = tuple(1 << k for k in (17, 19, 21, 23, 25, 27))


@dataclass(frozen=True, slots=True)
class Limits:
    """The rates of so many threads working together.

    `products` are FLOPs a second by dtype; `copies` bytes (read and written) a second, by how many bytes one
    copies: what fits into a cache is faster.  `call` is how long the array library takes to do nothing.
    """

    threads: int
    products: Mapping[DType, float]
    copies: Mapping[int, float]
    call: float

    @property
    def memory(self) -> float:
        """Bytes a second of what fits into no cache."""
        return self.copies[max(self.copies)]

    def copy_rate(self, count: int) -> float:
        """Bytes a second of a copy that reads and writes so many."""
        sizes = sorted(self.copies)
        at = bisect_left(sizes, count)
        if at in (0, len(sizes)):
            return self.copies[sizes[min(at, len(sizes) - 1)]]
        below, above = list(pairwise(sizes))[at - 1]
        part = math.log(count / below) / math.log(above / below)
        return self.copies[below] * (1 - part) + self.copies[above] * part

    def least(self, cost: Cost, turns: int = 1) -> tuple[float, Kind]:
        """The seconds that the machine needs at least for what costs so much, and what limits it.

        In turns a part of the bytes is read and written at a time, which may fit into a cache.
        """
        of_products = cost.flops / self.products[cost.dtype] if cost.flops else 0.0
        of_memory = cost.bytes / self.copy_rate(cost.bytes // turns) if cost.bytes else 0.0
        return (of_products, "products") if of_products > of_memory else (of_memory, "memory")


def measure_limits(backend: Backend, dtypes: Iterable[DType], threads: int, *, in_pieces: bool) -> Limits:
    """The rates of `threads` threads.

    `in_pieces` each of them has a product and a copy of its own, else the BLAS uses so many for products, and
    one thread copies.
    """
    workers = threads if in_pieces else 1
    with blas_in_one_thread() if in_pieces else nullcontext():
        return Limits(
            threads,
            {dtype: _product_rate(backend, dtype, workers) for dtype in dict.fromkeys(dtypes)},
            {count: _copy_rate(backend, count, workers) for count in COPIES},
            _call_seconds(backend),
        )


def _product_rate(backend: Backend, dtype: DType, workers: int) -> float:
    """FLOPs a second of square matrices."""
    xp, rate = backend.xp, 0.0
    for size in SIZES:
        arrays = [[xp.zeros((size, size), dtype.array_name) for _ in range(3)] for _ in range(workers)]
        taken = _best([_call(xp.matmul, a, b, out=out) for a, b, out in arrays], backend)
        rate = max(rate, 2 * size**3 * workers / taken)
        if taken > 10 * LONG or (size >= LARGE and taken > LONG):
            break
    return rate


def _copy_rate(backend: Backend, count: int, workers: int) -> float:
    """Bytes a second that copies read and write, `count` bytes at a time, all workers together.

    A copy that changes signs counts too: at some sizes and places the C library's own is far slower.
    """
    xp = backend.xp
    size = count // 8 // workers
    arrays = [(xp.ones(size, "float32"), xp.ones(size, "float32")) for _ in range(workers)]
    plain = _best([_call(xp.copyto, out, x) for x, out in arrays], backend)
    negative = _best([_call(xp.negative, x, out=out) for x, out in arrays], backend)
    return 8 * size * workers / min(plain, negative)


def _call_seconds(backend: Backend) -> float:
    """How long it takes to add two arrays of one element."""
    add, x = backend.xp.add, backend.xp.zeros((), "float32")

    def many() -> None:
        for _ in range(100):
            add(x, x, out=x)

    return _best([many], backend) / 100


def _call(function: Callable[..., Any], *arguments: Any, **named: Any) -> Callable[[], Any]:
    return lambda: function(*arguments, **named)


def _best(tasks: list[Callable[[], Any]], backend: Backend) -> float:
    """The least seconds that the tasks take together."""
    least, spent, times = math.inf, 0.0, 0
    while times < 4 or (spent < ENOUGH and times < 1000):
        start = time.perf_counter()
        run_together(tasks)
        backend.synchronize()
        taken = time.perf_counter() - start
        spent, times = spent + taken, times + 1
        if times > 1:  # the first one meets cold pages
            least = min(least, taken)
    return least
