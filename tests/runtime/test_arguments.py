"""Arrays from outside: what is accepted, what is cast, what they say about dims, and every refusal."""

import numpy as np
import pytest

from graphspec.diagnostics import GraphSpecError, Source, Span
from graphspec.ir import DType, TensorType, symbol
from graphspec.runtime.arguments import Binder, bind
from tests.effort import effort

N, M = symbol("N"), symbol("M")
F32, F64, I32, I64, BOOL = DType.F32, DType.F64, DType.I32, DType.I64, DType.BOOL


def f32(*shape):
    return TensorType(F32, shape)


def i64(*shape):
    return TensorType(I64, shape)


IMAGES = {"image": f32(N, 3, 8, 8), "label": i64(N)}


def zeros(*shape, dtype="f4"):
    return np.zeros(shape, dtype)


def failures(*arguments, **options):
    with pytest.raises(GraphSpecError) as caught:
        bind(*arguments, **options)
    return caught.value.diagnostics


def failure(*arguments, **options):
    (found,) = failures(*arguments, **options)
    return found


# --- dims ---


def test_a_dim_is_what_the_arrays_say():
    arrays = {"image": zeros(5, 3, 8, 8), "label": zeros(5, dtype="i8")}
    bound = bind(IMAGES, arrays, defaults={"N": 100, "K": 7})
    assert bound.env == {"N": 5, "K": 7}
    assert bound.arrays["image"] is arrays["image"]
    assert bound.notes == ()


def test_two_arrays_that_disagree_are_an_error_that_names_both():
    source = Source("a.gspec", "input image: f32[N, 3, 8, 8]\ninput label: i64[N]\n")
    spans = {"image": Span(source, 13, 28), "label": Span(source, 42, 48)}
    found = failure(IMAGES, {"image": zeros(5, 3, 8, 8), "label": zeros(6, dtype="i8")}, spans=spans)
    assert found.id == "dim-contradiction"
    assert found.message == "`N` is 5 by axis 0 of `image`, but 6 by axis 0 of `label`"
    assert found.primary.span == spans["label"]
    assert found.secondary[0].span == spans["image"]


def test_a_number_that_was_set_is_not_overruled_by_data():
    found = failure({"x": f32(N)}, {"x": zeros(5)}, {"N": 64})
    assert found.message == "`N` is 64 by the number that was set, but 5 by axis 0 of `x`"


@pytest.mark.parametrize(
    ("size", "found", "solved"),
    [(2 * N, 8, 4), (N + 1, 5, 4), (3 * N - 2, 10, 4), (N * M, 12, 4), (N * M + N, 16, 4)],
)
def test_linear_arithmetic_is_solved(size, found, solved):
    expected = {"x": TensorType(F32, (size,)), "m": f32(M)}
    assert bind(expected, {"x": zeros(found), "m": zeros(3)}).env == {"N": solved, "M": 3}


def test_arithmetic_may_be_solved_in_any_order():
    a, b, c = symbol("A"), symbol("B"), symbol("C")
    expected = {"x": f32(a + b), "y": f32(b + c), "z": f32(c + 1)}
    assert bind(expected, {"x": zeros(9), "y": zeros(7), "z": zeros(4)}).env == {"A": 5, "B": 4, "C": 3}


def test_a_size_that_no_dim_gives_is_an_error():
    found = failure({"x": f32(2 * N)}, {"x": zeros(7)})
    assert found.id == "size-without-solution"
    assert found.message == "axis 0 of `x` is 2*N and has size 7: no whole `N` from 1 gives that"
    assert failure({"x": f32(N)}, {"x": zeros(0)}).id == "size-without-solution"
    assert failure({"x": f32(N + 5)}, {"x": zeros(5)}).id == "size-without-solution"


