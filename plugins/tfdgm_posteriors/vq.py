"""The vector-quantised posterior."""

import warnings
from collections.abc import Sequence
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import (
    BuildContext,
    Concatenated,
    Context,
    DataSpec,
    Latent,
    LatentSpec,
    Posterior,
    Summed,
    straight_through,
)
from tfdgm_posteriors.codes import check_positions, usage

#: Number of encoder outputs per code for k-means.
_ROWS_PER_CODE = 64
#: Weight of a code's current vector in its average, which keeps a code in place if no z chooses it.
_SMOOTHING = 1e-5


class VQ(Posterior):
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

    def __init__(
        self,
        *,
        positions: Sequence[int] = (8,),
        num_codes: int = 32,
        commitment: float = 0.25,
        learning: Literal["ema", "gradient"] = "ema",
        decay: float = 0.99,
        initialization: Literal["kmeans", "normal"] = "kmeans",
        restart_below: float = 0.01,
    ) -> None:
        check_positions(self, positions)
        self.require(num_codes >= 2, f"num_codes must be at least 2, got {num_codes}")
        self.require_not_negative("commitment", commitment)
        self.require(0 < decay < 1, f"decay must be between 0 and 1, got {decay}")
        self.require(0 <= restart_below < 1, f"restart_below must be in [0, 1), got {restart_below}")
        self.positions = tuple(positions)
        self.num_codes = num_codes
        self.commitment = commitment
        self.learning = learning
        self.decay = decay
        self.initialization = initialization
        self.restart_below = restart_below

    def latent_spec(self, latent_size: int, data: DataSpec) -> LatentSpec:
        return LatentSpec(size=latent_size, positions=self.positions, categories=self.num_codes, deterministic=True)

    def feature_shape(self, latent: LatentSpec) -> tuple[int, ...]:
        return latent.decoder_input_shape

    def build(self, context: BuildContext) -> None:
        vectors = self._initial(context)
        self.embeddings = keras.Variable(vectors, trainable=self.learning == "gradient", name="codebook")
        self.counts = keras.Variable(tf.ones([self.num_codes]), trainable=False, name="counts")
        if self.learning == "ema":
            self.sums = keras.Variable(vectors, trainable=False, name="sums")

    def _initial(self, context: BuildContext) -> np.ndarray:
        random = np.random.RandomState(context.seed_for("codebook"))
        if self.initialization == "normal":
            return random.randn(self.num_codes, context.latent.size).astype(np.float32)
        per_example = int(np.prod(self.positions))
        available = context.num_train * per_example
        self.require(
            self.num_codes <= available,
            f"num_codes must be at most {available}, the number of encoder outputs of the training split, from which "
            f'k-means starts, got {self.num_codes}; use fewer codes or initialization = "normal"',
        )
        assert context.train_features is not None
        count = min(context.num_train, -(-_ROWS_PER_CODE * self.num_codes // per_example))
        features = context.train_features(random.permutation(context.num_train)[:count])
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits

        # one thread: the order of the sums, and so the codes, would depend on the number of threads
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter(
                "ignore", ConvergenceWarning
            )  # fewer distinct outputs than codes: restarts separate them
            means = KMeans(self.num_codes, n_init=1, max_iter=20, random_state=random)
            means.fit(features.reshape(-1, context.latent.size))
        return means.cluster_centers_.astype(np.float32)

    def codebook(self) -> tf.Tensor:
        """Return E, `[K, C]`."""
        return self.embeddings.value

    def distribution(self, features: tf.Tensor, context: Context) -> tfd.Distribution:
        """Return the point mass on the nearest codes, batch shape `[batch]`, event shape `positions`."""
        codes = nearest(features, self.embeddings.value)
        return tfd.Independent(tfd.Deterministic(codes), len(self.positions))

    def __call__(self, features: tf.Tensor, context: Context) -> Latent:
        posterior = self.distribution(features, context)
        codes = posterior.distribution.loc
        chosen = tf.gather(self.embeddings.value, codes)
        z = straight_through(chosen, features)
        every_axis = list(range(1, features.shape.rank))
        distance = tf.reduce_sum(tf.square(features - tf.stop_gradient(chosen)), axis=every_axis)
        losses = {"commitment": self.commitment * distance}
        if self.learning == "gradient":
            losses["codebook"] = tf.reduce_sum(tf.square(tf.stop_gradient(features) - chosen), axis=every_axis)
        one_hot = tf.one_hot(codes, self.num_codes)
        rows = tf.reshape(features, [-1, features.shape[-1]])
        choices = tf.reshape(one_hot, [-1, self.num_codes])
        counts, sums = tf.reduce_sum(choices, axis=0), tf.matmul(choices, rows, transpose_a=True)
        batch, per_example = features.shape[0], int(np.prod(self.positions))
        which = tf.random.stateless_uniform([batch], context.seed_for("candidates"), 0, per_example, tf.int32)
        context.collect(
            self,
            counts=Summed(counts),
            sums=Summed(tf.stop_gradient(sums)),
            candidates=Concatenated(tf.stop_gradient(tf.gather(rows, tf.range(batch) * per_example + which))),
        )
        codebook = self.embeddings.value
        if self.learning == "ema":
            codebook = straight_through(codebook, sums / tf.maximum(counts, 1.0)[:, None])
        return Latent(posterior, value=codes, z=z, codebook=codebook, losses=losses, metrics=usage(one_hot))

    def update_statistics(self, totals: dict[str, tf.Tensor], context: Context) -> None:
        """Update the moving averages, then the codes, then restart dead codes."""
        counts = moving_average(self.counts.value, totals["counts"], self.decay)
        vectors = self.embeddings.value + 0.0
        if self.learning == "ema":
            sums = moving_average(self.sums.value, totals["sums"], self.decay)
            vectors = (sums + _SMOOTHING * vectors) / (counts + _SMOOTHING)[:, None]
        mean = tf.reduce_mean(counts)
        dead, candidates = restarts(counts < self.restart_below * mean, totals["candidates"])
        counts = tf.where(dead, mean, counts)
        vectors = tf.where(dead[:, None], candidates, vectors)
        self.counts.value.assign(counts)
        self.embeddings.value.assign(vectors)
        if self.learning == "ema":
            self.sums.value.assign(tf.where(dead[:, None], counts[:, None] * vectors, sums))


def nearest(z: tf.Tensor, codebook: tf.Tensor) -> tf.Tensor:
    """Return argmin_k |z - e_k|^2, int32 `[...]`, for z `[..., C]` and E `[K, C]`."""
    distances = tf.reduce_sum(tf.square(codebook), axis=1) - 2 * tf.tensordot(z, codebook, [[-1], [1]])
    return tf.argmin(distances, axis=-1, output_type=tf.int32)


def moving_average(old: tf.Tensor, new: tf.Tensor, decay: float) -> tf.Tensor:
    """Return decay * old + (1 - decay) * new."""
    return decay * old + (1 - decay) * new


def restarts(dead: tf.Tensor, candidates: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Choose which dead codes restart now, bool `[K]`, and where, `[K, C]`: the r-th one at the r-th candidate.

    If there are more dead codes than candidates, the rest wait for the next step.
    """
    rank = tf.cumsum(tf.cast(dead, tf.int32)) - 1
    count = tf.shape(candidates)[0]
    return dead & (rank < count), tf.gather(candidates, tf.clip_by_value(rank, 0, count - 1))
