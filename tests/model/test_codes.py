"""Densities restricted to a codebook, and probabilities of grids of codes, against sums over all codes."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax
from scipy.stats import norm, t
from small import context, points_experiment
from tensorflow_probability import distributions as tfd
from tfdgm_posteriors.categorical import Categorical
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.gaussian import Gaussian
from tfdgm_priors.maf import MAF

from tfdgm import Prior, UserError
from tfdgm.model.code_densities import code_log_probabilities, log_prob_of_codes, mixture_densities, restrict
from tfdgm.model.rate import rate

SHAPE, CATEGORIES = (2, 2), 5
#: All 625 grids, in the order of their digits.
GRIDS = np.array(list(itertools.product(range(CATEGORIES), repeat=4)), np.int32).reshape(-1, *SHAPE)


class StudentT(Prior):
    """A third party's density: it knows nothing of codes."""

    def __init__(self, *, size: int | None = None) -> None:
        self.size = size

    def build(self, context):
        self.size = self.size or context.latent.size

    def distribution(self, context):
        return tfd.Independent(tfd.StudentT(5.0, tf.zeros([self.size]), 1.0), 1)


class WrongGrid(Prior):
    over = "codes"

    def distribution(self, context):
        return tfd.Independent(tfd.Categorical(logits=tf.zeros([7, CATEGORIES])), 1)


def standard_density(model):
    return lambda z: norm.logpdf(z).sum(axis=-1)


def learned_density(model):
    model.prior.mean.assign([0.5, -1.0])
    model.prior.log_scale.assign([0.3, -0.7])
    return lambda z: norm.logpdf(z, [0.5, -1.0], np.exp([0.3, -0.7])).sum(axis=-1)


def flow_density(model):
    """log N(u; 0, I) + log |det du/dz|, by the Jacobian."""
    random = np.random.RandomState(1)
    for network in model.prior.networks:  # away from the identity
        for kernel in network.kernels:
            kernel.assign(random.randn(*kernel.shape).astype(np.float32) * 0.3)

    def density(z):
        z = tf.constant(z, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(z)
            noise = model.prior.bijector().inverse(z)
        determinant = np.linalg.slogdet(tape.batch_jacobian(noise, z).numpy().astype(np.float64))[1]
        return norm.logpdf(noise.numpy()).sum(axis=-1) + determinant

    return density


def heavy_density(model):
    return lambda z: t.logpdf(z, 5.0).sum(axis=-1)


def restricted(prior, density_of):
    """A model of 2 x 2 codes over that prior, the prior over codes, and log p(c_i = k) as it should be."""
    posterior = Categorical(positions=SHAPE, num_categories=CATEGORIES)
    model = points_experiment(prior=prior, posterior=posterior).build().model
    density = density_of(model)
    return model, model.prior_distribution(context()), log_softmax(density(model.posterior.codebook().numpy()))


PRIORS = pytest.mark.parametrize(
    "make, density_of",
    [
        (Gaussian, standard_density),
        (lambda: Gaussian(learned_mean=True, learned_scale=True), learned_density),
        (lambda: MAF(num_bijectors=2, hidden=(16,), activation="tanh"), flow_density),
        (StudentT, heavy_density),
    ],
    ids=["standard", "learned", "flow", "third party"],
)


@PRIORS
def test_a_density_gives_each_code_its_share_of_the_density_at_the_codebook(make, density_of):
    _, prior, expected = restricted(make(), density_of)
    assert prior.event_shape == SHAPE and prior.batch_shape == () and prior.dtype == tf.int32
    found = prior.log_prob(GRIDS).numpy()
    # float32 densities of size 10 at four positions
    np.testing.assert_allclose(found, expected[GRIDS].sum(axis=(1, 2)), atol=1e-4)
    assert np.exp(found.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)


@PRIORS
def test_the_rate_against_it_is_the_sum_over_all_grids(make, density_of):
    model, prior, expected = restricted(make(), density_of)
    q = model.infer(tf.constant(model.data.rows[:6]), context())
    log_q = log_softmax(q.distribution.logits.numpy().astype(np.float64), axis=-1)  # [6, 2, 2, K]
    by_grid = np.stack([log_q[:, i, j][:, GRIDS[:, i, j]] for i, j in np.ndindex(SHAPE)]).sum(axis=0)
    exact = np.sum(np.exp(by_grid) * (by_grid - expected[GRIDS].sum(axis=(1, 2))), axis=1)
    assert exact.min() > 0.1
    # float32 through the encoder's logits and the densities
    np.testing.assert_allclose(rate(q, prior, None), exact, rtol=1e-4)


def test_the_restriction_of_a_density_to_far_codes_is_finite():
    density = tfd.Independent(tfd.Normal(tf.zeros(2), 1.0), 1)
    codebook = tf.constant([[0.0, 0.0], [300.0, 0.0]])
    # log of the density ratio, -45,000, where the density itself underflows
    found = restrict(density, codebook, (1,)).log_prob(tf.constant([[0], [1]]))
    np.testing.assert_allclose(found, [0, -45_000], rtol=1e-6)


@pytest.mark.parametrize("posterior", [Categorical(positions=(2,), num_categories=4), VQ(positions=(2,), num_codes=4)])
def test_the_gradient_of_the_rate_reaches_the_codebook(posterior):
    model = points_experiment(posterior=posterior).build().model
    x = tf.constant(model.data.rows[:5])
    with tf.GradientTape() as tape:
        codebook = model.posterior.codebook()
        tape.watch(codebook)
        q, prior = model.infer(x, context()), model.prior_distribution(context(), codebook)
        loss = tf.reduce_sum(rate(q, prior, None))
    gradient = tape.gradient(loss, codebook)
    # d log p(e_k) / d e_k = -e_k, once for each choice less the share p(k) of all choices
    log_p = -0.5 * np.sum(codebook.numpy() ** 2, axis=1)
    chosen = np.exp(code_log_probabilities(q, 4).numpy()).sum(axis=(0, 1))
    expected = (chosen - 10 * softmax(log_p))[:, None] * codebook.numpy()
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)  # float32


