"""The uniform prior over codes."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Context, Prior


class Uniform(Prior):
    """p(c) = K^-N for every grid of N codes, so that KL(q||p) = N log K - H(q)."""

    over = "codes"

    def build(self, context: BuildContext) -> None:
        assert context.latent.positions is not None and context.latent.categories is not None
        self.positions, self.categories = context.latent.positions, context.latent.categories

    def distribution(self, context: Context) -> tfd.Distribution:
        """Return p(c), independent over positions, event shape `positions`."""
        logits = tf.zeros([*self.positions, self.categories])
        return tfd.Independent(tfd.Categorical(logits=logits), len(self.positions))
