"""Outer products: an error by accident, meant where an axis is written out."""

import numpy as np
import pytest

import graphspec as gs


def test_an_axis_that_is_written_out_makes_pairs():
    model = gs.loads("gspec 1\ninput t: i64[T]\noutput before = t[:, none] >= t\n")
    times = np.array([3, 1, 2])
    pairs = model.forward({}, {"t": times})["before"]
    assert (pairs == (times[:, None] >= times)).all()


def test_an_axis_that_a_value_happens_to_have_does_not():
    with pytest.raises(gs.GraphSpecError, match="outer product"):
        gs.loads("gspec 1\ninput t: f32[T]\ninput s: f32[T, 1]\noutput d = s - t\n")
