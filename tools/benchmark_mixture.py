"""Times the optimal prior's log-density, and takes its memory, against TFP's MixtureSameFamily.

128 points under 60,000 diagonal Gaussians in 40 dimensions, forward, float32. Each contender runs in a process of its
own, so that its peak memory is its own; the processes take turns, so that a change of the machine's speed meets both.

  python tools/benchmark_mixture.py [--rounds=3]
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

BATCH, COMPONENTS, SIZE, CALLS = 128, 60_000, 40, 5


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(contender: str) -> dict[str, float]:
    """Median time of a call, the growth of the peak memory over it, and the error against float64."""
    import numpy as np
    import tensorflow as tf
    from tensorflow_probability import distributions as tfd
    from tfdgm_priors.gaussian_mixture import GaussianMixture

    random = np.random.RandomState(0)
    mean = random.randn(COMPONENTS, SIZE).astype(np.float32)
    scale = np.exp(0.3 * random.randn(COMPONENTS, SIZE) - 1).astype(np.float32)
    z = (mean[:BATCH] + scale[:BATCH] * random.randn(BATCH, SIZE)).astype(np.float32)

    def density(z: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
        if contender == "tfdgm":
            return GaussianMixture(mean, scale, learned=False).log_prob(z)
        components = tfd.MultivariateNormalDiag(mean, scale)
        return tfd.MixtureSameFamily(tfd.Categorical(logits=tf.zeros([COMPONENTS])), components).log_prob(z)

    arguments = [tf.constant(array) for array in (z, mean, scale)]
    compiled = tf.function(density, jit_compile=contender != "TFP, graph", autograph=False)
    program = compiled.get_concrete_function(*arguments)
    small = [tf.constant(z), tf.constant(mean), tf.constant(scale)]
    before = peak_megabytes()
    value = program(*small).numpy()
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        program(*small).numpy()
        times.append(time.perf_counter() - began)
    memory = peak_megabytes() - before
    error = 0.0
    for row in range(8):  # float64, a row at a time
        squares = (((z[row].astype(np.float64) - mean) / scale) ** 2).sum(axis=1)
        logs = -squares / 2 - np.log(scale.astype(np.float64)).sum(axis=1) - SIZE / 2 * np.log(2 * np.pi)
        error = max(error, abs(value[row] - (np.logaddexp.reduce(logs) - np.log(COMPONENTS))))
    return {"milliseconds": statistics.median(times) * 1e3, "megabytes": memory, "error": float(error)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contender:
        print(json.dumps(measure(options.contender)))
        return
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ("tfdgm", "TFP, XLA", "TFP, graph")}
    for _ in range(options.rounds):
        for name, results in found.items():
            command = [sys.executable, __file__, "--contender", name]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            results.append(json.loads(output.splitlines()[-1]))
    medians = {
        name: {key: statistics.median(result[key] for result in results) for key in results[0]}
        for name, results in found.items()
    }
    ours = medians["tfdgm"]
    print(f"{'density':<12}{'ms':>9}{'MB':>9}{'error, nats':>14}{'time / ours':>14}{'memory / ours':>15}")
    for name, row in medians.items():
        ratios = f"{row['milliseconds'] / ours['milliseconds']:>14.1f}{row['megabytes'] / ours['megabytes']:>15.1f}"
        print(f"{name:<12}{row['milliseconds']:>9.0f}{row['megabytes']:>9.0f}{row['error']:>14.1e}{ratios}")


if __name__ == "__main__":
    main()
