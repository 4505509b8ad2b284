"""The VAE's step in Keras `fit`, with many steps in one call of its program.

Not compiled by XLA: with `jit_compile` a step took twice as long here.
"""

from inputs import digits
from work import Size, Work

from contenders.tensorflow_on_cpu import tf
from contenders.vae_shape import BATCH, DECAY_STEPS, HIDDEN, LATENT, SIZES

import keras  # isort: skip  # after its backend is chosen


class VAE(keras.Model):
    """The model of digits/vae.gin; `call` takes grey levels, and draws binary pixels from them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers_of = [self.body(2 * LATENT), self.body(SIZES[-1][1])]
        self.seeds = keras.random.SeedGenerator(0)

    def body(self, outputs: int) -> keras.Sequential:
        hidden = [keras.layers.Dense(HIDDEN, activation="gelu") for _ in range(2)]
        return keras.Sequential([*hidden, keras.layers.Dense(outputs)])

    def call(self, probabilities: tf.Tensor) -> tf.Tensor:
        encoder, decoder = self.layers_of
        x = tf.cast(keras.random.uniform(tf.shape(probabilities), seed=self.seeds) < probabilities, tf.float32)
        mean, pre_scale = tf.split(encoder(x), 2, axis=-1)
        scale = tf.nn.softplus(pre_scale) + 1e-4
        logits = decoder(mean + scale * keras.random.normal(tf.shape(mean), seed=self.seeds))
        distortion = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(x, logits), axis=-1)
        rate = tf.reduce_sum((mean**2 + scale**2 - 1) / 2 - tf.math.log(scale), axis=-1)
        return distortion + rate


def fit(size: Size) -> Work:
    steps = size.of(100, 5)
    rows = tf.constant(digits())
    positions = tf.data.Dataset.random(seed=0).batch(BATCH, drop_remainder=True)
    data = positions.map(lambda at: (tf.gather(rows, at % len(rows)), tf.zeros([BATCH]))).prefetch(2)
    model = VAE()
    rate = keras.optimizers.schedules.CosineDecay(1e-3, DECAY_STEPS)
    model.compile(
        keras.optimizers.Adam(rate), loss=lambda _, bound: bound, jit_compile=False, steps_per_execution=steps
    )

    def call() -> float:
        return float(model.fit(data, steps_per_epoch=steps, epochs=1, verbose=0).history["loss"][0])

    return Work(call, steps)
