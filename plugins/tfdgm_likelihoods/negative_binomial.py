"""The negative binomial likelihood, for counts."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, DataSpec, Likelihood, UserError
from tfdgm_likelihoods.scales import log_variable


class NegativeBinomial(Likelihood):
    """p(x|z) = prod_i NB(x_i; m_i(z), r_i), for counts x = 0, 1, ..; the decoder's outputs are log m.

        NB(x; m, r) = Gamma(x + r) / (Gamma(r) x!) (r / (r + m))^r (m / (r + m))^x

    with mean m and variance m + m^2 / r (Lopez et al. 2018, without zero inflation and library size). Every dimension
    of x has its own inverse dispersion r, which is learned as log r; for large r the counts are Poisson.

    Args:
      inverse_dispersion: initial value of every r, between 1e-6 and 1e6.
    """

    discrete = True

    def __init__(self, *, inverse_dispersion: float = 1.0) -> None:
        self.require_positive("inverse_dispersion", inverse_dispersion)
        self.inverse_dispersion = inverse_dispersion

    def check(self, data: DataSpec) -> None:
        if not data.counts:
            raise UserError(
                f"{self.display_name()} requires counts, but the data does not say that x is; data.npz.counts = True "
                "reads whole numbers as counts"
            )

    def output_shape(self, data: DataSpec) -> tuple[int, ...]:
        return data.shape

    def build(self, context: BuildContext) -> None:
        self.event_rank = len(context.data.shape)
        self.log_inverse_dispersion = log_variable(
            self.inverse_dispersion, context.data.shape, trainable=True, name="log_inverse_dispersion"
        )

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """Return independent negative binomials over the whole event; `mean()` is m."""
        log_r = self.log_inverse_dispersion.value
        return tfd.Independent(GammaPoisson(tf.exp(log_r), logits=outputs - log_r), self.event_rank)


class GammaPoisson(tfd.NegativeBinomial):
    """TFP's negative binomial, with draws that XLA can compile: TFP's own need an operation that it lacks."""

    def _sample_n(self, n: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draw the rate from Gamma(r, scale m / r), then x from Poisson(rate)."""
        for_rate, for_count = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        rate = tfd.Gamma(tf.broadcast_to(self.total_count, self.batch_shape_tensor()), 1.0).sample(n, seed=for_rate)
        return tfd.Poisson(rate * tf.exp(self.logits)).sample(seed=for_count)
