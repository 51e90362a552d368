"""Operands of the scenes in `specs/`: what `make_references.py` freezes and `test_specs.py` runs."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
DATA = Path(__file__).parent.parent.parent / "specs" / "data"


def draw(seed: str, shape: tuple[int, ...], scale: float = 1.0) -> Array:
    """Numbers drawn evenly from [-scale, scale), the same on every machine."""
    random = np.random.RandomState(zlib.crc32(seed.encode()))
    return np.asarray(random.uniform(-scale, scale, shape))


@dataclass(frozen=True)
class Scene:
    """A spec with parameters, inputs, and what to differentiate by.

    `shapes` are those of the parameters; `drawn` those of the inputs, `given` inputs as they stand, `data` a
    file in `specs/data`.
    """

    name: str
    spec: str
    shapes: Mapping[str, tuple[int, ...]]
    wrt: tuple[str, ...]
    drawn: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    of: str | None = None

    def params(self) -> dict[str, Array]:
        return {n: draw(f"{self.name} {n}", s, 1 / np.sqrt(np.prod(s[1:]))) for n, s in self.shapes.items()}

    def inputs(self) -> dict[str, Array]:
        drawn = {n: draw(f"{self.name} {n}", s) for n, s in self.drawn.items()}
        given = {n: np.array(v) for n, v in self.given.items()}
        if self.data is None:
            return drawn | given
        with np.load(DATA / self.data) as file:
            read = {n: a.astype(np.float64) if a.dtype.kind == "f" else a for n, a in file.items()}
        return drawn | given | read

    def cotangent(self, shape: tuple[int, ...]) -> Array:
        """1 for a scalar."""
        return draw(f"{self.name} cotangent", shape) if shape else np.array(1.0)

    @staticmethod
    def digest(grad: Array) -> Array:
        """A small gradient itself; of a large one the norm, the sum, and about 500 elements."""
        if grad.size <= 2000:
            return grad
        flat = grad.ravel()
        return np.concatenate([[np.linalg.norm(flat), flat.sum()], flat[:: grad.size // 499]])


SCENES: tuple[Scene, ...] = (
    Scene(
        "lenet",
        "lenet.gspec",
        {
            "conv1.weight": (6, 3, 5, 5),
            "conv1.bias": (6,),
            "fc1.weight": (350, 6 * 14 * 14),
            "fc1.bias": (350,),
            "fc2.weight": (10, 350),
            "fc2.bias": (10,),
        },
        ("conv1.weight", "conv1.bias", "image", "fc1", "fc1.x", "fc1.weight", "fc2.weight"),
        {"image": (4, 3, 32, 32)},
        {"label": [3, 1, 4, 9]},
    ),
    Scene(
        "digits",
        "digits.gspec",
        {
            "conv1.weight": (8, 1, 3, 3),
            "conv1.bias": (8,),
            "conv2.weight": (16, 8, 3, 3),
            "conv2.bias": (16,),
            "fc.weight": (10, 64),
            "fc.bias": (10,),
        },
        ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "fc.weight", "fc.bias"),
        data="digits.npz",
    ),
    Scene(
        "requ_iris",
        "requ_iris.gspec",
        {
            "hidden.affine.weight": (16, 4),
            "hidden.affine.bias": (16,),
            "logits.weight": (3, 16),
            "logits.bias": (3,),
        },
        (
            "hidden.affine.weight",
            "hidden.affine.bias",
            "logits.weight",
            "logits.bias",
            "measurements",
            "hidden",
        ),
        data="iris.npz",
    ),
    Scene(
        "two_inputs",
        "two_inputs.gspec",
        {"left.weight": (5, 3), "left.bias": (5,), "right.weight": (5, 3), "right.bias": (5,)},
        ("input1", "input2", "left.weight", "left.bias", "right.weight", "right.bias"),
        {"input1": (4, 3), "input2": (4, 3)},
        of="score",
    ),
    Scene(
        "two_paths",
        "two_inputs.gspec",
        {"hidden.weight": (100, 30), "hidden.bias": (100,), "back.weight": (30, 100), "back.bias": (30,)},
        ("x", "hidden.weight", "hidden.bias", "back.weight", "back.bias"),
        {"x": (30,)},
        of="y",
    ),
    Scene(
        "per_example",
        "per_example.gspec",
        {"fc1.weight": (5, 1), "fc2.weight": (1, 5)},
        ("fc1.weight", "fc2.weight", "x"),
        {"x": (40, 1)},
    ),
    Scene(
        "one_of_sixteen",
        "one_of_sixteen.gspec",
        {
            "conv1.weight": (128, 3, 9, 9),
            "conv1.bias": (128,),
            "conv2.weight": (1, 128, 3, 3),
            "conv2.bias": (1,),
        },
        ("x", "target", "map", "conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"),
        {"x": (2, 3, 100, 100), "target": ()},
        {"sample": 1, "row": 0, "column": 3},
    ),
)
