"""Calls of the standard library and the same in PyTorch, for `make_references.py` and `test_std.py`.

A case is one line: the call as a spec writes it, PyTorch's expression for the same, and the tensors that
both name.  A tensor `f_weight` is the parameter `f.weight` of the call named by `as f` (`__` is a dot).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tensor:
    """An operand: numbers drawn evenly from [low, high), or `values` as they stand."""

    shape: tuple[int, ...]
    low: float = -2.0
    high: float = 2.0
    dtype: str = "f64"
    values: Any = None
    #: a derivative with respect to it is asked for
    differentiable: bool = True


@dataclass(frozen=True)
class Case:
    """`call` in a spec is `torch` in PyTorch, of the same tensors."""

    call: str
    torch: str
    tensors: Mapping[str, Tensor]
    mode: str = "eval"
    #: the operands lie where finite differences converge
    smooth: bool = True

    @property
    def id(self) -> str:
        return self.call if self.mode == "eval" else f"{self.call} [{self.mode}]"

    @property
    def differentiable(self) -> tuple[str, ...]:
        """The tensors to differentiate by."""
        return tuple(n for n, t in self.tensors.items() if t.dtype == "f64" and t.differentiable)

    def draw(self) -> dict[str, Array]:
        """The operands, the same on every machine."""
        return {name: draw(tensor, f"{self.id} {name}") for name, tensor in self.tensors.items()}

    def cotangent(self, shape: tuple[int, ...]) -> Array:
        """The cotangent of the result."""
        return draw(reals(*shape), f"{self.id} cotangent")


def draw(tensor: Tensor, seed: str) -> Array:
    dtype = {"f64": np.float64, "i64": np.int64, "bool": np.bool_}[tensor.dtype]
    if tensor.values is not None:
        return np.array(tensor.values, dtype)
    random = np.random.RandomState(zlib.crc32(seed.encode()))
    return np.asarray(random.uniform(tensor.low, tensor.high, tensor.shape)).astype(dtype)


def path_of(name: str) -> str:
    """`f_out_proj__weight` is `f.out_proj.weight` in the spec; other names are inputs."""
    return "f." + name[2:].replace("__", ".") if name.startswith("f_") else name


def reals(*shape: int, low: float = -2.0, high: float = 2.0) -> Tensor:
    return Tensor(shape, low, high)


def unit(*shape: int) -> Tensor:
    """Probabilities, not near 0 or 1."""
    return Tensor(shape, 0.05, 0.95)


def integers(*shape: int, below: int) -> Tensor:
    return Tensor(shape, 0, below, "i64")


def given(values: Any, dtype: str = "f64") -> Tensor:
    return Tensor(np.shape(values), dtype=dtype, values=values, differentiable=dtype == "f64")


def fixed(values: Any) -> Tensor:
    """Real numbers that nothing is differentiated by."""
    return Tensor(np.shape(values), values=values, differentiable=False)


def case(call: str, torch: str, mode: str = "eval", **tensors: Tensor) -> Case:
    return Case(call, torch, tensors, mode)


def kink(call: str, torch: str, **tensors: Tensor) -> Case:
    """A case at a point where the derivative is a convention: PyTorch's."""
    return Case(call, torch, tensors, smooth=False)


SIGNS = fixed([[1, -1, 1, -1], [-1, -1, 1, 1], [1, 1, -1, 1]])
SOME_IGNORED = given([1, -100, 0, 2, -100], "i64")

