"""Operations from outside graphspec in a program: what they lack, and what goes wrong in them."""

from __future__ import annotations

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue.plugins import plugin_failed
from graphspec.ir import Node, made_at
from graphspec.ir.plugins import describe, line_of
from graphspec.runtime.kernels import KERNELS
from graphspec.runtime.plan import Plan, Step


def require_sound(plan: Plan, backend: str) -> None:
    """Raise GraphSpecError where a step's operation has no kernel for a backend, or a source that is no
    expression.
    """
    for step in plan.steps:
        if step.op.plugin:
            _require_sound(step, backend)


def failed(error: BaseException, node: Node) -> GraphSpecError:
    """The error to raise from what the kernel or the source of an operation raised."""
    part = "kernel" if node.op.kernel else "source"
    return _error(node, part, describe(error), line_of(error))


def _require_sound(step: Step, backend: str) -> None:
    op = step.op
    if op.kernel:
        if not KERNELS.keys() & {(op.kernel, backend), (op.kernel, "common")}:
            raise _error(step.node, "kernel", f"there is no kernel `{op.kernel}` for {backend}")
        return
    with made_at(step.node.origin):
        text = op.source("out", *(f"x{i}" for i in range(len(step.node.inputs))))
    try:
        compile(text, "<source>", "eval")
    except (SyntaxError, ValueError) as error:
        raise _error(step.node, "source", f"`{text}` is no expression of Python") from error


def _error(node: Node, part: str, reason: str, at: str = "") -> GraphSpecError:
    origin = node.origin
    return GraphSpecError(
        plugin_failed(
            node.op.name,
            node.op.plugin,
            part,
            reason,
            at=at,
            place=origin.span if origin else None,
            trace=origin.trace if origin else (),
        )
    )
