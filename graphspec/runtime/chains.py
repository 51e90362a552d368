"""Steps of a small program that follow one another, as one compiled function.

Where a step is over in a microsecond, to call it takes longer than to do it.  So loops of fused groups, small
products and checks of places between them are written into one function, whose text has no name and no outer
size of the spec in it, like those of loops.

    def step_1(r0, a0): ...

    def loop(x0, x1, x2, x3):
        step_1(x0, x1)
        product(x2, x0, x3.T)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from graphspec.ir import Graph, Node
from graphspec.runtime.cost import CALL, seconds

#: seconds of work, calls not counted, up to which a program is made of chains
SMALL = 5e-5
#: multiplications of a product up to which it is no slower than the BLAS, with the call of it
PRODUCT = 1 << 15
#: steps of a chain, and nodes of a program made of chains: what a compiler digests in some seconds
LONGEST, MOST = 32, 256


def is_small(graph: Graph, env: Mapping[str, int]) -> bool:
    """Whether the calls of a graph's steps take about as long as what they do."""
    return len(graph.nodes) <= MOST and sum(max(0.0, seconds(n, env) - CALL) for n in graph.nodes) < SMALL


@dataclass
class Chain:
    """Steps that will be one call.

    An argument of a step is the name of an array in the program, with `.T` where it is read transposed.
    `alone` are the lines of a program for each step, if it is the only one; `checks` those that say what is
    wrong, where a check has found something: nothing was done after it.
    """

    calls: list[str] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    alone: list[tuple[Callable[[], str], Node]] = field(default_factory=list)
    checks: list[tuple[str, Node]] = field(default_factory=list)

    def loop(self, text: str, arguments: Sequence[str]) -> None:
        """Call a loop, by its text."""
        name = self.functions.setdefault(text, f"step_{len(self.functions) + 1}")
        self.calls.append(f"{name}({self.passed(arguments)})")

    def product(self, arguments: Sequence[str]) -> None:
        """Call a small product: of the result, and the operands."""
        self.calls.append(f"product({self.passed(arguments)})")

    def check(self, arguments: Sequence[str], size: int, line: str, node: Node) -> None:
        """Copy an array, with the indices that it was read at checked; `line` says what is wrong."""
        self.checks.append((line, node))
        self.calls.append(f"if checked({self.passed(arguments)}, {size}): return {len(self.checks)}")

    def passed(self, arguments: Sequence[str]) -> str:
        """Arguments as the chain calls them."""
        found: list[str] = []
        for argument in arguments:
            array, dot, transposed = argument.partition(".")
            name = self.parameters.setdefault(array, f"x{len(self.parameters)}")
            found.append(f"{name}{dot}{transposed}")
        return ", ".join(found)

    def text(self) -> str:
        """The text of the function, which gives the number of the check that has found a mistake, or 0."""
        inner = [text.replace("def loop(", f"def {name}(") for text, name in self.functions.items()]
        body = "".join(f"    {call}\n" for call in self.calls)
        return "\n".join([*inner, f"def loop({', '.join(self.parameters.values())}):\n{body}    return 0\n"])
