"""The habits of other languages: functions and arguments that are called something else here."""

from __future__ import annotations

from typing import NoReturn

from graphspec.diagnostics import Diagnostic, Edit, Span
from graphspec.diagnostics.catalogue import definitions as say
from graphspec.ir import Value
from graphspec.lowering import expressions
from graphspec.lowering.context import POISON, Failed, Frame, LayerRef, fail
from graphspec.lowering.definitions import find, function_names
from graphspec.lowering.lookup import MISSING, search
from graphspec.lowering.signatures import OPERATORS, is_primitive, of_definition, of_primitive
from graphspec.syntax import ast
from graphspec.syntax.walk import extent

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
    "Add": "+", "CAddTable": "+", "CSubTable": "-", "CMulTable": "*", "CDivTable": "/", "multiply": "*",
    "Sub": "-", "Mul": "*", "Div": "/", "subtract": "-", "divide": "/", "mm": "@", "bmm": "@", "dot": "@",
    "MatMul": "@", "Pow": "**", "power": "**", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "detach": "stop_gradient", "clamp": "clip", "Clip": "clip", "reduce_mean": "mean",
    "reduce_sum": "sum", "ReduceMean": "mean", "ReduceSum": "sum", "expand": "broadcast_to", "astype": "cast",
    "to": "cast", "float": "cast", "Cast": "cast", "gather": "take_along_axis", "select": "`x[...]`",
    "Select": "`x[...]`", "Narrow": "`x[...]`", "index_select": "`x[index]`",
    "Identity": "the value itself, without a call", "range": "arange", "square": "`x ** 2`",
    "SplitTable": "split", "chunk": "split", "Abs": "abs", "Exp": "exp", "Log": "log", "Sqrt": "sqrt",
    "Sum": "sum", "Mean": "mean", "Max": "max", "Min": "min", "normal_": "normal", "backward": "grad",
}  # fmt: skip

#: the primitives that have a sign and no other spelling
OPERATORS_BY_OP = {op: sign for sign, op in OPERATORS.items()}

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


#: samplers, by the name they have here
SAMPLERS = {
    "randn": "normal", "gaussian": "normal", "randn_like": "normal", "rand": "uniform", "random": "uniform",
    "glorot_uniform": "xavier_uniform", "glorot_normal": "xavier_normal", "glorot": "xavier_uniform",
    "xavier": "xavier_uniform", "he_uniform": "kaiming_uniform", "he_normal": "kaiming_normal",
    "he": "kaiming_normal", "kaiming": "kaiming_uniform", "msra": "kaiming_normal",
    "truncated_normal": "trunc_normal", "integers": "randint",
}  # fmt: skip

#: functions that other frameworks give the size of their input
SIZED_BY_INPUT = ("linear", "conv1d", "conv2d", "batch_norm", "layer_norm")


def unknown_function(expr: ast.Call, frame: Frame) -> NoReturn:
    """Raise the error for a call of what is no function here, with what is wrong with its arguments."""
    path = expr.function
    text = path.text
    meaning = search(text, frame)
    if meaning is POISON:
        raise Failed
    if meaning is not MISSING and not isinstance(meaning, LayerRef):
        fail(say.value_is_not_a_function(text, path.span, frame.ctx.places.get(text), frame.trace))
    known = function_names(frame) if frame.ctx.errors.met < 100 else []
    head, _, bare = text.rpartition(".")
    here = OPERATORS_BY_OP.get(bare) or FUNCTIONS.get(bare) or (bare if bare in known else None)
    is_method = bool(head) and isinstance(search(head, frame), Value)
    edits = _edits(expr, here, head if is_method else "")
    help = "values have no methods" if is_method else _help(expr, here)
    found = say.unknown_function(
        text, here, known, path.span, edits, _rewritten(expr, edits), help, frame.trace
    )
    parameters = _parameters(here, frame) if here in known else None
    try:
        check_arguments(expr, here or text, parameters, frame)
    except Failed as failure:
        raise Failed(found, *failure.diagnostics) from None
    fail(found)


