"""N(0, I) fits the codes of an encoder badly: q_agg differs from it, at the cost of marginal KL on training and test
examples alike. The exact aggregated posterior has no marginal KL on the training examples, since each has its own
component among the n. So the encoder can narrow q(z|x) at a cost of at most log n nats per code, and test examples,
which have no component, get a low likelihood (Tomczak and Welling 2018, section 2.2). Learned pseudo-inputs, which are
fewer than n, and flows lie between.

The lab compares one autoencoder under four priors by its ELBO on training and on test examples, and by the gap.
"""

import numpy as np
from matplotlib.figure import Figure

from tfdgm.labs.figures import BLUE, ORANGE, slide
from tfdgm.labs.four_priors import EXACT, FILES, GAUSSIAN, MAF, PSEUDO, study
from tfdgm.labs.lab import Check, LabResult, LabSettings, Row, above


def run(settings: LabSettings) -> LabResult:
    frames = study(settings)
    last = max(int(row["step"]) for row in frames)
    rows = [row for row in frames if row["step"] == last]
    return LabResult(rows, _figure(rows), _checks(rows))


def _by(rows: list[Row], split: str, term: str) -> dict[str, float]:
    return {str(row["prior"]): float(row[term]) for row in rows if row["split"] == split}


def _checks(rows: list[Row]) -> list[Check]:
    train, test = _by(rows, "train", "elbo"), _by(rows, "test", "elbo")
    gap = {prior: train[prior] - test[prior] for prior in train}
    marginal, learned = _by(rows, "train", "marginal_kl"), [PSEUDO, MAF]
    return [
        above("exact q_agg: training ELBO over the best of the others (nats)",
              train[EXACT] - max(train[prior] for prior in train if prior != EXACT), 0.0),
        above("exact q_agg: gap over the largest of the others (nats)",
              gap[EXACT] - max(gap[prior] for prior in gap if prior != EXACT), 0.5),
        above("Gaussian: marginal KL of training examples over the largest of the others (nats)",
              marginal[GAUSSIAN] - max(marginal[prior] for prior in marginal if prior != GAUSSIAN), 0.0),
        above("learned priors: worst test ELBO over that of exact q_agg (nats)",
              min(test[prior] for prior in learned) - test[EXACT], 0.0),
        above("learned priors: best test ELBO over that of the Gaussian (nats)",
              max(test[prior] for prior in learned) - test[GAUSSIAN], 0.0),
    ]  # fmt: skip


def _figure(rows: list[Row]) -> Figure:
    figure = slide()
    bound, gap = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    train, test = _by(rows, "train", "elbo"), _by(rows, "test", "elbo")
    places = np.arange(len(FILES))
    for axes in (bound, gap):
        axes.set_xticks(places, list(FILES))
        axes.set_xlabel("prior")
        axes.grid(axis="x", visible=False)
    bound.vlines(places, list(test.values()), list(train.values()), color="#888888", linewidth=3)
    bound.plot(places, list(train.values()), "o", color=BLUE, markersize=16, label="training examples")
    bound.plot(places, list(test.values()), "s", color=ORANGE, markersize=16, label="test examples")
    bound.set(ylabel="ELBO (nats per example)", xlim=(-0.5, len(FILES) - 0.5))
    bound.margins(y=0.2)
    bound.legend(loc="upper center", ncols=2)
    for offset, split, colour in ((-0.2, "train", BLUE), (0.2, "test", ORANGE)):
        label = f"{'training' if split == 'train' else 'test'} examples"
        gap.bar(places + offset, list(_by(rows, split, "marginal_kl").values()), 0.4, color=colour, label=label)
    gap.set(ylabel="marginal KL (nats per example)")
    gap.margins(y=0.15)
    gap.legend(loc="upper center", ncols=2)
    return figure
