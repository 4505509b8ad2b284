"""The maximum mean discrepancy between the aggregated posterior and the prior: InfoVAE and WAE-MMD."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import tensorflow as tf

from tfdgm import Context, Forward, Loss, Objective, full_precision_product
from tfdgm_objectives.adversarial import compared

Kernel = Literal["gaussian", "inverse_multiquadric"]


class MMD(Objective):
    """Minimises MMD^2 between draws of q(z|x), over the batch, and draws from the prior.

    It takes the place of the rate, or is added to it: beside `elbo` with beta = 0 it makes the Wasserstein autoencoder
    of Tolstikhin et al. 2018 (WAE-MMD), with other beta the InfoVAE of Zhao et al. 2019, whose alpha and lambda are
    beta = 1 - alpha and weight = alpha + lambda - 1. For codes, their embeddings are compared.

    The estimate is the unbiased U-statistic of the shard's batch (Gretton et al. 2012, lemma 6), which may be negative.
    With r = |z - z'|^2 / (2 d s), for d numbers in z, the kernel is the sum over the scales s of

        gaussian               exp(-r), a Gaussian of variance d s
        inverse_multiquadric   1 / (1 + r), which decays more slowly, so that distant draws have a gradient

    2 d is the mean squared distance of two draws from N(0, I) (Tolstikhin et al. 2018, section 4, has C = 2 d s).

    Args:
      kernel: k.
      scales: s, each between 1e-6 and 1e6.
      weight: weight of this objective in the sum of all, between 1e-6 and 1e6.
    """

    needs_posterior = True
    trains_decoder = False
    units: ClassVar[Mapping[str, str]] = dict.fromkeys(("latent_mmd", "latent_mmd_estimate"), "squared")

    def __init__(
        self,
        *,
        kernel: Kernel = "inverse_multiquadric",
        scales: Sequence[float] = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
        weight: float = 1.0,
    ) -> None:
        self.require(len(scales) > 0, "scales is empty: the kernel would be 0")
        for scale in scales:
            self.require_positive("scales", scale)
        self.require_positive("weight", weight)
        self.kernel = kernel
        self.scales = tuple(scales)
        self.weight = weight

    def model_loss(self, forward: Forward, context: Context) -> Loss:
        value = self._by_example(forward)
        return Loss(value, {"latent_mmd": value})

    def estimates(self, forward: Forward, context: Context) -> dict[str, tf.Tensor]:
        """Return MMD^2 on unseen examples; nothing for a single example."""
        if forward.x.shape[0] < 2:
            return {}
        return {"latent_mmd_estimate": tf.reduce_mean(self._by_example(forward))}

    def _by_example(self, forward: Forward) -> tf.Tensor:
        count = forward.x.shape[0]
        self.require(
            count > 1,
            "MMD^2 is estimated from pairs of examples, but the batch of a shard has a single one; use a larger "
            "experiment.batch_size or fewer shards",
        )
        inferred, drawn = (tf.reshape(z, [count, -1]) for z in (compared(forward), forward.drawn))
        return mmd_by_example(inferred, drawn, self.kernel, self.scales)


def mmd_by_example(x: tf.Tensor, y: tf.Tensor, kernel: Kernel, scales: Sequence[float]) -> tf.Tensor:
    """Return n terms whose mean is the unbiased estimate of MMD^2 (Gretton et al. 2012, equation 3).

        term_i = sum_{j != i} (k(x_i, x_j) + k(y_i, y_j)) / (n - 1) - 2 sum_j k(x_i, y_j) / n

    Args:
      x, y: `[n, d]`, n > 1.
      kernel: the family of k, and `scales` its sum; see `MMD`.

    Returns:
      `[n]`.
    """
    count, size = x.shape
    apart = 1 - tf.eye(count)
    within = sum(
        tf.reduce_sum(apart * kernel_sum(squared_distances(z, z), kernel, scales, size), axis=1) for z in (x, y)
    )
    across = tf.reduce_sum(kernel_sum(squared_distances(x, y), kernel, scales, size), axis=1)
    return within / (count - 1) - 2 * across / count


def kernel_sum(squares: tf.Tensor, kernel: Kernel, scales: Sequence[float], size: int) -> tf.Tensor:
    """Return the sum over the scales of k at squared distances `[n, m]` in R^size, `[n, m]`."""
    ratios = [squares / (2 * size * scale) for scale in scales]
    return tf.add_n([tf.exp(-r) if kernel == "gaussian" else 1 / (1 + r) for r in ratios])


def squared_distances(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Return |x_i - y_j|^2 `[n, m]` by one matrix product, around the mean of y, which keeps float32 digits."""
    centre = tf.stop_gradient(tf.reduce_mean(y, axis=0))
    x, y = x - centre, y - centre
    norms = tf.reduce_sum(tf.square(x), axis=1)[:, None] + tf.reduce_sum(tf.square(y), axis=1)
    return tf.maximum(norms - 2 * full_precision_product(x, y), 0.0)
