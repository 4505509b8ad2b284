"""The base of adversarial objectives: sides, the balance with the ELBO, and which variables each setting trains."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax
from small import context, gan_experiment, normal_rows, points_experiment
from small_critics import one_step, refused, spec, tanh_objective, tanh_scores, weights_of
from tfdgm_likelihoods.bernoulli import Bernoulli
from tfdgm_likelihoods.gaussian import Gaussian as GaussianLikelihood
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.elbo import ELBO
from tfdgm_objectives.fgan import FGAN
from tfdgm_objectives.hinge import Hinge
from tfdgm_objectives.jsd import JSD
from tfdgm_objectives.wasserstein import Wasserstein
from tfdgm_posteriors.categorical import Categorical
from tfdgm_posteriors.fsq import FSQ
from tfdgm_posteriors.gaussian import Gaussian as GaussianPosterior
from tfdgm_posteriors.residual_vq import ResidualVQ
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.aggregated_posterior import AggregatedPosterior
from tfdgm_priors.autoregressive import Autoregressive
from tfdgm_priors.gaussian import Gaussian as GaussianPrior
from tfdgm_priors.maf import MAF
from tfdgm_priors.uniform import Uniform

from tfdgm.contracts.component import named_variables, raw
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.numerics.seeds import Seed
from tfdgm.parallel.devices import Devices, Draw
from tfdgm.training.trainer import Trainer

KINDS = [JSD, Wasserstein, Hinge, FGAN]


def adversarial(kind=JSD, **settings):
    """With an affine critic; both players of an experiment with it take plain steps, which move what has a gradient."""
    return kind(network=MLP(hidden=()), **{"optimizer": keras.optimizers.SGD(0.1), "moves": 1, **settings})


def forward_of(built, training=True):
    x = tf.constant(built.experiment.train.gather(np.arange(built.experiment.batch_size)))
    return ForwardPass(built.model, x, context(training=training))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fakes, chosen",
    [
        ("prior", ["generated"]),
        ("reconstructions", ["reconstructed"]),
        ("both", ["generated", "reconstructed"]),
        (None, ["generated", "reconstructed"]),
    ],
)
def test_in_data_space_x_is_real_and_the_chosen_samples_are_fake(kind, fakes, chosen):
    objective = adversarial(kind, fakes=fakes)
    forward = forward_of(points_experiment(objectives=[ELBO(), objective]).build())
    real, found = objective.sides(forward)
    assert real is forward.x
    assert len(found) == len(chosen)
    for name, fake in zip(chosen, found, strict=True):
        assert fake is getattr(forward, name)
        assert fake.shape == (20, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_posterior_samples_from_the_prior_are_fake(kind):
    objective = adversarial(kind)
    forward = forward_of(gan_experiment(objectives=[objective]).build())
    real, fakes = objective.sides(forward)
    assert real is forward.x
    assert len(fakes) == 1 and fakes[0] is forward.generated


@pytest.mark.parametrize("posterior", [GaussianPosterior, lambda: VQ(positions=(2,), num_codes=4)])
@pytest.mark.parametrize("kind", KINDS)
def test_in_latent_space_draws_from_the_prior_are_real_and_those_of_the_posterior_fake(kind, posterior):
    objective = adversarial(kind, space="latent")
    built = points_experiment(objectives=[ELBO(), objective], posterior=posterior()).build()
    forward = forward_of(built)
    real, fakes = objective.sides(forward)
    assert real is forward.drawn
    assert len(fakes) == 1 and fakes[0] is forward.latent.z
    assert real.shape == fakes[0].shape == (20, *built.model.latent.decoder_input_shape)
    names = set(objective.estimates(forward, context()))
    assert names and all(name.startswith("latent_") for name in names)


def test_the_samples_are_those_of_the_model_at_the_draws():
    built = gan_experiment(objectives=[adversarial()], samples="mean").build()
    forward, decoder = forward_of(built), built.model.decoder.layers[0]
    expected = forward.drawn.numpy() @ decoder.kernel.numpy() + decoder.bias.numpy()
    np.testing.assert_allclose(forward.generated, expected, rtol=1e-5, atol=1e-6)  # float32
    assert abs(forward.drawn.numpy().mean()) < 1 and forward.drawn.numpy().std() > 0.5  # of N(0, I)


def test_the_critic_sees_samples_that_carry_no_gradient():
    objective = adversarial()
    built = gan_experiment(objectives=[objective]).build()
    weights = [raw(variable) for variable in built.players[-1].variables.values()]
    with tf.GradientTape() as tape:
        loss = objective.adversary_loss(forward_of(built), context()).value
    assert tape.gradient(loss, weights) == [None] * len(weights)


def example_of(likelihood, outputs, samples):
    """A sample as the model takes one, and the gradient of its sum with respect to the decoder's outputs."""
    model = points_experiment(samples=samples).build().model
    likelihood.build(spec((3,)))
    outputs = tf.constant(outputs)
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        example = model.example(likelihood.distribution(outputs), context())
    return example.numpy(), tape.gradient(example, outputs).numpy()


