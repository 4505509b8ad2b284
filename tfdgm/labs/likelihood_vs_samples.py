"""Likelihood and sample quality are independent criteria (Theis et al. 2016, section 3.2). A model that repeats its
training examples, slightly blurred, has good samples and a very low likelihood. A model that generates noise with
probability 0.99 has log(0.01 pi + 0.99 noise) >= log pi - log 100: it loses at most 4.61 nats in any dimension. A model
whose Gaussians are 30 % too wide has plausible samples, but loses more than that in high dimensions.

An example in d dimensions is d / 2 independent points of the ring, so all densities are known. Sample quality is the
precision in the plane: the share of the samples that lie in the support of the data.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from tensorflow_probability import distributions as tfd

from tfdgm.evaluation.precision_recall import precision_recall
from tfdgm.labs.figures import BLUE, GREEN, ORANGE, RED, slide
from tfdgm.labs.lab import Check, LabResult, LabSettings, Row, above, below, near
from tfdgm.labs.trainings import read_experiment
from tfdgm.numerics.randomness import fold_purpose, root_seed
from tfdgm.runs.experiment import Experiment

DIMENSIONS = (2, 8, 32, 128, 512)
#: Share of the samples that are not noise; factor by which the scales of the wide model are too large.
KEPT, WIDER = 0.01, 1.3
_VECTORS, _JUDGED, _EXAMPLES, _BLUR = 256, 2_000, 500, 0.003

MEMORY, WIDE, NOISY = "500 examples, blurred", "30 % too wide", "99 % noise"
_COLOURS = {MEMORY: ORANGE, WIDE: GREEN, NOISY: RED}


def run(settings: LabSettings) -> LabResult:
    experiment = read_experiment(settings, "likelihood_vs_samples.gin")
    wide = read_experiment(settings, "likelihood_vs_samples.gin", f"sigma = {0.1 * WIDER}").data.density()
    truth, noise = experiment.data.density(), tfd.MultivariateNormalDiag([0.0, 0.0], [2.0, 2.0])
    plane: dict[str, Any] = {
        MEMORY: _blurred(experiment),
        WIDE: wide,
        NOISY: tfd.Mixture(tfd.Categorical(probs=[KEPT, 1 - KEPT]), [truth, noise]),
    }
    test = experiment.splits["test"]
    x = test.gather(np.arange(_VECTORS * DIMENSIONS[-1] // 2))
    densities = {name: model.log_prob(x).numpy() for name, model in {**plane, "pi": truth, "noise": noise}.items()}
    seed = root_seed(settings.seed, "lab")
    samples = {name: model.sample(_JUDGED, seed=fold_purpose(seed, name)).numpy() for name, model in plane.items()}
    precision = {name: precision_recall(x[:_JUDGED], drawn)["precision"] for name, drawn in samples.items()}
    precision["data"] = precision_recall(x[:_JUDGED], x[_JUDGED : 2 * _JUDGED])["precision"]
    rows: list[Row] = [
        {"dimensions": d, "model": name, "log_likelihood_nats": level, "lost_nats": lost, "precision": precision[name]}
        for d in DIMENSIONS
        for name, (level, lost) in _levels(densities, d).items()
    ]
    return LabResult(rows, _figure(x, samples, rows, precision), _checks(rows, precision))


def _blurred(experiment: Experiment) -> Any:
    """Return the density (1/n) sum_m N(x; x_m, s^2 I) over training examples."""
    examples = tf.constant(experiment.train.gather(np.arange(_EXAMPLES)))
    each = tfd.MultivariateNormalDiag(examples, tf.fill(examples.shape, _BLUR))
    return tfd.MixtureSameFamily(tfd.Categorical(logits=tf.zeros(_EXAMPLES)), each)


def _levels(densities: Mapping[str, np.ndarray], dimensions: int) -> dict[str, tuple[float, float]]:
    """Return, by model, the mean of log p over vectors of `dimensions`, and that of log pi - log p, in nats."""
    total = {name: log_p.reshape(_VECTORS, -1)[:, : dimensions // 2].sum(axis=1) for name, log_p in densities.items()}
    total = {name: log_p.astype(np.float64) for name, log_p in total.items()}
    total[NOISY] = np.logaddexp(math.log(KEPT) + total["pi"], math.log(1 - KEPT) + total["noise"])
    return {
        name: (float(np.mean(total[name])), float(np.mean(total["pi"] - total[name]))) for name in (MEMORY, WIDE, NOISY)
    }


def _checks(rows: list[Row], precision: Mapping[str, float]) -> list[Check]:
    lost = {(row["model"], row["dimensions"]): float(row["lost_nats"]) for row in rows}
    most = max(lost[NOISY, d] for d in DIMENSIONS)
    last = DIMENSIONS[-1]
    # KL between Gaussians in the plane of scales s and r s: 2 (log r + 1 / (2 r^2) - 1/2)
    expected = last / 2 * 2 * (math.log(WIDER) + 0.5 / WIDER**2 - 0.5)
    return [
        below("99 % noise: nats lost in any dimension, log 100", most, math.log(100) + 1e-3),
        near("99 % noise: nats lost in many dimensions", lost[NOISY, last], math.log(100), 0.01),
        below("99 % noise: precision", precision[NOISY], 0.2),
        above("examples: precision against the data's own", precision[MEMORY] / precision["data"], 0.97),
        above("examples: nats lost in two dimensions, more than 99 % noise loses", lost[MEMORY, 2], math.log(100)),
        above("too wide: precision", precision[WIDE], 0.85),
        near(f"too wide: nats lost in {last} dimensions", lost[WIDE, last], expected, 0.1 * expected),
        above(f"too wide: in {last} dimensions it loses more than 99 % noise", lost[WIDE, last], math.log(100)),
    ]


def _figure(
    x: np.ndarray, samples: Mapping[str, np.ndarray], rows: list[Row], precision: Mapping[str, float]
) -> Figure:
    figure = slide()
    corners = figure.add_gridspec(2, 3, height_ratios=(1, 1.15))
    for number, (name, drawn) in enumerate(samples.items()):
        axes = figure.add_subplot(corners[0, number])
        axes.scatter(drawn[:1_000, 0], drawn[:1_000, 1], s=8, color=_COLOURS[name], linewidths=0)
        axes.set(xlim=(-3.2, 3.2), ylim=(-2, 2), xlabel="$x_1$ (units of x)", ylabel="$x_2$ (units of x)")
        axes.set_aspect("equal")
        axes.set_title(f"{name}\nprecision {precision[name]:.2f}")
    axes = figure.add_subplot(corners[1, :])
    for name in samples:
        points = [(row["dimensions"], row["lost_nats"]) for row in rows if row["model"] == name]
        axes.plot(*zip(*points, strict=True), "o-", color=_COLOURS[name], label=name)
    axes.axhline(math.log(100), color=BLUE, linestyle="--", label="log 100 = 4.61 nats")
    axes.set(xscale="log", yscale="log", ylim=(0.05, 1e7), xlabel="dimensions d of an example", xticks=DIMENSIONS)
    axes.set_xticks(DIMENSIONS, [str(d) for d in DIMENSIONS])
    axes.minorticks_off()
    axes.set_ylabel("log-likelihood lost\n(nats per example)")
    axes.legend(loc="upper left", ncols=2)
    return figure
