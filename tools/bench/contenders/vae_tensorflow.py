"""The VAE's step in the best TensorFlow loop that we know to write by hand: one XLA program, Adam written out."""

import numpy as np
from inputs import batches, digits
from work import Size, Work

from contenders.tensorflow_on_cpu import tf
from contenders.vae_shape import BATCH, DATA, DECAY_STEPS, LATENT, initial_weights


def loop(size: Size) -> Work:
    steps, rows = size.of(100, 5), digits()
    weights = [tf.Variable(w) for w in initial_weights()]
    first_moments = [tf.Variable(tf.zeros_like(w)) for w in weights]
    second_moments = [tf.Variable(tf.zeros_like(w)) for w in weights]
    kernels, biases = weights[:6], weights[6:]
    resident, counter = tf.constant(rows), tf.Variable(0, dtype=tf.int64)

    def body(h: tf.Tensor, layers: range) -> tf.Tensor:
        for layer in layers:
            h = h @ kernels[layer] + biases[layer]
            if layer != layers[-1]:
                h = tf.nn.gelu(h)
        return h

    def step(number: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        seeds = tf.random.split(tf.random.experimental.stateless_fold_in([0, 1], tf.cast(number, tf.int32)), 2)
        probabilities = tf.gather(resident, positions)
        uniform = tf.random.stateless_uniform([BATCH, DATA], seeds[0], alg="threefry")
        x = tf.cast(uniform < probabilities, tf.float32)
        with tf.GradientTape() as tape:
            mean, pre_scale = tf.split(body(x, range(3)), 2, axis=-1)
            scale = tf.nn.softplus(pre_scale) + 1e-4
            logits = body(mean + scale * tf.random.stateless_normal([BATCH, LATENT], seeds[1]), range(3, 6))
            distortion = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(x, logits), axis=-1)
            rate = tf.reduce_sum((mean**2 + scale**2 - 1) / 2 - tf.math.log(scale), axis=-1)
            loss = tf.reduce_mean(distortion + rate)
        gradients = tape.gradient(loss, weights)
        t = tf.cast(number + 1, tf.float32)
        rate_now = 1e-3 * 0.5 * (1 + tf.cos(np.pi * t / DECAY_STEPS)) * tf.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        for w, g, m, v in zip(weights, gradients, first_moments, second_moments, strict=True):
            m.assign_add((g - m) * 0.1)
            v.assign_add((g * g - v) * 0.001)
            w.assign_sub(rate_now * m / (tf.sqrt(v) + 1e-7))
        return loss

    @tf.function(jit_compile=True, autograph=False)
    def many_steps(positions: tf.Tensor) -> tf.Tensor:
        start = counter.read_value()

        def one(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return i + 1, total + step(start + tf.cast(i, tf.int64), tf.gather(positions, i))

        _, total = tf.while_loop(lambda i, _: i < steps, one, (0, 0.0), maximum_iterations=steps)
        counter.assign_add(steps)
        return total / steps

    positions = batches(len(rows), (steps, BATCH))
    return Work(lambda: float(many_steps(tf.constant(positions()))), steps)