def test_draws_of_a_gaussian_carry_the_gradient_of_their_reparametrisation():
    mean = normal_rows(4_000, 3)
    example, gradient = example_of(GaussianLikelihood(scale=0.5), mean, "draws")
    noise = (example - mean) / 0.5
    # 12,000 draws: moments of N(0, 1) within five standard errors
    assert abs(noise.mean()) < 5 / np.sqrt(noise.size) and abs((noise**2).mean() - 1) < 5 * np.sqrt(2 / noise.size)
    np.testing.assert_array_equal(gradient, np.ones_like(mean))


def test_the_gradient_of_a_gaussian_draw_reaches_the_learned_scale():
    built = points_experiment(likelihood=GaussianLikelihood(scale=0.5, learned_scale=True), samples="draws").build()
    log_scale = raw(built.model.likelihood.log_scale)
    with tf.GradientTape() as tape:
        example = built.model.example(built.model.likelihood.distribution(tf.zeros([6, 3])), context())
    # x = s eps, so that dx / dlog s = x; float32
    np.testing.assert_allclose(tape.gradient(example, log_scale), example.numpy().sum(axis=0), rtol=1e-5)


def test_draws_of_bernoulli_pixels_are_0_or_1_with_the_gradient_of_their_mean():
    logits = normal_rows(4_000, 3)
    example, gradient = example_of(Bernoulli(), logits, "draws")
    assert set(np.unique(example)) == {0.0, 1.0}
    probability = expit(logits)
    error = np.sqrt((probability * (1 - probability)).mean() / logits.size)
    assert abs((example - probability).mean()) < 5 * error  # five standard errors
    np.testing.assert_allclose(gradient, probability * (1 - probability), rtol=1e-4, atol=1e-6)  # float32


@pytest.mark.parametrize("likelihood", [GaussianLikelihood, Bernoulli])
def test_the_mean_is_the_mean(likelihood):
    outputs = normal_rows(20, 3)
    example, _ = example_of(likelihood(), outputs, "mean")
    expected = outputs if likelihood is GaussianLikelihood else expit(outputs)
    np.testing.assert_allclose(example, expected, rtol=1e-6)  # float32


@pytest.mark.parametrize("make, chosen", [(gan_experiment, "mean"), (points_experiment, "draws")])
def test_samples_are_draws_with_a_posterior_and_means_without_by_default(make, chosen):
    assert make().build().model.samples == chosen
    for samples in ("mean", "draws"):
        assert make(samples=samples).build().model.samples == samples


def affine(network):
    layer = network.layers[0]
    return layer.kernel.numpy().astype(np.float64), layer.bias.numpy().astype(np.float64)


def ratio(expected, given):
    """Return the ratio of the norms of two gradients over the whole batch, with the constant that keeps it finite."""
    return np.linalg.norm(expected) / (np.linalg.norm(given) + 1e-4)


