"""The optimal prior's log-density: 128 points under 60,000 diagonal Gaussians in 40
dimensions, in tfdgm and in TFP's MixtureSameFamily. A unit is one evaluation for all points.
"""

from collections.abc import Callable

import numpy as np
from work import Size, Work

from contenders.tensorflow_on_cpu import tf

BATCH, SIZE = 128, 40


def framework(size: Size) -> Work:
    from tfdgm_priors.gaussian_mixture import GaussianMixture

    return density(size, lambda z, mean, scale: GaussianMixture(mean, scale, learned=False).log_prob(z))


def tfp(size: Size) -> Work:
    from tensorflow_probability import distributions as tfd

    def log_prob(z: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        components = tfd.MultivariateNormalDiag(mean, scale)
        equal = tfd.Categorical(logits=tf.zeros([mean.shape[0]]))
        return tfd.MixtureSameFamily(equal, components).log_prob(z)

    return density(size, log_prob)


def density(size: Size, log_prob: Callable[..., tf.Tensor]) -> Work:
    """Return the evaluation of a log-density, compiled."""
    random, components = np.random.RandomState(0), size.of(60_000, 200)
    mean = random.randn(components, SIZE).astype(np.float32)
    scale = np.exp(0.3 * random.randn(components, SIZE) - 1).astype(np.float32)
    z = (mean[:BATCH] + scale[:BATCH] * random.randn(BATCH, SIZE)).astype(np.float32)
    program = tf.function(lambda *args: tf.reduce_mean(log_prob(*args)), jit_compile=True, autograph=False)
    arguments = [tf.constant(array) for array in (z, mean, scale)]
    return Work(lambda: float(program(*arguments)))
