"""The workloads' networks in JAX: a function of parameters and inputs, each by the spec's names.

A network gives its objective; `resnet`, which is trained, its new state as well.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp


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


def layers(p: Any, x: Any) -> Any:
    h = x["x"]
    for name in ("fc1", "fc2", "fc3"):
        h = jax.nn.relu(_linear(p, h, name))
    return _cross_entropy(_linear(p, h, "fc4"), x["label"])


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


def resnet(p: Any, x: Any) -> tuple[Any, Any]:
    state: dict[str, Any] = {}

    def norm(h: Any, name: str) -> Any:
        mean, var = h.mean((0, 2, 3)), h.var((0, 2, 3))
        count = h.size // h.shape[1]
        for kind, found in (("mean", mean), ("var", var * (count / (count - 1)))):
            state[f"{name}.running_{kind}"] = 0.9 * p[f"{name}.running_{kind}"] + 0.1 * found
        scale = p[f"{name}.weight"] * jax.lax.rsqrt(var + 1e-5)
        return h * scale[:, None, None] + (p[f"{name}.bias"] - mean * scale)[:, None, None]

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
    return _cross_entropy(_linear(p, h.mean((2, 3)), "fc"), x["label"]), state


def tanh_layers(p: Any, x: Any) -> Any:
    for name in ("fc1", "fc2", "fc3"):
        x = jnp.tanh(x @ p[f"{name}.weight"].T + p[f"{name}.bias"])
    return x