def weighted(**settings):
    """An objective with the adaptive weight beside the ELBO, its pass, and its model loss."""
    objective = adversarial(adaptive_weight=True, **settings)
    likelihood = GaussianLikelihood(scale=0.2, learned_scale=True)
    forward = forward_of(points_experiment(objectives=[ELBO(), objective], likelihood=likelihood).build())
    return objective, forward, objective.model_loss(forward, context())


def pull_of_likelihood(forward):
    """d(-log p(x|z))/do of a Gaussian of scale .2, of the mean over the batch."""
    return (forward.outputs.numpy().astype(np.float64) - forward.x.numpy()) / 0.2**2 / 20


@pytest.mark.parametrize("fakes, sample", [("prior", "generated"), ("reconstructions", "reconstructed"), (None, None)])
def test_the_adaptive_weight_is_the_ratio_of_the_gradients_at_the_decoders_output(fakes, sample):
    objective, forward, loss = weighted(fakes=fakes)
    slope, offset = affine(objective.critic.network)
    # of reparametrised draws x' = o + s e the gradient at o is that at x'; of both kinds reconstructions are half
    fake = getattr(forward, sample or "reconstructed").numpy().astype(np.float64)
    pull = -expit(-(fake @ slope + offset)) * slope[:, 0] / (20 if sample else 40)
    expected = ratio(pull_of_likelihood(forward), pull)
    np.testing.assert_allclose(loss.metrics["adaptive_weight"], expected, rtol=1e-4)  # float32
    assert expected > 2  # else a weight of 1 would do


@pytest.mark.parametrize("fakes", ["prior", "reconstructions", "both"])
def test_the_weighted_term_pulls_at_the_decoders_output_as_hard_as_the_likelihood(fakes):
    objective = adversarial(adaptive_weight=True, fakes=fakes)
    likelihood = GaussianLikelihood(scale=0.2)
    built = points_experiment(objectives=[ELBO(), objective], likelihood=likelihood).build()
    with tf.GradientTape(persistent=True) as tape:
        forward = forward_of(built)
        loss = objective.model_loss(forward, context())
        term, distortion = tf.reduce_mean(loss.value), -tf.reduce_mean(forward.reconstruction)
    given = tf.norm(tape.gradient(term, forward.generated_outputs if fakes == "prior" else forward.outputs))
    expected = tf.norm(tape.gradient(distortion, forward.outputs))
    kept_finite = 1e-4 * loss.metrics["adaptive_weight"]  # by a constant beside the norm
    np.testing.assert_allclose(given + kept_finite, expected, rtol=1e-4)  # float32
    assert given > 100 * kept_finite


@pytest.mark.parametrize("kind", KINDS)
def test_an_adaptive_weight_without_a_likelihood_to_be_weighed_against_is_refused(kind):
    def with_others(*others):
        return points_experiment(objectives=[adversarial(kind, adaptive_weight=True), *others])

    expected = (
        "adaptive_weight weighs the term against one that minimises -log p(x|z), but experiment.objectives has none"
    )
    refused(lambda: with_others(), kind.display_name(), expected)
    refused(lambda: with_others(adversarial()), kind.display_name(), expected)
    with_others(ELBO())


def test_in_latent_space_the_adaptive_weight_is_the_ratio_of_the_gradients_at_z():
    objective, forward, loss = weighted(space="latent")
    slope, offset = affine(objective.critic.network)
    decoder, _ = affine(forward.model.decoder)
    z = forward.latent.z.numpy().astype(np.float64)
    pull = -expit(-(z @ slope + offset)) * slope[:, 0] / 20
    expected = ratio(pull_of_likelihood(forward) @ decoder.T, pull)
    np.testing.assert_allclose(loss.metrics["adaptive_weight"], expected, rtol=1e-4)  # float32


