"""The maps of a trained model on arrays: x to z, z to x, and the bound on log p(x)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.model.model import Model
from tfdgm.numerics.randomness import fold, fold_purpose, root_seed
from tfdgm.runs.experiment import Built

_AT_ONCE = 512


def log_prob_bound(model: Model, x: tf.Tensor, context: Context, seed: tf.Tensor, num_samples: int) -> tf.Tensor:
    """Return log (1/S) sum_s p(x|z_s) p(z_s) / q(z_s|x), z_s ~ q(z|x), `[batch]`, nats.

    In expectation a lower bound on log p(x), with a bias of O(1/S) (Burda et al. 2016, equation 8). Traced.
    """
    posterior, prior = model.infer(x, context), model.prior_distribution(context)

    def weight(number: tf.Tensor) -> tf.Tensor:
        value = posterior.sample(seed=fold(fold_purpose(seed, "log_prob"), number))
        likelihood = model.decode(model.embed(value), context).log_prob(x)
        return likelihood + prior.log_prob(value) - posterior.log_prob(value)

    weights = tf.map_fn(weight, tf.range(num_samples), fn_output_signature=tf.float32)
    return tf.reduce_logsumexp(weights, axis=0) - tf.math.log(float(num_samples))


class Inference:
    """Applies the maps of a trained model to arrays of any number of rows.

    Each program is compiled once for each power of two of rows, up to 512; more rows are processed 512 at a time, so
    that memory does not grow with them.

    Args:
      built: the experiment with its trained weights; moving averages are used if there are any.
    """

    def __init__(self, built: Built) -> None:
        self.built = built
        self._programs: dict[tuple, Callable] = {}

    def observe(self, rows: np.ndarray, seed: int) -> np.ndarray:
        """Return x `[n, *shape]` of rows of the data, which may draw: pixels from grey levels, for example."""
        data = self.built.experiment.data
        return self._map(("observe",), lambda context, rows: data.observe(rows, context), [rows], None, seed)

    def posterior(self, x: np.ndarray, y: np.ndarray | None, seed: int | None) -> np.ndarray:
        """Return z `[n, *event]`: a draw from q(z|x), or without a seed its mean; for codes, its mode.

        Raises:
          NotImplementedError: the distribution has no mean in closed form.
        """
        model = self.built.model

        def z(context: Context, x: tf.Tensor) -> tf.Tensor:
            q = model.infer(x, context)
            if seed is not None:
                return q.sample(seed=context.seed_for("draws"))
            return q.mode() if model.latent.discrete else q.mean()

        return self._map(("posterior", seed is None), z, [x], y, seed or 0)

    def embed(self, z: np.ndarray) -> np.ndarray:
        """Return the decoder's input `[n, *shape]`: embeddings of codes, and vectors as they are."""
        return self._map(("embed",), lambda context, z: self.built.model.embed(z), [z], None, 0)

    def decode(self, inputs: np.ndarray, y: np.ndarray | None, seed: int | None) -> np.ndarray:
        """Return x `[n, *shape]` of the decoder's inputs: a draw from p(x|z), or without a seed its mean."""
        model = self.built.model

        def x(context: Context, inputs: tf.Tensor) -> tf.Tensor:
            likelihood = model.decode(inputs, context)
            return likelihood.mean() if seed is None else likelihood.sample(seed=context.seed_for("x"))

        return self._map(("decode", seed is None), x, [inputs], y, seed or 0)

    def log_prob(self, x: np.ndarray, y: np.ndarray | None, num_samples: int, seed: int) -> np.ndarray:
        """Return `log_prob_bound`, `[n]`."""

        def bound(context: Context, x: tf.Tensor) -> tf.Tensor:
            root = context.seed_for("bound")
            return log_prob_bound(self.built.model, x, self.built.model.with_inference(context), root, num_samples)

        return self._map(("log_prob", num_samples), bound, [x], y, seed)

    def _map(
        self,
        key: tuple,
        function: Callable[..., tf.Tensor],
        arrays: list[np.ndarray],
        y: np.ndarray | None,
        seed: int,
    ) -> np.ndarray:
        """Apply a function of a context and blocks of rows to all rows; `key` names what it computes."""
        count = len(arrays[0])
        size = min(_AT_ONCE, 1 << (count - 1).bit_length())
        arrays = [*arrays, *([] if y is None else [y])]

        def program(block: tf.Tensor, root: tf.Tensor, step: tf.Tensor, *rows: tf.Tensor) -> tf.Tensor:
            given = len(rows) - (y is not None)
            return function(Context(fold(root, block), step, y=rows[given] if y is not None else None), *rows[:given])

        key = (*key, size)
        if key not in self._programs:
            self._programs[key] = self.built.devices.map(program)
        root, step = root_seed(seed, str(key[0])), self.built.state.step.read_value()
        blocks = range(-(-count // size))
        calls = ((tf.constant(block), root, step, *(_rows(a, block, size) for a in arrays)) for block in blocks)
        with self.built.devices.scope(), self.built.state.averaged():
            return np.concatenate([part.numpy() for part in self._programs[key](calls)])[:count]


def _rows(array: np.ndarray, block: int, size: int) -> Any:
    """Return `size` rows of a block, repeated where there are fewer."""
    rows = array[block * size : (block + 1) * size]
    return tf.constant(np.resize(rows, (size, *rows.shape[1:])))
