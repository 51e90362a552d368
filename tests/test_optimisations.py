"""Optimisations by name: each can be left out, and the numbers stay."""

from pathlib import Path

import numpy as np
import pytest

import graphspec as gs
from graphspec.optimisations import ALL, OPTIMISATIONS, left_out
from graphspec.transforms.pipeline import OPTIONAL, PASSES, passes_without

SPECS = Path(__file__).parents[1] / "specs"


def gradients(without, **settings):
    """Gradients, gradients of single examples and their norms, of a spec that has use for all of it."""
    model = gs.load(SPECS / "lenet.gspec", dims={"N": 4}, dtype="f64", without=without, **settings)
    inputs = model.draw(seed=0)
    params = model.init(seed=0)
    _, found, _ = model.compile(["@params", "image"])(params, inputs)
    single = model.grad(params, inputs, wrt="conv1.weight", per_example=True)
    norms = model.per_example_norms(params, inputs, wrt="fc1.weight")
    pixel = model.grad(params, inputs, wrt="fc1", of="logits[1, 3]")
    return [*found.values(), *single.values(), *norms.values(), *pixel.values()]


@pytest.mark.parametrize("name", OPTIMISATIONS)
def test_the_numbers_are_the_same_without_one(name):
    # sums in another order: some roundings of 1e-16 each, of sums of about a thousand terms
    for a, b in zip(gradients([name]), gradients(()), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_what_may_be_left_out_of_the_pipeline_has_its_name_in_the_list():
    assert set(OPTIONAL) <= ALL
    assert passes_without(()) == PASSES
    assert [p.__name__ for p in passes_without(ALL)] == [
        p.__name__ for p in PASSES if p.__name__ not in OPTIONAL
    ]


def test_without_simplification_is_without_all():
    text = "gspec 1\ninput x: f32[3]\noutput y = (x + 0.0) * 1.0\n"
    assert gs.loads(text, simplify=False)._engine._without == ALL
    assert gs.loads(text, without="threads")._engine._without == {"threads"}


def test_names_are_checked_all_at_once():
    with pytest.raises(gs.GraphSpecError) as error:
        left_out(["thread", "fast", "slow"])
    assert [d.id for d in error.value.diagnostics] == ["unknown-optimisation"] * 2
