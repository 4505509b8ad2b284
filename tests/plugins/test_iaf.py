"""The inverse autoregressive posterior: density, inverse, gradients, and the Gaussian at T = 0."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import context, points_experiment, silent
from tfdgm_posteriors.gaussian import Gaussian
from tfdgm_posteriors.iaf import IAF
from tfdgm_priors.aggregated_posterior import AggregatedPosterior

from tfdgm import BuildContext, DataSpec, LatentSpec, UserError
from tfdgm.contracts.component import named_variables, raw
from tfdgm.evaluation.bounds import Draws
from tfdgm.evaluation.posterior_means import posterior_means
from tfdgm.evaluation.surgery import elbo_surgery
from tfdgm.runs.workdir import Workdir
from tfdgm.trained.export import export
from tfdgm.training.trainer import Trainer

DATA = DataSpec(shape=(3,))


def built(size, **hyperparameters):
    """A posterior away from the identity."""
    posterior = IAF(**{"hidden": (16,), "activation": "tanh", "context_size": 3, **hyperparameters})
    posterior.build(BuildContext(DATA, LatentSpec(size), 10, None, 0))
    random = np.random.RandomState(1)
    for variable in named_variables(posterior).values():
        raw(variable).assign(random.randn(*variable.shape) * 0.5)
    return posterior


def features_of(posterior, size, batch=4):
    (width,) = posterior.feature_shape(LatentSpec(size))
    return tf.constant(np.random.RandomState(0).randn(batch, width), tf.float32)


def posterior_and_q(size, batch=4, **hyperparameters):
    posterior = built(size, **hyperparameters)
    return posterior, posterior.distribution(features_of(posterior, size, batch), context())


def test_without_steps_it_is_the_gaussian_posterior_to_the_bit():
    experiments = [points_experiment(posterior=kind, steps=1) for kind in (IAF(num_steps=0), Gaussian())]
    models = [experiment.build().model for experiment in experiments]
    x = tf.constant(np.random.RandomState(0).randn(5, 3), tf.float32)
    first, second = (model.posterior(model.features(x, context()), context()) for model in models)
    np.testing.assert_array_equal(first.z, second.z)
    np.testing.assert_array_equal(first.distribution.log_prob(first.z), second.distribution.log_prob(second.z))
    assert type(first.distribution) is type(second.distribution)


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("number", [1, 3])
def test_the_density_of_own_draws_is_that_of_the_jacobian(size, number):
    posterior = built(size, num_steps=number)
    features = features_of(posterior, size)
    q = posterior.distribution(features, context())
    start = q.distribution.sample(seed=[1, 2])
    with tf.GradientTape() as tape:
        tape.watch(start)
        z = q.bijector.forward(start)
    jacobian = tape.batch_jacobian(z, start).numpy()
    expected = q.distribution.log_prob(start) - np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(q.log_prob(z), expected, atol=1e-4)  # float32; from the cache of the draw
    again = posterior.distribution(features, context()).log_prob(tf.identity(z))
    # through the inverse, which divides rounding errors by gates of at least 0.27 in each step
    np.testing.assert_allclose(again, expected, atol=1e-3)


def test_steps_are_those_of_the_formula():
    size = 3
    posterior = built(size, num_steps=2)
    features = features_of(posterior, size)
    q = posterior.distribution(features, context())
    z = start = q.distribution.sample(seed=[1, 2]).numpy().astype(float)
    h = features[:, 2 * size :].numpy()
    for number, network in enumerate(posterior.steps):
        z = z[:, ::-1] if number else z
        (first, first_bias), (last, last_bias) = ((k.numpy(), b.numpy()) for k, b in network.made.layers())
        hidden = np.tanh(z @ first + first_bias + h @ network.kernel.numpy())
        m, a = np.split(hidden @ last + last_bias, 2, axis=1)
        s = 1 / (1 + np.exp(-2 - 3 * np.tanh(a / 3)))
        z = s * z + (1 - s) * m
    np.testing.assert_allclose(q.bijector.forward(tf.constant(start, tf.float32)), z, rtol=1e-4, atol=1e-5)  # float32


def test_the_density_integrates_to_one_and_its_moments_are_those_of_draws():
    _, q = posterior_and_q(2, batch=2)
    axis = np.linspace(-8, 8, 321, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 1, 2)
    log_prob = q.log_prob(grid)
    assert log_prob.shape == (321 * 321, 2)  # every point under every posterior
    density = np.exp(log_prob.numpy().astype(float)) * (axis[1] - axis[0]) ** 2
    # the sum over a grid of step 0.05 of smooth densities with scales above 0.2
    np.testing.assert_allclose(density.sum(axis=0), 1, atol=1e-3)
    draws = q.sample(20_000, seed=[3, 4]).numpy()
    for function in (lambda z: z, np.square):
        error = function(draws).std(axis=0) / np.sqrt(len(draws))
        expected = np.einsum("nb,nd->bd", density, function(grid[:, 0]))
        assert np.all(np.abs(function(draws).mean(axis=0) - expected) < 5 * error)


@pytest.mark.parametrize("number", [1, 2])
def test_gradients_of_the_density_anywhere_are_those_of_differences(number):
    size = 3
    posterior = built(size, num_steps=number)
    features, z = features_of(posterior, size), tf.constant(np.random.RandomState(3).randn(4, size), tf.float32)
    weights = [raw(variable) for variable in named_variables(posterior).values()]

    def value(z, features):
        return tf.reduce_sum(posterior.distribution(features, context()).log_prob(z) * tf.range(1.0, 5.0))

    @tf.function(jit_compile=True, autograph=False)
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch([z, features])
            loss = value(z, features)
        return tape.gradient(loss, [z, features, *weights])

    found, h = gradients(), 1e-2
    random = np.random.RandomState(4)
    for position, tensor in enumerate([z, features, *weights]):
        direction = random.randn(*tensor.shape).astype(np.float32)
        direction /= np.linalg.norm(direction)
        sides = []
        for sign in (1, -1):
            if position < 2:
                moved = [z, features]
                moved[position] = tensor + sign * h * direction
                sides.append(float(value(*moved)))
            else:
                before = tensor + 0.0
                tensor.assign(before + sign * h * direction)
                sides.append(float(value(z, features)))
                tensor.assign(before)
        slope = float(np.sum(found[position] * direction))
        # float32 knows the value, of size 50, to 1e-5: the difference to 1e-3; curvature adds h^2
        assert slope == pytest.approx((sides[0] - sides[1]) / (2 * h), rel=0.02, abs=0.02)


def test_draws_pass_gradients_to_features_and_weights():
    posterior = built(3)
    features = features_of(posterior, 3)
    weights = [raw(variable) for variable in named_variables(posterior).values()]
    with tf.GradientTape() as tape:
        tape.watch(features)
        latent = posterior(features, context())
        loss = tf.reduce_sum(latent.z) + tf.reduce_sum(latent.distribution.log_prob(latent.value))
    for gradient in tape.gradient(loss, [features, *weights]):
        assert np.any(gradient != 0) and np.all(np.isfinite(gradient))


def test_a_new_posterior_has_nearly_constant_gates_and_a_gaussian_shape():
    posterior = IAF(num_steps=1)
    posterior.build(BuildContext(DATA, LatentSpec(3), 10, None, 0))
    features = features_of(posterior, 3)
    q = posterior.distribution(features, context())
    start = q.distribution.sample(seed=[1, 2])
    gate = 1 / (1 + np.exp(-2.0))
    np.testing.assert_allclose(q.bijector.forward(start), gate * start, atol=0.05)  # a last layer of size 0.01


@pytest.mark.parametrize(
    "wrong", [{"num_steps": -1}, {"hidden": ()}, {"context_size": 0}, {"gate_bound": 0.0}, {"activation": "softmax"}]
)
def test_wrong_hyperparameters_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        IAF(**wrong)


@pytest.mark.slow
def test_it_trains_under_the_mean_of_posteriors_and_is_evaluated(tmp_path):
    built = points_experiment(
        posterior=IAF(hidden=(8,), context_size=2), prior=AggregatedPosterior(num_components=10)
    ).build()
    Trainer(built, tmp_path, silent).train()
    draws = Draws(built, built.experiment.splits["test"])
    terms = elbo_surgery(draws, per_example=2)
    assert all(np.isfinite(value) for value in terms.values())
    assert terms["mutual_information"] <= np.log(40) + 1e-3  # at most log n
    assert posterior_means(draws) is None
    # the bound with many draws is tighter, but for the noise of its estimate
    assert draws.importance_weighted_nll(100) < -terms["elbo"] + 0.5

    export(built, Workdir(tmp_path), tmp_path / "exported", num_samples=2)
    loaded, x = tf.saved_model.load(str(tmp_path / "exported")), tf.zeros([5, 3])
    encoded = loaded.encode(x, tf.constant([0, 1]))
    assert set(encoded) == {"z"} and encoded["z"].shape == (5, 2)  # no mean
    assert np.all(np.isfinite(loaded.log_prob(x, tf.constant([0, 1]))["log_prob"]))


def test_the_posterior_of_a_bent_model_is_closer_than_a_gaussian():
    """q(z) is fitted to a density that no diagonal Gaussian has: N(0, 1) times N(z_2; z_1^2, 0.5^2)."""
    rates = {}
    for number in (0, 2):
        posterior = IAF(num_steps=number, hidden=(16,), activation="tanh", context_size=1)
        posterior.build(BuildContext(DATA, LatentSpec(2), 10, None, 0))
        features = keras.Variable(np.zeros((1, *posterior.feature_shape(LatentSpec(2))), np.float32))
        variables = [features, *named_variables(posterior).values()]
        rates[number] = _fitted(posterior, variables)
    assert rates[2] < rates[0] - 0.1 and rates[2] > -0.05  # KL, nats; its estimate has a standard error of 0.01


def _fitted(posterior, variables, steps=600):
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(variables)

    def kl(count, of_step):
        latent = posterior(tf.tile(variables[0].value, [count, 1]), of_step)
        z = latent.value
        log_p = -0.5 * z[:, 0] ** 2 - 0.5 * ((z[:, 1] - z[:, 0] ** 2) / 0.5) ** 2 - np.log(2 * np.pi * 0.5)
        return tf.reduce_mean(latent.distribution.log_prob(z) - log_p)

    @tf.function(jit_compile=True, autograph=False)
    def fit():
        def body(step):
            with tf.GradientTape() as tape:
                loss = kl(128, context(step=step))
            optimizer.apply(tape.gradient(loss, [raw(variable) for variable in variables]), variables)
            return step + 1

        return tf.while_loop(lambda step: step < steps, body, (0,), maximum_iterations=steps)

    fit()
    return float(kl(20_000, context(seed=1)))
