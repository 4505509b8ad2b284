"""Scores of discrete latents on models so small that all codes can be summed over."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, logsumexp, xlogy
from scipy.stats import norm
from small import context, points_experiment
from tfdgm_posteriors.categorical import Categorical
from tfdgm_posteriors.residual_vq import ResidualVQ
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.aggregated_posterior import AggregatedPosterior
from tfdgm_priors.autoregressive import Autoregressive
from tfdgm_priors.gaussian import Gaussian
from tfdgm_priors.uniform import Uniform
from tfdgm_scores.codes import code_scores

from tfdgm.evaluation import bounds
from tfdgm.evaluation.bounds import Draws
from tfdgm.evaluation.code_distributions import aggregated_codes
from tfdgm.evaluation.evaluate import evaluate
from tfdgm.evaluation.surgery import AggregatedPosterior as Mixture
from tfdgm.evaluation.surgery import elbo_surgery

#: The nine grids of two positions and three codes.
GRIDS = np.array(list(itertools.product(range(3), repeat=2)), np.int32)
SCALE = 0.5  # of the likelihood
BOUNDS = {"elbo", "reconstruction", "rate", "mutual_information", "marginal_kl", "nll_iwae", "nll_iwae_samples"}
CODES = {"code_perplexity", "code_usage", "code_mutual_information"}
SAMPLES = {
    "precision", "recall", "density", "coverage", "mmd", "wasserstein", "sliced_wasserstein", "generation_samples",
    "wasserstein_samples",
}  # fmt: skip
FACTS = {"step", "seed", "data_split", "num_examples"}


@pytest.fixture(scope="module", autouse=True)
def chunks():
    """40 examples are a chunk of 23 and another of 17, filled up; draws come in blocks of at most 1,739."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "_EXAMPLES_AT_ONCE", 23)
        patch.setattr(bounds, "_VALUES_AT_ONCE", 3 * 40_000)
        yield


def tiny(prior=None, posterior=None):
    """Two positions of three codes, 40 test points; logits far enough from uniform for scores of order 1."""
    posterior = posterior or Categorical(positions=(2,), num_categories=3)
    built = points_experiment(prior=prior or Uniform(), posterior=posterior).build()
    if isinstance(posterior, Categorical):
        kernel = built.model.encoder.layers[0].kernel
        kernel.assign(np.random.RandomState(3).randn(*kernel.shape))
    return built


class Exact:
    """Compute all terms by enumeration, float64: rows are test examples, columns grids."""

    def __init__(self, built):
        model = built.model
        x = built.experiment.splits["test"].rows
        log_q = log_softmax(model.features(tf.constant(x), context()).numpy().astype(np.float64), axis=-1)
        self.positions = np.exp(log_q)  # [40, 2, 3]
        self.log_q = log_q[:, 0][:, GRIDS[:, 0]] + log_q[:, 1][:, GRIDS[:, 1]]
        self.log_p = model.prior_distribution(model.with_inference(context())).log_prob(GRIDS).numpy()
        means = model.decode(model.embed(tf.constant(GRIDS)), context()).mean().numpy()
        self.log_likelihood = norm.logpdf(x[:, None], means, SCALE).sum(axis=-1)
        self.log_aggregated = logsumexp(self.log_q, axis=0) - np.log(len(x))

    def expected(self, values):
        """The mean over the examples of E_q, nats."""
        return np.mean(np.sum(np.exp(self.log_q) * values, axis=1))

    @property
    def nll(self):
        return -np.mean(logsumexp(self.log_likelihood + self.log_p, axis=1))


def draws_of(built):
    return Draws(built, built.experiment.splits["test"])


@pytest.fixture(
    scope="module",
    params=[
        Uniform,
        Gaussian,
        lambda: Autoregressive(width=8, layers=1, heads=2),
        lambda: AggregatedPosterior(num_components=5),
    ],
    ids=["uniform", "gaussian", "autoregressive", "aggregated"],
)
def enumerated(request, chunks):
    """Draws of one model, compiled once, and the same by enumeration."""
    built = tiny(request.param())
    return draws_of(built), Exact(built)


def test_the_aggregated_codes_are_the_mean_over_the_split():
    built = tiny()
    found, exact = aggregated_codes(draws_of(built)), Exact(built)
    q = exact.positions
    # float32 probabilities of 40 examples
    np.testing.assert_allclose(found["aggregated"], q.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found["conditional_entropy"], -np.mean(np.sum(q * np.log(q), -1), 0), atol=1e-5)
    np.testing.assert_allclose(found["prior"], np.full((2, 3), 1 / 3), atol=1e-6)
    assert found["used"].all()


@pytest.mark.slow
def test_the_prior_at_each_position_is_given_only_for_independent_positions():
    assert "prior" in aggregated_codes(draws_of(tiny(Gaussian())))
    assert "prior" not in aggregated_codes(draws_of(tiny(Autoregressive(width=8, layers=1, heads=2))))
    assert "prior" not in aggregated_codes(draws_of(tiny(AggregatedPosterior(num_components=5))))


