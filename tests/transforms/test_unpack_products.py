"""Which products become loops, and which are left to the kernels of products."""

import numpy as np
import pytest

import graphspec as gs
from graphspec.ir import verify
from graphspec.requests import Request
from graphspec.transforms.unpack_products import LARGE, unpack_products

OUTER = """gspec 1
dim N = 4
input x: f32[N, 8] ~ normal()
input y: f32[N, 16] ~ normal()
output z = reshape(x, [N, 8, 1]) @ reshape(y, [N, 1, 16])
output flat = reshape(z, [N, 128])
output total = sum(z ** 2, axis=[1, 2])
"""


#: products along the batch, and with it as the only column
OF_ONE = """gspec 1
dim N = 1
input x: f32[N, 8] ~ normal()
input stack: f32[2, 3, 8] ~ normal()
param w: f32[5, 8] ~ normal()
output along = transpose(x) @ x
output column = stack @ transpose(x)
loss total = sum((x @ transpose(w)) ** 2)
"""


def products(of, count, text=OUTER):
    """How many products of matrices are left in the graph of a value, for so many examples."""
    model = gs.loads(text)
    derived = model._engine.derive(Request((of,)))
    made = unpack_products(model._engine.graph(derived), {"N": count})
    verify(made)
    return sum(node.op.name == "matmul" for node in made.nodes)


def test_an_outer_product_becomes_an_elementwise_product():
    assert products("z", 4) == products("flat", 4) == products("total", 4) == 0


def test_a_large_one_that_is_a_result_is_left_to_its_kernel():
    assert products("z", LARGE // 128) == products("flat", LARGE // 128) == 1
    assert products("z", LARGE // 128 - 1) == 0


def test_a_large_one_of_which_only_a_sum_is_wanted_is_never_made():
    assert products("total", LARGE // 128) == 0


def test_a_dim_that_is_one_is_no_size_of_one():
    assert products("along", 1, OF_ONE) == products("column", 1, OF_ONE) == 1


@pytest.mark.usefixtures("fast")
def test_a_step_on_a_batch_of_one_is_compiled():
    model = gs.loads(OF_ONE)
    params, inputs = model.init(), model.draw()
    _, grads, _ = model.compile(wrt=["w", "x"], of="total")(params, inputs)
    expected = gs.loads(OF_ONE, simplify=False).grad(params, inputs, wrt=["w", "x"], of="total")
    for name, gradient in expected.items():
        np.testing.assert_allclose(grads[name], gradient, rtol=1e-5)
