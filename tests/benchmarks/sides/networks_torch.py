"""The workloads' networks in PyTorch: a function of parameters and inputs, each by the spec's names."""

from __future__ import annotations

import torch
from torch.nn import functional as nn


def lenet(p, x):
    h = nn.max_pool2d(nn.relu(nn.conv2d(x["image"], p["conv1.weight"], p["conv1.bias"])), 2).flatten(1)
    h = nn.relu(nn.linear(h, p["fc1.weight"], p["fc1.bias"]))
    return nn.cross_entropy(nn.linear(h, p["fc2.weight"], p["fc2.bias"]), x["label"])


def iris(p, x):
    h = nn.linear(x["measurements"], p["hidden.affine.weight"], p["hidden.affine.bias"])
    h = nn.relu(h) ** 2
    logits = nn.linear(h, p["logits.weight"], p["logits.bias"])
    return nn.nll_loss(nn.log_softmax(logits, 1), x["species"])


def sixteen(p, x):
    h = nn.conv2d(x["x"], p["conv1.weight"], p["conv1.bias"], stride=9, padding=1)
    map = nn.conv2d(h, p["conv2.weight"], p["conv2.bias"], stride=3, padding=1).squeeze(1)
    return nn.smooth_l1_loss(map[x["sample"], x["row"], x["column"]], x["target"])


def scalars(p, x):
    return nn.linear(torch.sigmoid(nn.linear(x["x"], p["fc1.weight"])), p["fc2.weight"]).sum()


def mlp(p, x):
    h = nn.relu(nn.linear(x["x"], p["fc1.weight"], p["fc1.bias"]))
    return nn.cross_entropy(nn.linear(h, p["fc2.weight"], p["fc2.bias"]), x["label"])


def layers(p, x):
    h = x["x"]
    for name in ("fc1", "fc2", "fc3"):
        h = nn.relu(nn.linear(h, p[f"{name}.weight"], p[f"{name}.bias"]))
    return nn.cross_entropy(nn.linear(h, p["fc4.weight"], p["fc4.bias"]), x["label"])


def resnet(p, x):
    def norm(h, name):
        state = p[f"{name}.running_mean"], p[f"{name}.running_var"]  # which are updated
        return nn.batch_norm(h, *state, p[f"{name}.weight"], p[f"{name}.bias"], training=True)

    h = nn.relu(norm(nn.conv2d(x["image"], p["conv1.weight"], padding=1), "bn1"))
    for layer, width in (("layer1", 32), ("layer2", 64)):
        for i in range(3):
            name = f"{layer}.{i}"
            stride = 2 if width != h.shape[1] else 1
            y = nn.relu(
                norm(nn.conv2d(h, p[f"{name}.conv1.weight"], stride=stride, padding=1), f"{name}.bn1")
            )
            y = norm(nn.conv2d(y, p[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
            if stride != 1:
                h = nn.conv2d(h, p[f"{name}.downsample.weight"], stride=stride)
            h = nn.relu(h + y)
    logits = nn.linear(h.mean((2, 3)), p["fc.weight"], p["fc.bias"])
    return nn.cross_entropy(logits, x["label"])


def gpt(p, x):
    def linear(h, name):
        return nn.linear(h, p[f"{name}.weight"], p[f"{name}.bias"])

    def norm(h, name):
        return nn.layer_norm(h, h.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    h = x["x"]
    batch, length, width = h.shape
    q, k, v = (
        part.view(batch, length, 4, width // 4).transpose(1, 2)
        for part in linear(norm(h, "ln_1"), "attn.c_attn").split(width, dim=2)
    )
    a = nn.scaled_dot_product_attention(q, k, v, is_causal=True)
    h = h + linear(a.transpose(1, 2).reshape(batch, length, width), "attn.c_proj")
    y = h + linear(nn.gelu(linear(norm(h, "ln_2"), "fc")), "proj")
    return nn.mse_loss(y, x["target"])


def tanh_layers(p, x):
    h = x
    for name in ("fc1", "fc2", "fc3"):
        h = torch.tanh(nn.linear(h, p[f"{name}.weight"], p[f"{name}.bias"]))
    return h
