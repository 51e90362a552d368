"""graphspec's side; the variants are `numpy`, and `without` followed by optimisations or `everything`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

import numpy as np
import workloads
from workloads import Workload

import graphspec as gs
from graphspec.runtime.cost import flops
from sides import split

Call = Callable[[], Any]

#: the models whose requests are timed
LOADED: list[Any] = []

SMALL = "gspec 1\ninput x: f32[4, 4]\nloss s = sum((x @ x) ** 2)\n"


def warm_up(variant: str) -> None:
    os.environ["GRAPHSPEC_FAST"] = "0" if variant == "numpy" else "1"
    x = np.ones((4, 4), "f4")
    gs.loads(SMALL, **_left_out(variant)).compile("x")({}, {"x": x})


def draw(workload: Workload, sizes: dict[str, int]) -> dict[str, Any]:
    """The parameters and inputs that all sides use."""
    if workload.kind == "compile":
        return {"x": np.linspace(-1, 1, 8, dtype="f4")}
    model = _load(workload, sizes)
    inputs = model.draw(seed=0)
    arrays = {**model.init(seed=0, inputs=inputs), **inputs}
    return {name: a.astype("f4") if a.dtype.kind == "f" else a for name, a in arrays.items()}


def prepare(workload: Workload, sizes: dict[str, int], arrays: dict[str, Any], variant: str) -> Call:
    wrt, of, left_out = workload.wrt, workload.of, _left_out(variant)
    params, inputs = split(arrays)
    if workload.kind == "compile":
        text = getattr(workloads, workload.network)(sizes["nodes"])
        return lambda: gs.loads(text, **left_out).compile("x")({}, inputs)[1]
    model = _load(workload, sizes, **left_out)
    LOADED.append(model)
    match workload.kind:
        case "gradients" | "memory" | "per example":
            step = model.compile(wrt, of, per_example=workload.kind == "per example")
            return lambda: step(params, inputs)[1]
        case "norms":
            step = model.compile(wrt, of, per_example="norms")
            return lambda: step(params, inputs)[1]
        case "jacobian":
            jacobian = model.compile_jacobian(of, wrt)
            return lambda: {"jacobian": jacobian(params, inputs)}
    raise AssertionError(workload.kind)


def _load(workload: Workload, sizes: dict[str, int], **left_out: Any) -> Any:
    return gs.load(workload.spec, dims=sizes, dtype=workload.dtype, mode=workload.mode, **left_out)


def _left_out(variant: str) -> dict[str, Any]:
    names = variant.partition("without-")[2]
    if names == "everything":
        return {"simplify": False}
    return {"without": names.split(",")} if names else {}


def costs(call: Call) -> dict[str, float]:
    """What the programs of a call multiply and must move, and the rates of this machine at both.

    Counted are the multiplications and additions of products and convolutions, done in the plain way, and
    the bytes of what is given and of results.
    """
    call()
    work = moved = 0
    for plan in (program.plan for model in LOADED for program in model._engine._programs.values()):
        moved += plan.input_bytes + plan.result_bytes
        for step in plan.steps:
            work += flops(step.op, [plan.types[value] for value in step.node.inputs], step.types[0])
    return {"flops": work, "bytes": moved, "gemm": _gemm_rate(), "copy": _copy_rate(moved)}


def _gemm_rate() -> float:
    """FLOPs a second of a product of large matrices."""
    a = np.ones((1024, 1024), "f4")
    return 2 * 1024**3 / min(_seconds(lambda: a @ a) for _ in range(8))


def _copy_rate(moved: float) -> float:
    """Bytes a second, read and written, of a copy of about this size: what is small stays in caches."""
    a = np.ones(min(1 << 24, max(1 << 10, int(moved) // 8)), "f4")
    b = np.empty_like(a)
    threads = int(os.environ["OMP_NUM_THREADS"])
    parts = [slice(i, j) for i, j in pairwise(a.size * k // threads for k in range(threads + 1))]
    with ThreadPoolExecutor(threads) as pool:
        together = min(
            _seconds(lambda: list(pool.map(lambda part: np.copyto(b[part], a[part]), parts)))
            for _ in range(8)
        )
    alone = min(_seconds(lambda: np.copyto(b, a)) for _ in range(8))
    return 2 * a.nbytes / min(alone, together)


def _seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
