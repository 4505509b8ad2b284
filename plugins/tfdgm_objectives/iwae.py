"""The importance-weighted bound, with the plain or the doubly reparameterised gradient of the encoder."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Component, Context, Forward, Loss, Objective, single_draw_rate, substituted

#: Number of examples, and of independent draws of the noise, from which `gradient_snr` is estimated.
_SNR_EXAMPLES, _SNR_DRAWS = 128, 32


class IWAE(Objective):
    """Minimises -L_k, L_k = E log (1/k) sum_i w_i, w_i = p(x|z_i) p(z_i) / q(z_i|x), z_i ~ q(z|x); nats per example.

    L_1 is the ELBO, L_k rises with k and is at most log p(x) (Burda et al. 2016, theorem 1). With one draw the loss is
    that of `elbo`, with the rate in closed form where there is one; with more, log w_i has the rate at the draw. The
    draws of a posterior without randomness are all the same, so that one is made.

    The encoder's gradient through log w_i drowns in its noise as k grows: its signal-to-noise ratio falls as 1/sqrt(k)
    (Rainforth et al. 2018, theorem 1). Validation estimates it as `gradient_snr`. The doubly reparameterised gradient
    (Tucker et al. 2019) is another unbiased estimate for the encoder, whose ratio rises near the true posterior:

        sum_i v_i^2 (d log w_i / dz_i) (dz_i / dphi),    v_i = w_i / sum_j w_j, phi constant in log q

    Args:
      draws: k.
      doubly_reparameterized: whether the encoder gets that gradient; only for posteriors with reparameterised draws.
        With one draw, it is the gradient of Roeder et al. 2017, and the rate is at the draw.
      weight: weight of this objective in the sum of all, between 1e-6 and 1e6.
    """

    needs_posterior = True
    units: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("iwae_bound", "iwae_estimate"), "nats per example"),
        "effective_draws": "draws",
        "gradient_snr": "ratio",
    }

    def __init__(self, *, draws: int = 5, doubly_reparameterized: bool = False, weight: float = 1.0) -> None:
        self.require(draws >= 1, f"draws must be at least 1, got {draws}")
        self.require_positive("weight", weight)
        self.draws = draws
        self.doubly_reparameterized = doubly_reparameterized
        self.weight = weight

    def build(self, context: BuildContext) -> None:
        self._require_reparameterized(not context.latent.discrete, "its draws are codes")

    def model_loss(self, forward: Forward, context: Context) -> Loss:
        path: tf.Tensor | float = 0.0
        if self.doubly_reparameterized:
            reconstruction, rate, path = self._doubly_reparameterized(forward.repeated(self.draws, context))
        elif self.draws == 1 or forward.model.latent.deterministic:
            reconstruction, rate = forward.reconstruction[None], forward.rate[None]
        else:
            many = forward.repeated(self.draws, context)
            latent = many.latent
            reconstruction = self._by_draw(many.reconstruction)
            rate = self._by_draw(single_draw_rate(latent.distribution, many.prior, latent.value, latent.relaxed))
        log_weights = reconstruction - rate
        bound = tf.reduce_logsumexp(log_weights, axis=0) - math.log(log_weights.shape[0])
        metrics = {
            "iwae_bound": bound,
            "effective_draws": 1 / tf.reduce_sum(tf.square(tf.nn.softmax(log_weights, axis=0)), axis=0),
            "elbo": tf.reduce_mean(log_weights, axis=0),
            "reconstruction": tf.reduce_mean(reconstruction, axis=0),
            "rate": tf.reduce_mean(rate, axis=0),
        }
        return Loss(-bound - path, metrics)

    def _by_draw(self, terms: tf.Tensor) -> tf.Tensor:
        """Map `[k * batch, ...]` to `[k, batch, ...]`."""
        return tf.reshape(terms, [self.draws, -1, *terms.shape[1:]])

    def _doubly_reparameterized(self, many: Forward) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return log p(x|z) and the rate at fixed z and phi, `[k, batch]` each, and a term that is 0, `[batch]`.

        The first two have the bound's gradient with respect to all but the encoder and the posterior, and the last has
        the doubly reparameterised gradient with respect to these.
        """
        latent, model = many.latent, many.model
        reparameterized = latent.distribution.reparameterization_type == tfd.FULLY_REPARAMETERIZED
        self._require_reparameterized(reparameterized, f"{type(latent.distribution).__name__} has no such draws")
        fixed = tf.stop_gradient(latent.value)
        with tf.GradientTape() as tape:
            tape.watch(fixed)
            posterior = fixed_posterior(many)
            reconstruction = self._by_draw(model.decode(model.embed(fixed), many.context).log_prob(many.x))
            rate = self._by_draw(single_draw_rate(posterior, many.prior, fixed))
            log_weights = reconstruction - rate
            squares = tf.stop_gradient(tf.square(tf.nn.softmax(log_weights, axis=0)))
            weighted = tf.reduce_sum(squares * log_weights)
        slope = tf.stop_gradient(tape.gradient(weighted, fixed))
        path = self._by_draw(slope * (latent.value - fixed))
        return reconstruction, rate, tf.reduce_sum(path, axis=[0, *range(2, path.shape.rank)])

    def _require_reparameterized(self, holds: bool, reason: str) -> None:
        self.require(
            holds or not self.doubly_reparameterized,
            f"doubly_reparameterized requires a posterior whose draws are reparameterised, but {reason}",
        )

    def estimates(self, forward: Forward, context: Context) -> dict[str, tf.Tensor]:
        """Return the bound on unseen examples, and the signal-to-noise ratio of the encoder's gradient in training."""
        found = {"iwae_estimate": tf.reduce_mean(self.model_loss(forward, context).metrics["iwae_bound"])}
        weights = keras_variables(forward.model.encoder)
        if weights and not forward.model.latent.deterministic:
            found["gradient_snr"] = self._gradient_snr(weights, forward, context)
        return found

    def _gradient_snr(self, variables: list[keras.Variable], forward: Forward, context: Context) -> tf.Tensor:
        """Return the ratio for the mean gradient of the first 128 examples, from 32 draws of all noise."""
        x = forward.x[:_SNR_EXAMPLES]
        y = None if context.y is None else context.y[:_SNR_EXAMPLES]
        context = dataclasses.replace(context.within("gradient"), training=True, y=y)
        values = [tf.convert_to_tensor(variable.value) for variable in variables]

        def gradient(number: tf.Tensor) -> tf.Tensor:
            again = forward.at(x, dataclasses.replace(context, seed=context.seed.child(number)))
            with tf.GradientTape() as tape, substituted(variables, values):
                tape.watch(values)
                loss = tf.reduce_mean(self.model_loss(again, again.context).value)
            parts = tape.gradient(loss, values, unconnected_gradients="zero")
            return tf.concat([tf.reshape(part, [-1]) for part in parts], axis=0)

        numbers = tf.range(_SNR_DRAWS)
        return signal_to_noise(tf.map_fn(gradient, numbers, fn_output_signature=tf.float32))


