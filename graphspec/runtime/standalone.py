"""A program that stands alone: one file that needs numpy only and reads as if a person had written it.

It takes the steps of a plan, as `emit` does, and writes them for a reader: values are allocated as they are
made, small steps become one expression, large arrays are deleted after their last use.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphspec.diagnostics import Span
from graphspec.ir import Op, TensorType, Value
from graphspec.runtime.bundle import bundle
from graphspec.runtime.expressions import call, names_in, parse, plain, replace, write
from graphspec.runtime.kernels import plain_kernel
from graphspec.runtime.page import NAMES, Array, Head, page, quoted
from graphspec.runtime.plan import Plan, Step, nbytes
from graphspec.runtime.text import Namer, comment_for, number_text, text_of

#: kernels that are one call of numpy where reading matters more than speed
_PLAIN_KERNELS = {"where": "np.where({}, {}, {})", "matmul": "{} @ {}"}
#: arrays from this size on are deleted after their last use
_LARGE = 1 << 20
#: statements are broken at this width
_LINE = 96
#: an expression takes in the steps that nothing else uses up to this width
_EXPRESSION = 72


def write_program(plan: Plan, values: Mapping[str, str], gradients: Mapping[str, str], head: Head) -> str:
    """The text of a program with `values_and_gradients(arrays)`, `gradients(arrays)` and a command line.

    `values` and `gradients` say what it returns: by the name that the caller sees, a result of the plan.
    """
    return _Writer(plan).write(values, gradients, head)


@dataclass(eq=False)
class _Statement:
    """`target = expression`, or without a target the call of a kernel.

    `place` is where in the spec it comes from.  One that `may_move` may become part of the expression that
    uses it, if that is of the same line of the spec; one that is `free`, being a view, of any.
    """

    target: str
    expression: ast.expr
    place: Span | None
    bytes: int = 0
    may_move: bool = False
    free: bool = False


class _Writer:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        used = {step.op.kernel: None for step in plan.steps if step.op.kernel}
        self.kernels = bundle(plain_kernel(name) for name in used if name not in _PLAIN_KERNELS)
        self.namer = Namer()
        for name in sorted(NAMES | self.kernels.names):
            self.namer.name(name)  # taken by the file itself
        self.inputs = {name: self.namer.name(name) for name in plan.inputs}
        self.names = {value: self.inputs[name] for name, value in plan.inputs.items()}
        self.count: dict[str, int] = {}
        self.statements: list[_Statement] = []

    def write(self, values: Mapping[str, str], gradients: Mapping[str, str], head: Head) -> str:
        for step in self.plan.steps:
            self.step(step)
        results = {name: self.result(value, copy) for name, (value, copy) in self.plan.results.items()}
        kept = {name for result in results.values() for name in names_in(result)}
        body = _lines(_join(self.statements, kept), kept)
        entries = [
            [f"{quoted(name)}: {write(results[key])}" for name, key in wanted.items()]
            for wanted in (values, gradients)
        ]
        order = {name: i for i, name in enumerate(head.order)}
        arrays = [
            Array(name, self.inputs[name], self.plan.types[value], str(value.type))
            for name, value in sorted(
                self.plan.inputs.items(), key=lambda item: order.get(item[0], len(order))
            )
        ]
        return page(head, arrays, [*body, "", *_returned(entries)], self.kernels)

    # --- steps ---

    def step(self, step: Step) -> None:
        node, op = step.node, step.op
        place = node.origin.span if node.origin else None
        if not op.kernel or op.kernel in _PLAIN_KERNELS:
            value = node.values[0]
            expression = self.expression(step)
            name = self.names[value] = self.new_name(value)
            self.statements.append(
                _Statement(
                    name,
                    expression,
                    place,
                    0 if op.is_view else nbytes(step.types[0]),
                    may_move=value not in self.plan.labels,
                    free=op.is_view,
                )
            )
            return
        operands = [self.operand(value, op) for value in node.inputs]
        for value, type in zip(node.values, step.types, strict=True):
            name = self.names[value] = self.new_name(value)
            self.statements.append(_Statement(name, _empty(type), place, nbytes(type)))
        outs = [self.names[value] for value in node.values]
        out = parse(outs[0] if len(outs) == 1 else f"({', '.join(outs)})")
        scratch = [_empty(slot.type) for slot in step.scratch]
        attributes = {name: text_of(value) for name, value in op.attributes().items()}
        self.statements.append(_Statement("", call(op.kernel, [out, *operands, *scratch], attributes), place))

    def expression(self, step: Step) -> ast.expr:
        """What a step computes, as an expression."""
        node, op, type = step.node, step.op, step.types[0]
        operands = [write(self.operand(value, op)) for value in node.inputs]
        numbers = [value in self.plan.numbers for value in node.inputs]
        if op.kernel == "where" and all(numbers[1:]):  # two numbers have no dtype of their own
            return parse(f"np.where({', '.join(operands)}).astype({type.dtype.array_name!r})")
        if op.kernel:
            return parse(_PLAIN_KERNELS[op.kernel].format(*operands))
        if numbers and all(numbers):
            operands = [write(self.array(value)) for value in node.inputs]
        return plain(op.source("OUT", *operands), type)

    def operand(self, value: Value, op: Op) -> ast.expr:
        """What an op reads: elementwise ops take numbers as they are."""
        number = self.plan.numbers.get(value)
        if number is None:
            return parse(self.names[value])
        return parse(_number(number_text(number, value.dtype))) if op.is_elementwise else self.array(value)

    def array(self, value: Value) -> ast.expr:
        """A number as an array of its dtype."""
        number = _number(number_text(self.plan.numbers[value], value.dtype))
        return parse(f"np.asarray({number}, {value.dtype.array_name!r})")

    def result(self, value: Value, is_copy: bool) -> ast.expr:
        """What is returned is new: neither an input nor a view of one."""
        read = self.array(value) if value in self.plan.numbers else parse(self.names[value])
        return call("np.array", [read], {}) if is_copy or value.node.op.is_view else read

    def new_name(self, value: Value) -> str:
        label = self.plan.labels.get(value)
        if label is not None:
            return self.namer.name(label)
        op = value.node.op.name
        self.count[op] = self.count.get(op, 0) + 1
        return self.namer.name(f"{op}_{self.count[op]}")


def _empty(type: TensorType) -> ast.expr:
    return parse(f"np.empty({text_of(type.shape)}, {type.dtype.array_name!r})")


def _number(text: str) -> str:
    return text.replace("inf", "np.inf").replace("nan", "np.nan")


# --- statements ---


def _join(statements: Sequence[_Statement], kept: set[str]) -> list[_Statement]:
    """The statements with those that only one other uses made part of it."""
    uses: dict[str, int] = {}
    for statement in statements:
        for name in names_in(statement.expression):
            uses[name] = uses.get(name, 0) + 1
    waiting: dict[str, _Statement] = {}
    joined: list[_Statement] = []
    for statement in statements:
        for name in [n for n, held in waiting.items() if not (held.free or _same_line(held, statement))]:
            joined.append(waiting.pop(name))
        for name in names_in(statement.expression):
            if name not in waiting:
                continue
            held = waiting.pop(name)
            longer = replace(statement.expression, name, held.expression)
            if len(write(longer)) <= _EXPRESSION or not statement.target:
                statement.expression = longer
                statement.free &= held.free
            else:
                joined.append(held)
        if statement.may_move and uses.get(statement.target) == 1 and statement.target not in kept:
            waiting[statement.target] = statement
        else:
            joined.append(statement)
    return joined


def _same_line(a: _Statement, b: _Statement) -> bool:
    """Whether two statements come from the same line of the spec."""
    if a.place is None or b.place is None:
        return a.place is b.place
    (source, line), (other, other_line) = (
        (place.source, place.source.position(place.start)[0]) for place in (a.place, b.place)
    )
    return source is other and line == other_line


def _lines(statements: Sequence[_Statement], kept: set[str]) -> list[str]:
    """The text of statements: a comment where another line of the spec begins, large arrays deleted."""
    large = {s.target for s in statements if s.bytes >= _LARGE} - kept
    last_use = {name: i for i, s in enumerate(statements) for name in names_in(s.expression) if name in large}
    gone: dict[int, list[str]] = {}
    for name, i in last_use.items():
        gone.setdefault(i, []).append(name)
    lines: list[str] = []
    before: _Statement | None = None
    for i, statement in enumerate(statements):
        if statement.place is not None and not (before and _same_line(before, statement)):
            lines += [""] * bool(lines) + [comment_for(statement.place)]
            before = statement
        lines += _statement(statement)
        if i in gone:
            lines.append(f"del {', '.join(gone[i])}")
    return lines


def _statement(statement: _Statement) -> list[str]:
    start = f"{statement.target} = " if statement.target else ""
    text = start + write(statement.expression)
    made = statement.expression
    if len(text) <= _LINE or not isinstance(made, ast.Call):
        return [text]
    named = [f"{keyword.arg}={write(keyword.value)}" for keyword in made.keywords]
    return _broken(f"{start}{write(made.func)}", [*map(write, made.args), *named])


def _broken(start: str, parts: Sequence[str]) -> list[str]:
    """`start(parts)` on several lines."""
    lines = [f"{start}(", "   "]
    for part in parts:
        if len(lines[-1]) > 4 and len(lines[-1]) + len(part) + 2 > _LINE:
            lines.append("   ")
        lines[-1] += f" {part},"
    return [*lines, ")"]


def _returned(dicts: Sequence[Sequence[str]]) -> list[str]:
    """The statement that returns some dicts."""
    text = "return " + ", ".join(f"{{{', '.join(entries)}}}" for entries in dicts)
    if len(text) <= _LINE:
        return [text]
    lines = ["return ("]
    for entries in dicts:
        text = f"    {{{', '.join(entries)}}},"
        lines += [text] if len(text) <= _LINE else ["    {", *(f"        {e}," for e in entries), "    },"]
    return [*lines, ")"]
