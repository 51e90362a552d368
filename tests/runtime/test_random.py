"""Draws: a hash of seed, name and element number, with the distributions that the samplers promise."""

import math
from concurrent.futures import ThreadPoolExecutor
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphspec.diagnostics import GraphSpecError
from graphspec.ir import DType
from graphspec.ops.samplers import NONLINEARITIES, SAMPLERS
from graphspec.runtime.random import _bits, draw, fans, gain, quantile, stream

ARGUMENTS = {"randint": {"high": 10}}
DTYPES = {"randint": DType.I64}
UNIFORM = [0.06957515898165445, 0.6333384036405573, 0.3001457667783809]
NORMAL = [-1.4789625732991916, 0.3407082959258156, -0.5239813184092784]
INTEGERS = [14, 13, 24, 1, 51]


def sample(sampler, shape=(4, 25), dtype=None, seed=0, name="w", offset=0, **arguments):
    dtype = dtype or DTYPES.get(sampler, DType.F64)
    return draw(sampler, {**ARGUMENTS.get(sampler, {}), **arguments}, shape, dtype, seed, name, offset=offset)


def kolmogorov_smirnov(draws, distribution):
    """sqrt(n) times the largest gap between empirical and true distribution: above 1.95 once in 1000."""
    x = np.sort(np.asarray(draws, dtype="f8").ravel())
    truth = np.array([distribution(v) for v in x])
    steps = np.arange(len(x) + 1) / len(x)
    return math.sqrt(len(x)) * max(np.max(steps[1:] - truth), np.max(truth - steps[:-1]))


def test_the_generator_is_splitmix64():
    # the published sequence of java.util.SplittableRandom's generator for seed 1234567
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert _bits(np, 1234567, 0x9E3779B97F4A7C15, 0, 4).tolist() == expected


def test_draws_do_not_change_between_releases():
    assert draw("uniform", {}, (3,), DType.F64, 0, "w").tolist() == UNIFORM
    assert draw("normal", {}, (3,), DType.F64, 0, "w").tolist() == NORMAL
    assert draw("randint", {"high": 100}, (5,), DType.I32, 7, "label").tolist() == INTEGERS


@given(st.integers(0, 70000), st.integers(0, 200), st.integers(), st.text(max_size=20))
@settings(deadline=None)
def test_a_slice_of_a_draw_is_the_draw_of_the_slice(offset, count, seed, name):
    whole = sample("normal", (offset + count,), seed=seed, name=name)
    assert np.array_equal(whole[offset:], sample("normal", (count,), seed=seed, name=name, offset=offset))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_the_shape_and_dtype_asked_for_and_the_same_in_every_thread(sampler):
    kinds = SAMPLERS[sampler].kinds
    for dtype in DType:
        kind = "float" if dtype.is_float else "integer" if dtype.is_integer else "bool"
        if kind not in kinds:
            continue
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda dtype: sample(sampler, dtype=dtype), [dtype] * 4))
        assert found[0].shape == (4, 25)
        assert found[0].dtype == dtype.array_name
        assert all(np.array_equal(f, found[0]) for f in found)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_seeds_and_names_give_other_draws(sampler):
    draws = [sample(sampler, seed=0), sample(sampler, seed=1), sample(sampler, name="v")]
    assert not any(np.array_equal(a, b) for a, b in [draws[:2], draws[1:], draws[::2]])


@pytest.mark.parametrize("sampler", ["uniform", "normal", "trunc_normal", "kaiming_uniform", "xavier_normal"])
def test_a_draw_in_f32_is_the_draw_in_f64_rounded(sampler):
    double, single = sample(sampler, dtype=DType.F64), sample(sampler, dtype=DType.F32)
    np.testing.assert_allclose(single, double, rtol=2.0**-23)


def test_uniform_draws_are_uniform():
    assert kolmogorov_smirnov(sample("uniform", (20000,)), lambda x: x) < 1.95
    shifted = sample("uniform", (20000,), low=-3.0, high=1.0)
    assert kolmogorov_smirnov(shifted, lambda x: (x + 3) / 4) < 1.95


def test_normal_draws_are_normal():
    assert kolmogorov_smirnov(sample("normal", (20000,)), NormalDist().cdf) < 1.95
    assert kolmogorov_smirnov(sample("normal", (20000,), mean=2.0, std=0.1), NormalDist(2, 0.1).cdf) < 1.95


@pytest.mark.parametrize(("a", "b"), [(-2.0, 2.0), (-0.5, 3.0), (3.0, 5.0), (-9.0, -6.0)])
def test_truncated_normal_draws_are_normal_between_their_bounds(a, b):
    draws = sample("trunc_normal", (20000,), mean=0.5, std=1.5, a=a, b=b)
    assert a <= draws.min() <= draws.max() <= b

    def below(x):
        return 0.5 * math.erfc((0.5 - x) / 1.5 / math.sqrt(2))

    assert kolmogorov_smirnov(draws, lambda x: (below(x) - below(a)) / (below(b) - below(a))) < 1.95


def test_neighbouring_elements_and_streams_are_not_correlated():
    x = sample("normal", (100_000,))
    for lag in (1, 2, 3, 64):
        assert abs(np.mean(x[lag:] * x[:-lag])) < 4 / math.sqrt(100_000)
    for name in ("v", "w.0", "w.1"):
        assert abs(np.mean(x * sample("normal", (100_000,), name=name))) < 4 / math.sqrt(100_000)


@pytest.mark.parametrize("bits", range(0, 64, 7))
def test_every_bit_is_set_in_half_of_the_elements(bits):
    found = (_bits(np, *stream(3, "bits"), 0, 100_000) >> np.uint64(bits)) & np.uint64(1)
    assert abs(found.mean() - 0.5) < 4 * 0.5 / math.sqrt(100_000)


