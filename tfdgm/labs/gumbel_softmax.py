"""softmax((l + g) / t) with standard Gumbel noise g is a relaxed draw from Categorical(softmax(l)) (Jang et al. 2017;
Maddison et al. 2017). Its largest entry is an exact draw at any temperature t. As t falls, the draws approach
the corners of the simplex: the bias of the gradient vanishes, and its noise grows without bound. As t rises, the noise
vanishes and the bias remains. No t avoids both.

The gradient is that of E log p(x|c) in a model of the framework, with draws of its posterior; the exact gradient is
the sum over the three codes.
"""

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from tfdgm.labs.figures import BLUE, ORANGE, RED, slide
from tfdgm.labs.lab import Check, LabResult, LabSettings, Row, above, below, near
from tfdgm.labs.one_code import OneCode

PROBABILITIES = np.array([0.6, 0.3, 0.1])
TEMPERATURES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_SHOWN = (0.1, 0.5, 1.0, 5.0)
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
_X = np.array([1.0, 0.6])
_DRAWS = 100_000


def run(settings: LabSettings) -> LabResult:
    logits = tf.constant(np.log(PROBABILITIES)[None], tf.float32)
    rows: list[Row] = []
    shown = {}
    for temperature in TEMPERATURES:
        code = OneCode(settings, "gumbel_softmax.gin", _CORNERS, _X, f"temperature = {temperature}")
        truth = code.exact(logits).numpy()[0]
        gradients, relaxed, drawn = (part.numpy() for part in code.estimate(tf.repeat(logits, _DRAWS, axis=0)))
        mean, spread = np.mean(gradients, axis=0, dtype=np.float64), np.std(gradients, axis=0, dtype=np.float64)
        frequencies = np.bincount(drawn, minlength=len(PROBABILITIES)) / _DRAWS
        shown[temperature] = relaxed[:600]
        rows.append(
            {
                "temperature": temperature,
                "bias": float(np.linalg.norm(mean - truth)),
                "standard_error": float(np.linalg.norm(spread) / np.sqrt(_DRAWS)),
                "noise": float(np.linalg.norm(spread)),
                "true_gradient": float(np.linalg.norm(truth)),
                "largest_entry": float(np.mean(np.max(relaxed, axis=1))),
                **{f"frequency_{k}": float(frequency) for k, frequency in enumerate(frequencies)},
            }
        )
    return LabResult(rows, _figure(rows, shown), _checks(rows))


def _checks(rows: list[Row]) -> list[Check]:
    error = max(abs(float(row[f"frequency_{k}"]) - p) for row in rows for k, p in enumerate(PROBABILITIES))
    cold, warm, hot = rows[0], next(row for row in rows if row["temperature"] == 1.0), rows[-1]
    return [
        near("the largest entry is an exact draw: largest error of a frequency", error, 0.0,
             4 * np.sqrt(0.24 / _DRAWS)),  # four standard errors of the largest frequency
        above("t = 0.1: mean of the largest entry", float(cold["largest_entry"]), 0.95),
        near("t = 5: mean of the largest entry, near 1/3", float(hot["largest_entry"]), 1 / 3, 0.15),
        below("t = 0.1: bias over that at t = 1, and the error of its estimate", float(cold["bias"]),
              0.1 * float(warm["bias"]) + 4 * float(cold["standard_error"])),
        below("t = 5: noise over that at t = 0.1", float(hot["noise"]) / float(cold["noise"]), 0.1),
        above("t = 5: bias over the true gradient", float(hot["bias"]) / float(hot["true_gradient"]), 0.2),
    ]  # fmt: skip


def _figure(rows: list[Row], shown: dict[float, np.ndarray]) -> Figure:
    figure = slide()
    corners = figure.add_gridspec(2, 4)
    for number, temperature in enumerate(_SHOWN):
        axes = figure.add_subplot(corners[number // 2, number % 2])
        axes.plot(*_CORNERS[[0, 1, 2, 0]].T, color="#000000", linewidth=1.5)
        x, y = (shown[temperature] @ _CORNERS).T
        axes.scatter(x, y, s=14, color=BLUE, alpha=0.5, linewidths=0)
        axes.set(aspect="equal", title=f"temperature {temperature:g}", xticks=[], yticks=[])
        axes.set(xlim=(-0.12, 1.12), ylim=(-0.16, 1.0))
        for k, (x, y) in enumerate(_CORNERS):
            axes.text(x, y + (0.05 if k == 2 else -0.11), f"$p_{k + 1}$ = {PROBABILITIES[k]:g}", ha="center")
        axes.spines[:].set_visible(False)
    axes = figure.add_subplot(corners[:, 2:])
    for name, colour, style in (("bias", RED, "o-"), ("noise", BLUE, "s--")):
        axes.plot(TEMPERATURES, [float(row[name]) for row in rows], style, color=colour, label=name)
    axes.axhline(float(rows[0]["true_gradient"]), color=ORANGE, linestyle=":", label="the true gradient")
    axes.set(xscale="log", yscale="log", xlabel="temperature", ylabel="size in the gradient (nats per unit of logit)")
    axes.set_xticks(TEMPERATURES, [f"{t:g}" for t in TEMPERATURES])
    axes.minorticks_off()
    axes.legend(loc="best")
    return figure
