"""The workloads, as data: what is asked of which spec, at which size, and how fast it should be.

Only the standard library is imported here: every side of the comparison reads this module, each in a
Python of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
SPECS = HERE.parents[1] / "specs"
OWN = HERE / "specs"


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    `kind` is what is timed: "gradients", "per example", "norms" or "jacobian" of a compiled request,
    the "process" of a whole command, the "compile" time of a text, or the "memory" of a process.
    `network` names the peer's function for it; `ratio` is the time (or memory) over the best peer's that
    is to be reached, `plain` the one without compiled kernels.  `tolerance` bounds the difference of two
    sides, relative to the largest element; `smaller` names the workload that this one is a larger one of.
    """

    name: str
    title: str
    spec: Path | None = None
    kind: str = "gradients"
    wrt: str = "@params"
    of: str | None = None
    network: str = ""
    dims: dict[str, int] = field(default_factory=dict)
    reduced: dict[str, int] = field(default_factory=dict)
    mode: str = "eval"
    dtype: str | None = None
    ratio: float | None = None
    plain: float | None = None
    tolerance: float = 2e-4
    smaller: str = ""


SCALARS, RESNET, GPT = SPECS / "per_example.gspec", OWN / "resnet.gspec", OWN / "gpt_block.gspec"
LARGE_BATCH = OWN / "large_batch.gspec"
LENET, IRIS, SIXTEEN = SPECS / "lenet.gspec", SPECS / "requ_iris.gspec", SPECS / "one_of_sixteen.gspec"

WORKLOADS: tuple[Workload, ...] = (
    Workload("W1", "lenet, N=100, conv1.weight", LENET, wrt="conv1.weight", network="lenet",
             dims={"N": 100}, reduced={"N": 4}, ratio=0.5, plain=0.8),
    Workload("W1b", "lenet, N=100, all parameters", LENET, network="lenet",
             dims={"N": 100}, reduced={"N": 4}, ratio=0.6),
    Workload("W2", "iris, 150x4, 16 ReQU units, all parameters", IRIS, network="iris",
             dims={}, dtype="f32", ratio=0.3, plain=0.3),
    Workload("W3", "one of sixteen, N=2, conv1.weight", SIXTEEN, wrt="conv1.weight", network="sixteen",
             dims={"N": 2}, reduced={"N": 2}, ratio=0.4, plain=0.4),
    Workload("W3b", "one of sixteen, N=32, conv1.weight", SIXTEEN, wrt="conv1.weight", network="sixteen",
             dims={"N": 32}, reduced={"N": 3}, ratio=0.08, plain=0.08),
    Workload("W4", "per example, 1-5-1, N=1000", SCALARS, "per example", network="scalars",
             dims={"N": 1000}, reduced={"N": 8}, ratio=0.25, plain=0.25),
    Workload("W4b", "per example, 784-256-10, N=256", OWN / "mlp.gspec", "per example", network="mlp",
             dims={"N": 256}, reduced={"N": 4}, ratio=0.7, plain=0.7),
    Workload("W4b-norms", "per-example norms, 784-256-10, N=256", OWN / "mlp.gspec", "norms", network="mlp",
             dims={"N": 256}, reduced={"N": 4}, ratio=0.02, plain=0.02),
    Workload("W4c", "per example, lenet, N=100", LENET, "per example", network="lenet",
             dims={"N": 100}, reduced={"N": 3}, ratio=0.4, plain=0.4),
    # relus near 0 under batch norm: rounding the images by 3e-7 moves this gradient by 8e-3
    Workload("W6", "small ResNet, N=32, all parameters", RESNET, network="resnet",
             dims={"N": 32}, reduced={"N": 2}, mode="train", ratio=1.0, plain=1.8, tolerance=5e-2),
    Workload("W7", "GPT block, B=8 T=128 d=256, all parameters", GPT, network="gpt",
             dims={"B": 8, "T": 128}, reduced={"B": 2, "T": 8}, ratio=0.6, plain=0.6),
    Workload("W8", "Jacobian, 256-256-256-256 tanh", OWN / "tanh_layers.gspec", "jacobian", wrt="x",
             of="y", network="tanh_layers", ratio=0.5),
    Workload("W9", "whole process, lenet, conv1.weight", LENET, "process", wrt="conv1.weight",
             network="lenet", dims={"N": 100}, reduced={"N": 4}, ratio=0.35),
    Workload("W10-chain-1000", "compile a chain of 1,000 nodes", kind="compile", network="chain",
             dims={"nodes": 1000}, reduced={"nodes": 20}),
    Workload("W10-chain-10000", "compile a chain of 10,000 nodes", kind="compile", network="chain",
             dims={"nodes": 10000}, reduced={"nodes": 40}, smaller="W10-chain-1000"),
    Workload("W10-grid-1000", "compile a grid of 1,000 nodes", kind="compile", network="grid",
             dims={"nodes": 1000}, reduced={"nodes": 20}),
    Workload("W10-grid-10000", "compile a grid of 10,000 nodes", kind="compile", network="grid",
             dims={"nodes": 10000}, reduced={"nodes": 40}, smaller="W10-grid-1000"),
    Workload("W11-W6", "peak memory of W6, MB", RESNET, "memory", network="resnet",
             dims={"N": 32}, reduced={"N": 2}, mode="train", ratio=0.7, tolerance=5e-2),
    Workload("W11-W7", "peak memory of W7, MB", GPT, "memory", network="gpt",
             dims={"B": 8, "T": 128}, reduced={"B": 2, "T": 8}, ratio=0.7),
    Workload("W12", "large batch, 64-64-64-64-10, N=100,000", LARGE_BATCH, network="layers",
             dims={"N": 100_000}, reduced={"N": 8}),
    Workload("W12-memory", "peak memory of W12, MB", LARGE_BATCH, "memory", network="layers",
             dims={"N": 100_000}, reduced={"N": 8}),
)  # fmt: skip


def by_name(names: list[str]) -> list[Workload]:
    """The workloads of these names; `W4` stands for all whose name begins with it, no names for all."""
    if not names:
        return list(WORKLOADS)
    chosen = [w for w in WORKLOADS if any(_fits(w.name, name) for name in names)]
    unknown = [name for name in names if not any(_fits(w.name, name) for w in WORKLOADS)]
    if unknown:
        raise SystemExit(
            f"unknown workloads: {', '.join(unknown)}; there are {', '.join(w.name for w in WORKLOADS)}"
        )
    return chosen


def _fits(workload: str, asked: str) -> bool:
    return workload == asked or (workload.startswith(asked) and not workload[len(asked)].isdigit())


def chain(nodes: int) -> str:
    """A text with this many operations one after the other."""
    lines = ["gspec 1", "input x: f32[8] ~ uniform(-1, 1)", "h0 = tanh(x)"]
    lines += [f"h{i} = {('tanh', 'sin')[i % 2]}(h{i - 1})" for i in range(1, nodes)]
    return "\n".join([*lines, f"loss total = sum(h{nodes - 1})", ""])


def grid(nodes: int) -> str:
    """A text with a square of operations, each of which uses its neighbours above and to the left."""
    side = round(nodes**0.5)
    lines = ["gspec 1", "input x: f32[8] ~ uniform(-1, 1)"]
    for i in range(side):
        for j in range(side):
            near = [f"h{i - 1}_{j}"] * (i > 0) + [f"h{i}_{j - 1}"] * (j > 0) or ["x"]
            lines.append(f"h{i}_{j} = tanh({' * '.join(near)})")
    return "\n".join([*lines, f"loss total = sum(h{side - 1}_{side - 1})", ""])
