"""The aggregated posterior: what its components are, and that the memory holds q(z|x_n)."""

import numpy as np
import pytest
import tensorflow as tf
from small import Points, digits_experiment, normal_rows, points_experiment, silent
from tfdgm_data.digits import Digits
from tfdgm_likelihoods.gaussian import Gaussian
from tfdgm_priors.aggregated_posterior import AggregatedPosterior
from tfdgm_priors.gaussian_mixture import component_log_density

from tfdgm import Context, UserError
from tfdgm.training.run import Trainer


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


def test_pseudo_inputs_are_trained_and_a_subset_is_not(tmp_path):
    for components, moved in (("pseudo_inputs", True), ("subset", False)):
        built = points_experiment(prior=AggregatedPosterior(components=components, num_components=5), steps=10).build()
        before = built.model.prior.inputs.numpy().copy()
        Trainer(built, tmp_path / components, silent).train()
        assert (not np.array_equal(before, built.model.prior.inputs.numpy())) is moved


@pytest.mark.parametrize("shards", [1, 2])
def test_the_memory_holds_the_posterior_of_every_example_that_passed(tmp_path, shards):
    # a learning rate of 0: the posterior stays, so the memory can be compared with it exactly
    import keras

    built = points_experiment(
        prior=AggregatedPosterior(components="exact"),
        optimizer=keras.optimizers.SGD(0.0),
        steps=10,
        batch_size=12,
        shards=shards,
    ).build()
    assert (built.model.prior.mean.numpy() == 0).all()
    Trainer(built, tmp_path, silent).train()  # 120 draws of 60 examples: each passed twice
    x = tf.constant(built.experiment.train.gather(np.arange(len(built.experiment.train))))
    posterior = built.model.infer(x, context_of(built))
    # the same affine map, compiled in batches of another size
    np.testing.assert_allclose(built.model.prior.mean.numpy(), posterior.mean().numpy(), atol=1e-5)
    np.testing.assert_allclose(built.model.prior.scale.numpy(), posterior.stddev().numpy(), atol=1e-5)


def test_leaving_one_out_leaves_out_the_example_itself():
    built = points_experiment(prior=AggregatedPosterior(components="exact", leave_one_out=True)).build()
    prior, count = built.model.prior, len(built.experiment.train)
    prior.mean.assign(normal_rows(count, 2, seed=1))
    own = tf.constant([3, 7])
    z = tf.constant(prior.mean.numpy()[own.numpy()])
    x = tf.constant(built.experiment.train.gather(own.numpy()))
    context = context_of(built)
    training = Context(context.seed, context.step, training=True, x=x, index=own, infer=context.infer)
    densities = component_log_density(z, prior.mean.value, prior.scale.value).numpy().astype(np.float64)
    everything = np.log(np.exp(densities).mean(axis=1))
    densities[np.arange(2), own.numpy()] = -np.inf
    without = np.log(np.exp(densities).sum(axis=1) / (count - 1))
    # float32
    np.testing.assert_allclose(prior.distribution(training).log_prob(z).numpy(), without, atol=1e-5)
    np.testing.assert_allclose(prior.distribution(context).log_prob(z).numpy(), everything, atol=1e-5)


def test_the_marginal_kl_against_the_exact_prior_of_the_training_split_is_zero(tmp_path):
    from tfdgm.evaluation.evaluate import evaluate

    built = points_experiment(prior=AggregatedPosterior(components="exact"), data=Points(rows=normal_rows())).build()
    x = tf.constant(built.experiment.train.gather(np.arange(len(built.experiment.train))))
    posterior = built.model.infer(x, context_of(built))
    built.model.prior.mean.assign(posterior.mean())
    built.model.prior.scale.assign(posterior.stddev())
    scores = evaluate(built, "train", 50)
    # the prior is q_agg itself, so every draw's log ratio is 0 up to float32 rounding
    assert scores["marginal_kl"] == pytest.approx(0, abs=1e-5)
    assert scores["rate"] == pytest.approx(scores["mutual_information"], abs=1e-5)


def test_wrong_hyperparameters_are_refused():
    with pytest.raises(UserError, match="num_components"):
        AggregatedPosterior(num_components=0)
    with pytest.raises(UserError, match="leave_one_out"):
        AggregatedPosterior(leave_one_out=True)
    with pytest.raises(UserError, match="larger than the training split"):
        points_experiment(prior=AggregatedPosterior(num_components=1_000)).build()
    with pytest.raises(UserError, match="needs a posterior"):
        points_experiment(prior=AggregatedPosterior(), posterior=None, encoder=None)