@pytest.mark.parametrize("dtype", [DType.F16, DType.F32, DType.F64])
@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.1, 0.7), (-1 / math.sqrt(5), 1 / math.sqrt(5)), (1.0, 1.01)]
)
def test_uniform_draws_stay_inside_their_bounds_after_rounding(dtype, low, high):
    draws = sample("uniform", (100_000,), dtype, low=low, high=high).astype("f8")
    assert low <= draws.min()
    assert draws.max() < high


def test_a_uniform_draw_from_a_single_number_is_that_number():
    assert np.all(sample("uniform", low=2.0, high=2.0) == 2.0)


def test_randint_is_even_and_half_open():
    counts = np.bincount(sample("randint", (100_000,)), minlength=10)
    assert counts.size == 10
    chi_squared = np.sum((counts - 10_000) ** 2 / 10_000)
    assert chi_squared < 27.9  # exceeded in 1 of 1000 cases, 9 degrees of freedom
    assert set(sample("randint", low=2, high=5).ravel().tolist()) == {2, 3, 4}


@pytest.mark.parametrize(
    ("low", "high"), [(-(2**63), 2**63), (0, 2**63), (-(2**40), 2**40), (2**62, 2**62 + 3)]
)
def test_randint_takes_the_whole_range_of_its_dtype(low, high):
    draws = [int(x) for x in sample("randint", (10_000,), low=low, high=high)]
    assert low <= min(draws) < max(draws) < high
    assert abs(sum(2 * x >= low + high for x in draws) / 10_000 - (1 / 3 if high - low == 3 else 0.5)) < 0.02


def test_bernoulli_is_one_with_probability_p():
    assert abs(sample("bernoulli", (100_000,), p=0.2).mean() - 0.2) < 4 * 0.4 / math.sqrt(100_000)
    assert np.all(sample("bernoulli", p=1.0) == 1)
    assert np.all(sample("bernoulli", p=0.0) == 0)


def test_the_quantile_inverts_the_normal_distribution():
    p = np.concatenate([np.linspace(1e-4, 0.5, 5001), 10.0 ** -np.arange(4, 300)])
    x = quantile(np, p)
    back = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in x])
    # a relative error of 1e-15 in x is one of about x**2 * 1e-15 in the probability, and |x| < 38
    np.testing.assert_allclose(back, p, rtol=2e-12)
    assert np.array_equal(quantile(np, 1 - p[:5001]), -quantile(np, 1 - (1 - p[:5001])))


def test_fans_are_those_of_pytorch():
    assert fans((350, 1176)) == (1176, 350)
    assert fans((6, 3, 5, 5)) == (75, 150)


def test_gains_are_those_of_pytorch():
    squares = {"leaky_relu": 2, "relu": 2, "tanh": 25 / 9, "selu": 9 / 16}
    for name in NONLINEARITIES:
        assert gain(name, 0.0) == pytest.approx(math.sqrt(squares.get(name, 1)), rel=1e-15)
    assert gain("leaky_relu", 3.0) == pytest.approx(math.sqrt(1 / 5), rel=1e-15)


def test_scaled_samplers_have_the_spread_of_pytorchs():
    shape = (64, 32, 3, 3)  # fan_in 288, fan_out 576

    def bound(sampler, **arguments):
        return np.abs(sample(sampler, shape, **arguments)).max()

    def std(sampler, **arguments):
        return sample(sampler, shape, **arguments).std()

    # bounds of 18432 draws are met within 1 in 1000; standard deviations within 1 in 50
    assert bound("kaiming_uniform") == pytest.approx(math.sqrt(6 / 288), rel=1e-3)
    assert bound("kaiming_uniform", a=math.sqrt(5)) == pytest.approx(1 / math.sqrt(288), rel=1e-3)
    assert bound("kaiming_uniform", mode="fan_out") == pytest.approx(math.sqrt(6 / 576), rel=1e-3)
    assert bound("xavier_uniform", gain=2.0) == pytest.approx(2 * math.sqrt(6 / 864), rel=1e-3)
    assert std("kaiming_normal", nonlinearity="relu") == pytest.approx(math.sqrt(2 / 288), rel=0.02)
    assert std("kaiming_normal", nonlinearity="tanh", mode="fan_out") == pytest.approx(5 / 3 / 24, rel=0.02)
    assert std("xavier_normal") == pytest.approx(math.sqrt(2 / 864), rel=0.02)


@pytest.mark.parametrize(
    ("sampler", "arguments", "message"),
    [
        ("uniform", {"low": 1.0, "high": 0.0}, "`low` must not be above `high`"),
        ("uniform", {"high": math.inf}, "`high` must be finite"),
        ("normal", {"std": -1.0}, "`std` must not be negative"),
        ("normal", {"mean": math.nan}, "`mean` must be finite"),
        ("trunc_normal", {"a": 1.0, "b": 1.0}, "`a` must be below `b`"),
        ("trunc_normal", {"std": 0.0}, "`std` must be positive"),
        ("randint", {"low": 5, "high": 5}, "`high` must be above `low`"),
        ("randint", {"high": 2**64}, "does not fit into i64"),
        ("bernoulli", {"p": 1.5}, "`p` is a probability"),
    ],
)
def test_arguments_that_define_no_distribution_are_an_error(sampler, arguments, message):
    with pytest.raises(GraphSpecError) as caught:
        sample(sampler, **arguments)
    (found,) = caught.value.diagnostics
    assert found.id == "sampler-domain"
    assert message in found.message


def test_a_weight_without_fans_is_an_error():
    with pytest.raises(GraphSpecError, match="rank 2 or more"):
        sample("kaiming_uniform", (5,))
