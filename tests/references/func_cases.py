"""Models whose per-example gradients and Jacobians PyTorch has given: `make_torch_func.py` freezes them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Model:
    """A spec, the shapes of its parameters, and its inputs: a shape, or a shape and a bound of integers."""

    name: str
    spec: str
    shapes: Mapping[str, tuple[int, ...]]
    inputs: Mapping[str, tuple[int, ...] | tuple[tuple[int, ...], int]]

    def draw(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Parameters and inputs, the same on every machine."""
        params = {n: _uniform(f"{self.name} {n}", s) / 2 for n, s in self.shapes.items()}
        inputs: dict[str, Array] = {}
        for n, what in self.inputs.items():
            if isinstance(what[0], tuple):
                shape, bound = what
                random = np.random.RandomState(zlib.crc32(f"{self.name} {n}".encode()))
                inputs[n] = random.randint(0, bound, shape)
            else:
                inputs[n] = _uniform(f"{self.name} {n}", what)
        return params, inputs


def _uniform(seed: str, shape: Any) -> Array:
    random = np.random.RandomState(zlib.crc32(seed.encode()))
    return np.asarray(random.uniform(-1, 1, shape))


#: a small convolutional network; the mean of its loss is over weights of the classes
CONV = Model(
    "conv",
    """gspec 1
dim N = 4
input image: f64[N, 2, 7, 7] ~ normal()
input label: i64[N] ~ randint(3)
input importance: f64[3] ~ uniform()
logits = image
  -> conv2d(4, kernel_size=3, stride=2, padding=1) as conv1 -> tanh
  -> conv2d(4, kernel_size=2, groups=2) as conv2 -> relu -> max_pool2d(2, stride=1)
  -> flatten -> linear(3) as fc
loss nll = cross_entropy(logits, label, weight=exp(importance))
""",
    {
        "conv1.weight": (4, 2, 3, 3),
        "conv1.bias": (4,),
        "conv2.weight": (4, 2, 2, 2),
        "conv2.bias": (4,),
        "fc.weight": (3, 16),
        "fc.bias": (3,),
    },
    {"image": (4, 2, 7, 7), "label": ((4,), 3), "importance": (3,)},
)

#: an embedding and one block of a transformer; the targets are the next tokens
BLOCK = Model(
    "block",
    """gspec 1
dim B = 3, T = 5
input tokens: i64[B, T] ~ randint(7)
input target: i64[B, T] ~ randint(7)
layer table = embedding(7, dim=8)
x = table(tokens)
a = x + (layer_norm(x) as ln1 -> self_attention(2) as attn)
h = a + (layer_norm(a) as ln2 -> linear(16) as up -> gelu -> linear(8) as down)
logits = h @ transpose(table.weight)
loss lm = cross_entropy(reshape(logits, [B * T, -1]), reshape(target, [B * T]))
block self_attention(x[B, T, D], heads: int) {
  return multi_head_attention(x, x, x, num_heads=heads, is_causal=true) as mha
}
""",
    {
        "table.weight": (7, 8),
        "ln1.weight": (8,),
        "ln1.bias": (8,),
        "attn.mha.in_proj_weight": (24, 8),
        "attn.mha.in_proj_bias": (24,),
        "attn.mha.out_proj.weight": (8, 8),
        "attn.mha.out_proj.bias": (8,),
        "ln2.weight": (8,),
        "ln2.bias": (8,),
        "up.weight": (16, 8),
        "up.bias": (16,),
        "down.weight": (8, 16),
        "down.bias": (8,),
    },
    {"tokens": ((3, 5), 7), "target": ((3, 5), 7)},
)
