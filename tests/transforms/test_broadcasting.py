"""Broadcasting is undone for every pair of shapes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from graphspec.ir import symbol
from graphspec.transforms.broadcasting import undo_broadcast
from graphspec.transforms.differentiate import cotangents
from tests.transforms.models import arrays, differences, given, one, run, total

N, M = symbol("N"), symbol("M")


@st.composite
def shape_pairs(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast, zero sizes and different ranks included."""
    full = draw(st.lists(st.integers(0, 3), max_size=4))
    sides = []
    for _ in range(2):
        rank = draw(st.integers(0, len(full)))
        sides.append(tuple(draw(st.sampled_from((1, n))) for n in full[len(full) - rank :]))
    return sides[0], sides[1]


@settings(max_examples=200, deadline=None)
@examples(shape_pairs())
def test_a_cotangent_of_the_broadcast_shape_is_summed_to_the_shape_of_the_value(shapes):
    a, b = given("a", *shapes[0]), given("b", *shapes[1])
    y = total(a * b)
    da, db = cotangents({y: one(y)}, [a, b])
    assert (da.type, db.type) == (a.type, b.type)
    inputs = arrays([y])
    wide = np.ones(np.broadcast_shapes(*shapes))
    for found, x, other in ((da, a, b), (db, b, a)):
        expected = _numpy_undo(wide * inputs[other], x.shape)
        np.testing.assert_allclose(run([found], inputs)[0], expected, rtol=1e-14)


def _numpy_undo(array, shape):
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    for axis, size in enumerate(shape):
        if size == 1:
            array = array.sum(axis=axis, keepdims=True)
    return array


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((N, 3), (3,)),
        ((N, 1, M), (M,)),
        ((1, M), (N, 1)),
        ((), (N, M)),
        ((N, 3), (1, 1)),
        ((N * 2, M), (1, M)),
    ],
)
def test_symbolic_sizes_are_kept(left, right):
    a, b = given("a", *left), given("b", *right)
    y = total(a * b * b)
    da, db = cotangents({y: one(y)}, [a, b])
    assert (da.type, db.type) == (a.type, b.type)
    inputs = arrays([y])
    for found, x in ((da, a), (db, b)):
        np.testing.assert_allclose(run([found], inputs)[0], differences(y, x, inputs), rtol=1e-7)


def test_a_cotangent_smaller_than_its_value_is_stretched():
    g = given("g", 1, 3)
    assert undo_broadcast(g, (2, N, 3)).shape == (2, N, 3)
    assert undo_broadcast(given("g"), (N,)).shape == (N,)


def test_a_cotangent_whose_sizes_are_the_same_in_other_words_is_reshaped():
    g = given("g", N // 2 * 2)
    assert undo_broadcast(g, (N,)).shape == (N,)


def test_a_cotangent_of_the_right_shape_is_left_alone():
    g = given("g", N, 3)
    assert undo_broadcast(g, (N, 3)) is g
