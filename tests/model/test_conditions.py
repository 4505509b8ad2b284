"""Conditions y: packed with the rows, read by networks, priors and critics, and given to every draw."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm
from small import Points, context, digits_experiment, normal_rows, points_experiment
from tensorflow_probability import distributions as tfd
from tfdgm_data.image_folder import ImageFolder
from tfdgm_data.npz import Npz
from tfdgm_likelihoods.gaussian import Gaussian as GaussianLikelihood
from tfdgm_networks.conv import Conv
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.iwae import IWAE
from tfdgm_objectives.wasserstein import Wasserstein
from tfdgm_posteriors.iaf import IAF
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.aggregated_posterior import AggregatedPosterior as AggregatedPrior
from tfdgm_priors.gaussian import Gaussian

from tfdgm import ArraySource, BuildContext, ConditionSpec, DataSpec, LatentSpec, UserError
from tfdgm.contracts.data import Source
from tfdgm.evaluation.aggregated import AggregatedPosterior
from tfdgm.evaluation.bounds import Draws
from tfdgm.evaluation.estimates import ObjectiveEstimates
from tfdgm.evaluation.evaluate import evaluate
from tfdgm.evaluation.surgery import elbo_surgery
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.model.packing import Conditioned
from tfdgm.trained.sampling import by_label, draw

LABELS = ConditionSpec(categories=3)


class LabelledPoints(Points):
    """Points whose label is their position modulo 3, or which have a condition vector in R^2."""

    def __init__(self, *, rows: np.ndarray, vectors: bool = False) -> None:
        super().__init__(rows=rows)
        condition = ConditionSpec(size=2) if vectors else LABELS
        self.spec = DataSpec(shape=self.rows.shape[1:], condition=condition)
        self.y = normal_rows(len(rows), 2, seed=5) if vectors else np.arange(len(rows)) % 3

    def splits(self):
        first = int(0.6 * len(self.rows))
        return {
            "train": ArraySource(self.rows[:first], self.y[:first]),
            "test": ArraySource(self.rows[first:], self.y[first:]),
        }


def labelled_experiment(vectors=False, **changes):
    return points_experiment(data=LabelledPoints(rows=normal_rows(), vectors=vectors), condition=True, **changes)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32", "float64"])
def test_rows_and_conditions_survive_packing(dtype):
    rows = (np.random.RandomState(0).rand(7, 3, 2) * 100).astype(dtype)
    for condition, y in ((LABELS, np.arange(7) % 3), (ConditionSpec(size=2), normal_rows(7, 2))):
        source = Conditioned(ArraySource(rows, y), condition)
        unpack = tf.function(source.packing.unpack, jit_compile=True)
        positions = np.array([4, 0, 4])
        found, found_y = unpack(tf.constant(source.gather(positions)))
        np.testing.assert_array_equal(found, rows[positions])
        np.testing.assert_array_equal(found_y, y[positions])
        assert found.dtype == dtype


@pytest.mark.parametrize("vectors", [False, True])
def test_the_importance_weighted_bound_is_the_evidence_given_y(vectors):
    # An affine decoder: p(x|y) = N(W_y v(y) + c, W_z W_z' + s^2 I), with v(y) one-hot or the vector itself.
    built = labelled_experiment(vectors, likelihood=GaussianLikelihood(scale=1.0)).build()
    encoder = built.model.encoder.layers[0]
    kernel, bias = encoder.get_weights()
    encoder.set_weights([0 * kernel, np.log([1, 1, np.e - 1, np.e - 1])])  # q(z|x) = N(0, I), so that no weight is rare
    kernel, bias = (np.asarray(weight) for weight in built.model.decoder.layers[0].get_weights())
    test = built.experiment.splits["test"]
    x, y = built.experiment.data.rows[60:], built.experiment.data.y[60:]
    mean = built.experiment.data.spec.condition.features(tf.constant(y)).numpy() @ kernel[2:] + bias
    covariance = kernel[:2].T @ kernel[:2] + np.eye(3)
    exact = -np.mean([multivariate_normal(m, covariance).logpdf(row) for m, row in zip(mean, x, strict=True)])
    draws = Draws(built, test)
    few, many = (draws.importance_weighted_nll(number) for number in (1, 5_000))
    assert many == pytest.approx(exact, abs=0.01)  # the standard error of 40 x 5,000 draws is some 0.002
    assert few > exact + 0.05


def test_a_flow_posterior_reads_labels_and_its_bound_is_the_evidence_given_y():
    # A wide q(z|x, y) whose mean moves with the label, through the features; then two steps of IAF.
    posterior = IAF(hidden=(8,), context_size=2)
    built = labelled_experiment(posterior=posterior, likelihood=GaussianLikelihood(scale=1.0)).build()
    encoder = built.model.encoder.layers[0]
    kernel, _ = encoder.get_weights()
    kernel[:3] = 0.0
    kernel[3:, :2] = 0.3 * np.array([[1, 0], [0, 1], [-1, -1]])
    kernel[3:, 2:4] = 0.0  # and h, the last two features, is of the label alone
    encoder.set_weights([kernel, np.array([0.0, 0, 1, 1, 0, 0])])  # scales of 1.31, times gates of 0.78
    x, y = built.experiment.data.rows[60:], built.experiment.data.y[60:]
    decoder, bias = (np.asarray(weight) for weight in built.model.decoder.layers[0].get_weights())
    covariance = decoder[:2].T @ decoder[:2] + np.eye(3)
    given_y = [multivariate_normal(decoder[2 + label] + bias, covariance) for label in range(3)]
    exact = -np.mean([given_y[label].logpdf(row) for row, label in zip(x, y, strict=True)])
    draws = Draws(built, built.experiment.splits["test"])
    few, many = (draws.importance_weighted_nll(number) for number in (1, 5_000))
    assert many == pytest.approx(exact, abs=0.01)  # the standard error of 40 x 5,000 draws is some 0.002
    assert few > exact + 0.05
    rows = tf.repeat(tf.constant(x[:1]), 3, axis=0)
    q = built.model.infer(rows, context(y=tf.constant([0, 1, 2])))
    means = q.sample(2_000, seed=[0, 1]).numpy().mean(axis=0)
    assert min(np.linalg.norm(means[a] - means[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > 0.2  # standard error 0.03


def test_the_surgery_is_that_of_every_label_by_itself():
    built = labelled_experiment().build()
    draws = Draws(built, built.experiment.splits["test"])
    mixture = AggregatedPosterior(draws)
    x = tf.constant(built.experiment.data.rows[60:])
    y = built.experiment.data.y[60:]
    posterior = built.model.infer(x, context(y=tf.constant(y, tf.int32)))
    mean, scale = posterior.distribution.mean().numpy(), posterior.distribution.stddev().numpy()
    values, labels = normal_rows(9, 2, seed=3), np.arange(9) % 3
    density = norm.logpdf(values[:, None], mean, scale).sum(axis=-1)
    expected = [
        logsumexp(row[y == label]) - np.log(np.sum(y == label)) for row, label in zip(density, labels, strict=True)
    ]
    np.testing.assert_allclose(mixture.log_prob(values, labels), expected, rtol=1e-5)
    scores = elbo_surgery(draws, 200, mixture)
    assert 0 < scores["mutual_information"] < np.log(14)  # at most the log of the examples of a label
    assert scores["rate"] == pytest.approx(scores["mutual_information"] + scores["marginal_kl"])


def build_context(**changes):
    data = DataSpec(shape=(8, 8, 1), image_shape=(8, 8))
    return BuildContext(data, LatentSpec(size=2), 10, lambda indices: np.zeros([len(indices), 8, 8, 1]), 0, **changes)


def test_an_mlp_reads_a_label_as_a_one_hot_input():
    network = MLP(hidden=(5,))
    network.build((2,), (4,), build_context(condition=LABELS))
    x, y = tf.constant(normal_rows(6, 2)), tf.constant([0, 1, 2, 0, 1, 2])
    by_hand = MLP(hidden=(5,))
    by_hand.build((5,), (4,), build_context())
    expected = by_hand(tf.concat([x, tf.one_hot(y, 3)], axis=1), context())
    np.testing.assert_array_equal(network(x, context(y=y)), expected)


def test_a_conv_starts_unconditional_and_scales_and_shifts_its_channels_by_a_label():
    network, plain = Conv(width=4, residual_blocks=1), Conv(width=4, residual_blocks=1)
    network.build((8, 8, 1), (3,), build_context(condition=LABELS))
    plain.build((8, 8, 1), (3,), build_context())
    x = tf.constant(normal_rows(3, 64).reshape(3, 8, 8, 1))
    y = tf.constant([0, 1, 2])
    np.testing.assert_array_equal(network(x, context(y=y)), plain(x, context()))
    modulation = network.last_activation.modulation.kernel
    modulation.assign(np.eye(3, 8))  # doubles channel k for the label k
    h, changed = tf.constant(normal_rows(3, 4).reshape(3, 1, 1, 4)), network.last_activation
    scale = 1 + np.eye(3, 4).reshape(3, 1, 1, 4)
    np.testing.assert_allclose(changed(h, context(y=y)), np.maximum(scale * h, 0), rtol=1e-6)


def test_a_critic_projects_on_the_embedding_of_a_label():
    objective = Wasserstein(network=MLP(hidden=(6,)), packing=2)
    spec = DataSpec(shape=(2,), condition=LABELS)
    build = BuildContext(
        spec, LatentSpec(size=2), 10, lambda indices: normal_rows(len(indices), 2), 0, condition=LABELS
    )
    objective.build(build)
    critic = objective.critic
    x, y = tf.constant(normal_rows(8, 2)), tf.constant([0, 1, 2, 0, 2, 2, 1, 0])
    pairs = tf.reshape(x, [4, 4])
    outputs = critic.network(pairs, context().within("critic")).numpy()
    one_hot = np.eye(3)[y.numpy()].reshape(4, 6)
    expected = outputs[:, 0] + np.sum(one_hot * outputs[:, 1:], axis=1)
    score = critic.at(context(y=y).within("critic"))
    np.testing.assert_allclose(score(pairs), expected, rtol=1e-5)
    np.testing.assert_allclose(score(tf.concat([pairs, pairs], axis=0)), np.tile(expected, 2), rtol=1e-5)


def test_a_prior_per_label_has_the_mean_of_the_label_and_draws_one_z_a_label():
    built = labelled_experiment(prior=Gaussian(learned_mean=True, per_condition=True)).build()
    built.model.prior.mean.assign(np.arange(6.0).reshape(3, 2) * 100)
    y = np.array([2, 0, 1, 1], np.int32)
    samples = draw(built, 4, y=y)
    assert np.all(np.abs(samples.z - np.array([[400, 500], [0, 100], [200, 300], [200, 300]])) < 6)
    np.testing.assert_array_equal(samples.y, y)
    np.testing.assert_array_equal(by_label(built, 5), [0, 0, 1, 1, 2, 2])
    np.testing.assert_array_equal(by_label(built, 2), [0, 1])
    with pytest.raises(UserError, match="4 draws need as many conditions, got 2"):
        draw(built, 4, y=y[:2])
    free = draw(built, 600)
    assert np.bincount(free.y) == pytest.approx([200, 200, 200], abs=60)  # five standard deviations


@pytest.mark.parametrize("components", ["pseudo_inputs", "subset", "exact"])
def test_the_aggregated_posterior_keeps_the_conditions_of_its_components(components):
    prior = AggregatedPrior(components=components, num_components=10)
    built = labelled_experiment(prior=prior).build()
    assert np.isfinite(Draws(built, built.experiment.splits["test"]).importance_weighted_nll(3))
    if components == "subset":
        kept = np.asarray(prior.conditions)
        rows = {
            tuple(row): label for row, label in zip(built.experiment.data.rows, built.experiment.data.y, strict=True)
        }
        assert [rows[tuple(row)] for row in np.asarray(prior.inputs)] == list(kept)


def test_a_condition_without_effect_is_refused():
    with pytest.raises(UserError, match=r"experiment\.condition: .*Points has no labels or condition vectors"):
        points_experiment(condition=True)

    class Blind(MLP):
        conditional = False

    with pytest.raises(UserError, match=r"neither the decoder .*Blind nor .*aussian reads a condition"):
        labelled_experiment(decoder=Blind(hidden=()))
    with pytest.raises(UserError, match=r"per_condition requires experiment\.condition = True"):
        points_experiment(prior=Gaussian(learned_mean=True, per_condition=True)).build()
    with pytest.raises(UserError, match="per_condition has no effect without learned_mean"):
        Gaussian(per_condition=True)


def test_a_source_without_conditions_says_so():
    class Bare(Source):
        shape, dtype = (1,), np.float32

        def __len__(self):
            return 1

        def gather(self, indices):
            return np.zeros([len(indices), 1], np.float32)

    for source in (Bare(), ArraySource(np.zeros([2, 1]))):
        with pytest.raises(NotImplementedError, match="has no conditions"):
            source.conditions(np.array([0]))


def test_subfolders_are_classes(tmp_path):
    from PIL import Image

    for number, name in enumerate(["cat", "dog", "cat", "dog", "dog", "cat"] * 2):
        (tmp_path / name).mkdir(exist_ok=True)
        shade = 200 if name == "cat" else 20
        Image.new("RGB", (4, 4), (shade, shade, shade)).save(tmp_path / name / f"{number}.png")
    data = ImageFolder(path=str(tmp_path), size=4)
    assert data.spec.condition == ConditionSpec(categories=2, names=("cat", "dog"))
    train = data.splits()["train"]
    everything = np.arange(len(train))
    bright = train.gather(everything)[:, 0, 0, 0] > 100
    np.testing.assert_array_equal(train.conditions(everything), np.where(bright, 0, 1))
    Image.new("RGB", (4, 4)).save(tmp_path / "loose.png")
    assert ImageFolder(path=str(tmp_path), size=4).spec.condition is None


def test_arrays_of_labels_are_conditions_and_others_are_refused(tmp_path):
    path, rows = tmp_path / "x.npz", normal_rows(6, 2)

    def data(**arrays):
        np.savez(path, train=rows, **arrays)
        return Npz(path=str(path))

    labelled = data(train_labels=np.array([0, 4, 1, 1, 0, 2]))
    assert labelled.spec.condition == ConditionSpec(categories=5)
    np.testing.assert_array_equal(labelled.splits()["train"].conditions(np.array([1, 0])), [4, 0])
    assert data(train_labels=normal_rows(6, 3)).spec.condition == ConditionSpec(size=3)
    assert data().spec.condition is None
    for arrays, message in (
        ({"train_labels": np.array([0, 1])}, "'train_labels' has 2 rows, but 'train' has 6"),
        ({"train_labels": np.arange(6) - 1}, "'train_labels' has negative labels"),
        ({"train_labels": np.zeros([6, 2], int)}, "labels must be integers"),
        ({"train_labels": np.zeros(6)}, "labels must be integers"),
        ({"train_labels": np.full([6, 1], np.nan)}, "'train_labels' has NaN or infinity"),
        ({"train_labels": np.full(6, 10**9)}, "the highest label is 1000000000"),
        ({"train_labels": np.arange(6), "test": rows}, "there is no 'test_labels'"),
        ({"train_labels": np.arange(6), "test_labels": np.arange(6)}, "'test_labels' belongs to no array 'test'"),
    ):
        with pytest.raises(UserError, match=message):
            data(**arrays)


def test_the_labels_of_the_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    built = digits_experiment(condition=True)
    digits, order = load_digits(), np.random.RandomState(0).permutation(1797)
    test = built.splits["test"]
    np.testing.assert_array_equal(test.conditions(np.arange(300)), digits.target[order[1497:]])


def test_repeated_passes_repeat_the_conditions():
    built = labelled_experiment(prior=Gaussian(learned_mean=True, per_condition=True)).build()
    built.model.prior.mean.assign(np.arange(6.0).reshape(3, 2))
    x, y = tf.constant(normal_rows(4, 3)), tf.constant([2, 0, 1, 1])
    forward = ForwardPass(built.model, x, context(y=y))
    many = forward.repeated(3, context(y=y))
    np.testing.assert_allclose(many.prior.mean(), np.tile(forward.prior.mean(), [3, 1]))
    assert many.rate.shape == (12,) and many.reconstruction.shape == (12,)


def test_labels_outside_of_the_declared_range_are_refused():
    class Wrong(LabelledPoints):
        def __init__(self, *, rows):
            super().__init__(rows=rows)
            self.y = self.y + 1

    built = points_experiment(data=Wrong(rows=normal_rows()), condition=True)
    with pytest.raises(UserError, match=r"labels must be in 0\.\.2, but the data has 1 to 3"):
        built.train.gather(np.arange(10))


def test_a_density_for_each_condition_is_not_restricted_to_codes():
    class PerLabel(Gaussian):
        def build(self, context):
            self.means = keras.Variable(tf.zeros([3, context.latent.size]))
            self.conditional = True

        def distribution(self, context):
            return tfd.Independent(tfd.Normal(tf.gather(self.means.value, context.y), 1.0), 1)

    prior = PerLabel(learned_mean=True, per_condition=True)
    with pytest.raises(UserError, match="is a density on vectors for each condition, which is not restricted to codes"):
        labelled_experiment(prior=prior, posterior=VQ(positions=(2,), num_codes=4)).build()


def test_the_terms_of_the_surgery_are_absent_for_a_prior_of_a_condition_vector():
    prior = Gaussian(learned_mean=True, per_condition=True)
    found = evaluate(labelled_experiment(vectors=True, prior=prior).build(), "test", 10, names=["elbo_surgery"])
    assert {"elbo", "reconstruction", "rate"} <= set(found) and "marginal_kl" not in found
    assert "those of each y" in found["elbo_surgery_note"]


@pytest.mark.slow
def test_estimates_of_the_first_examples_have_their_conditions():
    rows = normal_rows(400)  # more than the 128 examples of the signal-to-noise ratio
    data = LabelledPoints(rows=rows)
    built = points_experiment(data=data, condition=True, objectives=[IWAE(draws=2)]).build()
    found = ObjectiveEstimates(built, built.experiment.splits["test"], "x")()
    assert set(found) == {"iwae_estimate", "gradient_snr"} and np.isfinite(list(found.values())).all()
