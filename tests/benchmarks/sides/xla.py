"""JAX's side: jitted, on the CPU."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import workloads
from workloads import Workload

jax.config.update("jax_platforms", "cpu")

Call = Callable[[], Any]


class NotForThisError(Exception):
    """Why this side does not take part."""


def prepare(workload: Workload, sizes: dict[str, int], folder: Path, variant: str) -> Callable[[], Any]:
    if workload.kind == "compile":
        return _compiling(workload, sizes, folder)
    network = globals().get(workload.network)
    if network is None:
        raise NotForThisError("not written for JAX")
    arrays = dict(np.load(folder / "data.npz"))
    if workload.dtype == "f32":
        arrays = {name: a.astype("f4") if a.dtype.kind == "f" else a for name, a in arrays.items()}
    arrays = {name: jnp.asarray(a.astype("i4") if a.dtype.kind == "i" else a) for name, a in arrays.items()}
    inputs = {name: a for name, a in arrays.items() if "." not in name}
    params = {name: a for name, a in arrays.items() if "." in name}
    before = _peak()
    call = _request(workload, network, params, inputs)
    found = call()
    used = _peak() - before
    np.savez(folder / "xla.npz", **found)
    if workload.kind == "memory":
        return lambda: used
    for _ in range(3):
        call()
    return call


def _request(workload: Any, network: Any, params: Any, inputs: Any) -> Call:
    if workload.kind == "jacobian":
        jacobian = jax.jit(jax.jacrev(network, argnums=1))
        return lambda: {"jacobian": jacobian(params, inputs["x"]).block_until_ready()}
    floats = {n: a for n, a in params.items() if a.dtype == jnp.float32 and "running" not in n}
    wrt = {workload.wrt: params[workload.wrt]} if workload.wrt in params else floats

    def loss(chosen: Any, x: Any) -> Any:
        return network({**params, **chosen}, x)

    if workload.kind in ("per example", "norms"):

        def one(chosen: Any, x: Any) -> Any:
            return loss(chosen, {name: a[None] for name, a in x.items()})

        gradients = jax.vmap(jax.grad(one), in_axes=(None, 0))
        if workload.kind == "norms":
            inner = gradients

            def gradients(chosen: Any, x: Any) -> Any:
                return {
                    n: jnp.sqrt((g**2).reshape(g.shape[0], -1).sum(1)) for n, g in inner(chosen, x).items()
                }
    else:
        gradients = jax.grad(loss)
    compiled = jax.jit(gradients)
    return lambda: jax.block_until_ready(compiled(wrt, inputs))


def _compiling(workload: Workload, sizes: dict[str, int], folder: Path) -> Callable[[], float]:
    if sizes["nodes"] > 1000:
        raise NotForThisError("XLA takes minutes")
    x = jnp.asarray(np.load(folder / "data.npz")["x"])
    body = [
        line for line in getattr(workloads, workload.network)(sizes["nodes"]).splitlines() if " = " in line
    ]
    code = "\n".join(["def f(x):", *(f"  {line.removeprefix('loss ')}" for line in body), "  return total"])
    names: dict[str, Any] = {"tanh": jnp.tanh, "sin": jnp.sin, "sum": jnp.sum}
    exec(code, names)

    def call() -> float:
        jax.clear_caches()
        start = time.perf_counter()
        found = jax.jit(jax.grad(names["f"]))(x).block_until_ready()
        seconds = time.perf_counter() - start
        np.savez(folder / "xla.npz", x=found)
        return seconds

    call()
    return call


def _conv(x: Any, w: Any, stride: int = 1, padding: int = 0) -> Any:
    return jax.lax.conv_general_dilated(x, w, (stride, stride), [(padding, padding)] * 2)


def _linear(p: Any, h: Any, name: str) -> Any:
    return h @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def _cross_entropy(logits: Any, label: Any) -> Any:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), label[:, None], 1).mean()


def lenet(p: Any, x: Any) -> Any:
    h = jax.nn.relu(_conv(x["image"], p["conv1.weight"]) + p["conv1.bias"][:, None, None])
    h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    h = jax.nn.relu(_linear(p, h.reshape(h.shape[0], -1), "fc1"))
    return _cross_entropy(_linear(p, h, "fc2"), x["label"])


def iris(p: Any, x: Any) -> Any:
    h = jax.nn.relu(_linear(p, x["measurements"], "hidden.affine")) ** 2
    return _cross_entropy(_linear(p, h, "logits"), x["species"])


def mlp(p: Any, x: Any) -> Any:
    return _cross_entropy(_linear(p, jax.nn.relu(_linear(p, x["x"], "fc1")), "fc2"), x["label"])


def scalars(p: Any, x: Any) -> Any:
    return (jax.nn.sigmoid(x["x"] @ p["fc1.weight"].T) @ p["fc2.weight"].T).sum()


def sixteen(p: Any, x: Any) -> Any:
    h = _conv(x["x"], p["conv1.weight"], 9, 1) + p["conv1.bias"][:, None, None]
    map = (_conv(h, p["conv2.weight"], 3, 1) + p["conv2.bias"][:, None, None])[:, 0]
    gap = jnp.abs(map[x["sample"], x["row"], x["column"]] - x["target"])
    return jnp.where(gap < 1, 0.5 * gap**2, gap - 0.5)


def gpt(p: Any, x: Any) -> Any:
    def norm(h: Any, name: str) -> Any:
        c = h - h.mean(-1, keepdims=True)
        y = c / jnp.sqrt((c**2).mean(-1, keepdims=True) + 1e-5)
        return y * p[f"{name}.weight"] + p[f"{name}.bias"]

    h = x["x"]
    batch, length, width = h.shape
    parts = jnp.split(_linear(p, norm(h, "ln_1"), "attn.c_attn"), 3, axis=-1)
    q, k, v = (part.reshape(batch, length, 4, width // 4).transpose(0, 2, 1, 3) for part in parts)
    scores = q @ k.swapaxes(-1, -2) / (width // 4) ** 0.5
    a = jax.nn.softmax(jnp.where(jnp.tril(jnp.ones((length, length), bool)), scores, -jnp.inf)) @ v
    h = h + _linear(p, a.transpose(0, 2, 1, 3).reshape(batch, length, width), "attn.c_proj")
    y = h + _linear(p, jax.nn.gelu(_linear(p, norm(h, "ln_2"), "fc"), approximate=False), "proj")
    return ((y - x["target"]) ** 2).mean()


def resnet(p: Any, x: Any) -> Any:
    def norm(h: Any, name: str) -> Any:
        mean = h.mean((0, 2, 3), keepdims=True)
        var = ((h - mean) ** 2).mean((0, 2, 3), keepdims=True)
        y = (h - mean) / jnp.sqrt(var + 1e-5)
        return y * p[f"{name}.weight"][:, None, None] + p[f"{name}.bias"][:, None, None]

    h = jax.nn.relu(norm(_conv(x["image"], p["conv1.weight"], 1, 1), "bn1"))
    for layer, width in (("layer1", 32), ("layer2", 64)):
        for i in range(3):
            name = f"{layer}.{i}"
            stride = 2 if width != h.shape[1] else 1
            y = jax.nn.relu(norm(_conv(h, p[f"{name}.conv1.weight"], stride, 1), f"{name}.bn1"))
            y = norm(_conv(y, p[f"{name}.conv2.weight"], 1, 1), f"{name}.bn2")
            if stride != 1:
                h = _conv(h, p[f"{name}.downsample.weight"], stride)
            h = jax.nn.relu(h + y)
    return _cross_entropy(_linear(p, h.mean((2, 3)), "fc"), x["label"])


def tanh_layers(p: Any, x: Any) -> Any:
    for name in ("fc1", "fc2", "fc3"):
        x = jnp.tanh(x @ p[f"{name}.weight"].T + p[f"{name}.bias"])
    return x


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