ACTIVATIONS = (
    case("relu(x)", "F.relu(x)", x=reals(3, 4)),
    kink("relu6(x) + 0.0", "F.relu6(x)", x=given([-1.0, 0.0, 6.0])),
    kink("relu(x) + 0.0", "F.relu(x)", x=given([-1.0, 0.0, 1.0])),
    case("relu6(x)", "F.relu6(x)", x=reals(3, 4, low=-4, high=9)),
    case("leaky_relu(x)", "F.leaky_relu(x)", x=reals(3, 4)),
    kink("leaky_relu(x) + 0.0", "F.leaky_relu(x)", x=given([-1.0, 0.0, 1.0])),
    case("leaky_relu(x, 0.2)", "F.leaky_relu(x, 0.2)", x=reals(3, 4)),
    case("elu(x)", "F.elu(x)", x=reals(3, 4)),
    kink("elu(x, alpha=0.7) + 0.0", "F.elu(x, 0.7)", x=given([-1.0, 0.0, 1.0])),
    case("elu(x, alpha=0.7)", "F.elu(x, 0.7)", x=reals(3, 4)),
    # F.celu's 1 / alpha, and the 1/6 of F.hardsigmoid's derivative below, are those of single precision
    case("celu(x, alpha=0.7)", "torch.where(x > 0, x, 0.7 * torch.expm1(x / 0.7))", x=reals(3, 4)),
    case("selu(x)", "F.selu(x)", x=reals(3, 4)),
    case("sigmoid(x)", "torch.sigmoid(x)", x=reals(3, 4, low=-6, high=6)),
    case("sigmoid(x + 0.0)", "torch.sigmoid(x)", x=given([-30.0, -1.0, 0.0, 1.0, 30.0])),
    case("tanh(x)", "torch.tanh(x)", x=reals(3, 4)),
    case("logsigmoid(x)", "F.logsigmoid(x)", x=reals(3, 4, low=-6, high=6)),
    case("softplus(x)", "F.softplus(x)", x=reals(3, 4, low=-6, high=6)),
    case("softplus(x + 0.0)", "F.softplus(x, threshold=1000)", x=given([-30.0, -1.0, 0.0, 1.0, 30.0])),
    case("softplus(x, beta=3.0)", "F.softplus(x, beta=3.0)", x=reals(3, 4)),
    case("gelu(x)", "F.gelu(x)", x=reals(3, 4, low=-5, high=5)),
    case('gelu(x, approximate="tanh")', "F.gelu(x, approximate='tanh')", x=reals(3, 4, low=-4, high=4)),
    case("silu(x)", "F.silu(x)", x=reals(3, 4, low=-5, high=5)),
    case("mish(x)", "F.mish(x)", x=reals(3, 4, low=-5, high=5)),
    case("hardtanh(x)", "F.hardtanh(x)", x=reals(3, 4)),
    kink("hardtanh(x) + 0.0", "F.hardtanh(x)", x=given([-1.0, 0.0, 1.0])),
    case("hardtanh(x, min_val=-0.5, max_val=1.5)", "F.hardtanh(x, -0.5, 1.5)", x=reals(3, 4)),
    case("hardsigmoid(x)", "F.relu6(x + 3) / 6", x=reals(3, 4, low=-5, high=5)),
    kink("hardsigmoid(x) + 0.0", "F.relu6(x + 3) / 6", x=given([-3.0, 0.0, 3.0])),
    kink("softshrink(x) + 0.0", "F.softshrink(x)", x=given([-0.5, 0.0, 0.5])),
    case("hardswish(x)", "F.hardswish(x)", x=reals(3, 4, low=-5, high=5)),
    case("hardshrink(x, 0.7)", "F.hardshrink(x, 0.7)", x=reals(3, 4)),
    case("softshrink(x, 0.7)", "F.softshrink(x, 0.7)", x=reals(3, 4)),
    case("tanhshrink(x)", "F.tanhshrink(x)", x=reals(3, 4)),
    case("softsign(x)", "F.softsign(x)", x=reals(3, 4)),
    case("glu(x)", "F.glu(x)", x=reals(3, 4)),
    case("glu(x, axis=0)", "F.glu(x, 0)", x=reals(4, 3)),
    case("clip(x, min=-0.5, max=1.0)", "torch.clip(x, -0.5, 1.0)", x=reals(3, 4)),
    case("clip(x, max=1.0)", "torch.clip(x, max=1.0)", x=reals(3, 4)),
    case("clip(x, min=1.0)", "torch.clip(x, min=1.0)", x=reals(3, 4)),
    kink("clip(x, min=-1.0, max=1.0) + 0.0", "torch.clip(x, -1.0, 1.0)", x=given([-1.0, 0.0, 1.0])),
    case("softmax(x, axis=1)", "F.softmax(x, 1)", x=reals(3, 4)),
    case("softmax(x, axis=-2)", "F.softmax(x, -2)", x=reals(2, 3, 4)),
    case("softmin(x, axis=1)", "F.softmin(x, 1)", x=reals(3, 4)),
    case("log_softmax(x, axis=1)", "F.log_softmax(x, 1)", x=reals(3, 4)),
    case("log_softmax(x, axis=0)", "F.log_softmax(x, 0)", x=reals(2, 3, 4)),
)

