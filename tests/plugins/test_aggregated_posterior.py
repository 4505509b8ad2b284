"""The aggregated posterior: its components, and its memory of q(z|x_n)."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, logsumexp
from scipy.stats import multivariate_normal
from small import Points, digits_experiment, normal_rows, points_experiment, silent
from tensorflow_probability import distributions as tfd
from tfdgm_data.digits import Digits
from tfdgm_likelihoods.gaussian import Gaussian
from tfdgm_posteriors.categorical import Categorical
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.aggregated_posterior import AggregatedPosterior
from tfdgm_priors.categorical_mixture import CategoricalMixture

from tfdgm import Context, Latent, LatentSpec, Posterior, UserError, gaussian_log_densities
from tfdgm.numerics.randomness import root_seed
from tfdgm.numerics.seeds import Seed
from tfdgm.parallel.devices import Devices, Draw
from tfdgm.training.step import training_step
from tfdgm.training.trainer import Trainer


def context_of(built):
    return built.model.with_inference(Context(tf.constant([1, 2]), tf.constant(0, tf.int64)))


def test_pseudo_inputs_start_at_training_examples_and_stay_in_the_range_of_the_data(tmp_path):
    built = digits_experiment(
        prior=AggregatedPosterior(num_components=20),
        data=Digits(binarization="none"),
        likelihood=Gaussian(),
    ).build()
    rows = built.experiment.train.gather(np.arange(len(built.experiment.train)))
    inputs = built.model.prior.inputs
    assert all((rows == start).all(axis=1).any() for start in inputs.numpy())
    inputs.assign(inputs.numpy() * 5 - 2)
    built.model.prior.project()
    assert inputs.numpy().min() == 0
    assert inputs.numpy().max() == 1


@pytest.mark.slow
def test_pseudo_inputs_are_trained_and_a_subset_is_not(tmp_path):
    for components, moved in (("pseudo_inputs", True), ("subset", False)):
        built = points_experiment(prior=AggregatedPosterior(components=components, num_components=5), steps=10).build()
        before = built.model.prior.inputs.numpy().copy()
        Trainer(built, tmp_path / components, silent).train()
        assert (not np.array_equal(before, built.model.prior.inputs.numpy())) is moved


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 2])
def test_the_memory_holds_the_posterior_of_every_example_that_passed(tmp_path, shards):
    # a learning rate of 0: the posterior stays, so the memory can be compared with it exactly
    built = points_experiment(
        prior=AggregatedPosterior(components="exact"),
        optimizer=keras.optimizers.SGD(0.0),
        steps=10,
        batch_size=12,
        shards=shards,
    ).build()
    assert (built.model.prior.memory["mean"].numpy() == 0).all()
    Trainer(built, tmp_path, silent).train()  # 120 draws of 60 examples: each passed twice
    x = tf.constant(built.experiment.train.gather(np.arange(len(built.experiment.train))))
    posterior = built.model.infer(x, context_of(built))
    # the same affine map, compiled in batches of another size
    np.testing.assert_allclose(built.model.prior.memory["mean"].numpy(), posterior.mean().numpy(), atol=1e-5)
    np.testing.assert_allclose(built.model.prior.memory["scale"].numpy(), posterior.stddev().numpy(), atol=1e-5)


def test_leaving_one_out_leaves_out_the_example_itself():
    built = points_experiment(prior=AggregatedPosterior(components="exact", leave_one_out=True)).build()
    prior, count = built.model.prior, len(built.experiment.train)
    prior.memory["mean"].assign(normal_rows(count, 2, seed=1))
    own = tf.constant([3, 7])
    z = tf.constant(prior.memory["mean"].numpy()[own.numpy()])
    x = tf.constant(built.experiment.train.gather(own.numpy()))
    context = context_of(built)
    training = Context(context.seed, context.step, training=True, x=x, index=own, infer=context.infer)
    densities = (
        gaussian_log_densities(z, prior.memory["mean"].value, prior.memory["scale"].value).numpy().astype(np.float64)
    )
    everything = np.log(np.exp(densities).mean(axis=1))
    densities[np.arange(2), own.numpy()] = -np.inf
    without = np.log(np.exp(densities).sum(axis=1) / (count - 1))
    # float32
    np.testing.assert_allclose(prior.distribution(training).log_prob(z).numpy(), without, atol=1e-5)
    np.testing.assert_allclose(prior.distribution(context).log_prob(z).numpy(), everything, atol=1e-5)


@pytest.mark.slow
def test_the_marginal_kl_against_the_exact_prior_of_the_training_split_is_zero(tmp_path):
    from tfdgm.evaluation.evaluate import evaluate

    built = points_experiment(prior=AggregatedPosterior(components="exact"), data=Points(rows=normal_rows())).build()
    x = tf.constant(built.experiment.train.gather(np.arange(len(built.experiment.train))))
    posterior = built.model.infer(x, context_of(built))
    built.model.prior.memory["mean"].assign(posterior.mean())
    built.model.prior.memory["scale"].assign(posterior.stddev())
    scores = evaluate(built, "train", 50)
    # the prior is q_agg itself, so every draw's log ratio is 0 up to float32 rounding
    assert scores["marginal_kl"] == pytest.approx(0, abs=1e-5)
    assert scores["rate"] == pytest.approx(scores["mutual_information"], abs=1e-5)


def test_wrong_hyperparameters_are_refused():
    with pytest.raises(UserError, match="num_components"):
        AggregatedPosterior(num_components=0)
    with pytest.raises(UserError, match="leave_one_out"):
        AggregatedPosterior(leave_one_out=True)
    with pytest.raises(UserError, match="decay"):
        AggregatedPosterior(decay=1.0)
    with pytest.raises(UserError, match="smoothing"):
        AggregatedPosterior(smoothing=0.0)
    with pytest.raises(UserError, match="components"):
        AggregatedPosterior(components="all")
    with pytest.raises(UserError, match="num_components must be at most 60, the size of the training split, got 1000"):
        points_experiment(prior=AggregatedPosterior(num_components=1_000)).build()
    with pytest.raises(UserError, match="needs a posterior"):
        points_experiment(prior=AggregatedPosterior(), posterior=None, encoder=None)


GRIDS = np.array(list(itertools.product(range(3), repeat=2)), np.int32)


def codes_experiment(posterior=None, **changes):
    """Two positions of three codes."""
    prior = AggregatedPosterior(**{name: changes.pop(name) for name in list(changes) if name in PRIOR_SETTINGS})
    posterior = posterior or Categorical(positions=(2,), num_categories=3)
    return points_experiment(prior=prior, posterior=posterior, **changes)


PRIOR_SETTINGS = ("components", "num_components", "leave_one_out", "decay", "smoothing")


def train_rows(built):
    return tf.constant(built.experiment.train.gather(np.arange(len(built.experiment.train))))


def log_probabilities(built, x):
    """log q(c_i = k|x), `[batch, 2, 3]`, float64."""
    return log_softmax(built.model.features(x, context_of(built)).numpy().astype(np.float64), axis=-1)


def grids_under(log_p):
    """log of the probability of each of the nine grids under each component, `[components, 9]`."""
    return log_p[:, 0][:, GRIDS[:, 0]] + log_p[:, 1][:, GRIDS[:, 1]]


@pytest.mark.parametrize("components", ["pseudo_inputs", "subset"])
def test_over_codes_it_is_the_mean_of_the_posteriors_at_its_inputs(components):
    built = codes_experiment(components=components, num_components=5).build()
    prior = built.model.prior
    assert prior.inputs.trainable is (components == "pseudo_inputs")
    expected = logsumexp(grids_under(log_probabilities(built, prior.inputs.value)), axis=0) - np.log(5)
    found = built.model.prior_distribution(context_of(built))
    assert isinstance(found, CategoricalMixture) and found.event_shape == (2,)
    np.testing.assert_allclose(found.log_prob(GRIDS), expected, atol=1e-5)  # float32


def test_over_codes_without_a_choice_the_inputs_are_learned():
    assert codes_experiment(num_components=5).build().model.prior.inputs.trainable


@pytest.mark.slow
@pytest.mark.parametrize("shards", [1, 2])
def test_the_memory_of_codes_starts_uniform_and_a_step_refreshes_the_examples_it_saw(tmp_path, shards):
    settings = {"optimizer": keras.optimizers.SGD(0.0), "batch_size": 12, "shards": shards, "steps_per_loop": 1}
    built = codes_experiment(components="exact", steps=1, **settings).build()
    memory = built.model.prior.memory["log_probabilities"]
    np.testing.assert_allclose(memory.numpy(), np.full((60, 2, 3), -np.log(3)), rtol=1e-6)  # float32
    trainer = Trainer(built, tmp_path, silent)
    seen = trainer.feed.positions(0, 1).reshape(-1)
    trainer.train()
    assert len(set(seen)) == 12
    expected = np.full((60, 2, 3), -np.log(3))
    expected[seen] = log_probabilities(built, train_rows(built))[seen]
    np.testing.assert_allclose(memory.numpy(), expected, atol=1e-5)  # float32
    np.testing.assert_allclose(
        built.model.prior_distribution(context_of(built)).log_prob(GRIDS),
        logsumexp(grids_under(expected), axis=0) - np.log(60),
        atol=1e-5,
    )


def test_leaving_one_out_over_codes_leaves_out_the_example_itself():
    built = codes_experiment(components="exact", leave_one_out=True).build()
    log_p = log_softmax(2 * np.random.RandomState(3).randn(60, 2, 3), axis=-1)
    built.model.prior.memory["log_probabilities"].assign(log_p)
    own = np.array([3, 7, 3, 0, 59, 1, 2, 4, 5])
    x = tf.gather(train_rows(built), own)
    context = context_of(built)
    training = Context(context.seed, context.step, training=True, x=x, index=tf.constant(own), infer=context.infer)
    densities = grids_under(log_p).T
    np.testing.assert_allclose(
        built.model.prior.distribution(context).log_prob(GRIDS), logsumexp(densities, axis=1) - np.log(60), atol=1e-5
    )  # float32
    densities[np.arange(9), own] = -np.inf
    expected = logsumexp(densities, axis=1) - np.log(59)
    prior = built.model.prior.distribution(training)
    np.testing.assert_allclose(prior.log_prob(GRIDS), expected, atol=1e-5)
    np.testing.assert_allclose(prior.relaxed_log_prob(tf.one_hot(GRIDS, 3)), expected, atol=1e-5)


def test_under_vector_quantisation_it_is_the_running_frequency_of_the_codes_at_each_position():
    posterior = VQ(positions=(2,), num_codes=3)
    built = codes_experiment(posterior, decay=0.9, smoothing=0.5).build()
    prior, rows, expected = built.model.prior, train_rows(built), np.ones((2, 3))
    assert prior.kind == "frequencies" and not prior.counts.trainable
    for step in range(4):
        batch = np.random.RandomState(step).permutation(60)[:20]
        x = tf.gather(rows, batch)
        codes = built.model.infer(x, context_of(built)).distribution.loc.numpy()
        counts = (codes[..., None] == np.arange(3)).sum(axis=0)
        training_step(
            built.model,
            built.players,
            [Draw(tf.constant(batch), x)],
            tf.constant(step, tf.int64),
            devices=Devices(),
            seed=Seed(root_seed(0, "training")).child(step),
            shards=1 + step % 2,
            clip_norm=None,
        )
        expected = 0.9 * expected + 0.1 * (counts + 0.5)
        np.testing.assert_allclose(prior.counts.numpy(), expected, rtol=1e-5)  # float32
    assert expected.std() > 0.1
    share = expected / expected.sum(axis=1, keepdims=True)
    found = built.model.prior_distribution(context_of(built)).log_prob(GRIDS).numpy()
    np.testing.assert_allclose(found, np.log(share[0][GRIDS[:, 0]] * share[1][GRIDS[:, 1]]), atol=1e-5)
    assert np.exp(found.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("components", ["pseudo_inputs", "subset", "exact"])
def test_components_that_would_be_single_grids_are_refused(components):
    built = codes_experiment(VQ(positions=(2,), num_codes=3), components=components, num_components=5)
    with pytest.raises(UserError, match=f'components = "{components}" does not support this posterior'):
        built.build()


@pytest.mark.parametrize("posterior", [None, Categorical(positions=(2,), num_categories=3)])
def test_frequencies_are_refused_where_the_posterior_is_not_quantised(posterior):
    changes = {} if posterior is None else {"posterior": posterior}
    built = points_experiment(prior=AggregatedPosterior(components="frequencies"), **changes)
    with pytest.raises(UserError, match='components = "frequencies" does not support this posterior'):
        built.build()


class Correlated(Posterior):
    """A third party's Gaussian in the plane with a full covariance."""

    def latent_spec(self, latent_size, data):
        return LatentSpec(size=latent_size)

    def feature_shape(self, latent):
        return (5,)

    def distribution(self, features, context):
        first, second = tf.nn.softplus(features[:, 2]) + 0.1, tf.nn.softplus(features[:, 3]) + 0.1
        rows = [tf.stack([first, tf.zeros_like(first)], -1), tf.stack([features[:, 4], second], -1)]
        return tfd.MultivariateNormalTriL(features[:, :2], tf.stack(rows, -2))

    def moments(self, first, second, r, s, below):
        """Mean and covariance, written out."""
        scale = np.array([[np.log1p(np.exp(r)) + 0.1, 0], [below, np.log1p(np.exp(s)) + 0.1]])
        return [first, second], scale @ scale.T

    def __call__(self, features, context):
        posterior = self.distribution(features, context)
        z = posterior.sample(seed=context.seed_for("z"))
        return Latent(posterior, value=z, z=z)


