"""Calls of the array library that write into storage, rewritten as the expressions a person would write."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from graphspec.ir import TensorType

_OPERATORS: dict[str, ast.operator | ast.cmpop] = {
    "add": ast.Add(),
    "subtract": ast.Sub(),
    "multiply": ast.Mult(),
    "true_divide": ast.Div(),
    "floor_divide": ast.FloorDiv(),
    "less": ast.Lt(),
    "less_equal": ast.LtE(),
    "greater": ast.Gt(),
    "greater_equal": ast.GtE(),
    "equal": ast.Eq(),
    "not_equal": ast.NotEq(),
}
_SHORTER = {"absolute": "abs"}


def parse(text: str) -> ast.expr:
    """One expression."""
    return ast.parse(text, mode="eval").body


def write(expression: ast.expr) -> str:
    """The text of an expression."""
    text = ast.unparse(expression)
    return text if '"' in text else text.replace("'", '"')


def call(function: str, arguments: Sequence[ast.expr], keywords: Mapping[str, str]) -> ast.expr:
    """A call of a function by its name; keywords are texts."""
    named = [ast.keyword(key, parse(text)) for key, text in keywords.items()]
    return ast.Call(ast.Name(function), list(arguments), named)


def replace(expression: ast.expr, name: str, by: ast.expr) -> ast.expr:
    """The expression with another in the place of a name."""
    replaced: ast.expr = _Replace(name, by).visit(parse(ast.unparse(expression)))
    return replaced


class _Replace(ast.NodeTransformer):
    def __init__(self, name: str, by: ast.expr) -> None:
        self.name = name
        self.by = by

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.by if node.id == self.name else node


def names_in(expression: ast.expr) -> list[str]:
    """The names of an expression, as often as they stand there."""
    return [node.id for node in ast.walk(expression) if isinstance(node, ast.Name)]


def plain(source: str, result: TensorType) -> ast.expr:
    """The source of an op as an expression that gives the result, for numpy.

    `xp.add(x, y, out=OUT)` is `x + y`, `xp.transpose(w, (1, 0))` is `w.T`; `result` is its type.
    """
    expression: ast.expr = _Plain(result).visit(parse(source))
    return expression


class _Plain(ast.NodeTransformer):
    def __init__(self, result: TensorType) -> None:
        self.dtype = result.dtype

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Name("np") if node.id == "xp" else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        function = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        node.keywords = [k for k in map(self.keyword, node.keywords) if k is not None]
        arguments = node.args
        if function == "copyto":
            return self.cast(arguments[1])
        if function in _OPERATORS and not node.keywords:
            operator = _OPERATORS[function]
            if isinstance(operator, ast.cmpop):
                return ast.Compare(arguments[0], [operator], [arguments[1]])
            return ast.BinOp(arguments[0], operator, arguments[1])
        if function == "negative":
            return ast.UnaryOp(ast.USub(), arguments[0])
        if function == "transpose" and ast.unparse(arguments[1]) == "(1, 0)":
            return ast.Attribute(arguments[0], "T")
        if function == "reshape" and isinstance(arguments[1], ast.Tuple) and arguments[1].elts:
            return ast.Call(ast.Attribute(arguments[0], "reshape"), arguments[1].elts, [])
        if function in _SHORTER:
            node.func = ast.Attribute(ast.Name("np"), _SHORTER[function])
        return node

    def cast(self, x: ast.expr) -> ast.expr:
        """x in the dtype of the result."""
        dtype = self.dtype.array_name
        if dtype == "int64" and isinstance(x, ast.Call):  # `np.arange(n)` counts in it anyway
            return x
        return ast.Call(ast.Attribute(x, "astype"), [ast.Constant(dtype)], [])

    def keyword(self, keyword: ast.keyword) -> ast.keyword | None:
        """A keyword as it is written; None where it says what is true anyway."""
        text = ast.unparse(keyword.value)
        if keyword.arg == "out" or (keyword.arg == "keepdims" and text == "False"):
            return None
        if keyword.arg == "dtype":  # sums of narrow integers are wide by default, other sums as they are
            if self.dtype.is_float or self.dtype.array_name == "int64":
                return None
            return ast.keyword("dtype", ast.Constant(self.dtype.array_name))
        if keyword.arg == "axis" and isinstance(keyword.value, ast.Tuple) and len(keyword.value.elts) == 1:
            return ast.keyword("axis", keyword.value.elts[0])
        return keyword