REDUCTIONS = (
    case("sum(x)", "x.sum()", x=reals(2, 3, 4)),
    case("sum(x, axis=[0, 2], keepdims=true)", "x.sum((0, 2), keepdim=True)", x=reals(2, 3, 4)),
    case("max(x, axis=1)", "torch.amax(x, 1)", x=reals(2, 3, 4)),
    case("min(x)", "torch.amin(x)", x=reals(2, 3, 4)),
    case("mean(x)", "x.mean()", x=reals(2, 3, 4)),
    case("mean(x, axis=1)", "x.mean(1)", x=reals(2, 3, 4)),
    case("mean(x, axis=[0, -1], keepdims=true)", "x.mean((0, -1), keepdim=True)", x=reals(2, 3, 4)),
    case("var(x)", "x.var()", x=reals(2, 3, 4)),
    case("var(x, axis=[1, 2], correction=0)", "x.var((1, 2), correction=0)", x=reals(2, 3, 4)),
    case("var(x, axis=0, keepdims=true)", "x.var(0, keepdim=True)", x=reals(5, 3)),
    case("std(x)", "x.std()", x=reals(2, 3, 4)),
    case("std(x, axis=-1, correction=0)", "x.std(-1, correction=0)", x=reals(2, 3, 4)),
    kink("std(x) + 0.0", "x.std()", x=given([2.0, 2.0, 2.0])),
    case("norm(x)", "torch.linalg.vector_norm(x)", x=reals(2, 3, 4)),
    case("norm(x, axis=-1)", "torch.linalg.vector_norm(x, 2, -1)", x=reals(2, 3, 4)),
    case(
        "norm(x, axis=[0, 1], keepdims=true)",
        "torch.linalg.vector_norm(x, 2, (0, 1), True)",
        x=reals(2, 3, 4),
    ),
    kink("norm(x, axis=1) + 0.0", "torch.linalg.vector_norm(x, 2, 1)", x=given([[0.0, 0.0], [3.0, 4.0]])),
    case("norm(x, 1, axis=1)", "torch.linalg.vector_norm(x, 1, 1)", x=reals(3, 4)),
    kink("norm(x, 1)", "torch.linalg.vector_norm(x, 1)", x=given([0.0, -2.0, 3.0])),
    case("norm(x, inf, axis=1)", "torch.linalg.vector_norm(x, float('inf'), 1)", x=reals(3, 4)),
    case("norm(x, -inf, axis=0)", "torch.linalg.vector_norm(x, -float('inf'), 0)", x=reals(3, 4)),
    case("norm(x, 3.5, axis=1)", "torch.linalg.vector_norm(x, 3.5, 1)", x=reals(3, 4)),
    case("norm(x, 3)", "torch.linalg.vector_norm(x, 3)", x=given([0.0, -2.0, 3.0])),
    case("norm(x, 0.5, axis=1)", "torch.linalg.vector_norm(x, 0.5, 1)", x=reals(3, 4)),
    case("norm(x, 0, axis=1)", "torch.linalg.vector_norm(x, 0, 1)", x=fixed([[0.0, 1.0], [2.0, 3.0]])),
    case("logsumexp(x, axis=1)", "torch.logsumexp(x, 1)", x=reals(3, 4)),
    case("logsumexp(x, axis=[0, 2], keepdims=true)", "torch.logsumexp(x, (0, 2), True)", x=reals(2, 3, 4)),
    case("logsumexp(x)", "torch.logsumexp(x, (0, 1))", x=reals(3, 4)),
    case("safe_sqrt(x)", "torch.sqrt(x)", x=reals(3, 4, low=0.5)),
    case("safe_power(x, 1.5)", "x ** 1.5", x=reals(3, 4, low=0.5)),
)

