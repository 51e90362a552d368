"""Attributes of primitives that must be numbers: a dim among them decides the graph."""

import pytest

import graphspec as gs

SPEC = """gspec 1
dim S = 2
input x: f32[4, 3, 8, 8] ~ normal()
output y = sum({call}) / S
"""


@pytest.mark.parametrize(
    "call",
    [
        "max_pool2d(x, S)",
        "avg_pool2d(x, S)",
        "conv2d(x, 2, kernel_size=3, stride=S) as c",
        "cumsum(x, axis=S)",
    ],
)
def test_a_dim_as_a_stride_or_an_axis_is_its_number(call: str):
    model = gs.loads(SPEC.format(call=call))
    number = gs.loads(SPEC.format(call=call.replace("S", "2")))
    params, inputs = model.init(seed=0), model.draw(seed=0)
    assert model.forward(params, inputs)["y"] == number.forward(params, inputs)["y"]


def test_a_dim_without_a_number_is_asked_for_one():
    spec = "gspec 1\ninput x: f32[4, 3, 8, 8]\ninput s: f32[S]\noutput y = max_pool2d(x, S)\noutput t = s\n"
    with pytest.raises(gs.GraphSpecError, match="decides the graph"):
        gs.loads(spec)
