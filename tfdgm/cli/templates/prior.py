"""A prior for tfdgm."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tfdgm import BuildContext, Context, Prior


class ExamplePrior(Prior):
    """Independent Student's t on each dimension of z: heavier tails than a Gaussian.

    Args:
      df: degrees of freedom; the Gaussian prior is the limit of large values.
    """

    plugin_api = 2

    def __init__(self, *, df: float = 5.0) -> None:
        self.require_positive("df", df)
        self.df = df

    def build(self, context: BuildContext) -> None:
        self.size = context.latent.size

    def distribution(self, context: Context) -> tfd.Distribution:
        return tfd.Independent(tfd.StudentT(self.df, tf.zeros([self.size]), 1.0), 1)