SHAPES = (
    case("flatten(x)", "x.flatten(1)", x=reals(2, 3, 4)),
    case("flatten(x) + 0.0", "x.flatten(1)", x=reals(2, 3)),
    case("one_hot(t, 4)", "F.one_hot(t, 4)", t=integers(2, 3, below=4)),
    case("pixel_shuffle(x, 2)", "F.pixel_shuffle(x, 2)", x=reals(2, 8, 3, 2)),
    case("pixel_unshuffle(x, 2)", "F.pixel_unshuffle(x, 2)", x=reals(2, 2, 4, 6)),
)

CONV = {"x": reals(2, 4, 7, 6), "f_weight": reals(6, 4, 3, 2), "f_bias": reals(6)}
GROUPED = {"x": reals(2, 4, 7, 6), "f_weight": reals(6, 2, 3, 3), "f_bias": reals(6)}

LAYERS = (
    case(
        "linear(x, 3) as f",
        "F.linear(x, f_weight, f_bias)",
        x=reals(5, 4),
        f_weight=reals(3, 4),
        f_bias=reals(3),
    ),
    case("linear(x, 3, bias=false) as f", "F.linear(x, f_weight)", x=reals(2, 5, 4), f_weight=reals(3, 4)),
    case(
        "linear(x, 3) as f + 0.0",
        "F.linear(x, f_weight, f_bias)",
        x=reals(4),
        f_weight=reals(3, 4),
        f_bias=reals(3),
    ),
    case(
        "bilinear(a, b, 3) as f",
        "F.bilinear(a, b, f_weight, f_bias)",
        a=reals(5, 4),
        b=reals(5, 2),
        f_weight=reals(3, 4, 2),
        f_bias=reals(3),
    ),
    case(
        "conv1d(x, 6, kernel_size=3, stride=2, padding=1, dilation=2, groups=2) as f",
        "F.conv1d(x, f_weight, f_bias, 2, 1, 2, 2)",
        x=reals(2, 4, 9),
        f_weight=reals(6, 2, 3),
        f_bias=reals(6),
    ),
    case(
        "conv1d(x, 6, kernel_size=3, bias=false) as f",
        "F.conv1d(x, f_weight)",
        x=reals(2, 4, 5),
        f_weight=reals(6, 4, 3),
    ),
    case("conv2d(x, 6, kernel_size=(3, 2)) as f", "F.conv2d(x, f_weight, f_bias)", **CONV),
    case(
        "conv2d(x, 6, kernel_size=(3, 2), stride=2, padding=1) as f",
        "F.conv2d(x, f_weight, f_bias, 2, 1)",
        **CONV,
    ),
    case(
        "conv2d(x, 6, kernel_size=(3, 2), stride=(1, 3), padding=(2, 0), dilation=(2, 1)) as f",
        "F.conv2d(x, f_weight, f_bias, (1, 3), (2, 0), (2, 1))",
        **CONV,
    ),
    case(
        "conv2d(x, 6, kernel_size=3, groups=2, padding=1) as f",
        "F.conv2d(x, f_weight, f_bias, 1, 1, 1, 2)",
        **GROUPED,
    ),
    case(
        "conv2d(x, 8, kernel_size=3, groups=4, bias=false) as f",
        "F.conv2d(x, f_weight, None, groups=4)",
        x=reals(2, 4, 5, 5),
        f_weight=reals(8, 1, 3, 3),
    ),
    case(
        "embedding(t, 5, dim=3) as f",
        "F.embedding(t, f_weight)",
        t=integers(2, 4, below=5),
        f_weight=reals(5, 3),
    ),
    case("dropout(x, p=0.3)", "x * 1", x=reals(3, 4)),
    case("dropout(x, p=0.0)", "x * 1", mode="train", x=reals(3, 4)),
    case("dropout2d(x, p=0.3)", "x * 1", x=reals(2, 3, 4, 2)),
)

