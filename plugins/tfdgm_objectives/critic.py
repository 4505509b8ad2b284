"""The critic: a network from samples to scores, evaluated at its own or at other weights."""

import dataclasses
from collections.abc import Callable, Mapping

import keras
import numpy as np
import tensorflow as tf

from tfdgm import BuildContext, Component, Context, Network, UserError, substituted

#: x `[batch, *shape]` -> scores `[batch]`.
Score = Callable[[tf.Tensor], tf.Tensor]


class Critic(Component):
    """f(x), one score for each sample, or for each `packing` samples seen together (PacGAN; Lin et al. 2018).

    Under a condition y with features v(y), f(x, y) = g_0(x) + <v(y), g(x)>, where the network gives (g_0, g): the
    projection of the network's last layer on an embedding of y (Miyato and Koyama 2018, equation 3).

    Args:
      network: maps the samples' shape, with a last axis `packing` times as long, to a scalar; None for a copy of the
        decoder's architecture.
      packing: m, number of samples per score.
      spectral_normalization: whether to divide every kernel W by its largest singular value, tracked by one power
        iteration per critic step (Miyato et al. 2018); the kernel of a convolution is a matrix from all axes but the
        last to the last.
    """

    def __init__(self, network: Network | None, packing: int, spectral_normalization: bool) -> None:
        self.given = network
        self.packing = packing
        self.spectral_normalization = spectral_normalization

    def build(self, shape: tuple[int, ...], context: BuildContext) -> None:
        self.network: Network = self.given or context.like_decoder()
        self.condition = context.condition
        outputs = () if self.condition is None else (1 + self.packing * self.condition.width,)
        within = dataclasses.replace(context.within("critic"), condition=None, train_conditions=None)
        self.network.build((*shape[:-1], shape[-1] * self.packing), outputs, within)
        self.directions: dict[str, keras.Variable] = {}
        if self.spectral_normalization:
            for number, kernel in enumerate(self.kernels()):
                matrix = np.reshape(kernel.numpy(), [-1, kernel.shape[-1]])
                leading = np.linalg.svd(matrix, full_matrices=False)[2][0]
                self.directions[str(number)] = keras.Variable(leading, trainable=False, name="direction")

    def variables(self) -> list[keras.Variable]:
        """Return the trainable variables of the network.

        Raises:
          UserError: one is not a keras.Variable, so that spectral normalisation and unrolling cannot replace it.
        """
        found = self.network.trainable_variables()
        unsupported = [variable.name for variable in found if not isinstance(variable, keras.Variable)]
        if unsupported:
            raise UserError(
                f"{self.network.display_name()} keeps {', '.join(unsupported)} as tf.Variable; spectral normalisation "
                "and unrolling require keras.Variable"
            )
        return found

    def kernels(self) -> list[keras.Variable]:
        return [variable for variable in self.variables() if len(variable.shape) >= 2]

    def pack(self, x: tf.Tensor) -> tf.Tensor:
        """Map `[batch, *shape]` to `[batch / m, *shape[:-1], m * shape[-1]]`."""
        if self.packing == 1:
            return x
        batch, *shape = x.shape
        if batch % self.packing:
            raise UserError(f"a batch of {batch} examples cannot be divided into packs of {self.packing}")
        rank = len(shape)
        apart = tf.reshape(x, [batch // self.packing, self.packing, *shape])
        beside = tf.transpose(apart, [0, *range(2, rank + 1), 1, rank + 1])
        return tf.reshape(beside, [batch // self.packing, *shape[:-1], self.packing * shape[-1]])

    def at(self, context: Context, values: Mapping[int, tf.Tensor] | None = None) -> Score:
        """Return the scores as a function of packed samples.

        Args:
          context: context of the call.
          values: tensors that replace variables, by position; gradients reach the tensors.
        """
        if values is None and not self.spectral_normalization:
            return lambda x: self._scores(x, context)
        variables = self.variables()
        current = [variable.value if values is None else values[i] for i, variable in enumerate(variables)]
        if self.spectral_normalization:
            directions = iter(self.directions.values())
            current = [
                value / spectral_norm(value, next(directions).value) if len(value.shape) >= 2 else value
                for value in current
            ]

        def score(x: tf.Tensor) -> tf.Tensor:
            with substituted(variables, current):
                return self._scores(x, context)

        return score

    def _scores(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        """Return f(x, y) of packed samples: one or more blocks of as many as there are packs of conditions."""
        if self.condition is None:
            return self.network(x, context)
        assert context.y is not None
        packs = context.y.shape[0] // self.packing
        features = self.condition.features(context.y[: packs * self.packing])
        features = tf.tile(tf.reshape(features, [packs, -1]), [x.shape[0] // packs, 1])
        outputs = self.network(x, dataclasses.replace(context, y=None))
        return outputs[:, 0] + tf.reduce_sum(features * outputs[:, 1:], axis=1)

    def project(self) -> None:
        """Do one power iteration for every kernel."""
        if self.spectral_normalization:
            for kernel, direction in zip(self.kernels(), self.directions.values(), strict=True):
                direction.value.assign(power_iteration(kernel.value, direction.value))


def power_iteration(kernel: tf.Tensor, direction: tf.Tensor) -> tf.Tensor:
    """Return W^T W v, normalised: closer than v `[outputs]` to the first right singular vector."""
    matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
    return tf.math.l2_normalize(tf.linalg.matvec(matrix, tf.linalg.matvec(matrix, direction), transpose_a=True))


def spectral_norm(kernel: tf.Tensor, direction: tf.Tensor) -> tf.Tensor:
    """Return u^T W v with u = W v / |W v|: the largest singular value of W if v is its right singular vector.

    The gradient is u v^T, that of the singular value (Miyato et al. 2018, equation 12).
    """
    matrix = tf.reshape(kernel, [-1, kernel.shape[-1]])
    left = tf.stop_gradient(tf.math.l2_normalize(tf.linalg.matvec(matrix, direction)))
    return tf.tensordot(left, tf.linalg.matvec(matrix, tf.stop_gradient(direction)), 1)


def score_and_slope(score: Score, x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return f(x) `[batch]` and the squared norm of its gradient, |df/dx|^2 `[batch]`."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        scores = score(x)
        total = tf.reduce_sum(scores)
    gradient = tape.gradient(total, x)
    return scores, tf.reduce_sum(tf.square(gradient), axis=list(range(1, x.shape.rank)))


def unrolled(
    critic: Critic, context: Context, loss: Callable[[Score], tf.Tensor], steps: int, rate: float
) -> dict[int, tf.Tensor]:
    """Return the critic's weights after `steps` virtual steps of gradient descent on `loss`, by position.

    theta_(k+1) = theta_k - rate dL/dtheta(theta_k); the result is differentiable through all steps (Metz et al. 2017,
    equations 7 to 9).
    """
    values = {number: tf.convert_to_tensor(variable.value) for number, variable in enumerate(critic.variables())}
    for _ in range(steps):
        with tf.GradientTape() as tape:
            tape.watch(list(values.values()))
            value = loss(critic.at(context, values))
        gradients = tape.gradient(value, values)
        values = {number: value - rate * gradients[number] for number, value in values.items()}
    return values


def mean_by_sample(scores: tf.Tensor, packing: int) -> tf.Tensor:
    """Repeat a loss per pack `[batch / m]` for every sample, `[batch]`, which keeps the mean."""
    return tf.repeat(scores, packing) if packing > 1 else scores
