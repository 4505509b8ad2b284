"""The MMD objective against pairwise kernels of other libraries, and closed forms between Gaussians."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import rbf_kernel
from small import context, points_experiment, silent
from small_critics import one_step, refused
from tfdgm_objectives.adversarial import compared
from tfdgm_objectives.elbo import ELBO
from tfdgm_objectives.mmd import MMD, mmd_by_example
from tfdgm_posteriors.categorical import Categorical
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.gaussian import Gaussian as GaussianPrior

from tfdgm.model.forward_pass import ForwardPass
from tfdgm.training.trainer import Trainer

SCALES = (0.3, 1.0, 4.0)


def points(count=12, size=3, seed=0, shift=0.0, scale=1.0):
    return (shift + scale * np.random.RandomState(seed).randn(count, size)).astype(np.float32)


def gaussian_kernel(x, y, scales=SCALES):
    return sum(rbf_kernel(x, y, gamma=1 / (2 * x.shape[1] * s)) for s in scales)


def inverse_multiquadric(x, y, scales=SCALES):
    squares = cdist(x, y, "sqeuclidean")
    return sum(2 * x.shape[1] * s / (2 * x.shape[1] * s + squares) for s in scales)  # C / (C + |x - y|^2)


def unbiased(x, y, kernel):
    """MMD^2 by loops over the pairs."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    xx, yy, xy = kernel(x, x), kernel(y, y), kernel(x, y)
    n = len(x)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    within = sum(xx[pair] + yy[pair] for pair in pairs) / (n * (n - 1))
    return within - 2 * xy.sum() / n**2


@pytest.mark.parametrize(
    "kernel, by_pairs", [("gaussian", gaussian_kernel), ("inverse_multiquadric", inverse_multiquadric)]
)
def test_the_mean_of_the_terms_is_the_u_statistic_of_pairwise_kernels(kernel, by_pairs):
    for x, y in ((points(), points(seed=1, shift=0.7)), (points(shift=50.0), points(seed=1, shift=50.0, scale=0.1))):
        terms = mmd_by_example(tf.constant(x), tf.constant(y), kernel, SCALES)
        assert terms.shape == (12,)
        # sums of kernels of order 1 in float32; a common offset of 50 rounds the points by 4e-6
        assert np.mean(terms) == pytest.approx(unbiased(x, y, by_pairs), abs=1e-5)


#: Of the Gaussians in the closed form: d, and the only scale s.
SIZE, WIDE = 2, 0.7


@tf.function(jit_compile=True)
def estimate(seed, shift, scale):
    """Of 60 draws from N(shift, scale^2 I) and 60 from N(0, I)."""
    x, y = (tf.random.stateless_normal([60, SIZE], [seed, number]) for number in (0, 1))
    return tf.reduce_mean(mmd_by_example(shift + scale * x, y, "gaussian", (WIDE,)))


@pytest.mark.parametrize("shift, scale", [(0.0, 1.0), (0.8, 1.0), (0.5, 0.4)])
def test_its_expectation_is_the_closed_form_between_gaussians(shift, scale):
    """E k(z, z') = (1 + v / w)^(-d/2) exp(-|m|^2 / (2 (w + v))) for z - z' of N(m, v I), and k of variance w = d s."""

    def expected_kernel(distance, variance):
        width = SIZE * WIDE
        return (1 + variance / width) ** (-SIZE / 2) * np.exp(-SIZE * distance**2 / (2 * (width + variance)))

    exact = expected_kernel(0, 2 * scale**2) + expected_kernel(0, 2.0) - 2 * expected_kernel(shift, 1 + scale**2)
    found = np.array([estimate(tf.constant(seed), tf.constant(shift), tf.constant(scale)) for seed in range(400)])
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean() - exact) < 4 * error  # once in 16,000 for other seeds
    assert error < 3e-3  # with the diagonal among the pairs, it would be wrong by some 0.02
    if not shift and scale == 1.0:
        assert exact == pytest.approx(0, abs=1e-12) and (found < 0).any()  # unbiased, so of either sign


