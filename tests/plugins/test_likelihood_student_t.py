"""The Student-t likelihood against SciPy, and scales for each dimension."""

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import tensorflow as tf
from tfdgm_likelihoods.gaussian import Gaussian
from tfdgm_likelihoods.student_t import StudentT

from tfdgm import BuildContext, DataSpec, LatentSpec, UserError
from tfdgm.contracts.component import named_variables, trainable

OUTPUTS, X = np.random.RandomState(0).randn(2, 5, 4, 3).astype(np.float32)


def built(likelihood):
    likelihood.build(BuildContext(DataSpec(shape=(4, 3)), LatentSpec(2), 10, None, 0))
    return likelihood


def log_prob(likelihood, x=X):
    return likelihood.distribution(tf.constant(OUTPUTS)).log_prob(x).numpy()


@pytest.mark.parametrize("df", [1.01, 2.0, 5.0, 1e3])
@pytest.mark.parametrize("far", [1.0, 1e4])
def test_the_density_is_scipys_summed_over_the_event(df, far):
    expected = scipy.stats.t(df, OUTPUTS.astype(float), 0.5).logpdf(far * X.astype(float)).sum((1, 2))
    np.testing.assert_allclose(log_prob(built(StudentT(df=df, scale=0.5)), far * X), expected, rtol=2e-5)  # float32


def test_at_the_largest_df_the_density_is_normal():
    expected = scipy.stats.norm(OUTPUTS.astype(float), 2.0).logpdf(X).sum((1, 2))
    # t differs from the normal by O(1 / df); float32 holds log(1 + e^2 / df) / 2 times df to 1e-5
    np.testing.assert_allclose(log_prob(built(StudentT(df=1e6, scale=2.0))), expected, rtol=1e-4)


def test_the_density_of_one_element_integrates_to_one():
    likelihood = built(StudentT(df=3.0, scale=0.3))

    def density(x):
        element = likelihood.distribution(tf.zeros([4, 3])).distribution.log_prob(tf.constant(x, tf.float32))
        return float(np.exp(element[0, 0].numpy().astype(float)))

    mass, _ = scipy.integrate.quad(density, -np.inf, np.inf, epsabs=1e-5, limit=200)
    assert mass == pytest.approx(1, abs=1e-4)  # float32


def test_draws_are_those_of_the_density():
    likelihood = built(StudentT(df=4.0, scale=0.5))
    draws = likelihood.distribution(tf.zeros([4, 3])).sample(2_000, seed=[1, 2]).numpy()
    assert scipy.stats.kstest(draws.ravel(), scipy.stats.t(4.0, 0, 0.5).cdf).pvalue > 1e-3
    np.testing.assert_array_equal(likelihood.distribution(tf.constant(OUTPUTS)).mean(), OUTPUTS)


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, {}),
        ({"learned_df": True}, {"log_excess_df": ()}),
        ({"learned_scale": True}, {"log_scale": ()}),
        (
            {"learned_df": True, "learned_scale": True, "per_dimension": True},
            {"log_excess_df": (4, 3), "log_scale": (4, 3)},
        ),
    ],
)
def test_what_is_learned_is_trainable(settings, expected):
    likelihood = built(StudentT(df=3.0, scale=0.5, **settings))
    found = {name: tuple(variable.shape) for name, variable in trainable(named_variables(likelihood)).items()}
    assert found == expected
    np.testing.assert_allclose(log_prob(likelihood), log_prob(built(StudentT(df=3.0, scale=0.5))), rtol=1e-6)


def test_gradients_lead_to_the_maximum_of_the_likelihood():
    """The derivatives in log(v - 1) and log s are those of SciPy's density."""
    likelihood = built(StudentT(df=3.0, scale=0.5, learned_df=True, learned_scale=True))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(likelihood.distribution(tf.constant(OUTPUTS)).log_prob(X))
    found = tape.gradient(total, [likelihood.log_excess_df.value, likelihood.log_scale.value])

    def at(excess, scale):
        return scipy.stats.t(1 + np.exp(excess), OUTPUTS.astype(float), np.exp(scale)).logpdf(X).sum()

    point, h = (np.log(2.0), np.log(0.5)), 1e-5
    expected = [
        (at(*point + h * unit) - at(*point - h * unit)) / (2 * h) for unit in np.eye(2)
    ]  # differences in float64, exact to 1e-8
    np.testing.assert_allclose(found, expected, rtol=1e-4)  # sums of 60 terms of float32


def test_a_gaussian_scale_for_each_dimension_is_scipys():
    likelihood = built(Gaussian(scale=0.5, learned_scale=True, per_dimension=True))
    assert likelihood.log_scale.trainable and tuple(likelihood.log_scale.shape) == (4, 3)
    log_scales = np.random.RandomState(1).randn(4, 3)
    likelihood.log_scale.assign(log_scales)
    expected = scipy.stats.norm(OUTPUTS.astype(float), np.exp(log_scales)).logpdf(X).sum((1, 2))
    np.testing.assert_allclose(log_prob(likelihood), expected, rtol=1e-5)  # float32
    assert likelihood.distribution(np.zeros((7, 5, 4, 3), np.float32)).batch_shape == (7, 5)


@pytest.mark.parametrize(
    "kind, settings, message",
    [
        (Gaussian, {"per_dimension": True}, "per_dimension has no effect without learned_scale"),
        (StudentT, {"per_dimension": True}, "per_dimension has no effect without learned_df or learned_scale"),
        (StudentT, {"df": 1.0}, "df must be at least 1.01, got 1.0"),
        (StudentT, {"scale": 0.0}, "scale must be positive, got 0"),
    ],
)
def test_settings_without_effect_or_out_of_range_are_refused(kind, settings, message):
    with pytest.raises(UserError, match=message):
        kind(**settings)