POOLING = (
    case("adaptive_avg_pool2d(x, 1)", "F.adaptive_avg_pool2d(x, 1)", x=reals(2, 3, 6, 5)),
    case("adaptive_avg_pool2d(x, (3, 2))", "F.adaptive_avg_pool2d(x, (3, 2))", x=reals(2, 3, 6, 4)),
    case("max_pool2d(x, 2)", "F.max_pool2d(x, 2)", x=reals(2, 3, 6, 5)),
    case("max_pool2d(x, 3, stride=2, padding=1)", "F.max_pool2d(x, 3, 2, 1)", x=reals(2, 3, 6, 7)),
    case(
        "max_pool2d(x, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))",
        "F.max_pool2d(x, (3, 2), (2, 1), (1, 0), (1, 2))",
        x=reals(2, 3, 6, 7),
    ),
    case(
        "max_pool2d(x, 3, stride=2, ceil_mode=true)",
        "F.max_pool2d(x, 3, 2, ceil_mode=True)",
        x=reals(2, 3, 6, 8),
    ),
    kink(
        "max_pool2d(x, 2) + 0.0",
        "F.max_pool2d(x, 2)",
        x=given([[[[1.0, 1.0, 0.0, 2.0], [1.0, 1.0, 2.0, 2.0]]]]),
    ),
    case("avg_pool2d(x, 2)", "F.avg_pool2d(x, 2)", x=reals(2, 3, 6, 5)),
    case("avg_pool2d(x, 3, stride=2, padding=1)", "F.avg_pool2d(x, 3, 2, 1)", x=reals(2, 3, 6, 7)),
    case(
        "avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=false)",
        "F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)",
        x=reals(2, 3, 6, 7),
    ),
    case(
        "avg_pool2d(x, (3, 2), stride=(2, 1), padding=(1, 0))",
        "F.avg_pool2d(x, (3, 2), (2, 1), (1, 0))",
        x=reals(2, 3, 6, 7),
    ),
)

AFFINE = {"f_weight": reals(3, low=0.5), "f_bias": reals(3)}
RUNNING = {"f_running_mean": fixed([0.3, -0.2, 0.1]), "f_running_var": fixed([1.5, 0.7, 2.0])}

NORMALISATION = (
    case(
        "batch_norm(x) as f",
        "F.batch_norm(x, f_running_mean, f_running_var, f_weight, f_bias)",
        x=reals(4, 3, 2, 5),
        **AFFINE,
        **RUNNING,
    ),
    case(
        "batch_norm(x) as f",
        "F.batch_norm(x, None, None, f_weight, f_bias, training=True)",
        mode="train",
        x=reals(4, 3, 2, 5),
        **AFFINE,
        **RUNNING,
    ),
    case(
        "batch_norm(x, eps=1e-3) as f",
        "F.batch_norm(x, None, None, f_weight, f_bias, training=True, eps=1e-3)",
        mode="train",
        x=reals(6, 3),
        **AFFINE,
        **RUNNING,
    ),
    case(
        "batch_norm(x, affine=false) as f",
        "F.batch_norm(x, f_running_mean, f_running_var)",
        x=reals(6, 3),
        **RUNNING,
    ),
    case("layer_norm(x) as f", "F.layer_norm(x, (3,), f_weight, f_bias)", x=reals(2, 4, 3), **AFFINE),
    case(
        "layer_norm(x, eps=0.1, bias=false) as f",
        "F.layer_norm(x, (3,), f_weight, eps=0.1)",
        x=reals(2, 4, 3),
        f_weight=reals(3),
    ),
    case("layer_norm(x, elementwise_affine=false)", "F.layer_norm(x, (3,))", x=reals(2, 4, 3)),
    case("rms_norm(x) as f", "F.rms_norm(x, (3,), f_weight, 1e-6)", x=reals(2, 4, 3), f_weight=reals(3)),
    case("rms_norm(x, eps=0.1, elementwise_affine=false)", "F.rms_norm(x, (3,), eps=0.1)", x=reals(2, 4, 3)),
    case(
        "group_norm(x, 2) as f",
        "F.group_norm(x, 2, f_weight, f_bias)",
        x=reals(2, 4, 3, 2),
        f_weight=reals(4),
        f_bias=reals(4),
    ),
    case("group_norm(x, 1, affine=false)", "F.group_norm(x, 1)", x=reals(2, 4, 3)),
    case("instance_norm(x)", "F.instance_norm(x)", x=reals(2, 3, 4, 2)),
    case(
        "instance_norm(x, affine=true) as f",
        "F.instance_norm(x, weight=f_weight, bias=f_bias)",
        x=reals(2, 3, 5),
        **AFFINE,
    ),
    case("normalize(x)", "F.normalize(x)", x=reals(3, 4)),
    case("normalize(x, 1, axis=0)", "F.normalize(x, 1, 0)", x=reals(3, 4)),
)

