"""Removes taps, the named identities that keep values apart until differentiation is done."""

from __future__ import annotations

from graphspec.ir import Graph, Node, Tap, Value, rebuild


def drop_taps(graph: Graph) -> Graph:
    """Replace each tap by what it taps.  Needs differentiation done: the gradients asked for name taps.

    y = tap(x)   becomes   y = x
    """

    def rule(node: Node, inputs: tuple[Value, ...]) -> Value | None:
        return inputs[0] if isinstance(node.op, Tap) else None

    return rebuild(graph, rule)
