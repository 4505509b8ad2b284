"""Times a training step of the default config against hand-written loops of the same step, in one process.

The loops take turns, so that a change of the machine's speed meets all of them; the ratio of the medians is the result.

  python tools/benchmark_step.py [--rounds=15] [--steps=200]

With JAX installed, its scan of the same step takes part.
"""

import argparse
import importlib.util
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
import tensorflow as tf
from turns import Loop, report_turns

from tfdgm.config import DEFAULT_CONFIG, read_config
from tfdgm.training.run import Trainer

DATA, HIDDEN, LATENT, BATCH, DECAY_STEPS = 64, 256, 8, 128, 10_000
SHAPES = [(DATA, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 2 * LATENT), (LATENT, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, DATA)]


def framework_loop(steps: int, workdir: Path) -> tuple[Loop, np.ndarray]:
    """The framework's own loop, and the training rows."""
    built = read_config([DEFAULT_CONFIG]).experiment().build()
    trainer = Trainer(built, workdir, print)
    rows = built.experiment.train.gather(np.arange(len(built.experiment.train)))
    return lambda positions: trainer.loop(steps, tf.constant(positions))["loss"], rows


def initial_weights() -> list[np.ndarray]:
    random = np.random.RandomState(0)
    kernels = [random.randn(*shape) * np.sqrt(2 / shape[0]) for shape in SHAPES]
    return [w.astype(np.float32) for w in [*kernels, *(np.zeros(shape[1]) for shape in SHAPES)]]


def tensorflow_loop(steps: int, rows: np.ndarray) -> Loop:
    """The best TensorFlow loop we know to write by hand: everything in one XLA program, Adam written out."""
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
    def loop(positions: tf.Tensor) -> tf.Tensor:
        start = counter.read_value()

        def one(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return i + 1, total + step(start + tf.cast(i, tf.int64), tf.gather(positions, i))

        _, total = tf.while_loop(lambda i, _: i < steps, one, (0, 0.0), maximum_iterations=steps)
        counter.assign_add(steps)
        return total / steps

    return lambda positions: float(loop(tf.constant(positions)))


def jax_loop(steps: int, rows: np.ndarray) -> Loop:
    """JAX's scan of the same step."""
    import jax
    import jax.numpy as jnp

    resident = jnp.asarray(rows)

    def body(weights: list, h: jax.Array, layers: range) -> jax.Array:
        for layer in layers:
            h = h @ weights[layer] + weights[6 + layer]
            if layer != layers[-1]:
                h = jax.nn.gelu(h, approximate=False)
        return h

    def loss(weights: list, x: jax.Array, key: jax.Array) -> jax.Array:
        mean, pre_scale = jnp.split(body(weights, x, range(3)), 2, axis=-1)
        scale = jax.nn.softplus(pre_scale) + 1e-4
        logits = body(weights, mean + scale * jax.random.normal(key, mean.shape), range(3, 6))
        distortion = jnp.sum(jnp.maximum(logits, 0) - logits * x + jnp.log1p(jnp.exp(-jnp.abs(logits))), axis=-1)
        return jnp.mean(distortion + jnp.sum((mean**2 + scale**2 - 1) / 2 - jnp.log(scale), axis=-1))

    def step(state: tuple, positions: jax.Array) -> tuple[tuple, jax.Array]:
        weights, first, second, number = state
        keys = jax.random.split(jax.random.fold_in(jax.random.key(1), number))
        x = (jax.random.uniform(keys[0], (BATCH, DATA)) < resident[positions]).astype(jnp.float32)
        value, gradients = jax.value_and_grad(loss)(weights, x, keys[1])
        t = (number + 1).astype(jnp.float32)
        rate_now = 1e-3 * 0.5 * (1 + jnp.cos(jnp.pi * t / DECAY_STEPS)) * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        first = [m + (g - m) * 0.1 for m, g in zip(first, gradients, strict=True)]
        second = [v + (g * g - v) * 0.001 for v, g in zip(second, gradients, strict=True)]
        moved = [w - rate_now * m / (jnp.sqrt(v) + 1e-7) for w, m, v in zip(weights, first, second, strict=True)]
        return (moved, first, second, number + 1), value

    weights = [jnp.asarray(w) for w in initial_weights()]
    first, second = ([jnp.zeros_like(w) for w in weights] for _ in range(2))  # donated, so each needs its own
    holder = {"state": (weights, first, second, jnp.asarray(0))}
    scan = jax.jit(lambda state, positions: jax.lax.scan(step, state, positions), donate_argnums=0)

    def loop(positions: np.ndarray) -> float:
        holder["state"], values = scan(holder["state"], jnp.asarray(positions))
        return float(jnp.mean(values))

    return loop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as workdir:
        ours, rows = framework_loop(options.steps, Path(workdir))
        loops = {"tfdgm": ours, "hand-written TensorFlow": tensorflow_loop(options.steps, rows)}
        if importlib.util.find_spec("jax"):
            loops["JAX scan"] = jax_loop(options.steps, rows)
        report_turns("loop", loops, len(rows), (options.steps, BATCH), steps=options.steps, rounds=options.rounds)


if __name__ == "__main__":
    main()
