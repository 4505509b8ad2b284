"""The training step against numbers derived by hand; eager, so that nothing is compiled."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import MeanGame, gan_experiment, points_experiment
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.elbo import ELBO

from tfdgm import Concatenated, Loss, Objective, Summed, UserError
from tfdgm.contracts.component import named_variables, raw
from tfdgm.errors import PluginFault
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.numerics.randomness import fold, root_seed
from tfdgm.numerics.seeds import Seed
from tfdgm.parallel.devices import Devices, Draw
from tfdgm.training.step import shard_pass, training_step


def rows_of(built, count=20):
    return tf.constant(built.experiment.train.gather(np.arange(count)))


def step_once(built, step=0, players=None, **settings):
    """One eager training step on the first rows, with the same batch for every update."""
    players = built.players if players is None else players
    rows, positions = rows_of(built), tf.range(20)
    draws = [Draw(positions, rows)] * sum(player.updates for player in players)
    seed = Seed(root_seed(0, "training")).child(step)
    settings = {"devices": Devices(), "seed": seed, "shards": 1, "clip_norm": None, **settings}
    return training_step(built.model, players, draws, tf.constant(step, tf.int64), **settings)


def values(variables):
    return {name: raw(variable).numpy().copy() for name, variable in variables.items()}


def shard_gradients(built, shards, step=0):
    """The gradients of each shard, with the seeds of the step."""
    player = built.players[-1]
    update_seed = fold(fold(root_seed(0, "training"), step), 0)
    parts = zip(tf.split(rows_of(built), shards), tf.split(tf.range(20), shards), strict=True)
    return [
        shard_pass(built.model, player, rows, at, tf.constant(step, tf.int64), fold(update_seed, number)).gradients
        for number, (rows, at) in enumerate(parts)
    ]


def test_one_step_of_sgd_on_an_affine_vae_equals_the_gradient_derived_by_hand():
    built = points_experiment(optimizer=keras.optimizers.SGD(1.0)).build()
    model, before = built.model, values(built.parameters())
    seed = fold(fold(fold(root_seed(0, "training"), 0), 0), 0)
    from tfdgm import Context

    forward = ForwardPass(model, rows_of(built), Context(seed, tf.constant(0, tf.int64), training=True))
    z, x = forward.latent.z.numpy().astype(float), forward.x.numpy().astype(float)
    encoder, decoder = model.encoder.layers[0], model.decoder.layers[0]
    features = x @ encoder.kernel.numpy().astype(float) + encoder.bias.numpy()
    m, r = features[:, :2], features[:, 2:]
    s = np.log1p(np.exp(r)) + 1e-4
    eps = (z - m) / s
    W, b = decoder.kernel.numpy().astype(float), decoder.bias.numpy()
    residual = (x - z @ W - b) / 0.5**2  # d log p(x|z) / d mean, likelihood scale 0.5
    dz = -residual @ W.T
    dm, ds = dz + m, dz * eps + s - 1 / s  # the rate is sum (m^2 + s^2 - 1) / 2 - log s
    dfeatures = np.concatenate([dm, ds / (1 + np.exp(-r))], axis=1)
    expected = {
        "decoder/layers/0/0_kernel": -z.T @ residual / 20,
        "decoder/layers/0/1_bias": -residual.mean(0),
        "encoder/layers/0/0_kernel": x.T @ dfeatures / 20,
        "encoder/layers/0/1_bias": dfeatures.mean(0),
    }

    step_once(built)

    after = values(built.parameters())
    assert {f"model/{name}" for name in expected} == set(after)
    for name, gradient in expected.items():
        # float32 sums of 20 terms of size up to 30: relative rounding below 1e-5, and the difference of two weights
        # loses another digit
        moved = before[f"model/{name}"] - after[f"model/{name}"]
        np.testing.assert_allclose(moved, gradient, rtol=1e-4, atol=1e-4)


def test_the_applied_gradient_is_the_mean_over_the_shards():
    built = points_experiment(optimizer=keras.optimizers.SGD(1.0), shards=4).build()
    by_hand = [np.mean(parts, axis=0) for parts in zip(*shard_gradients(built, 4), strict=True)]
    before = values(built.players[-1].variables)
    step_once(built, shards=4)
    after = values(built.players[-1].variables)
    for name, gradient in zip(before, by_hand, strict=True):
        # weights of size 1 less gradients of size 10 in float32: rounding of 1e-6 a term
        np.testing.assert_allclose(before[name] - after[name], gradient, rtol=1e-5, atol=1e-5)


def test_clipping_acts_on_the_averaged_gradient_not_on_each_shard():
    built = points_experiment(optimizer=keras.optimizers.SGD(1.0), shards=4).build()
    shards = shard_gradients(built, 4)
    mean = [np.mean(parts, axis=0) for parts in zip(*shards, strict=True)]
    norm = np.sqrt(sum(np.sum(part**2) for part in mean))
    bound = 0.5 * norm
    before = values(built.players[-1].variables)
    metrics = step_once(built, shards=4, clip_norm=float(bound))
    after = values(built.players[-1].variables)
    moved = [before[name] - after[name] for name in before]
    for got, expected in zip(moved, mean, strict=True):
        np.testing.assert_allclose(got, 0.5 * expected, rtol=1e-4, atol=1e-5)  # rounding, as above
    clipped = [tf.clip_by_global_norm(part, bound)[0] for part in shards]
    other = [np.mean(parts, axis=0) for parts in zip(*clipped, strict=True)]
    assert max(np.abs(a - b).max() for a, b in zip(moved, other, strict=True)) > 1e-2  # the two orders differ here
    np.testing.assert_allclose(metrics["gradient_norm"], norm, rtol=1e-5)


def test_shards_draw_different_noise():
    class Noisy(MLP):
        def __call__(self, x, context):
            seen.append(context.seed.tensor.numpy().tolist())
            return super().__call__(x, context)

    seen = []
    built = points_experiment(encoder=Noisy(hidden=()), shards=4).build()
    step_once(built, shards=4)
    assert len(seen) == 4
    assert len({tuple(seed) for seed in seen}) == 4


def test_the_moving_average_follows_its_recursion():
    built = points_experiment(ema_decay=0.9).build()
    player = built.players[-1]
    expected = values(player.variables)
    for step in range(3):
        step_once(built, step)
        for name, weight in values(player.variables).items():
            expected[name] = 0.9 * expected[name] + 0.1 * weight
    assert set(player.averages) == set(expected)
    for name, average in values(player.averages).items():
        np.testing.assert_allclose(average, expected[name], rtol=1e-5, atol=1e-6)  # three float32 roundings


def test_averaged_replaces_the_weights_within_the_block_and_restores_them():
    built = points_experiment(ema_decay=0.5).build()
    step_once(built)
    player = built.players[-1]
    kept, averages = values(player.variables), values(player.averages)
    with built.state.averaged():
        for name, value in values(player.variables).items():
            np.testing.assert_array_equal(value, averages[name])
    for name, value in values(player.variables).items():
        np.testing.assert_array_equal(value, kept[name])
    assert any((kept[name] != averages[name]).any() for name in kept)


@pytest.mark.parametrize("step, beta", [(0, 0.0), (5, 0.5), (20, 1.0)])
def test_the_scheduled_weight_of_the_rate_enters_the_loss(step, beta):
    warm_up = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 1.0)
    built = points_experiment(objectives=[ELBO(beta=warm_up)]).build()
    metrics = {name: float(value) for name, value in step_once(built, step).items()}
    expected = beta * metrics["rate"] - metrics["reconstruction"]
    assert metrics["rate"] > 0.1  # otherwise the weight would have no effect
    assert metrics["loss"] == pytest.approx(expected, rel=1e-5)  # float32


def test_the_weight_of_a_term_multiplies_it():
    one = points_experiment(objectives=[ELBO()]).build()
    three = points_experiment(objectives=[ELBO(), ELBO(weight=2.0)]).build()
    assert float(step_once(three)["loss"]) == pytest.approx(3 * float(step_once(one)["loss"]), rel=1e-5)  # float32


def test_the_critic_is_updated_three_times_for_each_update_of_the_model():
    built = gan_experiment().build()
    for step in range(2):
        step_once(built, step)
    assert [player.name for player in built.players] == ["meangame", "model"]
    assert [int(player.optimizer.iterations) for player in built.players] == [6, 2]


def test_each_update_of_the_critic_takes_a_new_batch():
    built = gan_experiment().build()
    seen = []
    observe = built.model.data.observe
    built.model.data.observe = lambda rows, context: seen.append(rows.numpy()) or observe(rows, context)
    rows = tf.reshape(tf.range(4 * 20 * 3, dtype=tf.float32), [4, 20, 3]) / 240
    settings = {"devices": Devices(), "seed": Seed(root_seed(0, "training")), "shards": 1, "clip_norm": None}
    draws = [Draw(tf.range(20), rows[d]) for d in range(4)]
    training_step(built.model, built.players, draws, tf.constant(0, tf.int64), **settings)
    np.testing.assert_array_equal(np.stack(seen), rows)


def test_the_model_has_the_seeds_of_a_run_without_adversaries():
    class Noisy(MLP):
        def __call__(self, x, context):
            seen.append(context.seed.tensor.numpy().tolist())
            return super().__call__(x, context)

    seen = []
    adversary = MeanGame(network=MLP(hidden=(4,)), moves=2)
    for objectives in ([ELBO()], [ELBO(), adversary]):
        step_once(points_experiment(encoder=Noisy(hidden=()), objectives=objectives).build())
    assert len(seen) == 2 and seen[0] == seen[1]


def test_updates_of_the_critic_leave_the_model_and_updates_of_the_model_leave_the_critic():
    built = gan_experiment().build()
    critic, model = built.players
    weights = values(model.variables)
    step_once(built, players=[critic])
    for name, value in values(model.variables).items():
        np.testing.assert_array_equal(value, weights[name])
    critics = values(critic.variables)
    step_once(built, players=[model])
    for name, value in values(critic.variables).items():
        np.testing.assert_array_equal(value, critics[name])
    assert any((values(model.variables)[name] != weights[name]).any() for name in weights)


def test_an_objective_with_an_adversary_combines_with_the_elbo():
    built = points_experiment(objectives=[ELBO(), MeanGame(network=MLP(hidden=(4,)), moves=1)]).build()
    metrics = step_once(built)
    assert {"loss", "elbo", "meangame/fake", "meangame/loss", "meangame/real"} <= set(metrics)


class Watching(MLP):
    """An affine map that collects its inputs."""

    def __call__(self, x, context):
        context.collect(self, count=Summed(tf.cast(len(x), tf.float32)), rows=Concatenated(x))
        return super().__call__(x, context)

    def update_statistics(self, totals, context):
        self.updates = [*getattr(self, "updates", []), {name: value.numpy() for name, value in totals.items()}]


def test_statistics_are_totalled_once_a_step_over_all_shards_in_order():
    built = points_experiment(encoder=Watching(hidden=()), shards=4).build()
    for step in range(2):
        step_once(built, step, shards=4)
    updates = built.model.encoder.updates
    assert [totals["count"] for totals in updates] == [20, 20]
    for totals in updates:
        np.testing.assert_array_equal(totals["rows"], rows_of(built))


def test_a_component_called_twice_in_a_pass_totals_both_calls():
    class Twice(Watching):
        def __call__(self, x, context):
            super().__call__(x, context)
            return super().__call__(x, context)

    built = points_experiment(encoder=Twice(hidden=()), shards=2).build()
    step_once(built, shards=2)
    assert built.model.encoder.updates[0]["count"] == 40


def test_only_the_player_that_owns_a_component_updates_its_statistics():
    built = gan_experiment(decoder=Watching(hidden=())).build()
    step_once(built)
    assert len(built.model.decoder.updates) == 1  # not in the critic's three updates, which decode as well


def test_a_statistic_collected_in_two_ways_is_an_error():
    class Muddled(MLP):
        def __call__(self, x, context):
            context.collect(self, x=Summed(x))
            context.collect(self, x=Concatenated(x))
            return super().__call__(x, context)

    with pytest.raises(PluginFault, match="both as Summed and as Concatenated"):
        step_once(points_experiment(encoder=Muddled(hidden=())).build())


def test_projection_follows_every_update():
    class Boxed(MLP):
        calls = 0

        def project(self):
            self.calls += 1
            for layer in self.layers:
                layer.kernel.assign(tf.clip_by_value(layer.kernel.value, -0.01, 0.01))

    critic = Boxed(hidden=(4,))
    built = gan_experiment(objectives=[MeanGame(network=critic)]).build()
    assert max(np.abs(layer.kernel.numpy()).max() for layer in critic.layers) > 0.01
    step_once(built)
    assert critic.calls == 3
    assert max(np.abs(layer.kernel.numpy()).max() for layer in critic.layers) <= np.float32(0.01)


def test_a_weight_that_no_loss_reaches_is_refused_by_name():
    class Idle(ELBO):
        def model_loss(self, forward, context):
            loss = super().model_loss(forward, context)
            return type(loss)(tf.stop_gradient(loss.value) + tf.reduce_sum(forward.features), loss.metrics)

    with pytest.raises(UserError, match="decoder/layers/0/0_kernel"):
        step_once(points_experiment(objectives=[Idle()]).build())


def test_a_player_without_trainable_variables_is_refused():
    class Plain(Objective):
        critic_steps, optimizer = 1, keras.optimizers.SGD()

        def model_loss(self, forward, context):
            return Loss(forward.reconstruction)

    with pytest.raises(UserError, match="'plain' has nothing to train"):
        points_experiment(objectives=[ELBO(), Plain()]).build()


def test_the_same_step_twice_from_the_same_weights_is_the_same_bit_for_bit():
    first, second = points_experiment().build(), points_experiment().build()
    for built in (first, second):
        step_once(built, 7)
    for name, value in values(named_variables(first.model)).items():
        np.testing.assert_array_equal(value, raw(named_variables(second.model)[name]).numpy())
