"""The vector-quantised posterior."""

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Context, DataSpec, Latent, LatentSpec, straight_through
from tfdgm_posteriors.codebook import nearest
from tfdgm_posteriors.codes import usage
from tfdgm_posteriors.quantiser import Quantiser


class VQ(Quantiser):
    """q(c|x) is a point mass on the nearest codes, c_i = argmin_k |z_i(x) - e_k| (van den Oord et al. 2017).

    The encoder's features are z `[*positions, C]`. The decoder's input is e_c, with its gradient passed straight to z.
    The ELBO's loss gains beta sum_i |z_i - sg(e_c)|^2, which keeps z near its codes. The rate is -log p(c): log K per
    position under a uniform prior. Under a density restricted to the codebook, the rate's gradient moves the codes; if
    the codes are moving averages, it reaches them through the z that chose them.

    Args:
      positions: shape of the grid of codes, `(N,)` or `(height, width)`.
      num_codes: K.
      commitment: beta, weight of the commitment loss.
      learning: "ema" moves each code to the moving average of the z that chose it, over the global batch (van den Oord
        et al. 2017, appendix A.1); "gradient" adds sum_i |sg(z_i) - e_c|^2 to the loss instead.
      decay: decay of the moving averages.
      initialization: "kmeans" starts the codes at the k-means centres of the untrained encoder's outputs; "normal"
        draws them from N(0, I).
      restart_below: a code whose moving-average count is below this share of the mean count is restarted, averages
        included, at an encoder output of the current batch (Dhariwal et al. 2020, section 3.1); 0 never restarts.
    """

    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        return LatentSpec(size=latent_size, positions=self.positions, categories=self.num_codes, deterministic=True)

    def build(self, context: BuildContext) -> None:
        (self.learned,) = self.new_codebooks(context, 1)

    def codebook(self) -> tf.Tensor:
        """Return E, `[K, C]`."""
        return self.learned.value()

    def distribution(self, features: tf.Tensor, context: Context) -> tfd.Distribution:
        """Return the point mass on the nearest codes, batch shape `[batch]`, event shape `positions`."""
        codes = nearest(features, self.codebook())
        return tfd.Independent(tfd.Deterministic(codes), len(self.positions))

    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        posterior = self.distribution(features, context)
        codes = posterior.distribution.loc
        losses, codebook = self.learned.learn(features, codes, context)
        losses["commitment"] = self.commitment * losses["commitment"]
        return Latent(
            posterior,
            value=codes,
            z=straight_through(self.embed(codes), features),
            codebook=codebook,
            losses=losses,
            metrics=usage(tf.one_hot(codes, self.num_codes)),
        )
