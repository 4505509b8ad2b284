"""The residual-quantised posterior, against vector quantisation, a quantiser in NumPy, and sums over all codes."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from autoregressive_priors import built_prior
from scipy.special import log_softmax
from scipy.stats import norm
from small import Points, assert_same_tensors, context, normal_rows, points_experiment
from tfdgm_posteriors.residual_vq import ResidualVQ
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.aggregated_posterior import AggregatedPosterior
from tfdgm_priors.gaussian import Gaussian
from tfdgm_priors.uniform import Uniform

from tfdgm import BuildContext, DataSpec, LatentSpec, UserError
from tfdgm.contracts.component import named_variables
from tfdgm.contracts.context import Collector
from tfdgm.model.code_densities import restrict
from tfdgm.model.forward_pass import ForwardPass

DATA = DataSpec((3,))


def built_posterior(kind=ResidualVQ, positions=(2,), num_codes=4, **hyperparameters):
    """A quantiser with codebooks drawn from N(0, I) in R^3."""
    posterior = kind(positions=positions, num_codes=num_codes, initialization="normal", **hyperparameters)
    posterior.build(BuildContext(DATA, posterior.latent_spec(3, DATA), 1, lambda indices: indices, seed=0))
    return posterior


def features_of(batch=5, positions=(2,), seed=0):
    return np.random.RandomState(seed).randn(batch, *positions, 3).astype(np.float32)


def by_hand(z, codebooks):
    """Return r_l, c_l and the sum of the chosen codes, in float64 and by all distances."""
    residual, residuals, codes = z.astype(np.float64), [], []
    for codebook in codebooks.astype(np.float64):
        residuals.append(residual)
        codes.append(np.square(residual[..., None, :] - codebook).sum(axis=-1).argmin(axis=-1))
        residual = residual - codebook[codes[-1]]
    return residuals, codes, z - residual


# ---- one codebook


@pytest.mark.parametrize("learning", ["ema", "gradient"])
def test_one_codebook_is_vector_quantisation_to_the_bit(learning):
    settings = {"positions": (2,), "num_codes": 6, "learning": learning, "restart_below": 0.5, "decay": 0.5}
    rows, found = tf.constant(normal_rows()[:20]), []
    for posterior in (VQ(**settings), ResidualVQ(codebooks=1, **settings)):
        model = points_experiment(posterior=posterior, prior=Gaussian()).build().model  # k-means
        collector = Collector()
        now = context(training=True, collector=collector)
        with tf.GradientTape() as tape:
            features = model.features(rows, now)
            tape.watch(features)
            forward = ForwardPass(model, rows, now)
            forward.__dict__["features"] = features
            latent = forward.latent
            loss = sum(latent.losses.values()) + forward.rate + tf.reduce_sum(latent.z**3, axis=[1, 2])
        ((owner, statistics),) = collector.statistics.items()
        owner.update_statistics({name: each.tensor for name, each in statistics.items()}, now)
        found.append({
            "codes": tf.reshape(latent.value, [20, 2]), "z": latent.z, "rate": forward.rate,
            "slope": tape.gradient(loss, features),
            "codebook": tf.reshape(latent.codebook, [6, 2]), **latent.losses, **latent.metrics,
            **{name.removeprefix("learned/").removeprefix("0/"): variable.numpy()
               for name, variable in named_variables(posterior).items()},
        })  # fmt: skip
    assert {"embeddings", "counts", "commitment", "code_usage"} < set(found[0])
    assert_same_tensors(*found)


# ---- several codebooks


def test_it_is_the_residual_quantiser_written_out():
    posterior, features = built_posterior(positions=(2, 3), codebooks=3, num_codes=5), features_of(7, (2, 3))
    _, codes, total = by_hand(features, posterior.codebook().numpy())
    latent = posterior(tf.constant(features), context(training=True))
    np.testing.assert_array_equal(latent.value, np.stack(codes, axis=-1))
    np.testing.assert_allclose(latent.z, total, atol=1e-6)  # float32 sums of three numbers of order 1
    np.testing.assert_array_equal(posterior.embed(latent.value), latent.z)
    assert latent.distribution.event_shape == (2, 3, 3) and latent.value.dtype == tf.int32
    np.testing.assert_array_equal(latent.distribution.sample(seed=[1, 2]), latent.value)
    np.testing.assert_array_equal(latent.distribution.log_prob(latent.value), np.zeros(7))
    again = posterior.distribution(tf.constant(features), context())
    np.testing.assert_array_equal(again.distribution.loc, latent.value)


def test_any_leading_dimensions_of_codes_are_embedded():
    posterior = built_posterior(codebooks=3)
    codes = np.random.RandomState(0).randint(0, 4, (6, 5, 2, 3)).astype(np.int32)
    found = posterior.embed(tf.constant(codes))
    assert found.shape == (6, 5, 2, 3)
    tables = posterior.codebook().numpy()
    expected = sum(tables[level][codes[..., level]] for level in range(3))
    np.testing.assert_allclose(found, expected, atol=1e-6)  # float32


def test_the_error_does_not_grow_from_codebook_to_codebook_if_each_contains_0():
    posterior, features = built_posterior(codebooks=6), features_of(200)
    for each in posterior.learned:
        each.embeddings.assign(tf.concat([tf.zeros([1, 3]), each.value()[1:]], axis=0))
    codes = posterior.distribution(tf.constant(features), context()).distribution.loc.numpy()
    chosen = np.stack([posterior.codebook().numpy()[level][codes[..., level]] for level in range(6)])
    errors = np.square(features - np.cumsum(chosen, axis=0)).sum(axis=-1)  # [L, batch, positions]
    assert (np.diff(errors, axis=0) <= 1e-6).all()  # float32
    assert errors[-1].mean() < 0.8 * errors[0].mean()  # random codebooks help a little


@pytest.mark.parametrize("learning", ["ema", "gradient"])
def test_each_codebook_has_its_own_losses_and_their_gradients(learning):
    posterior = built_posterior(codebooks=3, commitment=0.7, learning=learning)
    features = tf.constant(features_of())
    tables = [each.embeddings.value for each in posterior.learned]
    weights = np.random.RandomState(1).randn(5, 2, 3).astype(np.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([features, *tables])
        latent = posterior(features, context(training=True))
        total = tf.reduce_sum(weights * latent.z)
    np.testing.assert_array_equal(tape.gradient(total, features), weights)
    assert tape.gradient(total, tables) == [None] * 3
    residuals, codes, _ = by_hand(features.numpy(), posterior.codebook().numpy())
    away = [
        r - posterior.codebook().numpy()[level][c] for level, (r, c) in enumerate(zip(residuals, codes, strict=True))
    ]
    distance = sum(np.square(each).sum(axis=(1, 2)) for each in away)
    np.testing.assert_allclose(latent.losses["commitment"], 0.7 * distance, rtol=1e-5)  # float32
    # d r_l / dz is the identity for every l
    found = tape.gradient(latent.losses["commitment"], features)
    np.testing.assert_allclose(found, 1.4 * sum(away), atol=1e-5)  # float32
    assert tape.gradient(latent.losses["commitment"], tables) == [None] * 3
    assert ("codebook" in latent.losses) == (learning == "gradient")
    if learning == "gradient":
        np.testing.assert_allclose(latent.losses["codebook"], distance, rtol=1e-5)  # float32
        for level, of_table in enumerate(tape.gradient(latent.losses["codebook"], tables)):
            one_hot = np.eye(4)[codes[level]]
            expected = -2 * np.einsum("bpk,bpc->kc", one_hot, away[level])
            np.testing.assert_allclose(tf.convert_to_tensor(of_table), expected, atol=1e-5)  # float32
        assert tape.gradient(latent.losses["codebook"], features) is None


def test_each_codebook_learns_from_the_residuals_that_chose_its_codes():
    posterior, features = built_posterior(codebooks=3, decay=0.9, restart_below=0.0), features_of(30)
    residuals, codes, _ = by_hand(features, posterior.codebook().numpy())
    before, collector = posterior.codebook().numpy(), Collector()
    posterior(tf.constant(features), context(training=True, collector=collector))
    assert list(collector.statistics) == posterior.learned
    for level, (owner, statistics) in enumerate(collector.statistics.items()):
        totals = {name: statistic.tensor for name, statistic in statistics.items()}
        one_hot = np.eye(4)[codes[level]].reshape(-1, 4)
        counts, sums = one_hot.sum(axis=0), one_hot.T @ residuals[level].reshape(-1, 3)
        np.testing.assert_array_equal(totals["counts"], counts)
        np.testing.assert_allclose(totals["sums"], sums, atol=1e-5)  # float32
        owner.update_statistics(totals, context())
        counts, sums = 0.9 + 0.1 * counts, 0.9 * before[level] + 0.1 * sums
        np.testing.assert_allclose(owner.value(), sums / counts[:, None], atol=1e-4)  # the smoothing is 1e-5


def test_candidates_of_the_codebooks_are_drawn_from_different_positions():
    posterior, features, collector = built_posterior(positions=(50,), codebooks=2), features_of(8, (50,)), Collector()
    posterior(tf.constant(features), context(training=True, collector=collector))
    residuals, _, _ = by_hand(features, posterior.codebook().numpy())
    places = []
    for rows, statistics in zip(residuals, collector.statistics.values(), strict=True):
        candidates = statistics["candidates"].tensor.numpy()
        distances = np.abs(rows - candidates[:, None]).sum(axis=-1)  # [batch, positions]
        assert distances.min(axis=1).max() < 1e-5  # float32: each is an r_l of its example
        places.append(distances.argmin(axis=1))
    assert (places[0] != places[1]).any()


def test_a_gradient_on_averaged_codes_reaches_the_features_that_chose_them():
    posterior, features = built_posterior(codebooks=2, num_codes=30), tf.constant(features_of())
    weights = np.random.RandomState(1).randn(2, 30, 3).astype(np.float32)
    with tf.GradientTape() as tape:
        tape.watch(features)
        latent = posterior(features, context(training=True))
        total = tf.reduce_sum(weights * latent.codebook)
    np.testing.assert_array_equal(latent.codebook, posterior.codebook())
    _, codes, _ = by_hand(features.numpy(), posterior.codebook().numpy())
    expected = np.zeros([5, 2, 3])
    for level, chosen in enumerate(codes):  # each code is the mean of the r_l that chose it
        counts = np.bincount(chosen.ravel(), minlength=30)
        expected += (weights[level] / np.maximum(counts, 1)[:, None])[chosen]
    np.testing.assert_allclose(tape.gradient(total, features), expected, atol=1e-6)  # float32


def test_the_metrics_count_each_codebook_by_itself():
    posterior, features = built_posterior(codebooks=2), features_of(40)
    _, codes, _ = by_hand(features, posterior.codebook().numpy())
    shares = [np.bincount(chosen.ravel(), minlength=4) / chosen.size for chosen in codes]
    entropies = [-np.sum(share[share > 0] * np.log(share[share > 0])) for share in shares]
    metrics = posterior(tf.constant(features), context(training=True)).metrics
    assert float(metrics["code_perplexity"]) == pytest.approx(np.exp(np.mean(entropies)), rel=1e-5)  # float32
    assert float(metrics["code_usage"]) == pytest.approx(np.mean([share > 0 for share in shares]))


def test_k_means_starts_a_codebook_at_what_those_before_it_leave():
    points = np.random.RandomState(0).randn(4, 3)
    data = Points(rows=np.repeat(points, 25, axis=0)[np.random.RandomState(1).permutation(100)])
    posterior = ResidualVQ(positions=(1,), num_codes=4)
    model = points_experiment(data=data, posterior=posterior, prior=Uniform()).build().model
    features = model.features(tf.constant(points, tf.float32), context()).numpy()[:, 0]
    first, second = posterior.codebook().numpy()
    order = [np.lexsort(rows.T) for rows in (features, first)]
    # means of equal numbers in float32
    np.testing.assert_allclose(first[order[1]], features[order[0]], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(second, np.zeros([4, 2]), atol=1e-5)


# ---- priors


#: The 81 grids of two positions of two codes of three.
GRIDS = np.array(list(itertools.product(range(3), repeat=4)), np.int32).reshape(-1, 2, 2)


def built_model(prior, **settings):
    posterior = ResidualVQ(positions=(2,), num_codes=3, **settings)
    return points_experiment(posterior=posterior, prior=prior).build().model


def test_under_a_uniform_prior_the_rate_is_the_log_of_the_number_of_grids():
    model = built_model(Uniform(), codebooks=4)
    forward = ForwardPass(model, tf.constant(model.data.rows[:7]), context())
    np.testing.assert_allclose(forward.rate, np.full(7, 2 * 4 * np.log(3)), rtol=1e-6)  # float32
    assert forward.drawn.shape == forward.latent.z.shape == (7, 2, 2)


def test_a_density_is_restricted_to_each_codebook_by_itself():
    model = built_model(Gaussian())
    prior = model.prior_distribution(context())
    assert prior.event_shape == (2, 2) and prior.batch_shape == () and prior.dtype == tf.int32
    log_p = log_softmax(norm.logpdf(model.posterior.codebook().numpy().astype(np.float64)).sum(axis=-1), axis=-1)
    assert np.abs(log_p[0] - log_p[1]).max() > 0.01  # else they could be exchanged
    expected = sum(log_p[level][GRIDS[:, position, level]] for position in range(2) for level in range(2))
    found = prior.log_prob(GRIDS).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)  # float32
    assert np.exp(found.astype(np.float64)).sum() == pytest.approx(1, abs=1e-5)
    forward = ForwardPass(model, tf.constant(model.data.rows[:7]), context())
    numbers = forward.latent.value.numpy().reshape(7, 4) @ [27, 9, 3, 1]
    np.testing.assert_allclose(forward.rate, -expected[numbers], rtol=1e-5)  # float32


def test_draws_from_a_restricted_density_embed_to_sums_whose_gradient_reaches_it_and_the_codebooks():
    model = built_model(Gaussian(learned_mean=True))
    codebook = model.posterior.codebook()
    weights = np.random.RandomState(0).randn(50, 2, 2).astype(np.float32)
    with tf.GradientTape() as tape:
        drawn = model.draw_inputs(model.prior_distribution(context()), 50, context())
        total = tf.reduce_sum(weights * drawn)
    sums = codebook.numpy()[0][:, None] + codebook.numpy()[1]  # [K, K, C]
    distances = np.abs(drawn.numpy()[:, :, None] - sums.reshape(-1, 2)).sum(axis=-1)
    assert distances.min(axis=-1).max() < 1e-6  # float32: every one is a sum of two codes
    # d total / dp_lk = sum_bi w_bi . e_lk, p = softmax of -|e - m|^2 / 2, whose derivative in m is e - m
    tables = codebook.numpy().astype(np.float64)
    p = np.exp(log_softmax(norm.logpdf(tables).sum(axis=-1), axis=-1))
    pull = np.einsum("bic,lkc->lk", weights, tables)
    of_logits = p * (pull - (p * pull).sum(axis=-1, keepdims=True))
    expected = np.einsum("lk,lkc->c", of_logits, tables)
    found = tape.gradient(total, model.prior.mean.value)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)  # float32 sums of 100


def test_the_probabilities_of_all_grids_under_an_autoregressive_prior_add_up_to_one():
    distribution = built_prior((2,), 3, codebooks=2).distribution(context())
    assert distribution.event_shape == (2, 2)
    log_prob = distribution.log_prob(GRIDS).numpy().astype(np.float64)
    assert log_prob.std() > 0.5  # far from uniform
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-5)  # float32


def test_the_aggregated_posterior_is_the_frequency_of_each_code_at_each_position():
    model = built_model(AggregatedPosterior())
    x, collector = tf.constant(model.data.rows[:20]), Collector()
    now = context(training=True, index=tf.range(20), collector=collector)
    forward = ForwardPass(model, x, now)
    forward.prior  # noqa: B018  (collects the counts)
    model.prior.update_statistics({"counts": collector.statistics[model.prior]["counts"].tensor}, now)
    counts = 0.99 + 0.01 * (np.eye(3)[forward.latent.value.numpy()].sum(axis=0) + 0.1)  # [2, 2, 3]
    log_p = np.log(counts / counts.sum(axis=-1, keepdims=True))
    expected = sum(log_p[place][GRIDS[(slice(None), *place)]] for place in np.ndindex(2, 2))
    found = model.prior_distribution(model.with_inference(context())).log_prob(GRIDS)
    np.testing.assert_allclose(found, expected, atol=1e-5)  # float32


def test_restriction_of_one_codebook_among_several_is_that_of_the_codebook_alone():
    codebooks = tf.constant(np.random.RandomState(0).randn(3, 4, 2), tf.float32)
    density = Gaussian()
    density.build(BuildContext(DATA, LatentSpec(2), 1, lambda indices: indices, seed=0))
    together = restrict(density.distribution(context()), codebooks, (2, 3)).distribution.logits
    for level in range(3):
        alone = restrict(density.distribution(context()), codebooks[level], (2,)).distribution.logits
        np.testing.assert_allclose(together[:, level], alone, rtol=1e-6)  # float32


@pytest.mark.parametrize(
    "wrong", [{"codebooks": 0}, {"codebooks": 1.5}, {"num_codes": 1}, {"positions": ()}, {"decay": 1.0}], ids=str
)
def test_wrong_hyperparameters_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        ResidualVQ(**wrong)


def test_the_latent_is_described():
    spec = ResidualVQ(positions=(2, 3), codebooks=4, num_codes=5).latent_spec(8, DATA)
    assert str(spec) == "2 x 3 x 4 codes of 5, embedded in R^8 as sums of 4"
    assert spec.event_shape == (2, 3, 4) and spec.decoder_input_shape == (2, 3, 8)
