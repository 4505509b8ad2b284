"""Data and generator lie on parallel lines at distance 1. For disjoint supports the best discriminator D* is 1 on one
and 0 on the other, and constant near both: the better the critic, the smaller its gradient, and the gradient of the
minimax loss log(1 - D) vanishes (Arjovsky and Bottou 2017, theorem 2.4). Noise of scale s on every input of the critic
spreads both distributions over the whole line and restores the gradient at D* (their section 3; Sonderby et al. 2017).

Exact: across the lines the noisy distributions are N(1, s^2) and N(0, s^2), so D*, JSD and the gradient are sums over
a grid. Learned: critics of the framework train with and without noise against a fixed generator; the training step
measures the gradient of the generator's loss.
"""

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from tfdgm.evaluation.divergences import jsd, optimal_discriminator
from tfdgm.labs.figures import BLACK, BLUE, GREEN, ORANGE, RED, slide
from tfdgm.labs.lab import Check, LabResult, LabSettings, Row, above, below, near
from tfdgm.labs.line_generator import line_at
from tfdgm.labs.trainings import Run, build

SCALES = (0.06, 0.08, 0.1, 0.14, 0.2, 0.28, 0.4, 0.57, 0.8, 1.13, 1.6)
#: Instance noise of the learned critics.
NOISES = (0.0, 0.5)


def run(settings: LabSettings) -> LabResult:
    rows: list[Row] = [exact(scale) for scale in SCALES]
    curves = {noise: learned(settings, noise) for noise in NOISES}
    rows += [{"noise": noise, "step": step, "gradient": size} for noise in NOISES for step, size in curves[noise]]
    return LabResult(rows, _figure(curves), _checks(curves))


def exact(scale: float) -> dict[str, float]:
    """Return the JSD of N(1, s^2) and N(0, s^2), and |d/dg E log(1 - D*(g + s e))| at g = 0 with D* held fixed.

    d/dx log(1 - D*) = -D*(x) d/dx log(p/q), and the slope of log(p/q) is 1 / s^2.
    """
    x = points(scale)
    p, q = (norm.pdf(x, mean, scale) * (x[1] - x[0]) for mean in (1.0, 0.0))
    gradient = np.sum(q * optimal_discriminator(p, q)) / scale**2
    return {"noise": scale, "jsd_nats": jsd(p, q), "gradient": float(gradient)}


def points(scale: float) -> np.ndarray:
    """Return a grid over both lines and 12 scales beyond; nowhere on it are both densities 0 in float64."""
    return np.linspace(-12 * scale, 1 + 12 * scale, 20_001)


def learned(settings: LabSettings, noise: float) -> list[tuple[float, float]]:
    """Return (step, norm of the generator's gradient) while the critic learns."""
    built = build(settings, "disjoint_supports.gin", f"noise = {noise}")
    lines = Run(settings, built, f"noise-{noise}").train(line_at(built, 0.0))
    return [(line["step"], line["gradient_norm"]) for line in lines]


def _checks(curves: dict[float, list[tuple[float, float]]]) -> list[Check]:
    small, middle = exact(SCALES[0]), exact(0.4)
    plain, noisy = ([size for _, size in curves[noise]] for noise in NOISES)
    return [
        near("exact: JSD without overlap, log 2", small["jsd_nats"], np.log(2), 1e-6),
        below("exact: gradient without overlap", small["gradient"], 1e-6),
        above("exact: gradient at noise 0.4", middle["gradient"], 0.3),
        below("learned, no noise: last gradient over the largest", plain[-1] / max(plain), 0.1),
        above("learned, noise 0.5: last gradient over the largest", noisy[-1] / max(noisy), 0.5),
        above("learned: last gradient with noise over that without", noisy[-1] / plain[-1], 10.0),
    ]


def _figure(curves: dict[float, list[tuple[float, float]]]) -> Figure:
    figure = slide()
    best, by_noise, training = (figure.add_subplot(1, 3, number) for number in (1, 2, 3))
    x = np.linspace(-0.5, 1.5, 401)
    for scale, colour, style in ((0.05, BLUE, "solid"), (0.2, GREEN, "dashed"), (0.5, ORANGE, "dashdot")):
        value = optimal_discriminator(norm.pdf(x, 1.0, scale), norm.pdf(x, 0.0, scale))
        best.plot(x, value, color=colour, linestyle=style, label=f"noise {scale:g}")
    best.axvline(0, color=BLACK, linewidth=1.5, linestyle=":")
    best.axvline(1, color=BLACK, linewidth=1.5, linestyle=":")
    best.set(xlabel="$x_1$: generator at 0, data at 1 (units of x)", ylabel="best discriminator $D^*(x_1)$")
    best.legend(loc="upper left")
    measured = [exact(scale) for scale in SCALES]
    by_noise.plot(SCALES, [row["gradient"] for row in measured], "o-", color=RED, label="gradient (nats per unit of x)")
    by_noise.plot(SCALES, [row["jsd_nats"] for row in measured], "s--", color=BLUE, label="JSD (nats)")
    by_noise.set(xscale="log", yscale="log", ylim=(1e-5, 30), xlabel="scale of the noise (units of x)")
    by_noise.set(ylabel="at the best discriminator")
    by_noise.legend(loc="upper left")
    for (noise, curve), colour, style in zip(curves.items(), (RED, GREEN), ("solid", "dashed"), strict=True):
        training.plot(*zip(*curve, strict=True), color=colour, linestyle=style, label=f"noise {noise:g}")
    training.set(yscale="log", xlabel="steps of the critic", ylabel="gradient of the generator's loss (norm)")
    training.legend(loc="lower left")
    return figure
