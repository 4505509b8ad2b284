"""A pass over a batch that is repeated, with separate draws and the statistics of a single one."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from small import context, digits_experiment, normal_rows, points_experiment
from tfdgm_networks.mlp import MLP
from tfdgm_posteriors.categorical import Categorical
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.aggregated_posterior import AggregatedPosterior

from tfdgm.contracts.context import Collector
from tfdgm.model.forward_pass import ForwardPass

ROWS, TIMES = 6, 3


def passes(experiment, **changes):
    """One pass over six rows, and the same three times."""
    forward = ForwardPass(experiment.build().model, tf.constant(normal_rows(ROWS)), context(training=True, **changes))
    return forward, forward.repeated(TIMES, forward.context.within("again"))


def by_draw(terms):
    return np.reshape(terms, [TIMES, ROWS, *terms.shape[1:]])


def test_the_batch_is_repeated_as_a_whole_with_other_draws_of_the_same_posterior():
    forward, many = passes(points_experiment(), index=tf.range(ROWS))
    np.testing.assert_array_equal(by_draw(many.x), np.stack([forward.x] * TIMES))
    np.testing.assert_array_equal(by_draw(many.context.index), np.stack([np.arange(ROWS)] * TIMES))
    np.testing.assert_array_equal(by_draw(many.features), np.stack([forward.features] * TIMES))
    draws = np.concatenate([by_draw(many.latent.value), forward.latent.value[None]])
    assert len(np.unique(draws)) == draws.size  # of four draws no two numbers are the same
    for draw in range(TIMES):
        z = tf.constant(by_draw(many.latent.value)[draw])
        expected = forward.model.decode(z, forward.context).log_prob(forward.x)
        np.testing.assert_allclose(by_draw(many.reconstruction)[draw], expected, rtol=1e-5)  # float32


@pytest.mark.parametrize("posterior", [None, Categorical(positions=(2,), num_categories=3)], ids=["vectors", "codes"])
def test_a_prior_that_leaves_an_example_out_leaves_it_out_of_every_repetition(posterior):
    changes = {} if posterior is None else {"posterior": posterior}
    prior = AggregatedPosterior(components="exact", leave_one_out=True)
    forward, many = passes(points_experiment(prior=prior, **changes), index=tf.range(ROWS))
    values = by_draw(many.latent.value)
    expected = [forward.prior.log_prob(tf.constant(value)) for value in values]
    np.testing.assert_allclose(by_draw(many.prior.log_prob(many.latent.value)), expected, rtol=1e-5)  # float32


def collected(experiment, read):
    """The statistics of both passes together, by the name of the component."""
    collector = Collector()
    rows = tf.constant(experiment.train.gather(np.arange(ROWS)))
    now = context(training=True, index=tf.range(ROWS), collector=collector)
    forward = ForwardPass(experiment.build().model, rows, now)
    many = forward.repeated(TIMES, forward.context.within("again"))
    read(forward, many)
    return {type(part).__name__: found for part, found in collector.statistics.items()}


def test_statistics_of_posterior_and_prior_are_those_of_a_single_pass():
    found = collected(
        points_experiment(posterior=VQ(positions=(2,), num_codes=4), prior=AggregatedPosterior()),
        lambda forward, many: (forward.latent, forward.prior, many.latent, many.prior),
    )
    for name in ("Codebook", "AggregatedPosterior"):
        assert float(tf.reduce_sum(found[name]["counts"].tensor)) == 2 * ROWS


def test_the_decoder_submits_its_statistics_of_all_that_it_decodes():
    decoder = MLP(hidden=(4,), normalization="batch")
    found = collected(digits_experiment(decoder=decoder), lambda forward, many: many.outputs)
    assert list(found) == ["BatchNormalization"]  # else its moving averages would stay as they were made


def test_at_gives_the_same_model_other_noise():
    forward, _ = passes(points_experiment())
    again = forward.at(forward.x, forward.context)
    np.testing.assert_array_equal(again.latent.value, forward.latent.value)
    other = forward.at(forward.x, dataclasses.replace(forward.context, seed=forward.context.seed.child(1)))
    np.testing.assert_array_equal(other.features, forward.features)
    assert (other.latent.value.numpy() != forward.latent.value.numpy()).all()
