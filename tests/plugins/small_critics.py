"""Objectives with small critics, and the same critics in float64 NumPy."""

from types import SimpleNamespace

import numpy as np
import tensorflow as tf
from small import context
from tfdgm_networks.mlp import MLP

from tfdgm import BuildContext, DataSpec, LatentSpec, UserError
from tfdgm.contracts.component import raw
from tfdgm.numerics.randomness import root_seed
from tfdgm.numerics.seeds import Seed
from tfdgm.parallel.devices import Devices, Draw
from tfdgm.training.step import training_step


def identity(x):
    """A critic of samples `[batch, 1]` that are their own scores."""
    return x[:, 0]


def spec(shape, seed=0):
    """Return the build context of an objective on data of this shape."""
    return BuildContext(DataSpec(tuple(shape)), LatentSpec(2), 1, lambda indices: indices, seed=seed)


def tanh_objective(kind, size=3, **settings):
    """An objective built on R^size, with the critic w2 . tanh(W1 x + b1) + b2 and biases away from 0."""
    objective = kind(network=MLP(hidden=(5,), activation="tanh"), **settings)
    objective.build(spec((size,)))
    random = np.random.RandomState(3)
    for variable in objective.critic.variables():
        variable.assign(random.randn(*variable.shape).astype(np.float32))
    return objective


def affine_objective(kind, slope, offset=0.0, **settings):
    """An objective built on R^len(slope), with the critic slope . x + offset."""
    objective = kind(network=MLP(hidden=()), **settings)
    packing = settings.get("packing", 1)
    objective.build(spec((len(slope) // packing,)))
    kernel, bias = objective.critic.variables()
    kernel.assign(np.asarray(slope, np.float32)[:, None])
    bias.assign(np.full([1], offset, np.float32))
    return objective


def weights_of(critic):
    """Return all variables in float64."""
    return [raw(variable).numpy().astype(np.float64) for variable in critic.variables()]


def tanh_scores(weights, x):
    """Scores `[batch]` and gradients `[batch, size]` of the critic of `tanh_objective`."""
    first, offset, second, last = weights
    hidden = np.tanh(x @ first + offset)
    return (hidden @ second + last)[:, 0], ((1 - hidden**2) * second[:, 0]) @ first.T


def finite_differences(function, arrays, step=1e-5):
    """Gradients of a scalar function of float64 arrays; central, right to about step^2."""
    gradients = []
    for number, array in enumerate(arrays):
        gradient = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            sides = []
            for sign in (1, -1):
                moved = [other.copy() for other in arrays]
                moved[number][place] += sign * step
                sides.append(function(moved))
            gradient[place] = (sides[0] - sides[1]) / (2 * step)
        gradients.append(gradient)
    return gradients


def softplus(x):
    return np.logaddexp(0, x)


def rows(count, size=3, seed=0, shift=0.0):
    return (np.random.RandomState(seed).randn(count, size) + shift).astype(np.float32)


def gan_pass(real, fake):
    """Return the part of a `Forward` that objectives use, for a model without a posterior."""
    model = SimpleNamespace(posterior=None)
    return SimpleNamespace(model=model, x=tf.constant(real), generated=tf.constant(fake))


def critic_gradients(objective, real, fakes, step=0):
    """The loss `[batch]` of the critic, and the gradient of its mean with respect to the weights."""
    now = context(step=step)
    with tf.GradientTape() as tape:
        score = objective.critic.at(now)
        loss = objective.critic_loss(score, tf.constant(real), [tf.constant(x) for x in fakes], now)
        mean = tf.reduce_mean(loss.value)
    variables = [raw(variable) for variable in objective.critic.variables()]
    return loss, tape.gradient(mean, variables, unconnected_gradients="zero")


def one_step(built, players=None, step=0, shards=1):
    """Do one eager training step on the first rows, the same batch for every update."""
    players = built.players if players is None else players
    positions = tf.range(built.experiment.batch_size)
    draws = [Draw(positions, tf.constant(built.experiment.train.gather(positions.numpy())))]
    draws *= sum(player.updates for player in players)
    number = tf.constant(step, tf.int64)
    seed = Seed(root_seed(0, "training")).child(step)
    settings = {"devices": Devices(), "seed": seed, "shards": shards, "clip_norm": None}
    return training_step(built.model, players, draws, number, **settings)


def refused(make, *reason):
    """Assert that `make` raises a `UserError` whose message contains all parts."""
    try:
        make()
    except UserError as error:
        assert all(part in str(error) for part in reason), str(error)
        return
    raise AssertionError(f"nothing was refused; expected {reason}")
