"""Which axes of a value run along which axes of another that it is computed from.

Where axis k of y runs along axis a of x, dy[..., i, ...] / dx[..., j, ...] is zero unless i = j there.  Of
a chain of elementwise ops all axes run together, and the Jacobian is diagonal; of a network on a batch
the batch does.  Source for sparsity from structure: Griewank & Walther (2008), chapter 7.
"""

from __future__ import annotations

from graphspec.ir import Alignment, Node, Value, reachable


def linked_axes(y: Value, x: Value) -> tuple[tuple[int, int], ...]:
    """Pairs of an axis of y and the axis of x that it runs along.

    Of a y that does not depend on x there are none.  Needs calls inlined and gradients expanded.
    """
    links: dict[Value, dict[int, int]] = {x: {k: k for k in range(len(x.shape))}}
    for node in reachable([y], stop=frozenset([x])):
        if any(v in links for v in node.inputs):
            found = _links(node, [links.get(v) for v in node.inputs])
            links.update((value, found) for value in node.values)
    return tuple(sorted(links.get(y, {}).items()))


def _links(node: Node, given: list[dict[int, int] | None]) -> dict[int, int]:
    """The axes that a node's result has in common with x, from those of its operands (None: not of x)."""
    if len(node.values) != 1:
        return {}
    alignment: Alignment = node.op.alignment(*(v.type for v in node.inputs))
    found: dict[int, int] = {}
    for k, axes in enumerate(alignment):
        along = {
            None if axis is None else own.get(axis)
            for axis, own in zip(axes, given, strict=True)
            if own is not None
        }
        if len(along) == 1 and (axis := along.pop()) is not None:
            found[k] = axis
    return found
