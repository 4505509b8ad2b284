"""Batch normalisation that does not depend on how many devices share the batch."""

import keras
import tensorflow as tf

from tfdgm import Component, Context, Summed, UserError

_MOMENTUM, _EPSILON = 0.99, 1e-3


class BatchNormalization(Component):
    """y = scale (x - m) / sqrt(v + 0.001) + offset, for each channel (Ioffe and Szegedy 2015).

    In training, m and v are mean and variance over the positions of one shard of the batch; with several shards this is
    ghost batch normalisation (Hoffer et al. 2017). Otherwise they are moving averages, with decay 0.99, of mean and
    variance over all shards of each step.

    Args:
      channels: length of x's last axis.

    Raises:
      UserError: in training, a shard has a single row: its variance is 0, so the output would not depend on x.
    """

    def __init__(self, channels: int) -> None:
        self.scale = keras.Variable(tf.ones([channels]), name="scale")
        self.offset = keras.Variable(tf.zeros([channels]), name="offset")
        self.mean = keras.Variable(tf.zeros([channels]), trainable=False, name="mean")
        self.variance = keras.Variable(tf.ones([channels]), trainable=False, name="variance")

    def __call__(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        """Normalise x `[..., channels]` of any float type; computed in float32."""
        exact = tf.cast(x, tf.float32)
        mean, variance = self.mean.value, self.variance.value
        if context.training:
            rows = tf.reshape(exact, [-1, exact.shape[-1]])
            if rows.shape[0] == 1:
                raise UserError(
                    "batch normalisation requires more than one example per shard: raise experiment.batch_size or "
                    "lower experiment.shards (a critic's pack of samples counts as one example)"
                )
            mean, variance = tf.nn.moments(rows, axes=[0])
            statistics = (tf.ones_like(mean), mean, variance + tf.square(mean))
            count, first, second = (tf.stop_gradient(value) for value in statistics)
            context.collect(self, count=Summed(count), first=Summed(first), second=Summed(second))
        normalised = tf.nn.batch_normalization(exact, mean, variance, self.offset.value, self.scale.value, _EPSILON)
        return tf.cast(normalised, x.dtype)

    def update_statistics(self, totals: dict[str, tf.Tensor], context: Context) -> None:
        """Update the moving averages by mean and variance over all passes of all shards."""
        mean = totals["first"] / totals["count"]
        variance = tf.maximum(totals["second"] / totals["count"] - tf.square(mean), 0.0)
        for average, new in ((self.mean, mean), (self.variance, variance)):
            average.value.assign(_MOMENTUM * average.value + (1 - _MOMENTUM) * new)
