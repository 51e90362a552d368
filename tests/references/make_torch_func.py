"""Freeze per-example gradients, Jacobians and Hessians of PyTorch (torch.func), in double precision.

`python tests/references/make_torch_func.py` writes `torch_func.npz`; the models of `func_cases.py` are
written here once more, by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (everybody's name for it)
from torch.func import grad, hessian, jacrev, vmap

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from func_cases import BLOCK, CONV, Model  # noqa: E402  (beside this file)

Params = dict[str, Any]


def conv_logits(p: Params, image: Any) -> Any:
    h = F.conv2d(image, p["conv1.weight"], p["conv1.bias"], stride=2, padding=1).tanh()
    h = F.conv2d(h, p["conv2.weight"], p["conv2.bias"], groups=2).relu()
    return F.max_pool2d(h, 2, stride=1).flatten(1) @ p["fc.weight"].T + p["fc.bias"]


def conv_loss(p: Params, image: Any, label: Any, importance: Any) -> Any:
    return F.cross_entropy(conv_logits(p, image[None]), label[None], weight=importance.exp())


def block_loss(p: Params, tokens: Any, target: Any) -> Any:
    x = p["table.weight"][tokens][None]
    n = F.layer_norm(x, (8,), p["ln1.weight"], p["ln1.bias"])
    q, k, v = (
        t.unflatten(-1, (2, 4)).transpose(1, 2)
        for t in (n @ p["attn.mha.in_proj_weight"].T + p["attn.mha.in_proj_bias"]).chunk(3, -1)
    )
    scores = q @ k.transpose(-1, -2) / 2
    hidden = torch.ones(5, 5, dtype=torch.bool).triu(1)
    y = (scores.masked_fill(hidden, -torch.inf).softmax(-1) @ v).transpose(1, 2).flatten(2)
    a = x + y @ p["attn.mha.out_proj.weight"].T + p["attn.mha.out_proj.bias"]
    m = F.layer_norm(a, (8,), p["ln2.weight"], p["ln2.bias"])
    h = a + F.gelu(m @ p["up.weight"].T + p["up.bias"]) @ p["down.weight"].T + p["down.bias"]
    return F.cross_entropy((h @ p["table.weight"].T).flatten(0, 1), target)


def tensors(model: Model) -> tuple[Params, Params]:
    params, inputs = model.draw()
    return {n: torch.tensor(a) for n, a in params.items()}, {n: torch.tensor(a) for n, a in inputs.items()}


def main() -> None:
    frozen: dict[str, Any] = {}
    p, x = tensors(CONV)
    per_example = vmap(grad(conv_loss, argnums=(0, 1)), (None, 0, 0, None))
    by_params, by_image = per_example(p, x["image"], x["label"], x["importance"])
    frozen |= {f"conv/{n}": g for n, g in {**by_params, "image": by_image}.items()}
    frozen["conv/jacobian image"] = jacrev(conv_logits, argnums=1)(p, x["image"])
    frozen["conv/jacobian conv1.weight"] = jacrev(conv_logits)(p, x["image"])["conv1.weight"]

    def by_bias(bias: Any) -> Any:
        logits = conv_logits({**p, "conv1.bias": bias}, x["image"])
        return F.cross_entropy(logits, x["label"], weight=x["importance"].exp())

    frozen["conv/hessian conv1.bias"] = hessian(by_bias)(p["conv1.bias"])
    p, x = tensors(BLOCK)
    by_params = vmap(grad(block_loss), (None, 0, 0))(p, x["tokens"], x["target"])
    frozen |= {f"block/{n}": g for n, g in by_params.items()}
    np.savez_compressed(HERE / "torch_func.npz", **{n: g.detach().numpy() for n, g in frozen.items()})


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    main()
