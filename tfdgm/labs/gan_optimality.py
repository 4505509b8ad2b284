"""For a fixed generator the best discriminator is D* = pi / (pi + p), with the value V(G, D*) = 2 JSD - 2 log 2. For p
= pi, D* is 1/2 and V is -2 log 2 = -1.386 (Goodfellow et al. 2014, proposition 1 and theorem 1). For any other D, V is
smaller than at D*.

Data and generator are Gaussian; the generator is an affine map of z, so p is known at every step of the training. The
lab compares D, V and JSD on a grid. D lags behind D*, which moves with the generator.
"""

import math
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from scipy.special import expit
from tensorflow_probability import distributions as tfd

from tfdgm.contracts.component import raw
from tfdgm.contracts.context import Context
from tfdgm.evaluation.divergences import game_value, grid, jsd, optimal_discriminator
from tfdgm.labs.figures import BLACK, BLUE, GREEN, ORANGE, RED, slide
from tfdgm.labs.lab import Check, LabResult, LabSettings, Row, above, below, near
from tfdgm.labs.trainings import Run, build
from tfdgm.numerics.randomness import root_seed
from tfdgm.runs.experiment import Built

_X1, _X2 = np.linspace(-5, 8, 105), np.linspace(-6, 6, 97)


def run(settings: LabSettings) -> LabResult:
    built = build(settings, "gan_optimality.gin")
    points, volume = grid(_X1, _X2)
    x = tf.constant(points, tf.float32)
    log_pi = built.experiment.data.density().log_prob(x).numpy().astype(np.float64)
    (objective,) = built.experiment.objectives.values()
    context = Context(root_seed(settings.seed, "lab"), tf.constant(0, tf.int64))
    scores = tf.function(lambda: objective.scores(x, context), autograph=False)
    training = Run(settings, built, "gan")
    training.train()
    rows: list[Row] = []
    lines: list[dict[str, Any]] = []
    for step in training.frames():
        log_p = generated_density(built).log_prob(x).numpy().astype(np.float64)
        logits = scores().numpy().astype(np.float64)
        pi, p = volume * np.exp(log_pi), volume * np.exp(log_p)
        best, found = optimal_discriminator(pi, p), expit(logits)
        divergence = jsd(pi, p)
        rows.append(
            {
                "step": step,
                "value": game_value(logits, pi, p),
                "best_value": 2 * divergence - 2 * math.log(2),
                "value_at_best": game_value(log_pi - log_p, pi, p),
                "jsd_nats": divergence,
                "mean_error_of_D": float(np.sum((pi + p) / 2 * np.abs(found - best))),
            }
        )
        across = np.isclose(points[:, 1], 0.0)
        lines.append({"step": step, "D": found[across], "best": best[across]})
    return LabResult(rows, _figure(rows, lines), _checks(rows))


def generated_density(built: Built) -> Any:
    """Return N(b, W^T W), the distribution of x = z W + b for z ~ N(0, I), with the current weights of the decoder."""
    kernel, bias = (raw(v).numpy() for name, v in built.state.variables.items() if name.startswith("model/decoder/"))
    covariance = kernel.T @ kernel + 1e-6 * np.eye(len(bias), dtype=np.float32)
    return tfd.MultivariateNormalTriL(bias, np.linalg.cholesky(covariance))


def _checks(rows: list[Row]) -> list[Check]:
    last, early = rows[-1], rows[len(rows) // 10]
    error = max(abs(float(row["value_at_best"]) - float(row["best_value"])) for row in rows)
    above_best = max(float(row["value"]) - float(row["best_value"]) for row in rows)
    return [
        near("V(G, D*) against 2 JSD - 2 log 2: largest difference", error, 0.0, 1e-3),
        below("V of the trained D over that of D*: largest excess", above_best, 1e-3),
        above("early: JSD of data and generator (nats)", float(early["jsd_nats"]), 0.05),
        below("early: V(G, D*) - V of the trained D (nats)", float(early["best_value"]) - float(early["value"]), 0.15),
        near("end: JSD of data and generator (nats)", float(last["jsd_nats"]), 0.0, 0.01),
        near("end: V, -2 log 2", float(last["value"]), -2 * math.log(2), 0.03),
        near("end: mean error of D", float(last["mean_error_of_D"]), 0.0, 0.05),
    ]


def _figure(rows: list[Row], lines: list[dict[str, Any]]) -> Figure:
    figure = slide()
    value, discriminator = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    steps = [float(row["step"]) for row in rows]
    value.plot(steps, [float(row["best_value"]) for row in rows], color=BLUE, label=r"$V(G, D^*)$ = 2 JSD - 2 log 2")
    value.plot(steps, [float(row["value"]) for row in rows], color=RED, linestyle="--", label="$V(G, D)$ as trained")
    value.axhline(-2 * math.log(2), color=BLACK, linestyle=":", label="-2 log 2")
    value.set(xlabel="training step", ylabel="value of the game (nats)", ylim=(-1.7, 0.05))
    value.legend(loc="upper right")
    # from the second frame on: at the first the critic is untrained
    for position, colour in zip((1, len(lines) // 4, len(lines) - 1), (ORANGE, GREEN, BLACK), strict=True):
        line = lines[position]
        discriminator.plot(_X1, line["best"], color=colour, label=f"$D^*$, step {line['step']}")
        discriminator.plot(_X1, line["D"], color=colour, linestyle="--", label=f"$D$, step {line['step']}")
    discriminator.axhline(0.5, color=BLACK, linewidth=1, linestyle=":")
    discriminator.set(xlabel="$x_1$ at $x_2$ = 0 (units of x)", ylabel="discriminator", ylim=(-0.02, 1.4), xlim=(-4, 7))
    discriminator.legend(loc="upper left", ncols=2)
    return figure
