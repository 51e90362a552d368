"""Save state dicts of PyTorch modules as `.safetensors`, with what the modules compute.

`python tests/references/make_state_dicts.py` writes `state_dicts/`: the modules have the names and layouts
that anybody's would have, and the specs beside their files the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (everybody's name for it)
from safetensors.torch import save_file
from torch import Tensor, nn

HERE = Path(__file__).parent / "state_dicts"


class Digits(nn.Module):
    """The network of `specs/digits.gspec`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(image / 16)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


class BasicBlock(nn.Module):
    """A residual block as torchvision has it."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = nn.Sequential(
            nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + self.downsample(x))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.block = BasicBlock(8, 16, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = nn.Linear(width, 3 * width)
        self.c_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        B, T, D = x.shape
        q, k, v = (t.view(B, T, self.heads, -1).transpose(1, 2) for t in self.c_attn(x).split(D, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(B, T, D))


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x)))


class GptBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Gpt(nn.Module):
    """One block between tied embeddings; the state dict has the tied weight under both names."""

    def __init__(self, width: int = 24, heads: int = 4, vocabulary: int = 32, context: int = 16) -> None:
        super().__init__()
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(context, width)
        self.h = nn.ModuleList([GptBlock(width, heads)])
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


def save(name: str, model: nn.Module, inputs: Tensor) -> dict[str, np.ndarray]:
    # tensors that share their memory are refused, hence the copies
    save_file({key: value.clone() for key, value in model.state_dict().items()}, HERE / f"{name}.safetensors")
    with torch.no_grad():
        found = model.eval()(inputs)
    return {f"{name}/input": inputs.numpy(), f"{name}/output": found.numpy()}


def main() -> None:
    torch.manual_seed(0)
    HERE.mkdir(exist_ok=True)
    frozen = save("digits", Digits(), torch.rand(5, 1, 8, 8) * 16)
    residual = Residual()
    for _ in range(3):  # the running statistics are those of some data
        residual(torch.randn(16, 8, 6, 6) * 2 + 1)
    frozen |= save("residual", residual, torch.randn(3, 8, 6, 6))
    gpt = Gpt()
    for weight in gpt.parameters():
        nn.init.normal_(weight, std=0.3)
    frozen |= save("gpt", gpt, torch.randint(32, (2, 7)))
    np.savez_compressed(HERE / "outputs.npz", **frozen)


if __name__ == "__main__":
    main()
