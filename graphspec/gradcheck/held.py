"""The graph whose derivative the spec means: what no derivative passes through is held fixed."""

from __future__ import annotations

from dataclasses import dataclass

from graphspec.gradcheck.point import Point
from graphspec.ir import Call, Graph, Input, Node, Value, apply, rebuild
from graphspec.ops.rounding import StopGradient
from graphspec.transforms.open_calls import open_calls


@dataclass(frozen=True, slots=True)
class Held:
    """A graph in which some values are inputs.

    Its outputs are those of the spec, and what goes into surrogates.  `is_whole` says that nothing is held:
    it is the graph of the spec itself.
    """

    graph: Graph
    is_whole: bool


def hold(graph: Graph, point: Point) -> Held:
    """Hold fixed what `stop_gradient` returns, and what ops with surrogates return, at what they are.

    The arrays that they are held at are added to the point's.
    """
    opened = open_calls(graph, lambda op, node: not op.body.gradients)
    fixed: dict[str, Value] = {}
    entries: dict[str, Value] = {}

    def rule(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if isinstance(node.op, Call):
            if not _is_held(node.op):
                return None
            for i, line in node.op.body.gradients.items():
                if line.surrogate and not isinstance(inputs[i].node.op, Input):
                    entries[_entry(node.op.definition, entries)] = inputs[i]
        elif not isinstance(node.op, StopGradient):
            return None
        labels = [f"held value {len(fixed) + i}" for i in range(len(node.values))]
        fixed.update(zip(labels, node.values, strict=True))
        return tuple(apply(Input(label, v.type)) for label, v in zip(labels, node.values, strict=True))

    held = rebuild(opened, rule)
    if not fixed:
        return Held(graph, is_whole=True)
    point.arrays.update(point.program(fixed)(point.arrays))
    return Held(Graph({**held.outputs, **entries}, held.names), is_whole=False)


def _entry(op: str, taken: dict[str, Value]) -> str:
    """What goes into a surrogate, in words; a later application has its number."""
    name = f"what goes into `{op}`"
    count = sum(other.startswith(name) for other in taken)
    return f"{name} ({count + 1})" if count else name


def _is_held(op: Call) -> bool:
    """Whether a call has a surrogate, or stops a derivative that is not written by hand."""
    lines = op.body.gradients
    if any(line.surrogate for line in lines.values()):
        return True
    derived = [i for i, p in enumerate(op.body.parameters) if p.dtype.is_float and i not in lines]
    if not derived:
        return False
    inside = open_calls(Graph({str(i): v for i, v in enumerate(op.body.results)}), lambda op, node: True)
    return any(isinstance(node.op, StopGradient) for node in inside.nodes)
