"""The intermediate representation: symbolic sizes, tensor types, ops, nodes and graphs."""

from graphspec.ir.call import Body, Call, HandGradient
from graphspec.ir.graph import Graph, Rewriter, Rule, reachable, rebuild, verify
from graphspec.ir.op import (
    FUNCTIONS,
    OPS,
    Input,
    Literal,
    Node,
    Op,
    Origin,
    Tap,
    Value,
    apply,
    function,
    literal,
    made_at,
    op,
    operand,
)
from graphspec.ir.samples import Box, Sample
from graphspec.ir.scalars import Number, Scalar, compute, evaluate_number
from graphspec.ir.sizes import Size, Symbolic, evaluate, relation, same, symbol, symbols
from graphspec.ir.types import DType, TensorType, TypeRuleError, broadcast

__all__ = [
    "FUNCTIONS",
    "OPS",
    "Body",
    "Box",
    "Call",
    "DType",
    "Graph",
    "HandGradient",
    "Input",
    "Literal",
    "Node",
    "Number",
    "Op",
    "Origin",
    "Rewriter",
    "Rule",
    "Sample",
    "Scalar",
    "Size",
    "Symbolic",
    "Tap",
    "TensorType",
    "TypeRuleError",
    "Value",
    "apply",
    "broadcast",
    "compute",
    "evaluate",
    "evaluate_number",
    "function",
    "literal",
    "made_at",
    "op",
    "operand",
    "reachable",
    "rebuild",
    "relation",
    "same",
    "symbol",
    "symbols",
    "verify",
]
