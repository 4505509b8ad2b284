"""Times a GAN's and a WGAN-GP's step on the ring against hand-written loops of the same step, in one process.

The loops take turns, so that a change of the machine's speed meets all of them; the ratio of the medians is the result.

  python tools/benchmark_gan.py [--rounds=15] [--steps=200]

Networks have three hidden layers of 128, the batch is 256. A step of the GAN is one move of the discriminator and one
of the generator, both with the non-saturating loss; a step of the WGAN-GP is five moves of the critic, each with its
gradient penalty, and one of the generator. With JAX installed, its scan of the same step takes part.
"""

import argparse
import importlib.util
import itertools
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
import tensorflow as tf
from turns import Loop, report_turns

from tfdgm.config import read_config
from tfdgm.training.run import Trainer

BATCH, LATENT, HIDDEN, DECAY_STEPS, RATE = 256, 2, 128, 40_000, 3e-3
SIZES = [2, HIDDEN, HIDDEN, HIDDEN]
COMMON = """
experiment.batch_size = 256
experiment.ema_decay = None
network.mlp.hidden = (128, 128, 128)
steps = 40_000
"""
KINDS = {
    "GAN": (1, "objective.jsd.relativistic = False\nobjective.jsd.r1 = 0.0\nobjective.jsd.r2 = 0.0"),
    "WGAN-GP": (
        5,
        "experiment.objectives = [@objective.wasserstein()]\n"
        "objective.wasserstein.optimizer = @keras.optimizers.Adam()\n"
        "objective.wasserstein.moves = 5",
    ),
}


def framework_loop(kind: str, steps: int, workdir: Path) -> tuple[Loop, np.ndarray]:
    """The framework's own loop, and the training rows."""
    built = read_config(["toy/ring.gin"], [COMMON, KINDS[kind][1]]).experiment().build()
    trainer = Trainer(built, workdir, print)
    rows = built.experiment.train.gather(np.arange(len(built.experiment.train)))
    return lambda positions: trainer.loop(steps, tf.constant(positions))["loss"], rows


def initial_weights(outputs: int, seed: int) -> list[np.ndarray]:
    random = np.random.RandomState(seed)
    sizes = [*SIZES, outputs]
    kernels = [random.randn(a, b) * np.sqrt(2 / a) for a, b in itertools.pairwise(sizes)]
    return [w.astype(np.float32) for w in [*kernels, *(np.zeros(size) for size in sizes[1:])]]


def tensorflow_loop(kind: str, steps: int, rows: np.ndarray) -> Loop:
    """The best TensorFlow loop we know to write by hand: everything in one XLA program, Adam written out."""
    moves = KINDS[kind][0]
    players = [[tf.Variable(w) for w in initial_weights(outputs, outputs)] for outputs in (1, 2)]
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
    def loop(positions: tf.Tensor) -> tf.Tensor:
        start = counter.read_value()

        def one(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return i + 1, total + step(start + tf.cast(i, tf.int64), tf.gather(positions, i))

        _, total = tf.while_loop(lambda i, _: i < steps, one, (0, 0.0), maximum_iterations=steps)
        counter.assign_add(steps)
        return total / steps

    return lambda positions: float(loop(tf.reshape(positions, [steps, moves + 1, BATCH])))


def jax_loop(kind: str, steps: int, rows: np.ndarray) -> Loop:
    """JAX's scan of the same step."""
    import jax
    import jax.numpy as jnp

    moves, resident = KINDS[kind][0], jnp.asarray(rows)

    def network(weights: list, h: jax.Array) -> jax.Array:
        for layer in range(4):
            h = h @ weights[layer] + weights[4 + layer]
            if layer < 3:
                h = jax.nn.relu(h)
        return h

    def apply(weights: list, second: list, gradients: list, t: jax.Array) -> tuple[list, list]:
        rate = RATE * 0.5 * (1 + jnp.cos(jnp.pi * t / DECAY_STEPS)) * jnp.sqrt(1 - 0.99**t)
        second = [v + (g * g - v) * 0.01 for v, g in zip(second, gradients, strict=True)]
        moved = [w - rate * g / (jnp.sqrt(v) + 1e-7) for w, g, v in zip(weights, gradients, second, strict=True)]
        return moved, second

    def critic_loss(critic: list, x: jax.Array, fake: jax.Array, key: jax.Array) -> jax.Array:
        real_scores, fake_scores = jnp.split(network(critic, jnp.concatenate([x, fake])), 2)
        if kind == "GAN":
            return jnp.mean(jax.nn.softplus(-real_scores) + jax.nn.softplus(fake_scores))
        between = fake + jax.random.uniform(key, (BATCH, 1)) * (x - fake)
        gradient = jax.grad(lambda points: jnp.sum(network(critic, points)))(between)
        slope = jnp.sqrt(jnp.sum(gradient**2, axis=1) + 1e-12)
        return jnp.mean(fake_scores - real_scores) + 10 * jnp.mean((slope - 1) ** 2)

    def generator_loss(generator: list, critic: list, key: jax.Array) -> jax.Array:
        scores = network(critic, network(generator, jax.random.normal(key, (BATCH, LATENT))))
        return jnp.mean(jax.nn.softplus(-scores) if kind == "GAN" else -scores)

    def step(state: tuple, positions: jax.Array) -> tuple[tuple, jax.Array]:
        critic, generator, critic_second, generator_second, number = state
        keys = jax.random.split(jax.random.fold_in(jax.random.key(1), number), 2 * moves + 1)
        for move in range(moves):
            x = resident[positions[move]]
            fake = network(generator, jax.random.normal(keys[2 * move], (BATCH, LATENT)))
            gradients = jax.grad(critic_loss)(critic, x, fake, keys[2 * move + 1])
            critic, critic_second = apply(
                critic, critic_second, gradients, (number * moves + move + 1).astype(jnp.float32)
            )
        loss, gradients = jax.value_and_grad(generator_loss)(generator, critic, keys[2 * moves])
        generator, generator_second = apply(generator, generator_second, gradients, (number + 1).astype(jnp.float32))
        return (critic, generator, critic_second, generator_second, number + 1), loss

    critic, generator = ([jnp.asarray(w) for w in initial_weights(outputs, outputs)] for outputs in (1, 2))
    seconds = [[jnp.zeros_like(w) for w in weights] for weights in (critic, generator)]
    holder = {"state": (critic, generator, *seconds, jnp.asarray(0))}
    scan = jax.jit(lambda state, positions: jax.lax.scan(step, state, positions), donate_argnums=0)

    def loop(positions: np.ndarray) -> float:
        holder["state"], values = scan(holder["state"], jnp.asarray(positions).reshape(steps, moves + 1, BATCH))
        return float(jnp.mean(values))

    return loop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    options = parser.parse_args()
    for kind in options.kinds:
        with tempfile.TemporaryDirectory() as workdir:
            ours, rows = framework_loop(kind, options.steps, Path(workdir))
            loops = {"tfdgm": ours, "hand-written TensorFlow": tensorflow_loop(kind, options.steps, rows)}
            if importlib.util.find_spec("jax"):
                loops["JAX scan"] = jax_loop(kind, options.steps, rows)
            report_turns(
                kind, loops, len(rows), (options.steps * (KINDS[kind][0] + 1), BATCH), options.steps, options.rounds
            )


if __name__ == "__main__":
    main()
