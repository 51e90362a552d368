"""Which products become loops, and which are left to the kernels of products."""

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


def products(of, count):
    """How many products of matrices are left in the graph of a value, for so many examples."""
    model = gs.loads(OUTER)
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
