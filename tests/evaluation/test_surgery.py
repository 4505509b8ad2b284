"""ELBO surgery against its identities and against TFP's own mixture."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from linear_gaussian import VARIANCES, linear_gaussian, posterior_mean
from small import Points, context, normal_rows, points_experiment
from tfdgm_objectives.elbo import ELBO
from tfdgm_posteriors.gaussian import Gaussian as GaussianPosterior
from tfdgm_scores.active_units import ActiveUnits

from tfdgm import Prior
from tfdgm.evaluation import aggregated, bounds
from tfdgm.evaluation.aggregated import AggregatedPosterior, gaussian_parameters
from tfdgm.evaluation.bounds import Draws
from tfdgm.evaluation.chosen import Chosen
from tfdgm.evaluation.evaluate import evaluate
from tfdgm.evaluation.posterior_means import posterior_means
from tfdgm.evaluation.surgery import elbo_surgery

tfb, tfd = tfp.bijectors, tfp.distributions


@pytest.fixture(params=[500, 7], ids=["one chunk", "chunks of 7"])
def draws(request, monkeypatch):
    monkeypatch.setattr(bounds, "_EXAMPLES_AT_ONCE", request.param)
    monkeypatch.setattr(bounds, "_VALUES_AT_ONCE", 600 * 5)
    built = linear_gaussian()
    return Draws(built, built.experiment.splits["test"])


def test_the_aggregated_posterior_is_the_mixture_over_the_split(draws):
    values = np.random.RandomState(0).randn(50, 2).astype(np.float32)
    posterior = draws.built.model.infer(tf.constant(draws.source.rows), context())
    mixture = tfd.MixtureSameFamily(tfd.Categorical(logits=tf.zeros(24)), posterior)
    expected = mixture.log_prob(values)
    np.testing.assert_allclose(AggregatedPosterior(draws).log_prob(values), expected, rtol=1e-4, atol=1e-4)  # float32


class Subclass(tfd.MultivariateNormalDiag):
    """A subclass, whose density may differ."""


class Vector(GaussianPosterior):
    """The same law as TFP's vector, or as a subclass of that."""

    law = tfd.MultivariateNormalDiag

    def distribution(self, features, context):
        base = super().distribution(features, context).distribution
        return self.law(base.loc, base.scale)


class Unknown(Vector):
    law = Subclass


#: By name, a posterior, and whether it is a Gaussian whose parameters are read.
POSTERIORS = {
    "independent": (GaussianPosterior, True),
    "full": (lambda: GaussianPosterior(covariance="full"), True),
    "vector": (Vector, True),
    "subclass": (Unknown, False),
}


def spread_out(posterior):
    """Draws over 40 examples whose posteriors overlap in part."""
    built = points_experiment(posterior=posterior(), data=Points(rows=2 * normal_rows())).build()
    return Draws(built, built.experiment.splits["test"])


@pytest.mark.parametrize("name", POSTERIORS)
def test_gaussians_by_matrix_products_have_the_densities_of_tfp(name, monkeypatch):
    monkeypatch.setattr(bounds, "_EXAMPLES_AT_ONCE", 15)
    monkeypatch.setattr(aggregated, "_GAUSSIANS_AT_ONCE", 16)  # 40 = 2 x 16 + 8: the last part is filled up
    monkeypatch.setattr(aggregated, "_VALUES_AT_ONCE", 32)
    posterior, is_gaussian = POSTERIORS[name]
    draws = spread_out(posterior)
    values = 2 * np.random.RandomState(0).randn(70, 2).astype(np.float32)
    quick, generic = AggregatedPosterior(draws), AggregatedPosterior(draws)
    monkeypatch.setattr(generic, "_has_table", False)
    assert quick._has_table == is_gaussian
    np.testing.assert_allclose(quick.log_prob(values), generic.log_prob(values), atol=1e-4)  # float32, both
    if name == "independent":
        assert elbo_surgery(draws, 3, quick) == pytest.approx(elbo_surgery(draws, 3, generic), abs=1e-4)


def test_parameters_too_many_to_keep_are_computed_again(monkeypatch):
    draws = spread_out(GaussianPosterior)
    monkeypatch.setattr(aggregated, "_LARGEST_TABLE", 40 * 4)
    assert AggregatedPosterior(draws)._has_table
    monkeypatch.setattr(aggregated, "_LARGEST_TABLE", 40 * 4 - 1)
    assert not AggregatedPosterior(draws)._has_table


def test_only_gaussian_vectors_have_parameters_to_read():
    normal = tfd.Normal(tf.zeros([4, 2]), 1.0)  # of one scale for all
    mean, scale = gaussian_parameters(tfd.Independent(normal, 1))
    assert mean.shape == scale.shape == (4, 2)
    mean, scale = gaussian_parameters(tfd.MultivariateNormalTriL(tf.zeros([4, 2]), tf.eye(2)))
    assert mean.shape == (4, 2) and scale.shape == (4, 2, 2)
    for other in (normal, tfd.Independent(tfd.Laplace(tf.zeros([4, 2]), 1.0), 1), tfd.Deterministic(tf.zeros([4]))):
        assert gaussian_parameters(other) is None


class Box(Prior):
    """Uniform on [-2, 2]^d: no density outside."""

    def build(self, context):
        self.size = context.latent.size

    def distribution(self, context):
        return tfd.Independent(tfd.Uniform(tf.fill([self.size], -2.0), 2.0), 1)