class Alike(Correlated):
    """All dimensions with one mean and one scale: a `tfd.Sample` of a Normal, which is no diagonal Gaussian to read."""

    def feature_shape(self, latent):
        return (2,)

    def distribution(self, features, context):
        return tfd.Sample(tfd.Normal(features[:, 0], tf.nn.softplus(features[:, 1]) + 0.1), 2)

    def moments(self, mean, r):
        return [mean, mean], (np.log1p(np.exp(r)) + 0.1) ** 2 * np.eye(2)


@pytest.mark.slow
@pytest.mark.parametrize("posterior", [Correlated(), Alike()], ids=["full covariance", "repeated"])
@pytest.mark.parametrize("components", ["pseudo_inputs", "subset"])
def test_any_other_posterior_is_mixed_as_it_is(tmp_path, posterior, components):
    prior = AggregatedPosterior(components=components, num_components=5)
    built = points_experiment(prior=prior, posterior=posterior, steps=10).build()
    before = prior.inputs.numpy().copy()
    Trainer(built, tmp_path, silent).train()
    assert (prior.inputs.numpy() != before).any() == (components == "pseudo_inputs")
    z = normal_rows(30, 2)
    features = built.model.features(prior.inputs.value, context_of(built)).numpy().astype(np.float64)
    densities = [multivariate_normal(*posterior.moments(*row)).logpdf(z) for row in features]
    expected = logsumexp(densities, axis=0) - np.log(5)
    found = built.model.prior_distribution(context_of(built)).log_prob(z)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)  # float32


@pytest.mark.parametrize("posterior", [Correlated(), Alike()], ids=["full covariance", "repeated"])
def test_a_memory_of_any_other_posterior_is_refused(posterior):
    run = points_experiment(prior=AggregatedPosterior(components="exact"), posterior=posterior)
    with pytest.raises(UserError, match='"exact" requires diagonal Gaussians or independent categoricals'):
        run.build()