def test_the_scores_of_the_codes_are_those_written_out():
    built = tiny(Gaussian())
    scores, exact = code_scores(aggregated_codes(draws_of(built))), Exact(built)
    q, aggregated = exact.positions, exact.positions.mean(axis=0)
    pooled = aggregated.mean(axis=0)
    codebook = built.model.posterior.codebook().numpy().astype(np.float64)
    log_p = log_softmax(norm.logpdf(codebook).sum(axis=1))
    # float32 probabilities
    assert scores["code_perplexity"] == pytest.approx(np.exp(-np.sum(pooled * np.log(pooled))), rel=1e-5)
    information = np.sum(q * (np.log(q) - np.log(aggregated))) / len(q)
    assert scores["code_mutual_information"] == pytest.approx(information, abs=1e-5)
    divergence = np.sum(aggregated * (np.log(aggregated) - log_p))
    assert scores["code_marginal_kl"] == pytest.approx(divergence, abs=1e-5)
    assert scores["code_usage"] == 1


def test_codes_that_nothing_uses_count_against_usage_and_perplexity():
    aggregated = np.array([[0.5, 0.5, 0, 0], [0.5, 0, 0.5, 0]])
    scores = code_scores({
        "aggregated": aggregated, "conditional_entropy": np.zeros(2), "used": np.array([True, True, True, False]),
    })  # fmt: skip
    assert scores["code_usage"] == 0.75
    assert scores["code_perplexity"] == pytest.approx(2 * np.sqrt(2))  # entropy of (1/2, 1/4, 1/4) is 1.5 log 2
    assert scores["code_mutual_information"] == pytest.approx(2 * np.log(2))
    assert "code_marginal_kl" not in scores


def test_every_example_is_counted_once_in_usage():
    built = tiny(posterior=VQ(positions=(2,), num_codes=30, initialization="normal"))
    found = aggregated_codes(draws_of(built))
    codes = built.model.infer(tf.constant(built.experiment.splits["test"].rows), context()).distribution.loc.numpy()
    np.testing.assert_array_equal(found["used"], np.isin(np.arange(30), codes))
    assert 0 < found["used"].mean() < 1
    frequency = (codes[..., None] == np.arange(30)).mean(axis=0)
    np.testing.assert_allclose(found["aggregated"], frequency, atol=1e-6)  # float32
    np.testing.assert_array_equal(found["conditional_entropy"], np.zeros(2))


def test_the_aggregated_posterior_of_whole_grids_is_the_mean_over_the_split():
    built = tiny()
    found = Mixture(draws_of(built)).log_prob(GRIDS)
    np.testing.assert_allclose(found, Exact(built).log_aggregated, atol=1e-5)  # float32
    assert np.exp(found).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_the_terms_of_the_surgery_are_the_sums_over_all_grids(enumerated):
    draws, exact = enumerated
    scores = elbo_surgery(draws, 3_000)
    terms = {
        "reconstruction": exact.log_likelihood,
        "rate": exact.log_q - exact.log_p,
        "mutual_information": exact.log_q - exact.log_aggregated,
        "marginal_kl": np.broadcast_to(exact.log_aggregated - exact.log_p, exact.log_q.shape),
    }
    for name, values in terms.items():
        mean = np.sum(np.exp(exact.log_q) * values, axis=1, keepdims=True)
        deviation = np.sqrt(exact.expected((values - mean) ** 2))
        # 40 x 3,000 draws: five standard errors, and float32
        error = 5 * deviation / np.sqrt(40 * 3_000) + 1e-4
        assert scores[name] == pytest.approx(exact.expected(values), abs=error), name
    assert scores["rate"] == pytest.approx(scores["mutual_information"] + scores["marginal_kl"], abs=1e-5)
    assert scores["elbo"] == pytest.approx(scores["reconstruction"] - scores["rate"], abs=1e-9)


def test_the_exact_log_likelihood_exceeds_the_bounds_and_is_close_to_the_tighter_one(enumerated):
    draws, exact = enumerated
    one, some, many = (draws.importance_weighted_nll(samples) for samples in (1, 20, 20_000))
    assert one > some > exact.nll
    elbo = exact.expected(exact.log_likelihood + exact.log_p - exact.log_q)
    assert -elbo > exact.nll + 0.5  # the posterior is far from the true one
    # Error and bias of the average over examples of log (1/S) sum w: with v the variance of w / p(x), sqrt(v / S) / n
    # summed in squares, and v / (2 S).
    log_weights = exact.log_likelihood + exact.log_p - exact.log_q
    log_weights -= logsumexp(exact.log_likelihood + exact.log_p, axis=1, keepdims=True)
    variance = np.sum(np.exp(exact.log_q + 2 * log_weights), axis=1) - 1
    error = 5 * np.sqrt(np.sum(variance) / 20_000) / 40 + np.mean(variance) / 40_000
    assert error < 0.5
    assert many == pytest.approx(exact.nll, abs=error + 1e-4)