QUERY, KEY, VALUE = reals(2, 3, 4), reals(2, 5, 4), reals(2, 5, 6)
HEADS = {"q": reals(2, 3, 4), "k": reals(2, 5, 4), "v": reals(2, 5, 4), "f_in_proj_weight": reals(12, 4)}
HEADS_OUT = {"f_out_proj__weight": reals(4, 4)}
HEADS_BIAS = {"f_in_proj_bias": reals(12), "f_out_proj__bias": reals(4)}

ATTENTION = (
    case(
        "scaled_dot_product_attention(q, k, v)",
        "F.scaled_dot_product_attention(q, k, v)",
        q=QUERY,
        k=KEY,
        v=VALUE,
    ),
    case(
        "scaled_dot_product_attention(q, k, v, is_causal=true, scale=0.3)",
        "F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3)",
        q=QUERY,
        k=KEY,
        v=VALUE,
    ),
    case(
        "scaled_dot_product_attention(q, k, v, attn_mask=m)",
        "F.scaled_dot_product_attention(q, k, v, attn_mask=m)",
        q=QUERY,
        k=KEY,
        v=VALUE,
        m=reals(3, 5),
    ),
    case(
        "multi_head_attention(q, k, v, 2) as f",
        "heads(q, k, v, 2, f_in_proj_weight, f_in_proj_bias, f_out_proj__weight, f_out_proj__bias)",
        **HEADS,
        **HEADS_BIAS,
        **HEADS_OUT,
    ),
    case(
        "multi_head_attention(q, k, v, 2, is_causal=true, bias=false) as f",
        "heads(q, k, v, 2, f_in_proj_weight, None, f_out_proj__weight, None, causal=True)",
        **HEADS,
        **HEADS_OUT,
    ),
    case("split_heads(x, 2)", "x.reshape(2, 3, 2, 2).transpose(1, 2)", x=reals(2, 3, 4)),
    case("join_heads(x)", "x.transpose(1, 2).reshape(2, 3, 4)", x=reals(2, 2, 3, 2)),
)

PAIR = {"x": reals(3, 4), "t": reals(3, 4)}
CLASSES = {"x": reals(5, 3), "t": integers(5, below=3)}
PIXELS = {"x": reals(2, 3, 2, 2), "t": integers(2, 2, 2, below=3)}
IGNORED = {"x": reals(5, 3), "t": SOME_IGNORED}
WEIGHT = {"w": fixed([0.5, 1.5, 2.0])}

