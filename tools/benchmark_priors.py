"""Times the autoregressive priors against plain implementations of the same computations, in one process.

The contenders take turns, so that a change of the machine's speed meets all of them; the ratio of the medians is the
result. `codes` compares draws of grids of codes with draws by a pass over the whole grid for each position, of which it
makes only `--passes`; the time of a position is compared. `density` compares training steps of flows, and `draws` draws
from them, with a chain of TFP's MaskedAutoregressiveFlow; sizes are d x bijectors x hidden width x batch. What compiles
is traced and compiled once, in the column `compile`.

  python tools/benchmark_priors.py codes [--rounds=3] [--sizes 8 32] [--passes=2]
  python tools/benchmark_priors.py density [--rounds=15] [--sizes 8x4x128x128 19x32x128x128]
  python tools/benchmark_priors.py draws [--rounds=15] [--gradient] [--sizes 8x4x128x64 100x4x512x500]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd
from tfdgm_priors.autoregressive import Autoregressive
from tfdgm_priors.maf import MAF

from tfdgm import BuildContext, Context, DataSpec, LatentSpec, Prior
from tfdgm.contracts.component import raw

SIZES = {
    "codes": ["8", "32"],
    "density": ["8x4x128x128", "8x5x128x128", "8x8x128x128", "8x32x128x128", "19x4x128x128", "19x32x128x128"],
    "draws": [f"{d}x4x{width}x{batch}" for d in (8, 40, 100) for width in (128, 512) for batch in (64, 500)],
}
CONTEXT = Context(tf.constant([1, 2]), tf.constant(0, tf.int64))
STEPS, CATEGORIES, CODE_GRIDS = 10, 256, 64

#: A computation, and how often it does what is timed. Its value is what contenders are compared by.
Contender = tuple[Callable[[], tf.Tensor], int]


def build(prior: Prior, spec: LatentSpec) -> None:
    prior.build(BuildContext(DataSpec((spec.size,)), spec, 1, lambda indices: indices, seed=0))


def codes(side: str, options: argparse.Namespace) -> dict[str, Contender]:
    """Draws of 64 grids under the default network."""
    spec = LatentSpec(size=2, positions=(int(side), int(side)), categories=CATEGORIES)
    prior, seed = Autoregressive(), tf.constant([3, 4])
    build(prior, spec)
    passes = min(options.passes, prior.length)

    def by_full_passes() -> tf.Tensor:
        seeds = tf.random.split(seed, prior.length)

        def draw(position: tf.Tensor, codes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            logits = tf.gather(prior.logits(codes, CONTEXT), position, axis=1)
            drawn = tfd.Categorical(logits=logits).sample(seed=seeds[position])
            return position + 1, tf.where(tf.range(prior.length) == position, drawn[:, None], codes)

        start = (tf.constant(0), tf.zeros([CODE_GRIDS, prior.length], tf.int32))
        _, codes = tf.while_loop(lambda position, _: position < passes, draw, start, maximum_iterations=passes)
        return codes[:, :passes]

    def by_cache() -> tf.Tensor:
        return tf.reshape(prior.distribution(CONTEXT).sample(CODE_GRIDS, seed=seed), [CODE_GRIDS, -1])[:, :passes]

    return {"tfdgm": (by_cache, prior.length), "full passes": (by_full_passes, passes)}


def flows(size: str) -> tuple[MAF, tfd.Distribution, MAF, int]:
    """A prior, TFP's flow of the same weights with the prior that holds them, and the batch."""
    d, count, width, batch = (int(part) for part in size.split("x"))
    ours = MAF(num_bijectors=count, hidden=(width, width))
    theirs = MAF(num_bijectors=count, hidden=(width, width), stacked=False)
    for prior in (ours, theirs):
        build(prior, LatentSpec(size=d))
    chain: list[tfb.Bijector] = []
    for number, network in enumerate(theirs.networks):
        if number:
            chain.append(tfb.Permute(theirs.permutations[number - 1]))
        chain.append(tfb.MaskedAutoregressiveFlow(lambda z, network=network: theirs.architecture(z, network.layers())))
    noise = tfd.Independent(tfd.Normal(tf.zeros([d]), 1.0), 1)
    return ours, tfd.TransformedDistribution(noise, tfb.Chain(chain)), theirs, batch


