"""JAX's side: jitted, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import workloads
from workloads import Workload

from sides import is_trained, networks_jax, split

jax.config.update("jax_platforms", "cpu")

Call = Callable[[], Any]


def warm_up(variant: str) -> None:
    jax.block_until_ready(jax.jit(jax.grad(lambda x: ((x @ x) ** 2).sum()))(jnp.ones((4, 4))))


def prepare(workload: Workload, sizes: dict[str, int], arrays: dict[str, Any], variant: str) -> Call:
    if workload.kind == "compile":
        return _compiling(workload, sizes, jnp.asarray(arrays["x"]))
    wrt = [name for name, a in split(arrays)[0].items() if is_trained(name, a)]
    if workload.wrt in arrays:
        wrt = [workload.wrt]
    params, inputs = split(
        {name: jnp.asarray(a.astype("i4") if a.dtype.kind == "i" else a) for name, a in arrays.items()}
    )
    network = getattr(networks_jax, workload.network)
    if workload.kind == "jacobian":
        jacobian = jax.jit(jax.jacrev(network, argnums=1))
        return lambda: {"jacobian": jax.block_until_ready(jacobian(params, inputs["x"]))}
    chosen = {name: params.pop(name) for name in wrt}
    compiled = jax.jit(_gradients(workload, network))

    def call() -> Any:
        found = jax.block_until_ready(compiled(chosen, params, inputs))
        return found[0] if workload.mode == "train" else found

    return call


def _gradients(workload: Workload, network: Any) -> Any:
    """Gradients by the first argument, which are the parameters asked for; in training also the new state."""

    def loss(chosen: Any, others: Any, x: Any) -> Any:
        return network({**others, **chosen}, x)

    if workload.kind in ("per example", "norms"):

        def one(chosen: Any, others: Any, x: Any) -> Any:
            return loss(chosen, others, {name: a[None] for name, a in x.items()})

        gradients = jax.vmap(jax.grad(one), in_axes=(None, None, 0))
        if workload.kind == "per example":
            return gradients

        def norms(chosen: Any, others: Any, x: Any) -> Any:
            found = gradients(chosen, others, x)
            return {n: jnp.sqrt((g**2).reshape(g.shape[0], -1).sum(1)) for n, g in found.items()}

        return norms
    return jax.grad(loss, has_aux=workload.mode == "train")


def _compiling(workload: Workload, sizes: dict[str, int], x: Any) -> Call:
    text = getattr(workloads, workload.network)(sizes["nodes"])
    lines = [line.removeprefix("loss ") for line in text.splitlines() if " = " in line]
    code = "\n".join(["def f(x):", *(f"  {line}" for line in lines), "  return total"])
    names: dict[str, Any] = {"tanh": jnp.tanh, "sin": jnp.sin, "sum": jnp.sum}
    exec(code, names)

    def call() -> Any:
        fresh = jax.jit(jax.grad(lambda x: names["f"](x)))  # what was compiled before does not count
        return {"x": jax.block_until_ready(fresh(x))}

    return call
