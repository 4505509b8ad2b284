"""The residual-quantised posterior."""

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Context, DataSpec, Latent, LatentSpec, straight_through
from tfdgm_posteriors.codebook import Learning, nearest
from tfdgm_posteriors.codes import usage
from tfdgm_posteriors.quantiser import Quantiser


class ResidualVQ(Quantiser):
    """q(c|x) is a point mass on L codes per position, each nearest to what those before it leave of z(x).

    With r_1 = z_i(x), codebook l gives c_l = argmin_k |r_l - e_lk| and leaves r_(l+1) = r_l - e_(l, c_l) (Zeghidour et
    al. 2021, algorithm 1; Lee et al. 2022, section 3.1). The encoder's features are z `[*positions, C]`, the codes
    `[*positions, L]`. The decoder's input is sum_l e_(l, c_l), with its gradient passed straight to z. The ELBO's loss
    gains beta sum_il |r_l - sg(e_(l, c_l))|^2. The rate is -log p(c): L log K per position under a uniform prior. A
    density is restricted to each codebook by itself; its gradient moves the codes as under `posterior.vq`.

    Args:
      positions: shape of the grid of z, `(N,)` or `(height, width)`.
      codebooks: L; with 1 it is `posterior.vq`.
      num_codes: K, the number of codes in each codebook.
      commitment: beta, weight of the commitment losses.
      learning: "ema" moves each code to the moving average of the r_l that chose it, over the global batch; "gradient"
        adds sum_il |sg(r_l) - e_(l, c_l)|^2 to the loss instead.
      decay: decay of the moving averages.
      initialization: "kmeans" starts each codebook at the k-means centres of its r_l under the untrained encoder;
        "normal" draws all codes from N(0, I).
      restart_below: a code whose moving-average count is below this share of its codebook's mean count is restarted,
        averages included, at an r_l of the current batch; 0 never restarts.
    """

    def __init__(
        self,
        *,
        positions: Sequence[int] = (8,),
        codebooks: int = 2,
        num_codes: int = 32,
        commitment: float = 0.25,
        learning: Learning = "ema",
        decay: float = 0.99,
        initialization: Literal["kmeans", "normal"] = "kmeans",
        restart_below: float = 0.01,
    ) -> None:
        super().__init__(
            positions=positions,
            num_codes=num_codes,
            commitment=commitment,
            learning=learning,
            decay=decay,
            initialization=initialization,
            restart_below=restart_below,
        )
        self.require(codebooks >= 1, f"codebooks must be at least 1, got {codebooks}")
        self.codebooks = codebooks

    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        return LatentSpec(
            size=latent_size,
            positions=self.positions,
            categories=self.num_codes,
            codebooks=self.codebooks,
            deterministic=True,
        )

    def build(self, context: BuildContext) -> None:
        self.learned = self.new_codebooks(context, self.codebooks)

    def codebook(self) -> tf.Tensor:
        """Return E, `[L, K, C]`."""
        return tf.stack([each.value() for each in self.learned])

    def _chosen(self, z: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """Return r_l `[..., C]` and c_l `[...]` of every l, for z `[..., C]`; gradients of r_l reach z alone."""
        chosen, residual = [], z
        for each in self.learned:
            codes = nearest(residual, each.value())
            chosen.append((residual, codes))
            residual = residual - tf.stop_gradient(tf.gather(each.value(), codes))
        return chosen

    def distribution(self, features: tf.Tensor, context: Context) -> tfd.Distribution:
        """Return the point mass on the codes, batch shape `[batch]`, event shape `[*positions, L]`."""
        codes = tf.stack([codes for _, codes in self._chosen(features)], axis=-1)
        return tfd.Independent(tfd.Deterministic(codes), len(self.positions) + 1)

    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        chosen, results, at = self._chosen(features), [], context
        for each, (residual, codes) in zip(self.learned, chosen, strict=True):
            results.append(each.learn(residual, codes, at))
            at = at.within("residual")
        losses = {name: tf.add_n([losses[name] for losses, _ in results]) for name in results[0][0]}
        losses["commitment"] = self.commitment * losses["commitment"]
        codes = tf.stack([codes for _, codes in chosen], axis=-1)
        return Latent(
            tfd.Independent(tfd.Deterministic(codes), len(self.positions) + 1),
            value=codes,
            z=straight_through(self.embed(codes), features),
            codebook=tf.stack([codebook for _, codebook in results]),
            losses=losses,
            metrics=usage(tf.one_hot(codes, self.num_codes), self.codebooks),
        )