def test_the_adaptive_weight_multiplies_the_loss_and_carries_no_gradient():
    objective, forward, loss = weighted()
    weight = float(loss.metrics["adaptive_weight"])
    np.testing.assert_allclose(loss.value, weight * loss.metrics["generator_loss"], rtol=1e-6)  # float32
    weights = [raw(forward.model.decoder.layers[0].kernel), raw(forward.model.likelihood.log_scale)]
    with tf.GradientTape(persistent=True) as tape:
        again = ForwardPass(forward.model, forward.x, context(training=True))
        loss = objective.model_loss(again, context())
        plain = tf.reduce_mean(loss.metrics["generator_loss"])
        value = tf.reduce_mean(loss.value)
    for found, expected in zip(tape.gradient(value, weights), tape.gradient(plain, weights), strict=True):
        np.testing.assert_allclose(found, weight * expected, rtol=1e-4)  # float32


def test_the_adaptive_weight_is_bounded_where_the_critic_is_flat():
    objective = adversarial(adaptive_weight=True)
    built = points_experiment(objectives=[ELBO(), objective], likelihood=GaussianLikelihood(scale=1e-3)).build()
    objective.critic.network.layers[0].kernel.assign(np.zeros([3, 1]))
    assert float(objective.model_loss(forward_of(built), context()).metrics["adaptive_weight"]) == 1e4


def categorical():
    return Categorical(positions=(2,), num_categories=4)


def vq(**settings):
    return VQ(positions=(2,), num_codes=4, **settings)


#: Every one trains without the ELBO unless it has it among the objectives.
SETTINGS = {
    "gan": lambda: {"posterior": None, "encoder": None},
    "gan with a learned gaussian": lambda: {
        "posterior": None,
        "encoder": None,
        "prior": GaussianPrior(learned_mean=True, learned_scale=True),
    },
    "gan with a flow": lambda: {"posterior": None, "encoder": None, "prior": MAF(num_bijectors=2, hidden=(4,))},
    "gaussian": dict,
    "gaussian with a flow": lambda: {"prior": MAF(num_bijectors=2, hidden=(4,))},
    "gaussian with pseudo-inputs": lambda: {"prior": AggregatedPosterior(num_components=6)},
    "gaussian with a memory": lambda: {"prior": AggregatedPosterior(components="exact")},
    "categorical": lambda: {"posterior": categorical(), "prior": Uniform()},
    "categorical with pseudo-inputs": lambda: {
        "posterior": categorical(),
        "prior": AggregatedPosterior(num_components=6),
    },
    "categorical with a flow": lambda: {"posterior": categorical(), "prior": MAF(num_bijectors=1, hidden=(4,))},
    "categorical, autoregressive": lambda: {
        "posterior": categorical(),
        "prior": Autoregressive(width=8, layers=1, heads=2),
    },
    "vq": lambda: {"posterior": vq(), "prior": Uniform()},
    "vq learned by gradient": lambda: {"posterior": vq(learning="gradient"), "prior": Uniform()},
    "vq with frequencies": lambda: {"posterior": vq(), "prior": AggregatedPosterior()},
    "vq with a flow": lambda: {"posterior": vq(), "prior": MAF(num_bijectors=1, hidden=(4,))},
    "vq, autoregressive": lambda: {"posterior": vq(), "prior": Autoregressive(width=8, layers=1, heads=2)},
    "residual vq learned by gradient with a flow": lambda: {
        "posterior": ResidualVQ(positions=(2,), num_codes=4, learning="gradient"),
        "prior": MAF(num_bijectors=1, hidden=(4,)),
    },
    "residual vq, autoregressive": lambda: {
        "posterior": ResidualVQ(positions=(2,), num_codes=4),
        "prior": Autoregressive(width=8, layers=1, heads=2),
    },
    "fsq with a flow": lambda: {
        "posterior": FSQ(positions=(2,), levels=(5, 4)),
        "prior": MAF(num_bijectors=1, hidden=(4,)),
    },
}


@pytest.fixture
def eager_gumbel(monkeypatch):
    """Use a generator with a kernel outside XLA; compiling each of these steps takes 10 seconds or more."""

    def gumbel(shape, seed):
        return -tf.math.log(-tf.math.log(tf.random.stateless_uniform(shape, seed, minval=1e-30)))

    monkeypatch.setattr("tfdgm_posteriors.categorical.gumbel", gumbel)


