"""Base class of posteriors over the codes of learned codebooks: their settings, and where the codes start."""

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import tensorflow as tf

from tfdgm import BuildContext, LatentSpec, Posterior
from tfdgm_posteriors.codebook import Codebook, Learning, nearest
from tfdgm_posteriors.codes import check_positions

#: Number of encoder outputs per code for k-means.
_ROWS_PER_CODE = 64


class Quantiser(Posterior):
    """A posterior whose codes are those nearest to the encoder's output; see `VQ` for the settings."""

    def __init__(
        self,
        *,
        positions: Sequence[int] = (8,),
        num_codes: int = 32,
        commitment: float = 0.25,
        learning: Learning = "ema",
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
        self.learning: Learning = learning
        self.decay = decay
        self.initialization = initialization
        self.restart_below = restart_below

    def feature_shape(self, latent: LatentSpec) -> tuple[int, ...]:
        return latent.decoder_input_shape

    def new_codebooks(self, context: BuildContext, count: int) -> list[Codebook]:
        """Create `count` codebooks; by k-means each starts at the centres of what those before it leave of z."""
        random = np.random.RandomState(context.seed_for("codebook"))
        rows = self._encoder_outputs(context, random) if self.initialization == "kmeans" else None
        made = []
        for _ in range(count):
            if rows is None:
                vectors = random.randn(self.num_codes, context.latent.size).astype(np.float32)
            else:
                vectors = centres(rows, self.num_codes, random)
                rows = rows - vectors[nearest(tf.constant(rows), tf.constant(vectors)).numpy()]
            made.append(Codebook(vectors, learning=self.learning, decay=self.decay, restart_below=self.restart_below))
        return made

    def _encoder_outputs(self, context: BuildContext, random: np.random.RandomState) -> np.ndarray:
        """Return the untrained encoder's z at random training examples, `[n, C]`."""
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
        return features.reshape(-1, context.latent.size)


def centres(rows: np.ndarray, count: int, random: np.random.RandomState) -> np.ndarray:
    """Return the centres of k-means on rows `[n, C]`, `[count, C]`."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    # one thread: the order of the sums, and so the codes, would depend on the number of threads
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than codes: restarts separate them
        means = KMeans(count, n_init=1, max_iter=20, random_state=random)
        means.fit(rows)
    return means.cluster_centers_.astype(np.float32)