@pytest.mark.parametrize(
    "prior, posterior, told",
    [
        (StudentT(size=7), Categorical(positions=SHAPE), r"StudentT has event shape \(7,\), but the latent has \(2,\)"),
        (WrongGrid(), Categorical(positions=SHAPE), r"WrongGrid has event shape \(7,\), but the latent has \(2, 2\)"),
        (StudentT(size=7), None, r"StudentT has event shape \(7,\), but the latent has \(2,\)"),
    ],
    ids=["density", "codes", "vector"],
)
def test_a_prior_of_another_shape_than_the_latent_is_refused_at_build(prior, posterior, told):
    changes = {} if posterior is None else {"posterior": posterior}
    with pytest.raises(UserError, match=told):
        points_experiment(prior=prior, **changes).build()


def test_a_prior_over_codes_is_refused_with_vectors_before_anything_is_built():
    with pytest.raises(UserError, match="WrongGrid is over codes, but the latent is a vector"):
        points_experiment(prior=WrongGrid())


def categoricals(batch=(3,), positions=SHAPE, seed=0):
    logits = np.random.RandomState(seed).randn(*batch, *positions, CATEGORIES).astype(np.float32)
    return tfd.Independent(tfd.Categorical(logits=logits), len(positions)), log_softmax(logits, axis=-1)


def test_the_log_probabilities_of_categoricals_and_of_single_codes():
    distribution, expected = categoricals()
    np.testing.assert_allclose(code_log_probabilities(distribution, CATEGORIES), expected, atol=1e-6)  # float32
    codes = np.random.RandomState(1).randint(0, CATEGORIES, (3, *SHAPE))
    single = tfd.Independent(tfd.Deterministic(tf.constant(codes, tf.int32)), 2)
    expected = np.where(np.arange(CATEGORIES) == codes[..., None], 0.0, -1e9)
    np.testing.assert_array_equal(code_log_probabilities(single, CATEGORIES), expected)


def test_an_impossible_code_has_a_finite_log_probability():
    distribution = tfd.Independent(tfd.Categorical(logits=[[0.0, -np.inf]]), 1)
    np.testing.assert_array_equal(code_log_probabilities(distribution, 2), [[0.0, -1e9]])


def test_only_independent_positions_have_log_probabilities_of_their_own():
    distribution, _ = categoricals()
    mixture = tfd.MixtureSameFamily(tfd.Categorical(logits=tf.zeros(3)), distribution)
    with pytest.raises(TypeError, match="MixtureSameFamily is not independent"):
        code_log_probabilities(mixture, CATEGORIES)
    codes = GRIDS[:7]
    np.testing.assert_array_equal(log_prob_of_codes(mixture, codes, CATEGORIES), mixture.log_prob(codes))


@pytest.mark.parametrize("batch", [(), (3,)])
def test_the_log_probability_of_many_draws_is_that_of_the_distribution(batch):
    distribution, _ = categoricals(batch)
    codes = distribution.sample(11, seed=[1, 2])
    found = log_prob_of_codes(distribution, codes, CATEGORIES)
    assert found.shape == (11, *batch)
    np.testing.assert_allclose(found, distribution.log_prob(codes), atol=1e-5)  # float32


def test_the_densities_of_all_grids_under_all_components_are_one_product():
    _, components = categoricals((7,))
    grids = np.random.RandomState(2).randint(0, CATEGORIES, (4, *SHAPE))
    expected = [[sum(components[(m, *at, grid[at])] for at in np.ndindex(SHAPE)) for m in range(7)] for grid in grids]
    found = mixture_densities(tf.one_hot(grids, CATEGORIES), tf.constant(components))
    np.testing.assert_allclose(found, expected, atol=1e-5)  # float32


@pytest.mark.parametrize("positions, categories", [((4, 4), 16), ((8, 8), 512)])
def test_mixture_densities_are_as_exact_as_they_say(positions, categories):
    random = np.random.RandomState(0)
    log_probabilities = log_softmax(2 * random.randn(50, *positions, categories), axis=-1).astype(np.float32)
    codes = random.randint(categories, size=(60, *positions))
    size = int(np.prod(positions))
    exact = np.take_along_axis(
        log_probabilities.astype(np.float64).reshape(1, 50, size, categories), codes.reshape(60, 1, size, 1), axis=3
    ).sum(axis=(2, 3))
    found = mixture_densities(tf.one_hot(codes, categories), tf.constant(log_probabilities))
    error = np.abs(found - exact)
    assert np.all(error <= 16 * 2.0**-24 * np.abs(exact)) and error.max() < 3e-4
    relaxed = softmax(random.randn(60, *positions, categories), axis=-1).astype(np.float32)
    y, p = (array.reshape(len(array), -1).astype(np.float64) for array in (relaxed, log_probabilities))
    found = mixture_densities(tf.constant(relaxed), tf.constant(log_probabilities))
    assert np.all(np.abs(found - y @ p.T) <= 16 * 2.0**-24 * (y @ np.abs(p).T))


def test_a_grid_with_a_code_of_probability_0_has_none_beside_any_other():
    impossible = tf.constant([[[0.0, -1e9], [0.0, -1e9]], [[-0.5, -1.0], [-0.5, -1.0]]])
    densities = mixture_densities(tf.one_hot([[0, 1]], 2), impossible)
    np.testing.assert_allclose(tf.reduce_logsumexp(densities, axis=-1), [-1.5], rtol=1e-6)
