"""Passes on models: the text before, the graph after, and both compute the same.

`cases/PASS.txt` holds cases `# what it shows`, a model, `---` and the nodes after the pass, in the order in
which they run.  What a model is asked for is its outputs, or with `## wrt NAME` a gradient.
`pytest --update` rewrites the expectations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphspec as gs
from graphspec import compiler
from graphspec.ir import Graph, Literal, Node, Value, evaluate, verify
from graphspec.ops.fused import Fused
from graphspec.ops.reduction import Max, Min, Sum
from graphspec.requests import Request
from graphspec.transforms.epilogues import epilogues
from graphspec.transforms.fuse import Style, fuse
from graphspec.transforms.order_products import order_products
from graphspec.transforms.pool_first import pool_first
from graphspec.transforms.recompute import recompute
from graphspec.transforms.straighten import straighten
from graphspec.transforms.transpose_products import transpose_products
from graphspec.transforms.unpack_products import unpack_products
from tests.transforms.models import arrays, run

HERE = Path(__file__).parent / "cases"
SIZES = {"N": 4, "T": 3}


def _accepts(op: Any, operands: Any, result: Any) -> bool:
    return isinstance(op, Sum | Max | Min) or not op.kernel or op.name == "where"


LOOPS = Style(_accepts, is_compiled=True)
PASSES: dict[str, Callable[[Graph], Graph]] = {
    "epilogues": lambda graph: epilogues(graph, SIZES, {}, lambda *_: True).graph,
    "fuse": lambda graph: fuse(straighten(graph), SIZES, {}, LOOPS).graph,
    "order_products": lambda graph: order_products(graph, SIZES, {}).graph,
    "pool_first": pool_first,
    "recompute": lambda graph: recompute(PASSES["fuse"](graph), SIZES, {}, least=0).graph,
    "straighten": straighten,
    "transpose_products": transpose_products,
    "unpack_products": lambda graph: unpack_products(graph, SIZES),
}


def cases(name: str) -> Iterator[tuple[str, str, str]]:
    """The title, the model and the expected graph of each case in a file."""
    for text in (HERE / f"{name}.txt").read_text().split("\n# "):
        title, _, rest = text.removeprefix("# ").partition("\n")
        model, _, expected = rest.partition("---\n")
        yield title, model, expected.strip()


def graph_of(text: str, name: str) -> Graph:
    """The simplified graph of a model's request, before the pass of a name."""
    model = gs.loads(text, notify=lambda diagnostic: None)
    asked = [line.removeprefix("## wrt ") for line in text.splitlines() if line.startswith("## wrt ")]
    kind = "gradients" if asked else "values"
    derived = compiler.derive(model._module, Request(None, tuple(asked), kind), without={name})
    return compiler.simplify(derived.graph, check=True)


def described(graph: Graph) -> str:
    """A line for each node but inputs and numbers."""
    names: dict[Value, str] = {}
    lines: list[str] = []

    def name_of(value: Value) -> str:
        if isinstance(value.node.op, Literal):
            return str(value.node.op.value)
        return names[value]

    for node in graph.nodes:
        for value in node.values:
            label = graph.labels.get(value) or getattr(node.op, "label", None)
            if label is None and not isinstance(node.op, Literal):
                label = f"%{len(names) + 1}"
            names[value] = label or ""
        if node.inputs or node.op.name == "arange":
            lines += _lines(node, [name_of(v) for v in node.inputs], [names[v] for v in node.values])
    return "\n".join(lines)


def _lines(node: Node, inputs: list[str], results: list[str]) -> Iterator[str]:
    if not isinstance(node.op, Fused):
        yield f"{', '.join(results)} = {node.op!r}({', '.join(inputs)})"
        return
    yield f"{', '.join(results)} = fused over {list(node.op.domain)}, rows along {list(node.op.inner)}"
    known = list(inputs)
    made = iter(results)
    for k, member in enumerate(node.op.members):
        own = next(made) if k in node.op.results else f".{k + 1}"
        yield f"    {own} = {member.op!r}({', '.join(known[i] for i in member.inputs)})"
        known.append(own)


@pytest.mark.parametrize("name", list(PASSES))
def test_a_pass_makes_of_models_what_the_cases_say(name, request):
    made: list[str] = []
    wrong: list[str] = []
    for title, model, expected in cases(name):
        before = graph_of(model, name)
        after = PASSES[name](before)
        verify(after)
        inputs = arrays([*before.outputs.values(), *after.outputs.values()], env=SIZES)
        for key, value in before.outputs.items():
            old, new = run([value], inputs, SIZES)[0], run([after.outputs[key]], inputs, SIZES)[0]
            np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-6, strict=True, err_msg=title)
            assert new.shape == tuple(evaluate(size, SIZES) for size in value.type.shape)
        text = described(after)
        made.append(f"# {title}\n{model}---\n{text}\n")
        if text != expected:
            wrong.append(f"{title}:\n{text}")
    if request.config.getoption("--update"):
        (HERE / f"{name}.txt").write_text("\n".join(made))
    else:
        assert not wrong, "\n\n".join(wrong)