LOSSES = (
    case("reduce_loss(x)", "x.mean()", x=reals(3, 4)),
    case("l1_loss(x, t)", "F.l1_loss(x, t)", **PAIR),
    case('l1_loss(x, t, reduction="sum")', "F.l1_loss(x, t, reduction='sum')", **PAIR),
    case('l1_loss(x, t, reduction="none")', "F.l1_loss(x, t, reduction='none')", **PAIR),
    kink("l1_loss(x, t) + 0.0", "F.l1_loss(x, t)", x=given([-1.0, 0.0, 1.0]), t=fixed([0.0, 0.0, 0.0])),
    case("mse_loss(x, t)", "F.mse_loss(x, t)", **PAIR),
    case('mse_loss(x, t, reduction="sum")', "F.mse_loss(x, t, reduction='sum')", **PAIR),
    case('mse_loss(x, t, reduction="none")', "F.mse_loss(x, t, reduction='none')", **PAIR),
    case("smooth_l1_loss(x, t)", "F.smooth_l1_loss(x, t)", **PAIR),
    case("smooth_l1_loss(x, t, beta=0.4)", "F.smooth_l1_loss(x, t, beta=0.4)", **PAIR),
    case("smooth_l1_loss(x, t, beta=0)", "F.smooth_l1_loss(x, t, beta=0.0)", **PAIR),
    case('smooth_l1_loss(x, t, reduction="none")', "F.smooth_l1_loss(x, t, reduction='none')", **PAIR),
    kink(
        "smooth_l1_loss(x, t) + 0.0",
        "F.smooth_l1_loss(x, t)",
        x=given([-1.0, 0.0, 1.0]),
        t=fixed([0.0, 0.0, 0.0]),
    ),
    case("huber_loss(x, t)", "F.huber_loss(x, t)", **PAIR),
    case('huber_loss(x, t, delta=0.4, reduction="sum")', "F.huber_loss(x, t, 'sum', 0.4)", **PAIR),
    case("nll_loss(x, t)", "F.nll_loss(x, t)", **CLASSES),
    case("nll_loss(x, t, weight=w)", "F.nll_loss(x, t, w)", **CLASSES, **WEIGHT),
    case(
        'nll_loss(x, t, weight=w, reduction="sum")',
        "F.nll_loss(x, t, w, reduction='sum')",
        **CLASSES,
        **WEIGHT,
    ),
    case('nll_loss(x, t, reduction="none")', "F.nll_loss(x, t, reduction='none')", **PIXELS),
    case("nll_loss(x, t) + 0.0", "F.nll_loss(x, t)", **IGNORED),
    case("cross_entropy(x, t)", "F.cross_entropy(x, t)", **CLASSES),
    case("cross_entropy(x, t) + 0.0", "F.cross_entropy(x, t)", **PIXELS),
    case('cross_entropy(x, t, reduction="sum")', "F.cross_entropy(x, t, reduction='sum')", **CLASSES),
    case('cross_entropy(x, t, reduction="none")', "F.cross_entropy(x, t, reduction='none')", **PIXELS),
    case("cross_entropy(x, t, weight=w)", "F.cross_entropy(x, t, w)", **CLASSES, **WEIGHT),
    case("cross_entropy(x, t, ignore_index=2)", "F.cross_entropy(x, t, ignore_index=2)", **CLASSES),
    case("cross_entropy(x, t, ignore_index=-100)", "F.cross_entropy(x, t)", **IGNORED),
    case("cross_entropy(x, t, label_smoothing=0.1)", "F.cross_entropy(x, t, label_smoothing=0.1)", **CLASSES),
    case(
        "cross_entropy(x, t, weight=w, label_smoothing=0.1)",
        "F.cross_entropy(x, t, w, label_smoothing=0.1)",
        **IGNORED,
        **WEIGHT,
    ),
    case(
        'cross_entropy(x, t, weight=w, label_smoothing=0.1, reduction="sum")',
        "F.cross_entropy(x, t, w, label_smoothing=0.1, reduction='sum')",
        **PIXELS,
        **WEIGHT,
    ),
    case(
        'cross_entropy(x, t, label_smoothing=0.3, reduction="none")',
        "F.cross_entropy(x, t, label_smoothing=0.3, reduction='none')",
        **PIXELS,
    ),
    case(
        "target_weights(x, t, weight=w)",
        "torch.where(t == -100, 0.0, w[t.clamp(0)])",
        x=fixed([[0.0] * 3] * 5),
        t=SOME_IGNORED,
        w=reals(3),
    ),
    case(
        "bce_with_logits_loss(x, t)",
        "F.binary_cross_entropy_with_logits(x, t)",
        x=reals(3, 4, low=-4, high=4),
        t=unit(3, 4),
    ),
    case(
        'bce_with_logits_loss(x, t, weight=w, pos_weight=p, reduction="sum")',
        "F.binary_cross_entropy_with_logits(x, t, w, reduction='sum', pos_weight=p)",
        x=reals(3, 4),
        t=unit(3, 4),
        w=fixed([[0.5], [1.0], [2.0]]),
        p=fixed([1.0, 2.0, 3.0, 0.5]),
    ),
    case(
        'bce_with_logits_loss(x, t, reduction="none")',
        "F.binary_cross_entropy_with_logits(x, t, reduction='none')",
        x=reals(3, 4),
        t=unit(3, 4),
    ),
    case("binary_cross_entropy(x, t)", "F.binary_cross_entropy(x, t)", x=unit(3, 4), t=unit(3, 4)),
    case(
        'binary_cross_entropy(x, t, weight=w, reduction="none")',
        "F.binary_cross_entropy(x, t, w, reduction='none')",
        x=unit(3, 4),
        t=unit(3, 4),
        w=fixed([[0.5], [1.0], [2.0]]),
    ),
    case(
        "bounded_cross_entropy(x, t)", "F.binary_cross_entropy(x, t, reduction='none')", x=unit(3), t=unit(3)
    ),
    kink(
        "binary_cross_entropy(x, t) + 0.0",
        "F.binary_cross_entropy(x, t)",
        x=given([0.0, 1.0, 0.5]),
        t=fixed([0.0, 1.0, 1.0]),
    ),
    case("kl_div(x, t)", "F.kl_div(x, t)", x=reals(3, 4), t=unit(3, 4)),
    case(
        'kl_div(x, t, reduction="batchmean")',
        "F.kl_div(x, t, reduction='batchmean')",
        x=reals(3, 4),
        t=unit(3, 4),
    ),
    case(
        'kl_div(x, t, reduction="sum")',
        "F.kl_div(x, t, reduction='sum')",
        x=reals(2, 2),
        t=fixed([[0, 1], [0.3, 0.7]]),
    ),
    case("kl_div(x, t, log_target=true)", "F.kl_div(x, t, log_target=True)", **PAIR),
    case("poisson_nll_loss(x, t)", "F.poisson_nll_loss(x, t)", x=reals(3, 4), t=reals(3, 4, low=0, high=5)),
    case(
        "poisson_nll_loss(x, t, log_input=false)",
        "F.poisson_nll_loss(x, t, log_input=False)",
        x=reals(3, 4, low=0.5, high=4),
        t=reals(3, 4, low=0, high=5),
    ),
    case("gaussian_nll_loss(x, t, v)", "F.gaussian_nll_loss(x, t, v)", **PAIR, v=reals(3, 4, low=0.3)),
    case("hinge_embedding_loss(x, t)", "F.hinge_embedding_loss(x, t)", x=reals(3, 4), t=SIGNS),
    case(
        "margin_ranking_loss(a, b, t, margin=0.3)",
        "F.margin_ranking_loss(a, b, t, 0.3)",
        a=reals(3, 4),
        b=reals(3, 4),
        t=SIGNS,
    ),
    case("soft_margin_loss(x, t)", "F.soft_margin_loss(x, t)", x=reals(3, 4), t=SIGNS),
    case(
        "triplet_margin_loss(a, p, n)",
        "F.triplet_margin_loss(a, p, n)",
        a=reals(5, 4),
        p=reals(5, 4),
        n=reals(5, 4),
    ),
    case("pairwise_distance(a, b)", "F.pairwise_distance(a, b)", a=reals(5, 4), b=reals(5, 4)),
    case(
        "pairwise_distance(a, b, ord=1, keepdims=true)",
        "F.pairwise_distance(a, b, 1, keepdim=True)",
        a=reals(5, 4),
        b=reals(5, 4),
    ),
    case("cosine_similarity(a, b)", "F.cosine_similarity(a, b)", a=reals(5, 4), b=reals(5, 4)),
    case("cosine_similarity(a, b, axis=0)", "F.cosine_similarity(a, b, 0)", a=reals(5, 4), b=reals(5, 4)),
)

CASES: tuple[Case, ...] = (
    *ACTIVATIONS,
    *REDUCTIONS,
    *SHAPES,
    *LAYERS,
    *POOLING,
    *NORMALISATION,
    *ATTENTION,
    *LOSSES,
)