@pytest.mark.slow
def test_a_categorical_model_has_every_score():
    built = tiny()
    scores, exact = evaluate(built, "test", 200), Exact(built)
    assert set(scores) == BOUNDS | CODES | {"code_marginal_kl"} | SAMPLES | FACTS
    assert scores["nll_iwae_samples"] == 200
    assert scores["elbo"] < -scores["nll_iwae"]
    # 8,000 draws of terms with a deviation below 2 nats: five errors are 0.11
    assert scores["rate"] == pytest.approx(exact.expected(exact.log_q - exact.log_p), abs=0.11)


@pytest.mark.slow
def test_under_vector_quantisation_the_bound_is_the_elbo_whatever_the_samples():
    built = tiny(posterior=VQ(positions=(2,), num_codes=5))
    scores = evaluate(built, "test", 200)
    assert set(scores) == BOUNDS | CODES | {"code_marginal_kl", "code_bits"} | SAMPLES | FACTS
    assert scores["nll_iwae_samples"] == 1
    # float32
    assert scores["rate"] == pytest.approx(2 * np.log(5), rel=1e-6)
    assert scores["code_bits"] == pytest.approx(np.log2(5), rel=1e-6)
    assert scores["nll_iwae"] == pytest.approx(-scores["elbo"], rel=1e-6)
    codes = built.model.infer(tf.constant(built.experiment.splits["test"].rows), context()).distribution.loc.numpy()
    share = np.unique(codes, axis=0, return_counts=True)[1] / 40
    assert scores["mutual_information"] == pytest.approx(-np.sum(share * np.log(share)), abs=1e-5)
    assert scores["marginal_kl"] == pytest.approx(2 * np.log(5) + np.sum(share * np.log(share)), abs=1e-5)
    frequency = (codes[..., None] == np.arange(5)).mean(axis=0)
    entropies = -np.sum(frequency[frequency > 0] * np.log(frequency[frequency > 0]))
    assert scores["code_mutual_information"] == pytest.approx(entropies, abs=1e-5)
    assert scores["code_marginal_kl"] == pytest.approx(2 * np.log(5) - entropies, abs=1e-5)


@pytest.mark.slow
def test_the_scores_of_several_codebooks_count_each_by_itself():
    built = tiny(posterior=ResidualVQ(positions=(2,), codebooks=2, num_codes=5))
    scores, found = evaluate(built, "test", 200), aggregated_codes(draws_of(built))
    codes = built.model.infer(tf.constant(built.experiment.splits["test"].rows), context()).distribution.loc.numpy()
    frequency = (codes[..., None] == np.arange(5)).mean(axis=0)  # [positions, L, K]
    np.testing.assert_allclose(found["aggregated"], frequency, atol=1e-6)  # float32, here and below
    pooled = frequency.mean(axis=0)
    np.testing.assert_array_equal(found["used"], pooled > 0)
    assert scores["code_usage"] == pytest.approx(np.mean(pooled > 0))
    by_codebook = -xlogy(pooled, pooled).sum(axis=-1)
    assert scores["code_perplexity"] == pytest.approx(np.exp(by_codebook.mean()), rel=1e-5)
    assert scores["rate"] == pytest.approx(4 * np.log(5), rel=1e-6)
    assert scores["code_bits"] == pytest.approx(np.log2(5), rel=1e-6)
    assert scores["nll_iwae"] == pytest.approx(-scores["elbo"], rel=1e-6)
    share = np.unique(codes, axis=0, return_counts=True)[1] / 40
    assert scores["mutual_information"] == pytest.approx(-np.sum(share * np.log(share)), abs=1e-5)
    entropies = -xlogy(frequency, frequency).sum()
    assert scores["code_mutual_information"] == pytest.approx(entropies, abs=1e-5)
    assert scores["code_marginal_kl"] == pytest.approx(4 * np.log(5) - entropies, abs=1e-5)


@pytest.mark.slow
def test_under_vector_quantisation_and_a_density_the_rate_is_the_surprise_at_the_codes():
    built = tiny(Gaussian(), VQ(positions=(2,), num_codes=5))
    scores = evaluate(built, "test", 10)
    codes = built.model.infer(tf.constant(built.experiment.splits["test"].rows), context()).distribution.loc.numpy()
    log_p = log_softmax(norm.logpdf(built.model.posterior.codebook().numpy().astype(np.float64)).sum(axis=1))
    assert scores["rate"] == pytest.approx(-log_p[codes].sum(axis=1).mean(), rel=1e-5)  # float32
    assert scores["nll_iwae"] == pytest.approx(-scores["elbo"], rel=1e-6)
