"""The uniform prior over codes."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Context, Prior


class Uniform(Prior):
    """p(c) = K^-N for every grid of N codes, so that KL(q||p) = N log K - H(q)."""

    over = "codes"

    def build(self, context: BuildContext) -> None:
        assert context.latent.categories is not None
        self.event_shape, self.categories = context.latent.event_shape, context.latent.categories

    def distribution(self, context: Context) -> tfd.Distribution:
        """Return p(c), independent over all codes of the grid."""
        logits = tf.zeros([*self.event_shape, self.categories])
        return tfd.Independent(tfd.Categorical(logits=logits), len(self.event_shape))
