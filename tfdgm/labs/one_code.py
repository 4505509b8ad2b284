"""A model of the framework with one categorical variable, whose logits, codebook and decoder are set by hand.

For the loss f(c) = -log p(x|c) at one x, the gradient of E f(c) is known exactly, by the sum over the codes; labs
compare estimators with it.
"""

import numpy as np
import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.labs.lab import LabSettings
from tfdgm.labs.trainings import build
from tfdgm.model.code_densities import code_log_probabilities
from tfdgm.numerics.randomness import root_seed
from tfdgm.runs.experiment import Built


class OneCode:
    """The model p(x|c) = N(x; E_c, s^2 I) with a codebook E `[K, C]`; the decoder is linear, the identity if C = d.

    Args:
      settings: of the lab.
      file: a config whose posterior has one position, and whose decoder is affine.
      codebook: E.
      x: the example of f, `[d]`.
      bindings: gin statements of the lab.
    """

    def __init__(self, settings: LabSettings, file: str, codebook: np.ndarray, x: np.ndarray, *bindings: str) -> None:
        self.built: Built = build(settings, file, *bindings)
        self.model = self.built.model
        assert self.model.posterior is not None
        self.posterior = self.model.posterior
        state = self.built.state
        kernel, bias = (name for name in state.variables if name.startswith("model/decoder/"))
        (embeddings,) = (name for name in state.variables if name.startswith("model/posterior/"))
        values = {embeddings: codebook, kernel: np.eye(codebook.shape[1], len(x)), bias: np.zeros(len(x))}
        state.assign(state.read() | {name: np.asarray(value, np.float32) for name, value in values.items()})
        self.x = tf.constant(x, tf.float32)
        self.seed = root_seed(settings.seed, "lab")
        self.context = Context(self.seed, tf.constant(0, tf.int64), training=True)

    def loss(self, z: tf.Tensor) -> tf.Tensor:
        """Return f = -log p(x|z) `[...]` for decoder inputs z `[..., 1, C]`, in nats."""
        flat = tf.reshape(z, [-1, 1, z.shape[-1]])
        log_likelihood = self.model.decode(flat, self.context).log_prob(self.x[None])
        return -tf.reshape(log_likelihood, tf.shape(z)[:-2])

    def exact(self, logits: tf.Tensor) -> tf.Tensor:
        """Return the gradient d/dl sum_c q(c) f(c) `[batch, K]` for logits l `[batch, K]`."""
        every = self.model.embed(tf.range(logits.shape[-1])[:, None])
        with tf.GradientTape() as tape:
            tape.watch(logits)
            q = self.posterior.distribution(logits[:, None], self.context)
            probabilities = tf.exp(code_log_probabilities(q, logits.shape[-1])[:, 0])
            expected = tf.reduce_sum(probabilities * self.loss(every), axis=-1)
        return tape.gradient(expected, logits)

    def estimate(self, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return, for one draw per row, the gradient of f and the relaxed code `[batch, K]`, and the code `[batch]`."""

        def one_pass(logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(logits)
                latent = self.posterior(logits[:, None], self.context)
                losses = self.loss(latent.z)
            assert latent.relaxed is not None
            return tape.gradient(losses, logits), latent.relaxed[:, 0], latent.value[:, 0]

        return tf.function(one_pass, jit_compile=True, autograph=False)(logits)  # only XLA draws Gumbel noise
