"""Two segments of length 1 at distance theta (Arjovsky et al. 2017, example 1). They are disjoint unless theta is 0,
so KL jumps from 0 to infinity and JSD from 0 to log 2, however close they are: both have no useful gradient. W is
|theta|, and its gradient points from one to the other.

Exact: sums over 200 examples of the data at both places, and the linear program for them. Learned: critics of the
framework are trained on the data and on a generator at distance theta, and estimate the divergences on unseen examples.
No critic estimates KL, which is infinite.
"""

import math

import numpy as np
from matplotlib.figure import Figure

from tfdgm.evaluation.divergences import jsd, kl, on_common_support
from tfdgm.evaluation.estimates import ObjectiveEstimates
from tfdgm.evaluation.transport import wasserstein
from tfdgm.labs.figures import BLACK, BLUE, GREEN, RED, slide
from tfdgm.labs.lab import Check, LabResult, LabSettings, near
from tfdgm.labs.line_generator import line_at
from tfdgm.labs.trainings import Run, build, read_experiment

THETAS = (-1.0, -0.75, -0.5, -0.25, -0.125, 0.0, 0.125, 0.25, 0.5, 0.75, 1.0)
LEARNED = (-0.5, 0.0, 0.25, 0.5, 1.0)
_EXAMPLES = 200
#: The height at which infinity is drawn.
_INFINITY = 1.05
_OBJECTIVES = {"wasserstein": "wasserstein_estimate", "jsd": "jsd_estimate"}


def run(settings: LabSettings) -> LabResult:
    rows = [exact(settings, theta) for theta in THETAS]
    learned = {name: estimates(settings, name) for name in _OBJECTIVES}
    for row in rows:
        for name, by_theta in learned.items():
            if row["theta"] in by_theta:
                row[f"learned_{name}"] = by_theta[row["theta"]]
    return LabResult(rows, _figure(rows, learned), _checks(rows, learned))


def exact(settings: LabSettings, theta: float) -> dict[str, float]:
    """Return KL, JSD and W between the segments at 0 and at theta, for examples with equal second coordinates."""
    x, y = (
        read_experiment(settings, "parallel_lines.gin", f"data.parallel_lines.theta = {place}")
        .splits["test"]
        .gather(np.arange(_EXAMPLES))
        for place in (0.0, theta)
    )
    _, p, q = on_common_support(x, y)
    return {"theta": theta, "kl_nats": kl(p, q), "jsd_nats": jsd(p, q), "wasserstein": wasserstein(x, y)}


def estimates(settings: LabSettings, objective: str) -> dict[float, float]:
    """Return the estimates of an objective's critic by theta, all computed by one compiled program."""
    built = build(settings, "parallel_lines.gin", f"experiment.objectives = [@objective.{objective}()]")
    estimate = ObjectiveEstimates(built, built.experiment.splits["test"], "lab")
    training, found = Run(settings, built, objective), {}
    for theta in LEARNED:
        training.train(line_at(built, 1.0 - theta))
        found[theta] = estimate()[_OBJECTIVES[objective]]
    return found


def _checks(rows: list[dict[str, float]], learned: dict[str, dict[float, float]]) -> list[Check]:
    apart, together = [row for row in rows if row["theta"]], next(row for row in rows if not row["theta"])
    checks = [
        near("theta = 0: KL", together["kl_nats"], 0.0, 0.0),
        near("theta = 0: JSD", together["jsd_nats"], 0.0, 1e-12),
        near("theta = 0: W", together["wasserstein"], 0.0, 1e-6),
        near("elsewhere: the smallest KL", min(row["kl_nats"] for row in apart), math.inf, 0.0),
        near("elsewhere: the smallest JSD, log 2", min(row["jsd_nats"] for row in apart), math.log(2), 1e-9),
        near("elsewhere: the largest JSD, log 2", max(row["jsd_nats"] for row in apart), math.log(2), 1e-9),
        near("largest |W - |theta||", max(abs(row["wasserstein"] - abs(row["theta"])) for row in rows), 0.0, 1e-6),
    ]
    for theta, estimate in learned["wasserstein"].items():
        checks.append(near(f"learned W at theta = {theta:g}", estimate, abs(theta), 0.04 * abs(theta) + 0.02))
    for theta, estimate in learned["jsd"].items():
        checks.append(near(f"learned JSD at theta = {theta:g}", estimate, math.log(2) if theta else 0.0, 0.02))
    return checks


def _figure(rows: list[dict[str, float]], learned: dict[str, dict[float, float]]) -> Figure:
    figure = slide()
    nats, distance = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    fine = np.linspace(-1.1, 1.1, 3)
    nats.plot(fine, np.full(3, math.log(2)), color=BLUE, zorder=1, label="JSD: log 2, and 0 at 0")
    nats.plot([0], [math.log(2)], "o", markerfacecolor="white", markeredgecolor=BLUE, markeredgewidth=2.5, zorder=2)
    nats.plot([0], [0], "o", color=BLUE)
    nats.plot(fine, np.full(3, _INFINITY), color=RED, linestyle="--", label=r"KL: $\infty$, and 0 at 0")
    nats.plot(*zip(*learned["jsd"].items(), strict=True), "D", color=BLACK, label="JSD learned by a critic")
    nats.set(ylim=(-0.05, 1.35), ylabel="divergence (nats)")
    ticks = [0.0, 0.2, 0.4, 0.6, 0.8]
    nats.set_yticks([*ticks, _INFINITY], [*map(str, ticks), r"$\infty$"])
    distance.plot([row["theta"] for row in rows], [row["wasserstein"] for row in rows], color=GREEN, label="W exact")
    points = learned["wasserstein"].items()
    distance.plot(*zip(*points, strict=True), "D", color=BLACK, label="W learned by a critic")
    distance.set(ylim=(-0.05, 1.35), ylabel="distance (units of x)")
    for axes in (nats, distance):
        axes.set(xlim=(-1.1, 1.1), xlabel=r"distance of the lines, $\theta$ (units of x)")
        axes.legend(loc="upper center")
    return figure