@pytest.mark.usefixtures("eager_gumbel")
def test_in_latent_space_no_critic_tells_a_relaxed_posterior_from_a_prior_that_it_equals():
    """Relaxed points themselves are not codes, which this critic sees: its bound was then 0.115 nats."""
    optimizer = keras.optimizers.Adam(1e-2)
    objective = JSD(network=MLP(hidden=(16,)), space="latent", optimizer=optimizer)
    built = points_experiment(posterior=categorical(), prior=Uniform(), objectives=[ELBO(), objective]).build()
    for variable in built.model.encoder.trainable_variables():
        variable.assign(tf.zeros(variable.shape))  # q(c|x) is uniform, as p(c) is
    x, player = tf.constant(normal_rows(500)), built.players[0]

    @tf.function(autograph=False)
    def one_move(step):
        forward = ForwardPass(built.model, x, context(step=step, training=True))
        with tf.GradientTape() as tape:
            loss = objective.adversary_loss(forward, forward.context)
            mean = tf.reduce_mean(loss.value)
        player.apply(tape.gradient(mean, [raw(variable) for variable in player.variables.values()]), Devices())
        return loss.metrics["jsd_bound"]

    # each on draws that the critic has not seen: at most 0 in expectation, whatever the critic
    found = np.concatenate([one_move(tf.constant(step)) for step in range(200)][100:])
    assert found.mean() < 5 * found.std() / np.sqrt(found.size)  # standard errors
    assert found.mean() > -0.01  # logits of 0.3, which the optimizer's noise does not reach


def assert_everything_moves(built):
    variables = {
        f"{player.name}: {path}": variable for player in built.players for path, variable in player.variables.items()
    }
    before = {path: raw(variable).numpy() for path, variable in variables.items()}
    metrics = [one_step(built, step=step) for step in range(2)]  # a MADE starts at 0 but for its last layer
    assert {path for path, variable in variables.items() if (raw(variable).numpy() == before[path]).all()} == set()
    assert all(np.isfinite(value) for step in metrics for value in step.values())
    return metrics[0]


@pytest.mark.slow
@pytest.mark.usefixtures("eager_gumbel")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("setting", SETTINGS)
def test_alone_it_moves_every_variable_of_both_players(setting, kind):
    critic = kind(network=MLP(hidden=(6,)), moves=1, optimizer=keras.optimizers.SGD(0.1))
    optimizer = keras.optimizers.SGD(0.1)
    assert_everything_moves(points_experiment(**SETTINGS[setting](), objectives=[critic], optimizer=optimizer).build())


@pytest.mark.slow
@pytest.mark.usefixtures("eager_gumbel")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("setting", [name for name in SETTINGS if not name.startswith("gan")])
def test_in_latent_space_with_the_bare_reconstruction_it_moves_every_variable_of_both_players(
    setting, kind, eager_gumbel
):
    """The prior has the real side's gradient alone here, and the encoder both."""
    critic = kind(network=MLP(hidden=(6,)), moves=1, optimizer=keras.optimizers.SGD(0.1), space="latent")
    changes = {"objectives": [ELBO(beta=0.0), critic], "optimizer": keras.optimizers.SGD(0.01)}
    assert_everything_moves(points_experiment(**SETTINGS[setting](), **changes).build())


@pytest.mark.parametrize(
    "setting, kept", [("vq with frequencies", "counts"), ("gaussian with a memory", "memory/mean")]
)
def test_a_prior_that_no_loss_reads_still_follows_the_posterior(setting, kept):
    objective = adversarial(fakes="reconstructions")
    built = points_experiment(**SETTINGS[setting](), objectives=[objective]).build()
    before = raw(named_variables(built.model.prior)[kept]).numpy()
    one_step(built)
    assert (raw(named_variables(built.model.prior)[kept]).numpy() != before).any()