def fixed_posterior(forward: Forward) -> Any:
    """Return q(z|x) as a constant of the encoder's and the posterior's weights."""
    posterior = forward.model.posterior
    variables = keras_variables(posterior)
    with substituted(variables, [tf.stop_gradient(variable.value) for variable in variables]):
        return posterior.distribution(tf.stop_gradient(forward.features), forward.context.within("posterior"))


def keras_variables(component: Component) -> list[keras.Variable]:
    """Return the trainable variables for which tensors can be substituted."""
    return [variable for variable in component.trainable_variables() if isinstance(variable, keras.Variable)]


def signal_to_noise(gradients: tf.Tensor) -> tf.Tensor:
    """Return |E g| / sqrt(E |g - E g|^2) from draws of a gradient `[draws, size]`; 0 if the noise hides the mean.

    Rainforth et al. 2018 have a ratio for each weight, which is 0/0 where one has no gradient; here are norms over all.
    |E g|^2 is estimated without bias, by the squared mean less its variance.
    """
    draws = gradients.shape[0]
    mean, variance = tf.nn.moments(gradients, axes=0)
    noise = tf.reduce_sum(variance) * (draws / (draws - 1))
    signal = tf.reduce_sum(tf.square(mean)) - noise / draws
    return tf.sqrt(tf.maximum(signal, 0.0) / tf.maximum(noise, 1e-30))
