"""The habits of other languages: functions and arguments that are called something else here."""

from __future__ import annotations

from typing import NoReturn

from graphspec.diagnostics.catalogue import definitions as say
from graphspec.lowering.context import POISON, Failed, Frame, LayerRef, fail
from graphspec.lowering.definitions import function_names
from graphspec.lowering.lookup import MISSING, search
from graphspec.lowering.signatures import Signature
from graphspec.syntax import ast

# ruff: noqa: E501  (tables)

#: functions of PyTorch, Keras, ONNX, JAX, numpy and Torch7, by the name they have here
FUNCTIONS = {
    "Linear": "linear", "Dense": "linear", "dense": "linear", "Gemm": "linear", "fc": "linear", "InnerProduct": "linear",
    "Conv2d": "conv2d", "Conv2D": "conv2d", "Conv": "conv2d", "conv": "conv2d", "SpatialConvolution": "conv2d",
    "MaxPool2d": "max_pool2d", "MaxPooling2D": "max_pool2d", "MaxPool": "max_pool2d", "maxpool2d": "max_pool2d",
    "SpatialMaxPooling": "max_pool2d", "AvgPool2d": "avg_pool2d", "AveragePooling2D": "avg_pool2d",
    "AveragePool": "avg_pool2d", "SpatialAveragePooling": "avg_pool2d",
    "ReLU": "relu", "Relu": "relu", "Sigmoid": "sigmoid", "logistic": "sigmoid", "Tanh": "tanh", "GELU": "gelu",
    "Softmax": "softmax", "SoftMax": "softmax", "LogSoftmax": "log_softmax", "LogSoftMax": "log_softmax",
    "BatchNorm2d": "batch_norm", "BatchNorm1d": "batch_norm", "BatchNormalization": "batch_norm",
    "batchnorm": "batch_norm", "SpatialBatchNormalization": "batch_norm",
    "LayerNorm": "layer_norm", "LayerNormalization": "layer_norm", "layernorm": "layer_norm",
    "Dropout": "dropout", "Embedding": "embedding", "LookupTable": "embedding",
    "Flatten": "flatten", "view": "reshape", "View": "reshape", "Reshape": "reshape",
    "permute": "transpose", "swapaxes": "transpose", "cat": "concat", "concatenate": "concat", "Concat": "concat",
    "JoinTable": "concat", "Concatenate": "concat", "hstack": "concat",
    "CrossEntropyLoss": "cross_entropy", "CrossEntropyCriterion": "cross_entropy", "NLLLoss": "nll_loss",
    "ClassNLLCriterion": "nll_loss", "MSELoss": "mse_loss", "MSECriterion": "mse_loss", "mse": "mse_loss",
    "SmoothL1Loss": "smooth_l1_loss", "SmoothL1Criterion": "smooth_l1_loss",
    "add": "+", "Add": "+", "CAddTable": "+", "CMulTable": "*", "multiply": "*", "Mul": "*",
    "matmul": "@", "mm": "@", "bmm": "@", "dot": "@", "MatMul": "@",
    "detach": "stop_gradient", "abs_": "abs", "clamp": "clip", "Clip": "clip", "reduce_mean": "mean",
    "reduce_sum": "sum", "ReduceMean": "mean", "ReduceSum": "sum", "expand": "broadcast_to", "astype": "cast",
    "to": "cast", "float": "cast", "Cast": "cast", "gather": "take_along_axis", "select": "indexing `x[...]`",
    "Identity": "a plain name", "range": "arange", "power": "**", "square": "x ** 2",
}  # fmt: skip

#: arguments, by the name they have here
ARGUMENTS = {
    "dim": "axis", "axes": "axis", "dims": "axis", "keepdim": "keepdims", "keep_dims": "keepdims",
    "kernel": "kernel_size", "kernel_shape": "kernel_size", "ksize": "kernel_size", "pool_size": "kernel_size",
    "filter_size": "kernel_size", "pad": "padding", "pads": "padding", "strides": "stride",
    "subsample": "stride", "dilations": "dilation", "dilation_rate": "dilation", "group": "groups",
    "out_channels": "out", "out_features": "out", "filters": "out", "units": "out", "num_output": "out",
    "use_bias": "bias", "epsilon": "eps", "size_average": "reduction", "num_embeddings": "count",
    "rate": "p", "prob": "p", "num_heads": "heads", "shape": "size", "alpha": "negative_slope",
}  # fmt: skip


def unknown_function(expr: ast.Call, frame: Frame) -> NoReturn:
    """The error for a call of what is no function here."""
    path = expr.function
    text = path.text
    meaning = search(text, frame)
    if meaning is POISON:
        raise Failed
    if meaning is not MISSING and not isinstance(meaning, LayerRef):
        fail(say.value_is_not_a_function(text, path.span, frame.ctx.places.get(text), frame.trace))
    known = function_names(frame)
    bare = text.rpartition(".")[2]
    here = FUNCTIONS.get(bare) or (bare if text != bare and bare in known else None)
    fail(say.unknown_function(text, here, known, path.span, frame.trace))


def unknown_argument(argument: ast.Argument, signature: Signature, frame: Frame) -> NoReturn:
    """The error for a keyword that a function does not take."""
    assert argument.name is not None
    names = [p.name for p in signature.parameters]
    here = ARGUMENTS.get(argument.name.text)
    place = argument.name.span
    fail(
        say.unknown_argument(
            argument.name.text, signature.name, names, place, frame.trace, here if here in names else None
        )
    )
