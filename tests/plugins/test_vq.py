"""The vector-quantised posterior: its codes, its gradients, and how the codebook learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import Points, context, points_experiment
from tfdgm_posteriors.codebook import nearest, restarts
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.gaussian import Gaussian
from tfdgm_priors.uniform import Uniform

from tfdgm import BuildContext, Context, DataSpec, UserError
from tfdgm.contracts.context import Collector
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.numerics.randomness import fold, root_seed
from tfdgm.numerics.seeds import Seed
from tfdgm.parallel.devices import Devices, Draw, reduce_passes
from tfdgm.training.step import shard_pass, training_step

DATA = DataSpec((3,))


def built_posterior(positions=(2,), num_codes=4, **hyperparameters):
    """VQ with the codebook drawn from N(0, I) in R^3."""
    posterior = VQ(positions=positions, num_codes=num_codes, initialization="normal", **hyperparameters)
    posterior.build(BuildContext(DATA, posterior.latent_spec(3, DATA), 1, lambda indices: indices, seed=0))
    return posterior


def features_of(batch=5, positions=(2,), seed=0):
    return np.random.RandomState(seed).randn(batch, *positions, 3).astype(np.float32)


def totals_of(posterior, features, seed=0):
    """Return the statistics that one pass collects for the update."""
    collector = Collector()
    posterior(tf.constant(features), context(seed, training=True, collector=collector))
    return {name: statistic.tensor for name, statistic in collector.statistics[posterior.learned].items()}


def by_hand(features, codebook):
    """Codes by all distances, and the counts and sums of the features that chose each."""
    codes = np.square(features[..., None, :] - codebook).sum(axis=-1).argmin(axis=-1)
    one_hot = np.eye(len(codebook))[codes].reshape(-1, len(codebook))
    return codes, one_hot.sum(axis=0), one_hot.T @ features.reshape(-1, features.shape[-1])


def state(posterior):
    return posterior.learned.counts.numpy(), posterior.learned.sums.numpy(), posterior.codebook().numpy()


@pytest.mark.parametrize("shape", [(50,), (10, 4), (5, 3, 2)])
def test_the_nearest_code_is_that_of_all_distances(shape):
    random = np.random.RandomState(0)
    z, codebook = random.randn(*shape, 6).astype(np.float32), random.randn(40, 6).astype(np.float32)
    found = nearest(tf.constant(z), tf.constant(codebook))
    assert found.dtype == tf.int32
    np.testing.assert_array_equal(found, by_hand(z, codebook)[0])


def test_the_decoder_reads_the_nearest_codes():
    posterior, features = built_posterior((2, 3)), features_of(7, (2, 3))
    codes, _, _ = by_hand(features, posterior.codebook().numpy())
    latent = posterior(tf.constant(features), context(training=True))
    np.testing.assert_array_equal(latent.value, codes)
    np.testing.assert_array_equal(latent.z, posterior.codebook().numpy()[codes])
    np.testing.assert_array_equal(posterior.embed(latent.value), latent.z)
    np.testing.assert_array_equal(latent.distribution.sample(seed=[1, 2]), codes)
    assert latent.distribution.event_shape == (2, 3)
    np.testing.assert_array_equal(latent.distribution.log_prob(codes), np.zeros(7))


@pytest.mark.parametrize("learning", ["ema", "gradient"])
def test_the_gradient_passes_straight_through_to_the_features_and_not_to_the_codebook(learning):
    posterior, features = built_posterior(learning=learning), tf.constant(features_of())
    weights = np.random.RandomState(1).randn(5, 2, 3).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch([features, posterior.learned.embeddings.value])
        total = tf.reduce_sum(weights * posterior(features, context(training=True)).z)
    of_features, of_codebook = tape.gradient(total, [features, posterior.learned.embeddings.value])
    np.testing.assert_array_equal(of_features, weights)
    assert of_codebook is None


def test_the_commitment_is_the_squared_distance_summed_over_the_grid_and_moves_the_features_alone():
    posterior, features = built_posterior((2, 3), commitment=0.7), tf.constant(features_of(4, (2, 3)))
    with tf.GradientTape() as tape:
        tape.watch([features, posterior.learned.embeddings.value])
        losses = posterior(features, context(training=True)).losses
    assert set(losses) == {"commitment"}
    away = features.numpy() - posterior.codebook().numpy()[by_hand(features.numpy(), posterior.codebook().numpy())[0]]
    np.testing.assert_allclose(losses["commitment"], 0.7 * np.square(away).sum(axis=(1, 2, 3)), rtol=1e-5)  # float32
    of_features, of_codebook = tape.gradient(losses["commitment"], [features, posterior.learned.embeddings.value])
    np.testing.assert_allclose(of_features, 1.4 * away, atol=1e-5)  # float32
    assert of_codebook is None


def test_learning_by_gradient_adds_the_distance_that_moves_the_codebook_alone():
    posterior, features = built_posterior(learning="gradient"), tf.constant(features_of())
    codes, counts, sums = by_hand(features.numpy(), posterior.codebook().numpy())
    with tf.GradientTape() as tape:
        tape.watch([features, posterior.learned.embeddings.value])
        losses = posterior(features, context(training=True)).losses
    assert set(losses) == {"commitment", "codebook"}
    away = features.numpy() - posterior.codebook().numpy()[codes]
    np.testing.assert_allclose(losses["codebook"], np.square(away).sum(axis=(1, 2)), rtol=1e-5)  # float32
    of_features, of_codebook = tape.gradient(losses["codebook"], [features, posterior.learned.embeddings.value])
    expected = 2 * (counts[:, None] * posterior.codebook().numpy() - sums)
    np.testing.assert_allclose(tf.convert_to_tensor(of_codebook), expected, atol=1e-5)  # float32
    assert of_features is None


@pytest.mark.parametrize("learning, trained", [("ema", False), ("gradient", True)])
def test_the_codebook_is_trained_by_gradient_or_by_averages(learning, trained):
    assert built_posterior(learning=learning).learned.embeddings.trainable is trained


def test_a_gradient_on_averaged_codes_reaches_the_features_that_chose_them():
    posterior, features = built_posterior(num_codes=30), tf.constant(features_of())
    weights = np.random.RandomState(1).randn(30, 3).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(features)
        latent = posterior(features, context(training=True))
        total = tf.reduce_sum(weights * latent.codebook)
    np.testing.assert_array_equal(latent.codebook, posterior.codebook())
    codes, counts, _ = by_hand(features.numpy(), posterior.codebook().numpy())
    assert (counts == 0).any() and (counts > 1).any()
    expected = (weights / np.maximum(counts, 1)[:, None])[codes]  # each code is the mean of those that chose it
    np.testing.assert_allclose(tape.gradient(total, features), expected, atol=1e-6)  # float32


def test_the_averages_follow_their_recursion():
    posterior = built_posterior(decay=0.9, restart_below=0.0)
    counts, sums, places = (array.astype(np.float64) for array in state(posterior))
    for step in range(5):
        features = features_of(8, seed=step)
        _, chosen, summed = by_hand(features, posterior.codebook().numpy())
        posterior.learned.update_statistics(totals_of(posterior, features), context())
        counts = 0.9 * counts + 0.1 * chosen
        sums = 0.9 * sums + 0.1 * summed
        places = (sums + 1e-5 * places) / (counts + 1e-5)[:, None]
        for found, expected in zip(state(posterior), (counts, sums, places), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)  # float32


def test_a_pass_outside_training_gives_the_same_codes_and_changes_nothing():
    posterior, features, collector = built_posterior(), tf.constant(features_of()), Collector()
    before = state(posterior)
    outside = posterior(features, context())
    inside = posterior(features, context(training=True, collector=collector))
    np.testing.assert_array_equal(outside.value, inside.value)
    np.testing.assert_array_equal(outside.z, inside.z)
    assert set(collector.statistics) == {posterior.learned}
    for found, expected in zip(state(posterior), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_each_example_offers_one_of_its_own_features_as_a_candidate():
    posterior, features = built_posterior((4,)), features_of(6, (4,))
    first, second = (totals_of(posterior, features, seed)["candidates"].numpy() for seed in (0, 1))
    for candidates in (first, second):
        assert candidates.shape == (6, 3)
        assert all((features[example] == row).all(axis=1).any() for example, row in enumerate(candidates))
    assert (first != second).any()


def dying(posterior, counts, batch=3):
    """Sets the averages so that the codebook is their mean, and returns totals in which the first two codes are chosen.

    The chosen features are the codes themselves, so that codes that live stay.
    """
    places = posterior.codebook().numpy()
    posterior.learned.counts.assign(counts)
    posterior.learned.sums.assign(np.asarray(counts)[:, None] * places)
    features = np.stack([places[[0, 1]] for _ in range(batch)])
    return totals_of(posterior, features)


@pytest.mark.parametrize("learning", ["ema", "gradient"])
def test_a_dead_code_starts_again_at_a_candidate_and_its_averages_with_it(learning):
    posterior = built_posterior(decay=0.9, learning=learning)
    before = posterior.codebook().numpy()
    if learning == "gradient":
        posterior.learned.counts.assign([10.0, 10.0, 10.0, 0.05])
        totals = totals_of(posterior, np.stack([before[[0, 1]] for _ in range(3)]))
    else:
        totals = dying(posterior, [10.0, 10.0, 10.0, 0.05])
    posterior.learned.update_statistics(totals, context())
    counts = 0.9 * np.array([10, 10, 10, 0.05]) + 0.1 * np.array([3, 3, 0, 0])
    counts[3] = counts.mean()
    np.testing.assert_allclose(posterior.learned.counts.numpy(), counts, rtol=1e-6)  # float32
    expected = np.concatenate([before[:3], totals["candidates"].numpy()[:1]])
    np.testing.assert_allclose(posterior.codebook(), expected, atol=1e-5)  # float32
    np.testing.assert_array_equal(posterior.codebook()[3], totals["candidates"][0])
    if learning == "ema":
        np.testing.assert_allclose(posterior.learned.sums.numpy(), counts[:, None] * expected, rtol=1e-4, atol=1e-5)


def test_a_code_that_started_again_stays_there_while_nothing_chooses_it():
    posterior = built_posterior(decay=0.9)
    totals = dying(posterior, [10.0, 10.0, 10.0, 0.05])
    posterior.learned.update_statistics(totals, context())
    place = posterior.codebook()[3].numpy()
    # the first two codes are chosen on; stale sums would pull the fourth back to where it was
    for _ in range(3):
        posterior.learned.update_statistics(totals, context())
        np.testing.assert_allclose(posterior.codebook()[3], place, atol=1e-5)  # float32
    expected = 0.9**3 * (0.9 * 30.05 + 0.6 - 0.045) / 4 + 0.9**3 * 0.045 / 4
    assert float(posterior.learned.counts[3]) == pytest.approx(expected, rel=1e-3)


def test_a_threshold_of_zero_never_restarts():
    posterior = built_posterior(decay=0.9, restart_below=0.0)
    before = posterior.codebook().numpy()
    posterior.learned.update_statistics(dying(posterior, [10.0, 10.0, 10.0, 1e-4]), context())
    # float32; the smoothing keeps the place of a code that nothing chooses
    np.testing.assert_allclose(posterior.codebook(), before, atol=1e-5)


def test_more_dead_codes_than_candidates_wait_for_the_next_step():
    posterior = built_posterior(num_codes=7, decay=0.9)
    before = posterior.codebook().numpy()
    totals = dying(posterior, [10.0, 10.0] + [1e-3] * 5, batch=2)
    posterior.learned.update_statistics(totals, context())
    places = posterior.codebook().numpy()
    np.testing.assert_array_equal(places[2:4], totals["candidates"])
    np.testing.assert_allclose(places[4:], before[4:], atol=1e-5)  # float32
    assert (posterior.learned.counts.numpy()[4:] < 0.01).all()
    posterior.learned.update_statistics(totals, context())
    np.testing.assert_array_equal(posterior.codebook()[4:6], totals["candidates"])
    np.testing.assert_allclose(posterior.codebook()[2:4], totals["candidates"], atol=1e-5)


def test_the_dead_codes_take_the_candidates_in_order():
    dead = tf.constant([False, True, True, False, True])
    now, places = restarts(dead, tf.constant([[1.0], [2.0]]))
    np.testing.assert_array_equal(now, [False, True, True, False, False])
    np.testing.assert_array_equal(places[1:3], [[1.0], [2.0]])


def vq_experiment(positions=(2,), num_codes=6, **changes):
    settings = {"prior": Uniform(), "posterior": VQ(positions=positions, num_codes=num_codes)}
    return points_experiment(**{**settings, **changes})


@pytest.mark.parametrize("positions", [(2,), (1,)])
def test_the_totals_over_two_shards_are_those_of_the_whole_batch(positions):
    built = vq_experiment(positions).build()
    player, rows, at = built.players[-1], tf.constant(built.experiment.train.gather(np.arange(20))), tf.range(20)
    step, seed = tf.constant(0, tf.int64), root_seed(0, "training")
    totals = []
    for shards in (1, 2):
        parts = zip(tf.split(rows, shards), tf.split(at, shards), strict=True)
        passes = [
            shard_pass(built.model, player, own, where, step, fold(seed, number))
            for number, (own, where) in enumerate(parts)
        ]
        totals.append(reduce_passes(passes)[1][built.model.posterior.learned])
    whole, halves = totals
    np.testing.assert_array_equal(whole["counts"], halves["counts"])
    np.testing.assert_allclose(whole["sums"], halves["sums"], rtol=1e-5, atol=1e-5)  # float32 sums in another order
    assert whole["candidates"].shape == halves["candidates"].shape == (20, 2)
    if positions == (1,):  # one feature per example: no choice among them, so the same whatever the seed
        np.testing.assert_allclose(whole["candidates"], halves["candidates"], rtol=1e-5, atol=1e-6)


def test_a_training_step_moves_the_codebook_by_the_totals_of_the_batch():
    built = vq_experiment(optimizer=keras.optimizers.SGD(0.0)).build()
    posterior, rows = built.model.posterior, tf.constant(built.experiment.train.gather(np.arange(20)))
    before = state(posterior)
    features = built.model.features(rows, context()).numpy()
    _, counts, sums = by_hand(features, before[2])
    settings = {"devices": Devices(), "seed": Seed(root_seed(0, "training")), "shards": 2, "clip_norm": None}
    metrics = training_step(
        built.model, built.players, [Draw(tf.range(20), rows)], tf.constant(0, tf.int64), **settings
    )
    expected = 0.99 * before[1] + 0.01 * sums
    np.testing.assert_allclose(posterior.learned.sums.numpy(), expected, rtol=1e-4, atol=1e-5)  # float32
    np.testing.assert_allclose(posterior.learned.counts.numpy(), 0.99 * before[0] + 0.01 * counts, rtol=1e-5)
    assert {"commitment", "code_perplexity", "elbo", "rate"} <= set(metrics)
    assert float(metrics["loss"]) == pytest.approx(float(metrics["commitment"] - metrics["elbo"]), rel=1e-5)


def test_the_perplexity_is_that_of_the_codes_of_the_batch():
    posterior, features = built_posterior(), features_of(40)
    _, counts, _ = by_hand(features, posterior.codebook().numpy())
    share = counts[counts > 0] / counts.sum()
    expected = np.exp(-np.sum(share * np.log(share)))
    found = posterior(tf.constant(features), context(training=True)).metrics["code_perplexity"]
    assert float(found) == pytest.approx(expected, rel=1e-5)  # float32


@pytest.mark.parametrize("positions, grid", [((3,), 3), ((2, 3), 6)])
def test_under_a_uniform_prior_the_rate_is_the_log_of_the_number_of_grids(positions, grid):
    model = vq_experiment(positions, 5).build().model
    forward = ForwardPass(model, tf.constant(model.data.rows[:7]), context())
    np.testing.assert_allclose(forward.rate, np.full(7, grid * np.log(5)), rtol=1e-6)  # float32


def test_under_a_density_the_rate_is_the_surprise_at_the_codes():
    model = vq_experiment((3,), 5, prior=Gaussian()).build().model
    forward = ForwardPass(model, tf.constant(model.data.rows[:7]), context())
    log_p = -0.5 * np.square(model.posterior.codebook().numpy().astype(np.float64)).sum(axis=1)
    log_p -= np.log(np.exp(log_p).sum())
    expected = -log_p[forward.latent.value.numpy()].sum(axis=1)
    np.testing.assert_allclose(forward.rate, expected, rtol=1e-5)  # float32


def test_k_means_finds_the_features_of_examples_that_lie_on_as_many_points():
    points = np.random.RandomState(0).randn(4, 3)
    data = Points(rows=np.repeat(points, 25, axis=0)[np.random.RandomState(1).permutation(100)])
    model = vq_experiment((1,), 4, data=data).build().model
    features = model.features(tf.constant(points, tf.float32), Context(tf.constant([1, 2]), tf.constant(0, tf.int64)))
    order = [np.lexsort(rows.T) for rows in (features.numpy()[:, 0], model.posterior.codebook().numpy())]
    # means of equal numbers in float32
    np.testing.assert_allclose(
        model.posterior.codebook().numpy()[order[1]], features.numpy()[order[0], 0], rtol=1e-4, atol=1e-5
    )


def test_more_codes_than_encoder_outputs_are_refused_with_k_means_alone():
    vq_experiment((2,), 120).build()  # 60 training examples of 2 positions
    with pytest.raises(UserError, match=r"num_codes must be at most 120, the number of encoder outputs .*, got 121"):
        vq_experiment((2,), 121).build()
    vq_experiment(posterior=VQ(positions=(2,), num_codes=121, initialization="normal")).build()


@pytest.mark.parametrize(
    "wrong",
    [
        {"positions": ()},
        {"positions": (2, 2, 2)},
        {"positions": (0, 2)},
        {"num_codes": 1},
        {"commitment": -0.1},
        {"decay": 1.0},
        {"decay": 0.0},
        {"restart_below": 1.0},
        {"learning": "sgd"},
        {"initialization": "uniform"},
    ],
    ids=str,
)
def test_wrong_hyperparameters_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        VQ(**wrong)