def test_draws_outside_of_the_priors_support_make_the_rate_infinite_and_leave_the_rest():
    data = Points(rows=0.2 * normal_rows())  # whose posteriors lie inside for the most part
    built = points_experiment(data=data, prior=Box(), objectives=[ELBO(beta=0.0)]).build()
    draws = Draws(built, built.experiment.splits["test"])
    scores = elbo_surgery(draws, 20)
    assert scores["rate"] == scores["marginal_kl"] == np.inf and scores["elbo"] == -np.inf
    assert np.isfinite(scores["reconstruction"]) and 0 < scores["mutual_information"] < np.log(40)
    assert np.isfinite(draws.importance_weighted_nll(20))  # draws outside have no weight


def test_a_density_of_nan_is_a_score_and_not_an_error():
    class Undefined(Box):
        def distribution(self, context):
            return tfd.Independent(tfd.LogNormal(tf.zeros([self.size]), 1.0), 1)

    built = points_experiment(prior=Undefined(), objectives=[ELBO(beta=0.0)]).build()
    scores = elbo_surgery(Draws(built, built.experiment.splits["test"]), 2)
    assert np.isnan(scores["rate"]) and np.isfinite(scores["reconstruction"])


def test_the_terms_add_up(draws):
    scores = elbo_surgery(draws, 50)
    assert scores["rate"] == pytest.approx(scores["mutual_information"] + scores["marginal_kl"], abs=1e-5)
    assert scores["elbo"] == pytest.approx(scores["reconstruction"] - scores["rate"], abs=1e-9)


@pytest.mark.slow
def test_a_mixture_that_is_given_again_follows_the_weights(draws):
    mixture = AggregatedPosterior(draws)
    assert elbo_surgery(draws, 3, mixture) == elbo_surgery(draws, 3)
    bias = draws.built.model.encoder.layers[0].bias
    bias.assign(bias.numpy() + 0.5)
    assert elbo_surgery(draws, 3, mixture) == elbo_surgery(draws, 3)


@pytest.mark.slow
def test_mutual_information_is_at_most_the_log_of_the_number_of_examples(draws):
    assert 0 < elbo_surgery(draws, 20)["mutual_information"] <= np.log(24)


def test_posteriors_far_apart_tell_every_example():
    far = np.zeros((60, 5), np.float32)
    far[:, 0] = 100 * np.arange(60)
    built = linear_gaussian(data=far)
    scores = elbo_surgery(Draws(built, built.experiment.splits["test"]), 2)
    # each draw has one component that is not 0 in float32, so the mean is log n but for rounding of terms of size 5,000
    assert scores["mutual_information"] == pytest.approx(np.log(24), abs=1e-3)


def test_posteriors_all_alike_tell_nothing():
    built = linear_gaussian(shrink=0.0)
    scores = elbo_surgery(Draws(built, built.experiment.splits["test"]), 2)
    assert scores["mutual_information"] == pytest.approx(0, abs=1e-5)  # float32


def active_units(draws):
    """The score of the draws' split, or None."""
    run = SimpleNamespace(built=draws.built, source=draws.source, means=posterior_means(draws))
    score = ActiveUnits()
    return None if score.obstacle(run) else score.compute(run).get("active_units")


def test_active_units_counts_dimensions_whose_mean_moves(draws):
    assert active_units(draws) == 2
    kernel = draws.built.model.encoder.layers[0].kernel
    collapsed = kernel.numpy().copy()
    collapsed[:, 1] = 0
    kernel.assign(collapsed)
    assert active_units(Draws(draws.built, draws.source)) == 1


def test_active_units_uses_the_threshold_of_a_hundredth():
    x = linear_gaussian().experiment.splits["test"].rows
    variance = posterior_mean(x).var(axis=0)
    for target, expected in ((0.0095, 0), (0.0105, 1)):
        built = linear_gaussian()
        kernel = built.model.encoder.layers[0].kernel
        scaled = kernel.numpy().copy()
        scaled[:, 0] *= np.sqrt(target / variance[0])
        scaled[:, 1] = 0
        kernel.assign(scaled)
        assert active_units(Draws(built, built.experiment.splits["test"])) == expected


class WithoutMean(GaussianPosterior):
    """A law that TFP has no mean of."""

    def distribution(self, features, context):
        return tfd.TransformedDistribution(super().distribution(features, context), tfb.SinhArcsinh(skewness=0.1))


def test_active_units_are_absent_where_no_mean_varies():
    built = linear_gaussian()
    one = Chosen(built.experiment.splits["test"], np.array([3]))
    assert active_units(Draws(built, one)) is None
    unknown = points_experiment(posterior=WithoutMean()).build()
    assert active_units(Draws(unknown, unknown.experiment.splits["test"])) is None
    built.model.encoder.layers[0].bias.assign(np.full(4, np.nan))
    assert active_units(Draws(built, built.experiment.splits["test"])) is None


@pytest.mark.slow
def test_an_evaluation_without_active_units_has_the_other_scores():
    scores = evaluate(points_experiment(posterior=WithoutMean()).build(), num_samples=2)
    assert "active_units" not in scores and np.isfinite(scores["elbo"])


def test_the_fixture_model_has_the_true_posterior():
    built = linear_gaussian()
    x = built.experiment.splits["test"].rows
    posterior = built.model.infer(tf.constant(x), context())
    np.testing.assert_allclose(posterior.mean(), posterior_mean(x), rtol=1e-4, atol=1e-5)  # float32
    np.testing.assert_allclose(posterior.variance(), np.tile(VARIANCES, (24, 1)), rtol=1e-4)
