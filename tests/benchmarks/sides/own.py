"""graphspec's side: it also draws the parameters and inputs that all sides use."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

import numpy as np
import workloads
from workloads import Workload

import graphspec as gs

#: what the driver is told besides the times
FACTS: dict[str, Any] = {}

Call = Callable[[], Any]


class NotForThisError(Exception):
    """Why this side does not take part."""


def prepare(workload: Workload, sizes: dict[str, int], folder: Path, variant: str) -> Callable[[], Any]:
    if workload.kind == "compile":
        return _compiling(workload, sizes, folder)
    model = gs.load(
        workload.spec, dims=sizes, dtype=workload.dtype, mode=workload.mode, simplify=variant != "noopt"
    )
    inputs = model.draw(seed=0)
    params = model.init(seed=0, inputs=inputs)
    np.savez(folder / "data.npz", **params, **inputs)
    before = _peak()
    try:
        call = _request(workload, model, params, inputs)
    except (AttributeError, NotImplementedError, TypeError) as error:
        raise NotForThisError(f"not built yet: {error}") from error
    found = call()
    used = _peak() - before
    np.savez(folder / f"own{variant and '-' + variant}.npz", **found)
    FACTS.update(_costs(model))
    if workload.kind == "memory":
        return lambda: used
    return call


def _request(workload: Workload, model: Any, params: Any, inputs: Any) -> Call:
    wrt, of = workload.wrt, workload.of
    match workload.kind:
        case "gradients" | "memory":
            step = model.compile(wrt, of)
            return lambda: step(params, inputs)[1]
        case "per example":
            step = model.compile(wrt, of, per_example=True)
            return lambda: step(params, inputs)[1]
        case "norms":
            return lambda: model.per_example_norms(params, inputs, wrt=wrt)
        case "jacobian":
            return lambda: {"jacobian": model.jacobian(params, inputs, of=of, wrt=wrt)}
    raise AssertionError(workload.kind)


def _compiling(workload: Workload, sizes: dict[str, int], folder: Path) -> Callable[[], float]:
    text = getattr(workloads, workload.network)(sizes["nodes"])
    x = np.linspace(-1, 1, 8, dtype="f4")
    np.savez(folder / "data.npz", x=x)

    def call() -> float:
        start = time.perf_counter()
        model = gs.loads(text)
        grads = model.compile("x")({}, {"x": x})[1]
        seconds = time.perf_counter() - start
        np.savez(folder / "own.npz", **grads)
        return seconds

    call()
    return call


def _costs(model: Any) -> dict[str, float]:
    """FLOPs of the products and bytes of what must be read and written, of the programs that ran."""
    flops = moved = 0.0
    for program in model._engine._programs.values():
        plan = program.plan
        moved += plan.input_bytes + plan.result_bytes
        flops += sum(_flops(step, plan.types) for step in plan.steps)
    return {"flops": flops, "bytes": moved, "gemm": _gemm_rate(), "copy": _copy_rate()}


def _flops(step: Any, types: Any) -> float:
    """Two for each multiplication of a product or a convolution; other work is counted by its bytes."""
    operands = [types[value] for value in step.node.inputs]
    result = step.types[0]
    match step.op.name:
        case "matmul":
            return 2.0 * result.size * operands[0].shape[-1]
        case "convolution":
            return 2.0 * result.size * operands[1].size / operands[1].shape[0]
        case "convolution_input_adjoint":
            return 2.0 * operands[0].size * operands[1].size / operands[1].shape[0]
        case "convolution_weight_adjoint":
            return 2.0 * operands[0].size * result.size / result.shape[0]
    return 0.0


def _gemm_rate() -> float:
    a = np.ones((1024, 1024), "f4")
    return 2 * 1024**3 / min(_seconds(lambda: a @ a) for _ in range(10))


def _copy_rate() -> float:
    a = np.ones(1 << 24, "f4")
    b = np.empty_like(a)
    return 2 * a.nbytes / min(_seconds(lambda: np.copyto(b, a)) for _ in range(5))


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _peak() -> float:
    """The most memory that the process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