@pytest.mark.parametrize("kind", KINDS)
def test_commitment_is_part_of_the_models_loss_without_the_elbo(kind):
    critic = adversarial(kind)
    built = points_experiment(posterior=vq(learning="gradient"), prior=Uniform(), objectives=[critic]).build()
    name = kind.__name__.lower()
    metrics = {name: float(value) for name, value in one_step(built).items()}
    expected = metrics[f"{name}/generator_loss"] + metrics["commitment"] + metrics["codebook"]
    assert metrics["commitment"] > 0.01 and metrics["codebook"] > 0.01  # else they would not show
    assert metrics["loss"] == pytest.approx(expected, rel=1e-5)  # float32


def test_the_weight_of_the_term_enters_the_models_loss_and_not_the_critics():
    losses = {}
    for weight in (1.0, 3.0):
        metrics = one_step(points_experiment(objectives=[ELBO(), adversarial(weight=weight)]).build())
        losses[weight] = {name: float(value) for name, value in metrics.items()}
    for weight, found in losses.items():
        expected = found["rate"] - found["reconstruction"] + weight * found["jsd/generator_loss"]
        assert found["loss"] == pytest.approx(expected, rel=1e-5)  # float32
    assert losses[1.0]["jsd/loss"] == losses[3.0]["jsd/loss"]


def test_the_loss_moves_the_models_samples_towards_higher_scores():
    for kind in KINDS:
        objective = adversarial(kind)
        built = gan_experiment(objectives=[objective], optimizer=keras.optimizers.SGD(0.1)).build()
        slope = np.array([1.0, -2.0, 0.5], np.float32)
        objective.critic.network.layers[0].kernel.assign(slope[:, None])
        before = forward_of(built).generated.numpy() @ slope
        one_step(built, built.players[1:])
        assert (forward_of(built).generated.numpy() @ slope).mean() > before.mean() + 0.05


def watch(objective, seen):
    """Record the real and fake samples of every pass in which the objective computes a loss."""
    critic_loss, generator_loss = objective.critic_loss, objective.generator_loss

    def by_critic(score, real, fakes, now):
        seen.append((real.numpy(), fakes[0].numpy()))
        return critic_loss(score, real, fakes, now)

    def by_model(score, real, fakes):
        seen.append((real.numpy(), fakes[0].numpy()))
        return generator_loss(score, real, fakes)

    objective.critic_loss, objective.generator_loss = by_critic, by_model


@pytest.mark.parametrize("kind", KINDS)
def test_every_move_of_every_player_is_on_a_batch_and_draws_of_its_own(kind, tmp_path):
    first, second = adversarial(kind, moves=3), adversarial(moves=2)
    built = gan_experiment(objectives=[first, second], batch_size=20, steps=2).build()
    trainer = Trainer(built, tmp_path, print)
    assert trainer.feed.draws_per_step == 6
    positions = trainer.feed.positions(0, 1)
    assert np.unique(positions[:3]).size == np.unique(positions[3:]).size == 60  # two epochs of three batches
    seen, of_second = [], []
    watch(first, seen)
    watch(second, of_second)
    draws = [Draw(tf.constant(at), tf.constant(built.experiment.train.gather(at))) for at in positions]
    trainer._step(draws, tf.constant(0, tf.int64), Seed(trainer.seed).child(0), tf.constant(True))
    assert [int(player.optimizer.iterations) for player in built.players] == [3, 2, 1]
    assert (len(seen), len(of_second)) == (4, 3)
    np.testing.assert_array_equal(seen[3], of_second[2])  # the model's pass, which both judge
    seen[3:3] = of_second[:2]
    for (real, fake), at in zip(seen, positions, strict=True):
        np.testing.assert_array_equal(real, built.experiment.train.gather(at))
        # the decoder moves last: fakes that are alike had the same z
        assert sum((fake == other).any() for _, other in seen) == 1


