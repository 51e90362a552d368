"""Writes `frozen/torch.npz`: what PyTorch gives for convolutions, pools and gathers; needs torch.

Run by hand: the results are committed.  Each case is `NAME/operand`, `NAME/y` and `NAME/grad_operand`, the
gradients being those of sum(y * NAME/gy); `cases.json` holds the arguments.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

FROZEN = Path(__file__).parent / "frozen"

#: x, weight, arguments
CONVOLUTIONS = {
    "plain": ((2, 3, 6, 5), (4, 3, 3, 2), {}),
    "strided": ((2, 2, 7, 8), (3, 2, 3, 3), {"stride": [2, 3], "padding": [1, 2]}),
    "dilated": ((1, 2, 9, 8), (2, 2, 3, 2), {"dilation": [2, 3], "padding": [2, 0]}),
    "grouped": ((2, 6, 5, 5), (4, 3, 3, 3), {"groups": 2, "padding": [1, 1]}),
    "depthwise": ((1, 3, 5, 4), (6, 1, 2, 2), {"groups": 3, "stride": [1, 2]}),
    "pointwise": ((2, 5, 3, 4), (2, 5, 1, 1), {}),
    "pointwise_strided": ((2, 5, 4, 5), (2, 5, 1, 1), {"stride": [2, 2]}),
    "all_padding": ((1, 1, 2, 2), (1, 1, 3, 3), {"padding": [4, 4]}),
    "nine": ((1, 2, 20, 20), (2, 2, 9, 9), {"stride": [9, 9], "padding": [1, 1]}),
}
#: x, arguments
MAX_POOLS = {
    "max_plain": ((2, 2, 6, 6), {"kernel_size": [2, 2], "stride": [2, 2]}),
    "max_overlap": ((1, 2, 6, 7), {"kernel_size": [3, 2], "stride": [1, 2], "padding": [1, 1]}),
    "max_dilated": ((1, 2, 7, 8), {"kernel_size": [2, 3], "stride": [2, 1], "dilation": [3, 2]}),
    "max_ceil": (
        (1, 1, 6, 7),
        {"kernel_size": [3, 3], "stride": [2, 2], "padding": [1, 0], "ceil_mode": True},
    ),
    "max_ceil_dropped": ((1, 1, 3, 3), {"kernel_size": [1, 1], "stride": [2, 3], "ceil_mode": True}),
}
AVG_POOLS = {
    "avg_plain": ((2, 2, 6, 6), {"kernel_size": [2, 2], "stride": [2, 2]}),
    "avg_padded": ((1, 2, 5, 6), {"kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 1]}),
    "avg_inside": (
        (1, 2, 5, 6),
        {"kernel_size": [3, 2], "stride": [2, 1], "padding": [1, 1], "count_include_pad": False},
    ),
    "avg_ceil": (
        (1, 1, 6, 7),
        {"kernel_size": [3, 3], "stride": [2, 2], "padding": [1, 1], "ceil_mode": True},
    ),
    "avg_ceil_sparse": ((1, 1, 7, 7), {"kernel_size": [2, 2], "stride": [4, 4], "ceil_mode": True}),
    "avg_ceil_far": (
        (1, 1, 7, 7),
        {"kernel_size": [2, 2], "stride": [4, 4], "padding": [1, 1], "ceil_mode": True},
    ),
    "avg_ceil_inside": (
        (1, 1, 6, 7),
        {
            "kernel_size": [3, 3],
            "stride": [2, 2],
            "padding": [1, 0],
            "ceil_mode": True,
            "count_include_pad": False,
        },
    ),
}


def record(arrays: dict[str, np.ndarray], name: str, y: torch.Tensor, **operands: torch.Tensor) -> None:
    gy = torch.randn_like(y)
    (y * gy).sum().backward()
    arrays[f"{name}/y"], arrays[f"{name}/gy"] = y.detach().numpy(), gy.numpy()
    for key, value in operands.items():
        arrays[f"{name}/{key}"] = value.detach().numpy()
        if value.grad is not None:
            arrays[f"{name}/grad_{key}"] = value.grad.numpy()


def drawn(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64).requires_grad_()


def main() -> None:
    torch.manual_seed(0)
    arrays: dict[str, np.ndarray] = {}
    for name, (shape, weight_shape, arguments) in CONVOLUTIONS.items():
        x, weight = drawn(shape), drawn(weight_shape)
        record(arrays, name, functional.conv2d(x, weight, **arguments), x=x, weight=weight)
    for name, (shape, arguments) in MAX_POOLS.items():
        # few different numbers: many ties
        x = torch.randint(-3, 4, shape).double().requires_grad_()
        record(arrays, name, functional.max_pool2d(x, **arguments), x=x)
    for name, (shape, arguments) in AVG_POOLS.items():
        x = drawn(shape)
        record(arrays, name, functional.avg_pool2d(x, **arguments), x=x)
    x, index = drawn((3, 4, 2)), torch.randint(0, 4, (3, 6, 2))
    record(arrays, "take_along", torch.gather(x, 1, index), x=x, index=index)
    x, i, j = drawn((2, 3, 4, 2)), torch.randint(0, 3, (5, 1)), torch.randint(0, 4, (3,))
    record(arrays, "gather", x[:, i, j], x=x, i=i, j=j)
    x, i = drawn((4, 3)), torch.randint(0, 4, (2, 9))
    record(arrays, "table", x[i], x=x, i=i)
    np.savez_compressed(FROZEN / "torch.npz", **arrays)
    cases = {
        "convolution": {name: arguments for name, (_, _, arguments) in CONVOLUTIONS.items()},
        "max_pool2d": {name: arguments for name, (_, arguments) in MAX_POOLS.items()},
        "avg_pool2d": {name: arguments for name, (_, arguments) in AVG_POOLS.items()},
    }
    (FROZEN / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
