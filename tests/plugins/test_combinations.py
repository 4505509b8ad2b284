"""Every installed prior with every installed posterior: refused with the reason, or trained, resumed and exported."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from installed_pairs import discrete, halves, make, plugins
from scipy.special import logsumexp
from small import assert_same_tensors, context, digits_experiment, gan_experiment, silent
from tfdgm_networks.mlp import MLP

from tfdgm import Context, UserError
from tfdgm.contracts.component import named_variables
from tfdgm.numerics.randomness import fold, fold_purpose
from tfdgm.runs.metrics_file import read_lines
from tfdgm.runs.workdir import Workdir
from tfdgm.trained.export import export
from tfdgm.trained.sampling import draw
from tfdgm.training.trainer import Trainer

STEPS, MIDDLE = 40, 20


def described(prior, posterior):
    """The experiment of a pair, not built yet. Affine maps and SGD compile fastest; momentum is state to keep."""
    return digits_experiment(
        prior=make(prior),
        posterior=make(posterior),
        encoder=MLP(hidden=()),
        decoder=MLP(hidden=()),
        optimizer=keras.optimizers.SGD(5e-3, momentum=0.9),
        latent_size=2,
        steps=STEPS,
        validate_every=10,
        keep_checkpoints=10,
    )


@pytest.mark.parametrize("prior", plugins("prior"), ids=lambda plugin: plugin.name)
@pytest.mark.parametrize("posterior", plugins("posterior"), ids=lambda plugin: plugin.name)
def test_a_prior_over_codes_is_refused_for_vectors(prior, posterior):
    if make(prior).over == "codes" and not discrete(posterior):
        with pytest.raises(UserError, match=f"{prior.gin_name} is over codes, but the latent is a vector"):
            described(prior, posterior)
    else:
        described(prior, posterior)


@pytest.mark.slow
@pytest.mark.parametrize("prior, posterior", halves()[0], ids=lambda plugin: plugin.name)
def test_a_pair_trains_resumes_samples_and_exports(tmp_path, prior, posterior, own_process):
    own_process(check_pair, tmp_path, prior, posterior)


def check_pair(tmp_path, prior, posterior):
    built = described(prior, posterior).build()
    before = built.state.read()
    assert Trainer(built, tmp_path / "whole", silent).train().step == STEPS  # no loss stays None, no metric is NaN
    after = built.state.read()
    assert_all_moved(built, before, after)
    assert_validation_improved(tmp_path / "whole")
    assert_resumes(described(prior, posterior).build(), tmp_path, after)
    assert_samples(built)
    assert_exports(built, tmp_path)


def assert_all_moved(built, before, after):
    """Assert that every trainable variable and every average of codes changed, and that all are finite."""
    parameters = built.parameters()
    assert {path for path in parameters if (before[path] == after[path]).all()} == set()
    for path, value in after.items():
        assert np.isfinite(value).all(), path

    statistics = set(named_variables(built.model, "model")) - set(parameters)
    for path in statistics:
        if any(word in path for word in ("counts", "sums", "codebook")):
            assert (before[path] != after[path]).any(), path


def assert_validation_improved(workdir):
    lines = read_lines(workdir / "metrics.jsonl")
    assert [line["step"] for line in lines] == [10, 20, 30, 40]
    assert all(np.isfinite(value) for line in lines for value in line.values())
    elbos = [line["validation_elbo"] for line in lines]
    assert elbos[-1] > elbos[0] + 0.5, elbos  # of some 45 nats; the draws are the same at every validation


def assert_resumes(again, tmp_path, after):
    """Assert that a fresh build resumes from the middle checkpoint, bit for bit."""
    (tmp_path / "resumed" / "checkpoints").mkdir(parents=True)
    name = f"step-{MIDDLE}.npz"
    shutil.copy(next((tmp_path / "whole" / "checkpoints").glob(f"step-*{name[5:]}")), tmp_path / "resumed/checkpoints")
    del again.experiment.splits["validation"]  # no part of the state, and a compilation less
    trainer = Trainer(again, tmp_path / "resumed", silent, other_data=True)
    assert trainer.restore() == MIDDLE
    trainer.train()
    assert_same_tensors(again.state.read(), after)


def assert_samples(built):
    latent = built.model.latent
    samples = draw(built, 30)
    assert samples.x.shape == samples.mean.shape == (30, 64) and samples.z.shape == (30, *latent.event_shape)
    assert set(np.unique(samples.x)) == {0.0, 1.0}
    assert samples.mean.min() >= 0 and samples.mean.max() <= 1
    assert_values_of_the_latent(latent, samples.z)


def assert_values_of_the_latent(latent, z):
    if latent.discrete:
        assert z.dtype == np.int32 and z.min() >= 0 and z.max() < latent.categories
        assert len(np.unique(z)) > 1
    else:
        assert np.isfinite(z).all() and z.std() > 0.01


def assert_exports(built, tmp_path):
    export(built, Workdir(tmp_path / "whole"), tmp_path / "exported", num_samples=3)
    loaded = tf.saved_model.load(str(tmp_path / "exported"))
    seed, model = tf.constant([0, 1]), built.model
    inside = model.with_inference(Context(seed, tf.constant(0, tf.int64)))

    drawn = loaded.sample(tf.constant(5), seed)
    z, likelihood = model.generate(5, inside)
    assert drawn["z"].shape == (5, *model.latent.event_shape)
    assert_values_of_the_latent(model.latent, drawn["z"].numpy())
    np.testing.assert_allclose(drawn["z"], z, atol=1e-5)  # float32 here and below
    np.testing.assert_allclose(drawn["mean"], likelihood.mean(), atol=1e-5)
    assert drawn["x"].shape == (5, 64) and set(np.unique(drawn["x"])) == {0.0, 1.0}

    x = tf.constant(built.experiment.splits["test"].gather(np.arange(7)))
    posterior, prior = model.infer(x, inside), model.prior_distribution(inside)
    encoded = loaded.encode(x, seed)["z"]
    np.testing.assert_allclose(encoded, posterior.sample(seed=inside.seed_for("draws")), atol=1e-5)
    mean = model.decode(model.embed(encoded), inside).mean()
    np.testing.assert_allclose(loaded.reconstruct(x, seed)["mean"], mean, atol=1e-5)

    draws = tf.stack([posterior.sample(seed=fold(fold_purpose(seed, "log_prob"), number)) for number in range(3)])
    log_likelihood = tf.stack([model.decode(model.embed(z), inside).log_prob(x) for z in draws])
    weights = log_likelihood + prior.log_prob(draws) - posterior.log_prob(draws)
    bound = logsumexp(weights, axis=0) - np.log(3)
    assert bound.shape == (7,) and (bound < 0).all()  # x is discrete
    np.testing.assert_allclose(loaded.log_prob(x, seed)["log_prob"], bound, rtol=1e-5)


@pytest.mark.parametrize("prior", plugins("prior"), ids=lambda plugin: plugin.name)
def test_without_a_posterior_a_prior_is_refused_if_it_needs_one_or_is_over_codes(prior):
    loaded = make(prior)
    if loaded.needs_posterior:
        with pytest.raises(UserError, match=f"{prior.gin_name} needs a posterior"):
            gan_experiment(prior=loaded)
    elif loaded.over == "codes":
        with pytest.raises(UserError, match=f"{prior.gin_name} is over codes, but the latent is a vector"):
            gan_experiment(prior=loaded)
    else:
        model = gan_experiment(prior=loaded).build().model
        assert model.prior_distribution(context()).event_shape == (2,)
