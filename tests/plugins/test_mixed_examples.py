"""Networks whose output for one example depends on the others, and what they cannot be combined with."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import command, context, gan_experiment
from tfdgm_networks.conv import Conv
from tfdgm_networks.mlp import MLP
from tfdgm_networks.normalization import BatchNormalization
from tfdgm_objectives.jsd import JSD
from tfdgm_objectives.wasserstein import Wasserstein

from tfdgm import BuildContext, DataSpec, LatentSpec, Network, UserError

IMAGES = np.random.RandomState(0).rand(6, 8, 8, 1).astype(np.float32)
ROWS = np.random.RandomState(1).randn(6, 3).astype(np.float32)
RISING = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 1.0)


def normalised():
    return MLP(hidden=(4,), normalization="batch")


@pytest.mark.parametrize("network", [MLP, Conv])
@pytest.mark.parametrize("normalization", [None, "batch"])
def test_mixes_examples_says_whether_one_output_depends_on_the_other_examples(network, normalization):
    made = network(normalization=normalization)
    data = DataSpec(shape=(8, 8, 1), image_shape=(8, 8, 1))
    made.build((8, 8, 1), (3,), BuildContext(data, LatentSpec(3), 10, None, 0))
    others = np.concatenate([IMAGES[:1], 1 - IMAGES[1:]])
    first, second = (made(tf.constant(x), context(training=True))[0].numpy() for x in (IMAGES, others))
    assert (np.abs(first - second).max() > 1e-3) == made.mixes_examples == (normalization == "batch")


def test_a_network_that_says_nothing_keeps_examples_apart():
    assert not Network.mixes_examples


@pytest.mark.parametrize(
    "objective, setting",
    [
        (lambda network: Wasserstein(network=network), "lipschitz = 'gradient_penalty'"),
        (lambda network: JSD(network=network, r1=0.1), "r1"),
        (lambda network: JSD(network=network, r2=RISING), "r2"),
        (lambda network: JSD(network=network, r1=1, r2=1.0), "r1 and r2"),
    ],
    ids=["gradient penalty", "r1", "scheduled r2", "r1 and r2"],
)
def test_a_penalty_on_each_samples_slope_refuses_a_critic_that_mixes_samples(objective, setting):
    with pytest.raises(UserError) as given:
        gan_experiment(objectives=[objective(normalised())]).build()
    with pytest.raises(UserError) as like_decoder:
        gan_experiment(objectives=[objective(None)], decoder=normalised()).build()
    for raised, where in ((given, "mlp "), (like_decoder, "mlp (built like experiment.decoder) ")):
        message = str(raised.value).lower()
        assert f": {setting} penalises the critic's slope at each sample, but batch norm" in str(raised.value)
        assert f"{where}makes the score of one sample depend on the others" in message
        assert message.endswith("set network to one without it") and "\n" not in message
    gan_experiment(objectives=[objective(MLP(hidden=(4,)))], decoder=normalised()).build()


@pytest.mark.parametrize(
    "objective",
    [
        lambda: JSD(network=normalised()),
        lambda: JSD(network=normalised(), r1=0, r2=0.0),
        lambda: Wasserstein(network=normalised(), lipschitz="clipping"),
        lambda: Wasserstein(network=normalised(), lipschitz="spectral_normalization"),
    ],
)
def test_without_a_penalty_on_slopes_a_critic_may_mix_samples(objective):
    built = gan_experiment(objectives=[objective()]).build()
    (critic,) = (term.critic for term in built.experiment.objectives.values())
    assert critic.network.mixes_examples
    scores = [
        critic.at(context(training=True))(tf.constant(x))[0] for x in (ROWS, np.concatenate([ROWS[:1], -ROWS[1:]]))
    ]
    assert abs(float(scores[0] - scores[1])) > 1e-4  # the first score depends on the other samples


def test_one_row_has_no_variance_to_normalise_by():
    norm = BatchNormalization(3)
    with pytest.raises(UserError, match=r"raise experiment\.batch_size or lower experiment\.shards"):
        norm(tf.ones([1, 3]), context(training=True))
    assert norm(tf.ones([1, 3]), context()).shape == (1, 3)  # by the moving averages
    assert norm(tf.ones([1, 2, 2, 3]), context(training=True)).shape == (1, 2, 2, 3)  # of an image, over its pixels


ALONE = """
steps = 2
experiment.batch_size = 4
network.mlp.hidden = (4,)
network.mlp.normalization = "batch"
"""


@pytest.mark.parametrize(
    "bindings",
    [
        "experiment.shards = 4",
        """
        experiment.objectives = [@objective.elbo(), @objective.wasserstein()]
        objective.wasserstein.lipschitz = "clipping"
        objective.wasserstein.packing = 4
        """,
    ],
    ids=["shards", "packing"],
)
def test_one_example_in_a_shard_ends_the_command_with_one_line(tmp_path, capsys, bindings):
    lines = "\n".join(line.strip() for line in bindings.splitlines())
    assert command("train", f"--workdir={tmp_path / 'run'}", f"--gin_bindings={ALONE}{lines}") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tfdgm: batch normalisation requires more than one example per shard: raise ")


def test_a_network_of_tensors_of_unknown_size_is_taken_to_have_more_rows():
    norm = BatchNormalization(3)

    @tf.function(input_signature=[tf.TensorSpec([None, 3])], autograph=False)
    def normalise(x):
        return norm(x, context(training=True))

    np.testing.assert_allclose(np.mean(normalise(tf.random.stateless_normal([9, 3], [1, 2])), axis=0), 0, atol=1e-6)
