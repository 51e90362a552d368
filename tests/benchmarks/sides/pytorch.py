"""PyTorch's side, eager or (`pytorch-compile`) through torch.compile."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from workloads import Workload

from sides import is_trained, split
from sides import networks_torch as networks

Call = Callable[[], Any]

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def warm_up(variant: str) -> None:
    def small(x: Any) -> Any:
        return ((x @ x) ** 2).sum()

    x = torch.ones(4, 4, requires_grad=True)
    torch.autograd.grad(_compiled(small, variant)(x), [x])


def prepare(workload: Workload, sizes: dict[str, int], arrays: dict[str, Any], variant: str) -> Call:
    wrt = [name for name, a in split(arrays)[0].items() if is_trained(name, a)]
    if workload.wrt in arrays:
        wrt = [workload.wrt]
    params, inputs = split({name: torch.from_numpy(a) for name, a in arrays.items()})
    network = getattr(networks, workload.network)
    if workload.kind == "jacobian":
        jacobian = _compiled(torch.func.jacrev(lambda x: network(params, x)), variant)
        return lambda: {"jacobian": jacobian(inputs["x"])}
    if workload.kind in ("per example", "norms"):
        return _per_example(workload, network, params, wrt, inputs, variant)
    targets = [params[name].requires_grad_() for name in wrt]
    forward = _compiled(network, variant)
    return lambda: dict(zip(wrt, torch.autograd.grad(forward(params, inputs), targets), strict=True))


def _compiled(function: Any, variant: str) -> Any:
    return torch.compile(function, dynamic=False) if variant == "compile" else function


def _per_example(
    workload: Workload, network: Any, params: Any, wrt: list[str], inputs: Any, variant: str
) -> Call:
    others = {name: a for name, a in params.items() if name not in wrt}

    def one(chosen: Any, x: Any) -> Any:
        return network({**others, **chosen}, {name: a[None] for name, a in x.items()})

    gradients = torch.func.vmap(torch.func.grad(one), in_dims=(None, 0))

    def norms(chosen: Any, x: Any) -> Any:
        return {name: g.flatten(1).norm(dim=1) for name, g in gradients(chosen, x).items()}

    chosen = {name: params[name] for name in wrt}
    compiled = _compiled(norms if workload.kind == "norms" else gradients, variant)
    return lambda: compiled(chosen, inputs)
