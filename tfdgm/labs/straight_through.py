"""A binary code c is 1 with probability p; minimise E (x - c)^2 for x = 0.45 (Tucker et al. 2017, section 5.1). The
true derivative in p is f(1) - f(0) = 0.1 everywhere, so p should go to 0. The straight-through estimator decodes the
hard code and differentiates as if it were p (Bengio et al. 2013): its mean is (1 - p) f'(0) + p f'(1) = 2 p - 0.9.
That is biased unless f is linear, has the wrong sign below p = 0.45, and descends to p = 0.45 and stays there.

f is the framework's -log p(x|c), up to a constant. Straight through the probabilities is the core's estimator for
priors over codes; straight through Gumbel-softmax is that of the categorical posterior.
"""

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from scipy.special import expit

from tfdgm.labs.figures import BLACK, BLUE, ORANGE, RED, slide
from tfdgm.labs.lab import Check, LabResult, LabSettings, Row, below, near
from tfdgm.labs.one_code import OneCode
from tfdgm.model.code_densities import differentiable_codes
from tfdgm.numerics.randomness import fold

X = 0.45
LOGITS = np.linspace(-5.0, 5.0, 41)
TRUE, THROUGH, GUMBEL = "true gradient", "straight through p", "straight-through Gumbel-softmax"
_DRAWS, _STARTS, _RATE, _STEPS = 20_000, (0.2, 0.8), 1.0, 400
_STYLES = {TRUE: (BLACK, "solid"), THROUGH: (RED, "dashed"), GUMBEL: (BLUE, "dashdot")}


def run(settings: LabSettings) -> LabResult:
    code = OneCode(settings, "straight_through.gin", np.array([[0.0], [1.0]]), np.array([X, 0.0]))
    pairs = tf.constant(np.stack([np.zeros_like(LOGITS), LOGITS], axis=1), tf.float32)
    gradients, _, _ = code.estimate(tf.repeat(pairs, _DRAWS, axis=0))
    each = gradients.numpy()[:, 1].reshape(len(LOGITS), _DRAWS).astype(np.float64)
    through = [through_probabilities(code, pair, number) for number, pair in enumerate(pairs)]
    found = {
        TRUE: code.exact(pairs).numpy()[:, 1].astype(np.float64),
        THROUGH: np.array([mean for mean, _ in through]),
        GUMBEL: each.mean(axis=1),
    }
    errors = {THROUGH: np.array([error for _, error in through]), GUMBEL: each.std(axis=1) / np.sqrt(_DRAWS)}
    rows: list[Row] = [
        {"logit": float(logit), "probability": float(expit(logit))}
        | {name.replace(" ", "_"): float(values[i]) for name, values in found.items()}
        | {f"{name.replace(' ', '_')}_standard_error": float(values[i]) for name, values in errors.items()}
        for i, logit in enumerate(LOGITS)
    ]
    paths = {name: [descend(values, start) for start in _STARTS] for name, values in found.items()}
    return LabResult(rows, _figure(found, paths), _checks(found, errors, paths))


def through_probabilities(code: OneCode, pair: tf.Tensor, number: int) -> tuple[float, float]:
    """Return the mean of the straight-through gradient in the logit of c = 1 over draws, and its standard error."""
    with tf.GradientTape() as tape:
        rows = tf.repeat(pair[None], _DRAWS, axis=0)
        tape.watch(rows)
        q = code.posterior.distribution(rows[:, None], code.context)
        one_hot = differentiable_codes(q, 1, fold(code.seed, number), 2)[0]
        losses = code.loss(tf.tensordot(one_hot, code.posterior.codebook(), axes=1))
    each = tape.gradient(losses, rows).numpy()[:, 1].astype(np.float64)
    return float(each.mean()), float(each.std() / np.sqrt(_DRAWS))


def descend(gradient: np.ndarray, start: float) -> np.ndarray:
    """Return p over steps of gradient descent on the logit, with the mean gradient interpolated linearly."""
    logit, path = np.log(start / (1 - start)), []
    for _ in range(_STEPS + 1):
        path.append(expit(logit))
        logit = np.clip(logit - _RATE * np.interp(logit, LOGITS, gradient), LOGITS[0], LOGITS[-1])
    return np.array(path)


def _checks(
    found: dict[str, np.ndarray], errors: dict[str, np.ndarray], paths: dict[str, list[np.ndarray]]
) -> list[Check]:
    p = expit(LOGITS)
    slope, low = p * (1 - p), p < X - 0.02
    expected = slope * (2 * p - 2 * X)
    error = np.max(np.abs(found[THROUGH] - expected) / (errors[THROUGH] + 1e-9))
    return [
        near("true: largest error against (f(1) - f(0)) p (1 - p)",
             float(np.max(np.abs(found[TRUE] - (1 - 2 * X) * slope))), 0.0, 1e-5),
        below("straight through p: largest error against (2 p - 0.9) p (1 - p), in standard errors", float(error), 4.5),
        below("straight through p: its largest value below p = 0.43, of the wrong sign",
              float(np.max(found[THROUGH][low])), 0.0),
        *(near(f"true gradient: p at the end, from {start:g}", path[-1], 0.0, 0.05)
          for start, path in zip(_STARTS, paths[TRUE], strict=True)),
        *(near(f"straight through p: p at the end, from {start:g}", path[-1], X, 0.02)
          for start, path in zip(_STARTS, paths[THROUGH], strict=True)),
    ]  # fmt: skip


def _figure(found: dict[str, np.ndarray], paths: dict[str, list[np.ndarray]]) -> Figure:
    figure = slide()
    curve, descent = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    for name, values in found.items():
        colour, style = _STYLES[name]
        curve.plot(expit(LOGITS), values, color=colour, linestyle=style, label=name)
        for number, path in enumerate(paths[name]):
            descent.plot(path, color=colour, linestyle=style, label=None if number else name)
    curve.axhline(0, color=BLACK, linewidth=1)
    curve.axvspan(0, X, color=ORANGE, alpha=0.15, linewidth=0, label="p below 0.45")
    curve.set(
        xlabel="probability p of the code 1", ylabel="mean gradient in the logit (nats)", xlim=(0, 1), ylim=(-0.1, 0.17)
    )
    curve.legend(loc="upper left")
    descent.axhline(X, color=ORANGE, linestyle=":", label="p = 0.45")
    descent.set(xlabel="steps of gradient descent", ylabel="probability p of the code 1", ylim=(0, 1))
    descent.legend(loc="upper right")
    return figure