def check_arguments(expr: ast.Call, function: str, known: list[str] | None, frame: Frame) -> None:
    """Raise what is wrong with the arguments of a call that fails anyway: keywords, and the values in them."""
    wrong: list[Diagnostic] = []
    for argument in expr.arguments:
        if argument.name is not None and known is not None and argument.name.text not in known:
            wrong.append(unknown_argument(argument, function, known, frame))
        if not isinstance(argument.value, ast.Range):
            try:
                expressions.evaluate(argument.value, frame)
            except Failed as failure:
                wrong.extend(failure.diagnostics)
    if wrong:
        raise Failed(*wrong)


def unknown_argument(argument: ast.Argument, function: str, known: list[str], frame: Frame) -> Diagnostic:
    """The error for a keyword that a function does not take."""
    assert argument.name is not None
    here = ARGUMENTS.get(argument.name.text)
    return say.unknown_argument(
        argument.name.text,
        function,
        known,
        argument.name.span,
        frame.trace,
        here if here in known else None,
    )


def _parameters(function: str | None, frame: Frame) -> list[str] | None:
    """The parameters of a function that exists; None for the forms of the language."""
    assert function is not None
    found = find(function, frame)
    if found is None and not is_primitive(function):
        return None
    signature = of_definition(found[0]) if found else of_primitive(function)
    return [p.name for p in signature.parameters]


def _edits(expr: ast.Call, here: str | None, receiver: str) -> tuple[Edit, ...]:
    """The edits that say a call in the words of this language; none where more than words would change."""
    if here is None:
        return ()
    place = expr.function.span
    if here.isidentifier():
        if receiver and expr.piped is None and not expr.bare:
            opened = Span(place.source, place.start, place.end + 1)  # `x.sum(`
            comma = ", " if expr.arguments else ""
            return (Edit(opened, f"{here}({receiver}{comma}"), *_brackets(expr, here, has_tensor=True))
        return (Edit(place, here), *_brackets(expr, here, has_tensor=expr.piped is not None))
    plain = [a.value for a in expr.arguments if a.name is None and not isinstance(a.value, ast.Range)]
    if " " in here or len(plain) != 2 or len(expr.arguments) != 2 or expr.piped or expr.label:
        return ()
    left, right = (_operand_text(value) for value in plain)
    return (Edit(expr.span, f"({left} {here} {right})"),)


def _rewritten(expr: ast.Call, edits: tuple[Edit, ...]) -> str:
    """The text of a call after the edits."""
    text, at = "", expr.span.start
    for edit in edits:
        text += expr.span.source.text[at : edit.span.start] + edit.text
        at = edit.span.end
    return text + expr.span.source.text[at : expr.span.end]


def _operand_text(expr: ast.Expr) -> str:
    text = extent(expr).text
    simple = isinstance(expr, ast.Name | ast.Number | ast.Index) or (
        isinstance(expr, ast.Call) and expr.piped is None and expr.label is None
    )
    return text if simple else f"({text})"


def _brackets(expr: ast.Call, here: str, has_tensor: bool) -> tuple[Edit, ...]:
    """`view(x, -1, 10)` and `permute(x, 0, 2, 1)` list their numbers bare."""
    plain = [a for a in expr.arguments if a.name is None]
    numbers = plain if has_tensor else plain[1:]
    if (
        here not in ("reshape", "transpose")
        or not numbers
        or isinstance(numbers[0].value, ast.List | ast.Tuple)
    ):
        return ()
    if here == "reshape" and len(numbers) == 1 and isinstance(numbers[0].value, ast.Name):
        return ()  # a name may well be a list
    first, last = numbers[0].span, numbers[-1].span
    return Edit(Span(first.source, first.start, first.start), "["), Edit(
        Span(last.source, last.end, last.end), "]"
    )


def _help(expr: ast.Call, here: str | None) -> str:
    is_number = bool(expr.arguments) and isinstance(expr.arguments[0].value, ast.Number)
    if here in SIZED_BY_INPUT and expr.piped is None and is_number:
        return f"`{here}` takes the size of its input from the input: `x -> {here}(...)`"
    return ""
