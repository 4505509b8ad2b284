"""ELBO surgery (Hoffman and Johnson 2016) splits the rate into the mutual information between example and code, at
most log n, and the marginal KL from the aggregated posterior q_agg(z) = (1/n) sum q(z|x_m) to the prior. Only the
marginal KL depends on the prior, and it is 0 for the prior q_agg.

The lab shows the three terms during the training of one autoencoder under four priors, on the training examples.
"""

import math

from matplotlib.figure import Figure

from tfdgm.labs.figures import BLACK, slide
from tfdgm.labs.four_priors import COLOURS, EXACT, FILES, GAUSSIAN, STYLES, study
from tfdgm.labs.lab import Check, LabResult, LabSettings, Row, below, near

TERMS = {
    "reconstruction": "reconstruction",
    "mutual_information": "mutual information",
    "marginal_kl": "marginal KL",
}


def run(settings: LabSettings) -> LabResult:
    rows = [row for row in study(settings) if row["split"] == "train"]
    examples = int(rows[0]["examples"])
    return LabResult(rows, _figure(rows, examples), _checks(rows, examples))


def _checks(rows: list[Row], examples: int) -> list[Check]:
    error = max(
        abs(
            float(row["elbo"])
            - float(row["reconstruction"])
            + float(row["mutual_information"])
            + float(row["marginal_kl"])
        )
        for row in rows
    )
    last = {str(row["prior"]): row for row in rows}
    marginal = {prior: float(row["marginal_kl"]) for prior, row in last.items()}
    checks = [
        near("ELBO = reconstruction - mutual information - marginal KL: largest difference", error, 0.0, 1e-3),
        below("largest mutual information (nats), log n", max(float(row["mutual_information"]) for row in rows),
              math.log(examples) + 1e-6),
        near("exact q_agg: marginal KL at the end (nats)", marginal[EXACT], 0.0, 0.1),
    ]  # fmt: skip
    for prior, value in marginal.items():
        if prior != GAUSSIAN:
            checks.append(
                below(f"{prior}: marginal KL at the end (nats), that of the Gaussian", value, marginal[GAUSSIAN])
            )
    return checks


def _figure(rows: list[Row], examples: int) -> Figure:
    figure = slide()
    for number, (term, title) in enumerate(TERMS.items()):
        axes = figure.add_subplot(1, 3, number + 1)
        for prior in FILES:
            # at step 0 the weights are random, and the terms would not fit the axes
            points = [(row["step"], row[term]) for row in rows if row["prior"] == prior and row["step"]]
            axes.plot(*zip(*points, strict=True), STYLES[prior], color=COLOURS[prior], label=prior)
        if term == "mutual_information":
            axes.axhline(math.log(examples), color=BLACK, linewidth=2, linestyle=":", label="log n")
        axes.set(xlabel="training step", ylabel=f"{title} (nats per example)", title=title)
    handles, labels = figure.axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return figure