def test_arithmetic_that_is_known_is_checked():
    found = failure({"x": f32(N), "y": f32(2 * N, N // 2)}, {"x": zeros(4), "y": zeros(7, 3)})
    assert found.id == "argument-shape"
    assert found.message == (
        "`y` is f32[2*N, N // 2], but the array has shape [7, 3]: "
        "axis 0 must be 2*N = 8 (N = 4 by axis 0 of `x`), and is 7; "
        "axis 1 must be N // 2 = 2 (N = 4 by axis 0 of `x`), and is 3"
    )


def test_what_has_no_single_solution_is_checked_by_the_default_or_asked_for():
    expected = {"x": f32(N // 2)}
    assert bind(expected, {"x": zeros(3)}, defaults={"N": 7}).env == {"N": 7}
    found = failure(expected, {"x": zeros(3)})
    assert found.id == "size-undetermined"
    assert "--set N=NUMBER" in found.help[0]
    assert failure(expected, {"x": zeros(3)}, defaults={"N": 8}).id == "argument-shape"


def test_a_division_by_zero_in_a_size_is_an_error():
    assert failure({"x": f32(N // (M - 1))}, {"x": zeros(3)}, {"M": 1, "N": 2}).id == "number-undefined"


# --- shapes ---


def test_a_wrong_rank_says_what_is_needed():
    found = failure({"x": f32(N, 3)}, {"x": zeros(3)})
    assert found.message == "`x` is f32[N, 3], but the array has shape [3]: it has 1 axis, and needs 2 axes"


def test_all_wrong_axes_are_one_error():
    found = failure({"x": f32(N, 3, 4)}, {"x": zeros(9, 1, 5)})
    assert found.message.endswith("axis 1 must be 3, and is 1; axis 2 must be 4, and is 5")


def test_all_mistakes_of_a_call_are_reported_together():
    expected = {**IMAGES, "w": f32(3, 3), "b": f32(3)}
    given = {"image": zeros(5, 1, 8, 8), "label": zeros(6, dtype="f4"), "w": "text", "bb": zeros(3)}
    assert sorted(f.id for f in failures(expected, given)) == [
        "argument-dtype",
        "argument-missing",
        "argument-not-an-array",
        "argument-shape",
        "argument-unknown",
        "dim-contradiction",
    ]


def test_swapped_arguments_show_what_was_expected():
    found = failures(IMAGES, {"image": zeros(5, dtype="i8"), "label": zeros(5, 3, 8, 8)})
    text = "\n".join(f.message for f in found)
    assert "`image` is f32[N, 3, 8, 8]" in text
    assert "`label` is i64[N]" in text


# --- names ---


def test_an_unknown_name_gets_a_suggestion_and_a_missing_one_its_type():
    unknown, missing = failures({"image": f32(3)}, {"imgae": zeros(3)})
    assert unknown.help == ("did you mean `image`?",)
    assert missing.message == "`image` is needed, f32[3], and was not given"


def test_names_that_are_not_needed_may_be_given():
    bound = bind({"x": f32(3)}, {"x": zeros(3), "label": "anything"}, others=["x", "label"])
    assert list(bound.arrays) == ["x"]


# --- dtypes ---


@pytest.mark.parametrize(
    ("wanted", "given"),
    [(F64, "f4"), (F32, "f2"), (F32, ">f4"), (I64, "i4"), (I64, "u1"), (I32, "i2"), (F32, "f4"), (BOOL, "?")],
)
def test_widening_is_done_silently(wanted, given):
    bound = bind({"x": TensorType(wanted, (2,))}, {"x": np.ones(2, given)})
    assert bound.arrays["x"].dtype == np.dtype(wanted.array_name)
    assert bound.arrays["x"].tolist() == [1, 1]
    assert bound.notes == ()


def test_narrowing_is_done_with_one_note():
    expected = {"a": f32(2), "b": f32(2), "c": f32(2)}
    bound = bind(expected, {"a": np.ones(2), "b": np.ones(2, "f4"), "c": np.full(2, 1e300)})
    assert {a.dtype.name for a in bound.arrays.values()} == {"float32"}
    (note,) = bound.notes
    assert (note.id, note.severity) == ("precision-narrowed", "warning")
    assert note.message == "precision is lost: `a` from f64 to f32, `c` from f64 to f32"


def test_integers_are_narrowed_where_they_fit():
    expected = {"x": TensorType(I32, (2,))}
    assert bind(expected, {"x": np.array([1, -(2**31)])}).arrays["x"].dtype == np.int32
    found = failure(expected, {"x": np.array([1, 2**31])})
    assert (found.id, "2147483648" in found.message) == ("integers-do-not-fit", True)
    assert failure({"x": i64(1)}, {"x": np.array([2**63], "u8")}).id == "integers-do-not-fit"


@pytest.mark.parametrize(
    ("wanted", "given"), [(F32, "i8"), (F32, "u1"), (I64, "f4"), (F32, "?"), (BOOL, "i8"), (I32, "?")]
)
def test_casts_across_kinds_are_an_error_that_shows_the_cast(wanted, given):
    found = failure({"enc.x": TensorType(wanted, (2,))}, {"enc.x": np.ones(2, given)})
    assert found.id == "argument-dtype"
    assert found.help == (f'if it is meant, cast it: `x.astype("{wanted.array_name}")`',)


# --- what counts as an array ---


class WithArray:
    def __array__(self, dtype=None, copy=None):
        return np.ones(3, "f4")


class WithDLPack:
    def __dlpack__(self, **options):
        return np.ones(3, "f4").__dlpack__(**options)

    def __dlpack_device__(self):
        return np.ones(3, "f4").__dlpack_device__()


class Marked(np.ndarray):
    """A subclass, whose operators need not be numpy's."""

    def __new__(cls):
        return np.ones(3, "f4").view(cls)


class Failing:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("call detach() first")


@pytest.mark.parametrize("value", [WithArray(), WithDLPack(), [1.0, 1, 1], (1, 1, 1), Marked()])
def test_arrays_of_other_kinds_and_lists_are_taken(value):
    array = bind({"x": f32(3)}, {"x": value}).arrays["x"]
    assert (type(array), array.dtype, array.tolist()) == (np.ndarray, np.float32, [1, 1, 1])


@pytest.mark.parametrize(("dtype", "value"), [(F32, 0.1), (F32, 3), (I64, 3), (BOOL, True), (I32, -1)])
def test_python_numbers_take_the_declared_dtype_without_a_note(dtype, value):
    bound = bind({"x": TensorType(dtype)}, {"x": value})
    assert bound.arrays["x"].dtype == np.dtype(dtype.array_name)
    assert (bound.arrays["x"].shape, bound.notes) == ((), ())


@pytest.mark.parametrize(
    ("value", "id"),
    [
        (0.5, "argument-dtype"),
        (True, "argument-dtype"),
        (2**70, "argument-not-an-array"),
        ("5", "argument-not-an-array"),
        (None, "argument-not-an-array"),
        ({"a": 1}, "argument-not-an-array"),
        ([[1], [2, 3]], "argument-not-an-array"),
        (np.array(["a"]), "argument-not-an-array"),
        (np.array([object()]), "argument-not-an-array"),
        (np.array(1j), "argument-not-an-array"),
        (np.array("2020-01-01", "M8[D]"), "argument-not-an-array"),
        (np.ma.masked_array([1, 2], [True, False]), "argument-not-an-array"),
        (Failing(), "argument-not-an-array"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(value, id):
    assert failure({"x": i64()}, {"x": value}).id == id


def test_nan_in_data_is_legal():
    assert np.isnan(bind({"x": f32(1)}, {"x": np.array([np.nan], "f4")}).arrays["x"]).all()


# --- repeated calls ---


def test_a_repeated_call_is_cheap_and_still_checked():
    expected = {f"w{i}": f32(N, 10) for i in range(20)}
    binder = Binder(expected)
    arrays = {name: zeros(4, 10) for name in expected}
    binder(arrays)
    assert effort(lambda: binder(arrays)) < 20  # all of the first call: hundreds
    assert effort(lambda: Binder(expected)(arrays)) > 200
    with pytest.raises(GraphSpecError):
        binder({**arrays, "w3": zeros(5, 10)})
    assert binder({name: zeros(6, 10) for name in expected}).env == {"N": 6}


def test_results_of_one_call_do_not_change_the_next():
    binder = Binder({"x": f32(N)})
    binder({"x": zeros(3)}).env["N"] = 99
    assert binder({"x": zeros(3)}).env == {"N": 3}


def test_the_checks_of_a_repeated_call_look_at_the_numbers():
    binder = Binder({"x": TensorType(I32, (1,))})
    binder({"x": np.array([1])})
    with pytest.raises(GraphSpecError, match="4294967296"):
        binder({"x": np.array([2**32])})
