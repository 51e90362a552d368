"""Every mistake that Torch7's nngraph refuses when a graph is built, and what is said about it here.

The messages are those of nngraph at its last commit (2017-02-08).

- `inputs[1] is nil (typo / bad index?)`, `outputs[2] is nil`:
  `unknown-name`, with the name that was meant.
- `... is an nn.Module ... Did you forget a second set of parens`:
  `layer-is-not-a-value`, `function-as-value`.
- `... should be an nngraph.Node but is of type ...`:
  `not-a-tensor`, with what it is.
- `Use {input1, input2} to pass multiple inputs.`:
  cannot arise: tensors are the first arguments, or `(a, b) -> f`.
- `cannot pass an empty table of inputs`:
  `missing-argument`; for a list without elements `nothing-to-join`.
- `Don't pass the same input twice.`:
  cannot arise: `x + x`, `concat(x, x)` and two outputs of one value are right.
- `this connection has already been made!`:
  cannot arise: an edge is an argument, of which a call has any number.
- `no inputs are not supported`:
  cannot arise: a graph of constants and parameters is right.
- `an input should have no inputs`:
  cannot arise: `input` has no expression; two meanings of a name are `duplicate-name`.
- `Expected nnop.Parameters node, module not found in node`, `expecting only one start`, ...:
  cannot arise: roots are what is declared, in any number.
- `%d of split(%d) outputs from the node ... are unused` (an unused input surfaces so):
  `unused-declaration`; a result of several may be unused, none of them is `leads-nowhere`.
- `node declared on ... does not connect to gmodule output`:
  `leads-nowhere`.
- `Graph has cycles`:
  `cycle`, with every edge.
- `split(%d) cannot split % outputs`, `the input for a split should be a table` (when run):
  `cannot-unpack`, before any array exists.
- `what is this in the nest input? %`, `Pass an input.`:
  `not-a-tensor`, `nothing-to-join`.
"""

from __future__ import annotations

import pytest

from tests.lowering.lowered import X, ids, lower, warnings

REFUSED = {
    "an input that is nil": ("output y = relu(hiden)\n", ["unknown-name"]),
    "an output that is nil": ("output hiden\n", ["unknown-name"]),
    "nil in the middle of a list": ("output y = concat(x, hiden, x)\n", ["unknown-name"]),
    "a module that was not applied": (
        "layer fc = linear(3)\noutput y = relu(fc)\n",
        ["layer-is-not-a-value"],
    ),
    "a function that was not applied": ("output y = relu(tanh)\n", ["function-as-value"]),
    "something else for a node": ('output y = relu("x")\n', ["not-a-tensor"]),
    "no inputs for a module": ("output y = relu()\n", ["missing-argument"]),
    "no inputs for a join": ("output y = concat()\n", ["missing-argument"]),
    "an empty table": ("output y = concat(each(i in 0..0, x))\n", ["nothing-to-join"]),
    "an input with inputs": ("x = relu(x)\noutput y = x\n", ["duplicate-name"]),
    "a cycle": ("a = relu(b)\nb = tanh(a)\noutput y = b\n", ["cycle"]),
    "a split into too many": ("a, b, c = split(x, 2, axis=1)\noutput y = a + b + c\n", ["cannot-unpack"]),
    "a split into too few": ("a, b = split(x, 4, axis=1)\noutput y = a + b\n", ["cannot-unpack"]),
    "a split of what is no table": ("a, b = relu(x)\noutput y = a + b\n", ["cannot-unpack"]),
    "something strange in a nest": ("output y = stack([x, [true, x]])\n", ["not-a-tensor"]),
}

WARNED = {
    "an unused input": ("input z: f32[3] ~ normal()\noutput y = x\n", ["unused-declaration"]),
    "unused outputs of a split": ("a, b = split(x, 2, axis=1)\noutput y = x\n", ["leads-nowhere"]),
    "a node that leads to no output": ("h = relu(x)\noutput y = x\n", ["leads-nowhere"]),
}

RIGHT = {
    "one input twice": "output y = concat(x, x, axis=1)\noutput z = x + x\n",
    "one output twice": "h = relu(x)\noutput y = h\noutput z = h\noutput h\n",
    "several inputs": "output y = (x, 2 * x) -> maximum\noutput z = maximum(x, 2 * x)\n",
    "no inputs": "param w: f32[3] ~ normal()\noutput y = sum(w ** 2)\noutput z = x\n",
    "several starts": "param w: f32[4] ~ normal()\nbuffer b: f32[4] = ones()\noutput y = x * w + b\n",
    "a part of a split": "a, b = split(x, 2, axis=1)\noutput y = a\n",
    "an input that is an output": "output x\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_nngraph_refuses_is_refused(name: str):
    text, expected = REFUSED[name]
    assert ids(X + text) == expected


@pytest.mark.parametrize("name", WARNED)
def test_what_leads_nowhere_is_a_warning(name: str):
    text, expected = WARNED[name]
    assert warnings(X + text) == expected


@pytest.mark.parametrize("name", RIGHT)
def test_what_nngraph_cannot_say_is_right(name: str):
    module = lower(X + RIGHT[name])
    assert not module.warnings
    assert len(module.graph().outputs) == len(module.results)
