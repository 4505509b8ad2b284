"""Devices share the work: one all-reduce in an update, independent noise, evaluation, and resuming on other devices."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from replicated import largest_difference, replicated, train
from small import points_experiment, silent

from tfdgm import Network, UserError
from tfdgm.evaluation.evaluate import evaluate
from tfdgm.numerics.seeds import Seed
from tfdgm.parallel.devices import Devices, Draw
from tfdgm.parallel.strategies import Placement, mirrored
from tfdgm.trained.sampling import draw, reconstruct
from tfdgm.training.trainer import Trainer


@pytest.mark.slow
def test_a_run_stopped_on_two_devices_continues_on_one_or_four_to_the_same_weights(tmp_path):
    whole = train(tmp_path / "whole", "exact", 2)
    train(tmp_path / "broken", "exact", 2, steps=25)
    for then in (1, 4):
        shutil.copytree(tmp_path / "broken", tmp_path / str(then))
        difference, name = largest_difference(whole, train(tmp_path / str(then), "exact", then))
        assert difference < 1e-5, name  # float32 sums in another order


@pytest.mark.slow
def test_the_number_of_shards_is_fixed_and_devices_that_do_not_divide_it_are_refused(tmp_path):
    train(tmp_path, "maf", 2, shards=None, steps=1, steps_per_loop=1)
    built, devices = replicated("maf", 1, shards=None)
    trainer = Trainer(built, tmp_path, silent)
    assert trainer.restore() == 1 and trainer.shards == 2  # one for each device on which it began
    built, devices = replicated("maf", 4, shards=None)
    with devices.scope(), pytest.raises(UserError, match=r"4 devices cannot share 2 shard\(s\) evenly"):
        Trainer(built, tmp_path, silent).restore()


@pytest.mark.slow
def test_an_update_has_one_all_reduce_of_gradients_and_little_more(tmp_path, monkeypatch):
    reduced, gathered = [], []
    context = tf.distribute.ReplicaContext
    all_reduce, all_gather = context.all_reduce, context.all_gather

    def counted(self, operation, value, options=None):
        reduced.append(int(np.prod(value.shape)))
        return all_reduce(self, operation, value, options)

    def gather(self, value, axis, options=None):
        gathered.append(value.shape)
        return all_gather(self, value, axis, options)

    monkeypatch.setattr(context, "all_reduce", counted)
    monkeypatch.setattr(context, "all_gather", gather)
    built, devices = replicated("wgan_gp", 2)
    with devices.scope():
        trainer = Trainer(built, tmp_path, silent)
        trainer.loop(1, tf.constant(trainer.feed.positions(0, 1)))
    sizes = {
        player.name: sum(int(np.prod(variable.shape)) for variable in player.variables.values())
        for player in built.players
    }
    # each of 2 replicas traces each of 2 + 1 updates
    assert len(reduced) == 2 * 3 and gathered == []
    critic, model = reduced[0], reduced[-1]
    assert sizes["wasserstein"] < critic < sizes["wasserstein"] + 10  # and metrics
    assert sizes["model"] + 3 * 8 < model < sizes["model"] + 3 * 8 + 10  # and sums of 8 normalised channels


def test_every_shard_draws_independent_noise(tmp_path):
    class Noise(Network):
        def build(self, input_shape, output_shape, context):
            self.shape = output_shape
            self.weight = keras.Variable(tf.zeros(output_shape), name="weight")

        def __call__(self, x, context):
            # submitted as a statistic, since a metric would be averaged over the shards
            noise = tf.random.stateless_normal([1], context.seed_for("noise"))
            from tfdgm import Concatenated

            context.collect(self, noise=Concatenated(noise))
            return tf.zeros([tf.shape(x)[0], *self.shape]) + self.weight.value

        def update_statistics(self, totals, context):
            seen.append(totals["noise"])

    seen = []
    devices = mirrored(2)
    with devices.scope():
        built = points_experiment(encoder=Noise(), shards=4).build(devices)
        trainer = Trainer(built, tmp_path, silent)

        @tf.function(autograph=False)
        def once():
            trainer._step([Draw(tf.range(20), None)], tf.constant(0, tf.int64), Seed(trainer.seed), tf.constant(True))
            return seen[-1]

        noise = once().numpy()
    assert len(np.unique(noise)) == 4


@pytest.mark.slow
def test_evaluation_and_samples_are_split_over_devices_and_agree_with_one(monkeypatch):
    from tfdgm.evaluation import bounds

    monkeypatch.setattr(bounds, "_EXAMPLES_AT_ONCE", 9)  # several chunks, and in the last round a device without one
    built, _ = replicated("adversarial_autoencoder", 1)
    many, devices = replicated("adversarial_autoencoder", 2)
    expected = evaluate(built, "train", 7)
    with devices.scope():
        found = evaluate(many, "train", 7)
        samples = draw(many, 1_100, seed=3)
        mean = reconstruct(many, "train", 10)[1]
    assert set(found) == set(expected)
    numbers = {name: value for name, value in expected.items() if name != "data_split"}
    for name, value in numbers.items():
        assert found[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name  # float32; counts agree exactly
    alone = draw(built, 1_100, seed=3)
    np.testing.assert_allclose(samples.mean, alone.mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mean, reconstruct(built, "train", 10)[1], rtol=1e-4, atol=1e-5)


def test_a_plugin_with_tf_variables_is_refused_on_several_devices():
    class Old(Network):
        def build(self, input_shape, output_shape, context):
            self.weight = tf.Variable(tf.zeros([3, output_shape[0]]), name="weight")

        def __call__(self, x, context):
            return x @ self.weight

    devices = mirrored(2)
    with devices.scope(), pytest.raises(UserError, match=r"weight.*created as tf\.Variable"):
        points_experiment(encoder=Old()).build(devices)


@pytest.mark.parametrize(
    "placement, reason",
    [
        ({"replicas": 2}, "no effect with"),
        ({"strategy": "mirrored", "replicas": 0}, "at least 1"),
        ({"strategy": "mirrored", "replicas": 5}, "this process has 4 logical CPU"),
        ({"strategy": "multi_worker"}, "requires TF_CONFIG"),
        ({"strategy": "multi_worker", "cluster": "slurm"}, "requires a process started by srun"),
        ({"strategy": "tpu", "tpu": "nowhere"}, "no TPU answers"),
    ],
)
def test_unavailable_devices_are_refused_with_the_reason(placement, reason, monkeypatch):
    for name in ("TF_CONFIG", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=reason):
        Placement(**placement).devices()


def test_a_strategy_with_one_device_is_one_device():
    assert type(Placement(strategy="mirrored", replicas=1).devices()) is Devices