def test_two_objectives_have_a_critic_and_an_optimizer_each():
    first, second, third = adversarial(), adversarial(space="latent", moves=2), adversarial(Wasserstein)
    built = points_experiment(objectives=[ELBO(), first, second, third]).build()
    assert [player.name for player in built.players] == ["jsd", "jsd_2", "wasserstein", "model"]
    metrics = assert_everything_moves(built)
    assert {"jsd/generator_loss", "jsd_2/value", "wasserstein/dual"} <= set(metrics)
    assert [int(player.optimizer.iterations) for player in built.players] == [2, 4, 2, 2]
    kernels = [objective.critic.network.layers[0].kernel for objective in (first, third)]
    assert kernels[0].shape == kernels[1].shape and (kernels[0].numpy() != kernels[1].numpy()).any()


def test_draws_of_codes_pass_the_gradient_of_their_probabilities_to_the_prior_and_the_codebook():
    class Learned(Uniform):
        def build(self, context):
            super().build(context)
            values = np.random.RandomState(0).randn(*self.event_shape, self.categories)
            self.logits = keras.Variable(values.astype(np.float32), name="logits")

        def distribution(self, context):
            import tensorflow_probability as tfp

            return tfp.distributions.Independent(tfp.distributions.Categorical(logits=self.logits.value), 1)

    built = points_experiment(posterior=categorical(), prior=Learned(), objectives=[ELBO()]).build()
    model, weights = built.model, np.random.RandomState(1).randn(50, 2, 2)
    logits, codebook = raw(model.prior.logits), raw(model.posterior.embeddings)
    with tf.GradientTape() as tape:
        drawn = model.draw_inputs(model.prior_distribution(context()), 50, context())
        total = tf.reduce_sum(drawn * weights.astype(np.float32))
    of_logits, of_codebook = tape.gradient(total, [logits, codebook])
    rows_of_codebook = codebook.numpy().astype(np.float64)
    distances = np.abs(drawn.numpy()[:, :, None] - rows_of_codebook).sum(axis=-1)
    assert distances.min(axis=-1).max() < 1e-6  # what is drawn are codes
    one_hot = np.eye(4)[distances.argmin(axis=-1)]
    probabilities = softmax(logits.numpy().astype(np.float64), axis=-1)
    assert np.abs(one_hot.mean(axis=0) - probabilities).max() < 5 * 0.5 / np.sqrt(50)  # five standard errors
    # d sum_b w_b . (y_b E) / dp_ik = sum_b w_bi . e_k, and then through the softmax
    target = np.einsum("bic,kc->ik", weights, rows_of_codebook)
    expected = probabilities * (target - (probabilities * target).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(of_logits, expected, rtol=1e-3, atol=1e-4)  # float32 sums of 50
    np.testing.assert_allclose(of_codebook, np.einsum("bik,bic->kc", one_hot, weights), rtol=1e-4, atol=1e-4)


def test_the_probabilities_of_an_autoregressive_prior_are_those_that_its_draws_came_from():
    built = points_experiment(
        posterior=categorical(), prior=Autoregressive(width=8, layers=1, heads=2), objectives=[ELBO()]
    ).build()
    prior = built.model.prior_distribution(context())
    drawn, probabilities = prior.sample_with_probabilities(30, context().seed_for("x"))
    chosen = np.take_along_axis(probabilities.numpy(), drawn.numpy()[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(np.log(chosen).sum(axis=1), prior.log_prob(drawn), rtol=1e-5)  # float32
    np.testing.assert_array_equal(drawn, prior.sample(30, seed=context().seed_for("x")))


@pytest.mark.parametrize("kind", KINDS)
def test_the_scores_of_samples_are_the_critics(kind):
    objective = tanh_objective(kind, size=3)
    x = np.random.RandomState(0).randn(7, 3).astype(np.float32)
    expected, _ = tanh_scores(weights_of(objective.critic), x)
    np.testing.assert_allclose(objective.scores(tf.constant(x), context()), expected, rtol=1e-5, atol=1e-5)  # float32


@pytest.mark.parametrize("objective", [ELBO(), JSD(packing=2)])
def test_objectives_without_scores_of_single_samples_say_so(objective):
    with pytest.raises(NotImplementedError, match="has no score"):
        objective.scores(tf.zeros([4, 3]), context())