def forward_of(experiment):
    built = experiment.build()
    x = tf.constant(built.experiment.train.gather(np.arange(20)))
    return built, ForwardPass(built.model, x, context(training=True))


def latent(**settings):
    return [ELBO(beta=0.0), MMD(**settings)]


@pytest.mark.parametrize(
    "posterior",
    [None, Categorical(positions=(2,), num_categories=3), VQ(positions=(2,), num_codes=4)],
    ids=["vectors", "relaxed codes", "quantised"],
)
def test_draws_of_the_posterior_or_embeddings_of_its_codes_are_compared_with_the_prior(posterior):
    changes = {} if posterior is None else {"posterior": posterior}
    built, forward = forward_of(points_experiment(objectives=latent(scales=SCALES), **changes))
    loss = built.experiment.objectives["mmd"].model_loss(forward, context())
    x, y = (np.reshape(z, [20, -1]) for z in (compared(forward), forward.drawn))
    assert np.mean(loss.value) == pytest.approx(unbiased(x, y, inverse_multiquadric), abs=1e-5)  # float32
    np.testing.assert_array_equal(loss.metrics["latent_mmd"], loss.value)
    if posterior is not None:  # exact codes on both sides
        codebook = built.model.posterior.codebook().numpy()
        for z in (x, y):
            assert cdist(z.reshape(-1, 2), codebook).min(axis=1).max() < 1e-5  # float32


@pytest.mark.slow
def test_beside_the_reconstruction_alone_it_draws_the_aggregated_posterior_to_the_prior(tmp_path):
    """Without it the codes of an autoencoder spread; the rate is not in the loss."""

    def trained(objectives):
        experiment = points_experiment(objectives=objectives, steps=300, steps_per_loop=100, seed=3)
        built = experiment.build()
        Trainer(built, tmp_path / str(len(objectives)), silent).train()
        forward = ForwardPass(built.model, tf.constant(built.experiment.train.gather(np.arange(60))), context())
        return float(MMD(scales=SCALES).estimates(forward, context())["latent_mmd_estimate"])

    alone, beside = trained([ELBO(beta=0.0)]), trained(latent(scales=SCALES, weight=100.0))
    assert beside < 0.02 < alone  # 60 points: the estimate of two equal laws has a standard deviation of 0.01


def test_it_trains_the_encoder_and_a_learned_prior_and_not_the_decoder():
    built, forward = forward_of(
        points_experiment(objectives=latent(), prior=GaussianPrior(learned_mean=True, learned_scale=True))
    )
    weights = list(built.players[-1].variables.items())
    with tf.GradientTape() as tape:
        forward = ForwardPass(built.model, forward.x, context(training=True))
        loss = tf.reduce_mean(built.experiment.objectives["mmd"].model_loss(forward, context()).value)
    gradients = tape.gradient(loss, [variable.value for _, variable in weights])
    moved = {path for (path, _), gradient in zip(weights, gradients, strict=True) if gradient is not None}
    assert moved == {path for path, _ in weights if not path.startswith("decoder")}
    assert one_step(built)["latent_mmd"] is not None


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"kernel": "laplace"}, "kernel must be 'gaussian' or 'inverse_multiquadric', got 'laplace'"),
        ({"scales": ()}, "scales is empty"),
        ({"scales": (1.0, 0.0)}, "scales must be positive, got 0"),
        ({"weight": 0.0}, "weight must be positive, got 0"),
    ],
    ids=str,
)
def test_bad_values_are_refused(settings, expected):
    refused(lambda: MMD(**settings), MMD.display_name(), expected)


def test_alone_without_a_posterior_or_with_single_examples_it_is_refused_with_the_reason():
    refused(lambda: points_experiment(objectives=[MMD()]), "no objective trains the decoder")
    expected = f"{MMD.display_name()} needs a posterior"
    refused(lambda: points_experiment(objectives=[MMD()], posterior=None, encoder=None), expected)
    built = points_experiment(objectives=latent(), batch_size=20, shards=20).build()
    refused(lambda: one_step(built, shards=20), "the batch of a shard has a single one", "fewer shards")
    single = ForwardPass(built.model, tf.zeros([1, 3]), context())
    assert MMD().estimates(single, context()) == {}
