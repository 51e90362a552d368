"""Removes what is there for differentiation only: taps and `stop_gradient`, which are identities."""

from __future__ import annotations

from graphspec.ir import Graph, Node, Tap, Value, rebuild
from graphspec.ops.rounding import StopGradient


def drop_taps(graph: Graph) -> Graph:
    """Replace each tap, and each `stop_gradient`, by its operand.

    Needs differentiation done: the gradients asked for name taps, and a stopped one would flow again.

        y = tap(x)   becomes   y = x
    """

    return rebuild(graph, untapped)


def untapped(node: Node, inputs: tuple[Value, ...]) -> Value | None:
    """The operand of a tap."""
    return inputs[0] if isinstance(node.op, Tap | StopGradient) else None
