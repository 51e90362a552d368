"""All local simplifications in one walk: what each is, and why it holds, is said where it is defined."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from graphspec.ir import Graph, Node, Rewriter, Rule, Value, in_order, rebuild, with_inputs
from graphspec.transforms.drop_taps import untapped
from graphspec.transforms.fold_constants import fold_constants, folded
from graphspec.transforms.merge_equal import Merger, merge_equal
from graphspec.transforms.simplify_algebra import by_identities, simplify_algebra
from graphspec.transforms.simplify_shapes import simplify_shapes, with_less_movement

#: the rules, by the passes that do the same alone
RULES: Mapping[str, Rule] = {
    fold_constants.__name__: folded,
    simplify_shapes.__name__: with_less_movement,
    simplify_algebra.__name__: by_identities,
}
MERGE = merge_equal.__name__
#: what may be left out
PARTS = (*RULES, MERGE)


def simplify(graph: Graph) -> Graph:
    """Drop taps, fold constants, simplify shapes and algebra, and merge equal nodes.

    Needs calls inlined and differentiation done.  Does what the passes of the same names do, node by node
    instead of graph by graph: a node is visited when its operands are as simple as they get, and what a
    rule makes of it is visited again.

        y = tap(x) ** (3 - 1);  z = x ** 2   becomes   y = x * x, which z is too
    """
    return rebuild(graph, _Simplifier())


def simplify_without(names: Collection[str]) -> Callable[[Graph], Graph]:
    """The pass, but for the parts of these names; taps are dropped in any case."""
    if not any(name in names for name in PARTS):
        return simplify

    def some(graph: Graph) -> Graph:
        return rebuild(graph, _Simplifier(names))

    some.__name__ = simplify.__name__
    return some


class _Simplifier:
    """The rules, applied to a node until none fits; `known` are the nodes that have been through them."""

    def __init__(self, without: Collection[str] = ()) -> None:
        self.rules = (untapped, *(rule for name, rule in RULES.items() if name not in without))
        self.merged: Callable[[Node, tuple[Value, ...]], tuple[Value, ...] | None] = (
            _kept if MERGE in without else Merger()
        )
        self.known: set[Node] = set()

    def __call__(self, node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        for rule in self.rules:
            made = rule(node, inputs)
            if made is not None:
                return self.visited((made,) if isinstance(made, Value) else made)
        results = self.merged(node, inputs)
        self.known.add(node if results is None else results[0].node)
        return results

    def visited(self, values: tuple[Value, ...]) -> tuple[Value, ...]:
        """What a rule has made, its new nodes being simplified in their turn."""
        fresh = [v.node for v in values if v.node not in self.known]
        if not fresh:
            return values
        seen = set(fresh)
        todo = list(fresh)
        while todo:
            for value in todo.pop().inputs:
                if value.node not in self.known and value.node not in seen:
                    seen.add(value.node)
                    todo.append(value.node)
        rewriter = Rewriter()
        rewriter.run(in_order(seen), self)
        return tuple(map(rewriter, values))


def _kept(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    """The node on its new operands, whatever else there is."""
    return (node if inputs == node.inputs else with_inputs(node, inputs)).values
