"""The negative binomial likelihood against SciPy, and data that are counts."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from small import context
from tfdgm_data.npz import Npz
from tfdgm_likelihoods.negative_binomial import NegativeBinomial

from tfdgm import BuildContext, DataSpec, LatentSpec, UserError
from tfdgm.runs.data_scale import scale_warnings

COUNTS = DataSpec(shape=(4, 3), low=0.0, counts=True)


def built(inverse_dispersion=1.0):
    likelihood = NegativeBinomial(inverse_dispersion=inverse_dispersion)
    likelihood.build(BuildContext(COUNTS, LatentSpec(2), 10, None, 0))
    return likelihood


def by_scipy(mean, r):
    """SciPy counts failures until the r-th success, of probability r / (r + m)."""
    return scipy.stats.nbinom(r, r / (r + mean))


@pytest.mark.parametrize("largest", [10, 10_000])
def test_the_mass_is_scipys_with_a_dispersion_for_each_dimension(largest):
    random = np.random.RandomState(0)
    outputs, log_r = random.uniform(-3, np.log(largest), (5, 4, 3)), random.uniform(-3, 5, (4, 3))
    x = random.randint(0, largest, (5, 4, 3)).astype(np.float32)
    likelihood = built()
    likelihood.log_inverse_dispersion.assign(log_r)
    expected = by_scipy(np.exp(outputs), np.exp(log_r)).logpmf(x).sum((1, 2))
    found = likelihood.distribution(tf.constant(outputs, tf.float32)).log_prob(x)
    # float32: log(r / (r + m)) is known to 1e-7, times counts of up to `largest`
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("r", [1e-3, 1.0, 100.0])
def test_the_masses_of_all_counts_sum_to_one_and_have_the_mean(r):
    x = np.arange(0, 60_000, dtype=np.float32)
    p = built(r).distribution(tf.fill([4, 3], np.float32(np.log(3.0)))).distribution
    mass = np.exp(p.log_prob(x[:, None, None])[:, 0, 0].numpy().astype(float))
    # beyond 60,000 there is less than 1e-5 of the mass: at r = 0.001 its tail falls like exp(-x r / m)
    assert mass.sum() == pytest.approx(1, abs=1e-4)
    assert mass @ x == pytest.approx(3.0, rel=1e-3)
    np.testing.assert_allclose(p.mean(), 3.0, rtol=1e-6)


def test_with_little_dispersion_the_counts_are_poisson():
    x = np.arange(12, dtype=np.float32).reshape(1, 4, 3)
    expected = scipy.stats.poisson(4.0).logpmf(x).sum((1, 2))
    found = built(1e6).distribution(tf.fill([1, 4, 3], np.float32(np.log(4.0)))).log_prob(x)
    np.testing.assert_allclose(found, expected, rtol=1e-4)  # differs by O(x^2 / r); float32


def test_draws_are_counts_with_their_frequencies():
    draws = built(2.0).distribution(tf.fill([4, 3], np.float32(np.log(3.0)))).sample(4_000, seed=[1, 2]).numpy()
    np.testing.assert_array_equal(draws, np.round(draws))
    count = np.bincount(draws.ravel().astype(int), minlength=30)[:30]
    mass = by_scipy(3.0, 2.0).pmf(np.arange(30))
    # thirty frequencies of 48,000 draws within five standard errors; within two draws where the mass is tiny
    assert np.all(np.abs(count - 48_000 * mass) < 5 * np.sqrt(48_000 * mass) + 2)


def test_the_gradient_is_finite_for_any_outputs():
    for value in (-80.0, -30.0, 0.0, 30.0, 80.0):
        outputs, likelihood = tf.fill([1, 4, 3], value), built()
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            log_prob = likelihood.distribution(outputs).log_prob(np.arange(12, dtype=np.float32).reshape(1, 4, 3))
        gradients = tape.gradient(log_prob, [outputs, likelihood.log_inverse_dispersion.value])
        assert np.isfinite(log_prob).all() and all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("data", [DataSpec((2,)), DataSpec((2,), low=0.0, high=1.0, levels=256)])
def test_data_that_is_not_counts_is_refused(data):
    NegativeBinomial().check(COUNTS)
    with pytest.raises(
        UserError, match=rf"{NegativeBinomial.display_name()} requires counts.*data\.npz\.counts = True"
    ):
        NegativeBinomial().check(data)


def saved(tmp_path, train):
    np.savez(tmp_path / "counts.npz", train=train)
    return str(tmp_path / "counts.npz")


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_counts_are_read_as_they_are(tmp_path, dtype):
    rows = np.array([[0, 3], [1, 200], [7, 5]], dtype)
    data = Npz(path=saved(tmp_path, rows), counts=True)
    assert (data.spec.low, data.spec.high, data.spec.levels, data.spec.counts) == (0.0, 200.0, None, True)
    np.testing.assert_array_equal(data.observe(tf.constant(data.splits()["train"].gather([0, 1, 2])), context()), rows)


@pytest.mark.parametrize("value, shown", [(0.5, "0.5"), (-1.0, "-1.0"), (2.0**25, "33554432.0"), (np.nan, "nan")])
def test_what_is_no_count_is_refused_with_its_place(tmp_path, value, shown):
    rows = np.ones((3, 2))
    rows[2, 1] = value
    with pytest.raises(UserError, match=rf"'train' must hold counts, .* but has {shown}, the first at \[2, 1\]"):
        Npz(path=saved(tmp_path, rows), counts=True)


def test_large_counts_are_no_reason_to_standardise():
    x = np.full((10, 2), 1_000.0)
    assert scale_warnings(DataSpec((2,)), x) and not scale_warnings(DataSpec((2,), low=0.0, counts=True), x)


def test_draws_compile():
    p = built(2.0).distribution(tf.zeros([1, 4, 3]))
    draws = tf.function(lambda: p.sample(5, seed=[1, 2]), jit_compile=True, autograph=False)()
    assert draws.shape == (5, 1, 4, 3) and p.mean().shape == (1, 4, 3)
