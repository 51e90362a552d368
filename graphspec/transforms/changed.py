"""What a transform makes of a graph whose nodes run in stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphspec.ir import Graph, Node, Value


@dataclass(frozen=True, eq=False)
class Changed:
    """The new graph, what values of the old one became, and the stages of nodes that stand for no old one."""

    graph: Graph
    became: Mapping[Value, Value] = field(default_factory=dict)
    stages: Mapping[Node, int] = field(default_factory=dict)
