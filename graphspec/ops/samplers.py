"""The samplers of the language: what may stand after `~`, as data; `runtime.random` draws by them.

Definitions and defaults are those of `torch.nn.init` and of numpy's generators.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Word: TypeAlias = Literal["float", "int", "str"]
Kind: TypeAlias = Literal["float", "integer", "bool"]


@dataclass(frozen=True, slots=True)
class SamplerParameter:
    """One argument of a sampler: a number or a word; without a default it is required."""

    name: str
    word: Word
    default: float | int | str | None = None
    choices: tuple[str, ...] = ()

    @property
    def is_required(self) -> bool:
        return self.default is None

    def __str__(self) -> str:
        if self.default is None:
            return self.name
        return f'{self.name}="{self.default}"' if self.word == "str" else f"{self.name}={self.default}"


@dataclass(frozen=True, slots=True)
class SamplerSignature:
    """A sampler: its parameters in order, the kinds of dtype it can fill, the least rank it needs.

    Where `lone` is set, a single positional argument is that parameter: `randint(10)` is
    `randint(high=10)`, though `low` stands first.
    """

    name: str
    parameters: tuple[SamplerParameter, ...]
    kinds: tuple[Kind, ...]
    doc: str
    min_rank: int = 0
    lone: str | None = None

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.parameters))})"


#: the slopes that a nonlinearity gives to the standard deviation, as `torch.nn.init.calculate_gain` has them
NONLINEARITIES = (
    "leaky_relu",
    "relu",
    "linear",
    "sigmoid",
    "tanh",
    "selu",
    "conv1d",
    "conv2d",
    "conv3d",
)

_KAIMING = (
    SamplerParameter("a", "float", 0.0),
    SamplerParameter("mode", "str", "fan_in", ("fan_in", "fan_out")),
    SamplerParameter("nonlinearity", "str", "leaky_relu", NONLINEARITIES),
)
_GAIN = (SamplerParameter("gain", "float", 1.0),)

SAMPLERS: dict[str, SamplerSignature] = {
    s.name: s
    for s in (
        SamplerSignature(
            "uniform",
            (SamplerParameter("low", "float", 0.0), SamplerParameter("high", "float", 1.0)),
            ("float",),
            "Evenly from [low, high).",
        ),
        SamplerSignature(
            "normal",
            (SamplerParameter("mean", "float", 0.0), SamplerParameter("std", "float", 1.0)),
            ("float",),
            "From the normal distribution with this mean and standard deviation.",
        ),
        SamplerSignature(
            "trunc_normal",
            (
                SamplerParameter("mean", "float", 0.0),
                SamplerParameter("std", "float", 1.0),
                SamplerParameter("a", "float", -2.0),
                SamplerParameter("b", "float", 2.0),
            ),
            ("float",),
            "From the normal distribution, restricted to [a, b].",
        ),
        SamplerSignature(
            "randint",
            (SamplerParameter("low", "int", 0), SamplerParameter("high", "int")),
            ("integer",),
            "Integers evenly from low..high, half-open; `randint(10)` is 0..10.",
            lone="high",
        ),
        SamplerSignature(
            "bernoulli",
            (SamplerParameter("p", "float", 0.5),),
            ("float", "integer", "bool"),
            "1 with probability p, else 0.",
        ),
        SamplerSignature(
            "kaiming_uniform",
            _KAIMING,
            ("float",),
            "Evenly from [-b, b), b = gain * sqrt(3 / fan).  Source: He et al. (2015), arXiv:1502.01852.",
            min_rank=2,
        ),
        SamplerSignature(
            "kaiming_normal",
            _KAIMING,
            ("float",),
            "Normal with std = gain / sqrt(fan).  Source: He et al. (2015), arXiv:1502.01852.",
            min_rank=2,
        ),
        SamplerSignature(
            "xavier_uniform",
            _GAIN,
            ("float",),
            "Evenly from [-b, b), b = gain * sqrt(6 / (fan_in + fan_out)).  Source: Glorot & Bengio (2010).",
            min_rank=2,
        ),
        SamplerSignature(
            "xavier_normal",
            _GAIN,
            ("float",),
            "Normal with std = gain * sqrt(2 / (fan_in + fan_out)).  Source: Glorot & Bengio (2010).",
            min_rank=2,
        ),
    )
}
