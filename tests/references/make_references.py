"""Freeze what PyTorch says, in double precision: `python tests/references/make_references.py` writes it.

`std.npz` holds the results and derivatives of the cases of `std_cases.py`; `specs.npz` those of the scenes
in `specs/`, each written here once more, by hand, in PyTorch.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (everybody's name for it)

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from spec_cases import SCENES, Scene  # noqa: E402  (beside this file)
from std_cases import CASES, Array, Case  # noqa: E402  (beside this file)


def heads(q, k, v, count, in_weight, in_bias, out_weight, out_bias, causal=False):
    """torch.nn.MultiheadAttention as a function, batch first."""
    mask = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool).triu(1) if causal else None
    q, k, v = (t.transpose(0, 1) for t in (q, k, v))
    y, _ = F.multi_head_attention_forward(
        q,
        k,
        v,
        q.shape[2],
        count,
        in_weight,
        in_bias,
        None,
        None,
        False,
        0.0,
        out_weight,
        out_bias,
        need_weights=False,
        attn_mask=mask,
    )
    return y.transpose(0, 1)


def run_case(case: Case) -> tuple[Array, list[Array]]:
    """The result of a case, and its derivatives for the case's cotangent."""
    names = case.differentiable
    tensors = {n: torch.tensor(a, requires_grad=n in names) for n, a in case.draw().items()}
    y = eval(case.torch, {"torch": torch, "F": F, "heads": heads, **tensors})
    result = y.detach().numpy()
    if not names:
        return result, []
    cotangent = torch.tensor(case.cotangent(result.shape))
    grads = torch.autograd.grad(y, [tensors[n] for n in names], cotangent)
    return result, [g.numpy() for g in grads]


def freeze_std() -> None:
    parts: list[Array] = []
    index: dict[str, tuple[int, list[int]]] = {}
    start = 0
    for case in CASES:
        assert case.id not in index, f"two cases are {case.id}"
        result, grads = run_case(case)
        index[case.id] = start, list(result.shape)
        flat = [np.asarray(a, np.float64).ravel() for a in (result, *grads)]
        parts += flat
        start += sum(map(len, flat))
    np.savez_compressed(HERE / "std.npz", values=np.concatenate(parts), index=np.array(json.dumps(index)))


def freeze_scenes() -> None:
    frozen: dict[str, Array] = {}
    for scene in SCENES:
        frozen |= {f"{scene.name}/{key}": value for key, value in run_scene(scene).items()}
    np.savez_compressed(HERE / "specs.npz", **frozen)


def run_scene(scene: Scene) -> dict[str, Array]:
    """Value and gradients of a scene; of large gradients the norm and every k-th element."""
    tensors = {n: torch.tensor(a) for n, a in (scene.params() | scene.inputs()).items()}
    for tensor in tensors.values():
        if tensor.is_floating_point():
            tensor.requires_grad_(True)
    model: Callable[..., dict[str, torch.Tensor]] = globals()[scene.name]
    taps = model(tensors)
    everything = tensors | taps
    found = {"value": taps["value"].detach().numpy()}
    cotangent = torch.tensor(scene.cotangent(tuple(taps["value"].shape)))
    grads = torch.autograd.grad(taps["value"], [everything[n] for n in scene.wrt], cotangent)
    for name, grad in zip(scene.wrt, grads, strict=True):
        found[f"d.{name}"] = scene.digest(grad.numpy())
    return found


def linear(t: dict[str, torch.Tensor], name: str, x: torch.Tensor) -> torch.Tensor:
    return F.linear(x, t[f"{name}.weight"], t.get(f"{name}.bias"))


def conv(t: dict[str, torch.Tensor], name: str, x: torch.Tensor, **how: int) -> torch.Tensor:
    return F.conv2d(x, t[f"{name}.weight"], t[f"{name}.bias"], **how)


def lenet(t: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    h = F.max_pool2d(F.relu(conv(t, "conv1", t["image"])), 2).flatten(1)
    x = h * 1  # fc1.x
    fc1 = linear(t, "fc1", x)
    value = F.cross_entropy(linear(t, "fc2", F.relu(fc1)), t["label"])
    return {"value": value, "fc1": fc1, "fc1.x": x}


def digits(t: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    h = F.max_pool2d(F.relu(conv(t, "conv1", t["image"] / 16, padding=1)), 2)
    h = F.max_pool2d(F.relu(conv(t, "conv2", h, padding=1)), 2)
    return {"value": F.cross_entropy(linear(t, "fc", h.flatten(1)), t["label"])}


def requ_iris(t: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    affine = linear(t, "hidden.affine", t["measurements"])
    hidden = affine.clamp(0) ** 2
    return {"value": F.cross_entropy(linear(t, "logits", hidden), t["species"]), "hidden": hidden}


def two_inputs(t: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"value": linear(t, "left", t["input1"]) + linear(t, "right", t["input2"])}


def two_paths(t: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"value": t["x"] * linear(t, "back", linear(t, "hidden", t["x"]))}


def per_example(t: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {"value": linear(t, "fc2", torch.sigmoid(linear(t, "fc1", t["x"])))}


def one_of_sixteen(t: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    h = conv(t, "conv1", t["x"], stride=9, padding=1)
    chart = conv(t, "conv2", h, stride=3, padding=1).squeeze(1)
    chosen = chart[t["sample"], t["row"], t["column"]]
    return {"value": F.smooth_l1_loss(chosen, t["target"]), "map": chart}


if __name__ == "__main__":
    freeze_std()
    freeze_scenes()
