"""PyTorch's side, eager or (`pytorch-compile`) through torch.compile."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from workloads import Workload

from sides import networks_torch as networks

Call = Callable[[], Any]


class NotForThisError(Exception):
    """Why this side does not take part."""


def prepare(workload: Workload, sizes: dict[str, int], folder: Path, variant: str) -> Callable[[], Any]:
    if workload.kind == "compile":
        raise NotForThisError("eager PyTorch compiles nothing")
    arrays = {name: torch.from_numpy(array) for name, array in np.load(folder / "data.npz").items()}
    if workload.dtype == "f32":
        arrays = {name: a.float() if a.is_floating_point() else a for name, a in arrays.items()}
    inputs = {name: a for name, a in arrays.items() if "." not in name}
    params = {name: a for name, a in arrays.items() if "." in name}
    network = getattr(networks, workload.network)
    before = _peak()
    call = _request(workload, network, params, inputs, variant == "compile")
    found = call()
    used = _peak() - before
    np.savez(
        folder / f"pytorch{variant and '-' + variant}.npz",
        **{k: v.detach().numpy() for k, v in found.items()},
    )
    if workload.kind == "memory":
        return lambda: used
    for _ in range(3):
        call()
    return call


def _request(workload: Any, network: Any, params: Any, inputs: Any, compiled: bool) -> Call:
    if workload.kind == "jacobian":
        jacobian = torch.func.jacrev(lambda x: network(params, x))
        jacobian = torch.compile(jacobian) if compiled else jacobian
        return lambda: {"jacobian": jacobian(inputs["x"])}
    wrt = [workload.wrt] if workload.wrt in params else [
        name for name, a in params.items() if a.is_floating_point() and "running" not in name
    ]  # fmt: skip
    if workload.kind in ("per example", "norms"):
        return _per_example(workload, network, {n: params[n] for n in wrt}, inputs, compiled)
    for name in wrt:
        params[name].requires_grad_()
    forward = torch.compile(network) if compiled else network
    targets = [params[name] for name in wrt]
    return lambda: dict(zip(wrt, torch.autograd.grad(forward(params, inputs), targets), strict=True))


def _per_example(workload: Any, network: Any, params: Any, inputs: Any, compiled: bool) -> Call:
    def one(p: Any, x: Any) -> Any:
        return network(p, {name: a[None] for name, a in x.items()})

    gradients = torch.func.vmap(torch.func.grad(one), in_dims=(None, 0))
    gradients = torch.compile(gradients) if compiled else gradients
    if workload.kind == "per example":
        return lambda: gradients(params, inputs)
    return lambda: {n: g.flatten(1).norm(dim=1) for n, g in gradients(params, inputs).items()}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
