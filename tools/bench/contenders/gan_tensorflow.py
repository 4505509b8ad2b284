"""A GAN's and a WGAN-GP's step on the ring in the best TensorFlow loop that we know to write by hand."""

import numpy as np
from inputs import batches, ring
from work import Size, Work

from contenders.gan_shape import BATCH, DECAY_STEPS, LATENT, MOVES, RATE, STEPS, initial_weights
from contenders.tensorflow_on_cpu import tf


def gan(size: Size) -> Work:
    return loop("GAN", size)


def wgan_gp(size: Size) -> Work:
    return loop("WGAN-GP", size)


def loop(kind: str, size: Size) -> Work:
    """Everything in one XLA program, Adam written out."""
    moves, steps, rows = MOVES[kind], size.of(*STEPS[kind]), ring()
    players = [[tf.Variable(w) for w in initial_weights(outputs)] for outputs in (1, 2)]
    moments = [[tf.Variable(tf.zeros_like(w)) for w in weights] for weights in players]
    critic, generator = players
    resident, counter = tf.constant(rows), tf.Variable(0, dtype=tf.int64)

    def network(weights: list, h: tf.Tensor) -> tf.Tensor:
        for layer in range(4):
            h = h @ weights[layer] + weights[4 + layer]
            if layer < 3:
                h = tf.nn.relu(h)
        return h

    def apply(weights: list, second: list, gradients: list, t: tf.Tensor) -> None:
        rate = RATE * 0.5 * (1 + tf.cos(np.pi * t / DECAY_STEPS)) * tf.sqrt(1 - 0.99**t)
        for w, g, v in zip(weights, gradients, second, strict=True):
            v.assign_add((g * g - v) * 0.01)
            w.assign_sub(rate * g / (tf.sqrt(v) + 1e-7))

    def critic_loss(x: tf.Tensor, fake: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        real_scores, fake_scores = tf.split(network(critic, tf.concat([x, fake], 0)), 2)
        if kind == "GAN":
            return tf.reduce_mean(tf.nn.softplus(-real_scores) + tf.nn.softplus(fake_scores))
        between = fake + tf.random.stateless_uniform([BATCH, 1], seed) * (x - fake)
        with tf.GradientTape() as tape:
            tape.watch(between)
            total = tf.reduce_sum(network(critic, between))
        slope = tf.sqrt(tf.reduce_sum(tape.gradient(total, between) ** 2, axis=1) + 1e-12)
        return tf.reduce_mean(fake_scores - real_scores) + 10 * tf.reduce_mean((slope - 1) ** 2)

    def step(number: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        seeds = tf.random.split(
            tf.random.experimental.stateless_fold_in([0, 1], tf.cast(number, tf.int32)), 2 * moves + 1
        )
        t = tf.cast(number + 1, tf.float32)
        for move in range(moves):
            x = tf.gather(resident, positions[move])
            fake = network(generator, tf.random.stateless_normal([BATCH, LATENT], seeds[2 * move]))
            with tf.GradientTape() as tape:
                loss = critic_loss(x, fake, seeds[2 * move + 1])
            gradients = tape.gradient(loss, critic)
            apply(critic, moments[0], gradients, tf.cast(number * moves + move + 1, tf.float32))
        with tf.GradientTape() as tape:
            fake = network(generator, tf.random.stateless_normal([BATCH, LATENT], seeds[2 * moves]))
            scores = network(critic, fake)
            loss = tf.reduce_mean(tf.nn.softplus(-scores) if kind == "GAN" else -scores)
        apply(generator, moments[1], tape.gradient(loss, generator), t)
        return loss

    @tf.function(jit_compile=True, autograph=False)
    def many_steps(positions: tf.Tensor) -> tf.Tensor:
        start = counter.read_value()

        def one(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return i + 1, total + step(start + tf.cast(i, tf.int64), tf.gather(positions, i))

        _, total = tf.while_loop(lambda i, _: i < steps, one, (0, 0.0), maximum_iterations=steps)
        counter.assign_add(steps)
        return total / steps

    positions = batches(len(rows), (steps, moves + 1, BATCH))
    return Work(lambda: float(many_steps(tf.constant(positions()))), steps)