def density(size: str, options: argparse.Namespace) -> dict[str, Contender]:
    """Ten steps of Adam on -E log p(z) in one program."""
    ours, chain, theirs, batch = flows(size)
    z = tf.random.stateless_normal([batch, ours.size], [0, 1])

    def steps(log_prob: Callable[[tf.Tensor], tf.Tensor], prior: MAF) -> Callable[[], tf.Tensor]:
        variables = [raw(variable) for variable in prior.trainable_variables()]
        optimizer = keras.optimizers.Adam(1e-4)
        optimizer.build(variables)

        def step(number: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                loss = -tf.reduce_mean(log_prob(z))
            optimizer.apply(tape.gradient(loss, variables), variables)
            return number + 1, loss

        def loop() -> tf.Tensor:
            return tf.while_loop(lambda number, _: number < STEPS, step, (0, 0.0), maximum_iterations=STEPS)[1]

        return loop

    return {
        "tfdgm": (steps(lambda z: ours.distribution(CONTEXT).log_prob(z), ours), STEPS),
        "TFP": (steps(lambda z: chain.log_prob(z), theirs), STEPS),
    }


def draws(size: str, options: argparse.Namespace) -> dict[str, Contender]:
    """A batch of draws, or the gradient of E sum_i sin z_i over them with respect to the weights."""
    ours, chain, theirs, batch = flows(size)
    seed = tf.constant([3, 4])

    def draw(sample: Callable[[], tf.Tensor], prior: MAF) -> Callable[[], tf.Tensor]:
        if not options.gradient:
            return sample
        variables = [raw(variable) for variable in prior.trainable_variables()]

        def gradient() -> tf.Tensor:
            with tf.GradientTape() as tape:
                value = tf.reduce_mean(tf.sin(sample()))
            return tf.linalg.global_norm(tape.gradient(value, variables, unconnected_gradients="zero"))

        return gradient

    return {
        "tfdgm": (draw(lambda: ours.distribution(CONTEXT).sample(batch, seed=seed), ours), 1),
        "TFP": (draw(lambda: chain.copy().sample(batch, seed=seed), theirs), 1),
    }


def report(title: str, contenders: dict[str, Contender], rounds: int) -> None:
    """Prints a line for each contender: seconds to trace and compile, milliseconds, ratio to the first."""
    programs, compiled, values = {}, {}, {}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for name, (function, _) in contenders.items():
        began = time.perf_counter()
        programs[name] = tf.function(function, jit_compile=True, autograph=False)
        values[name] = programs[name]().numpy()
        compiled[name] = time.perf_counter() - began
    for _ in range(rounds):
        for name, program in programs.items():
            began = time.perf_counter()
            program().numpy()
            times[name].append((time.perf_counter() - began) / contenders[name][1] * 1e3)
    first = next(iter(contenders))
    medians = {name: statistics.median(own) for name, own in times.items()}
    for name, median in medians.items():
        error = np.abs(values[name].astype(np.float64) - values[first]).max()
        seconds = compiled[name] - median * contenders[name][1] / 1e3
        ratio = median / medians[first]
        print(f"{title:<18}{name:<14}{seconds:>9.1f}{median:>12.3f}{ratio:>10.2f}{error:>12.1e}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=SIZES)
    parser.add_argument("--sizes", nargs="+")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--passes", type=int, default=2, help="full passes over the grid that are timed")
    parser.add_argument("--gradient", action="store_true", help="draws: with the gradient of the weights")
    options = parser.parse_args(arguments)
    contenders = {"codes": codes, "density": density, "draws": draws}[options.what]
    print(f"{options.what:<18}{'':<14}{'compile s':>9}{'ms':>12}{'/ tfdgm':>10}{'difference':>12}")
    for size in options.sizes or SIZES[options.what]:
        report(size, contenders(size, options), options.rounds or (3 if options.what == "codes" else 15))


if __name__ == "__main__":
    main()
