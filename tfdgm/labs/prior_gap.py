"""N(0, I) is no good prior for what an encoder makes of data: q_agg keeps away from it, which costs marginal KL on
training and test examples alike. The exact aggregated posterior costs none on the training examples, since each finds
its own component among the n; so the encoder can narrow q(z|x) for log n nats a code, and test examples, which have
no component, pay (Tomczak and Welling 2018, section 2.2). Fewer, learned pseudo-inputs and flows lie between.

One autoencoder under four priors: the ELBO on training and on test examples, and the gap.
"""

import numpy as np
from matplotlib.figure import Figure

from tfdgm.labs.figures import BLUE, ORANGE, slide
from tfdgm.labs.four_priors import EXACT, FILES, GAUSSIAN, MAF, PSEUDO, study
from tfdgm.labs.lab import Check, LabResult, LabSettings, Row, above


def run(settings: LabSettings) -> LabResult:
    found = study(settings)
    last = max(int(row["step"]) for row in found)
    rows = [row for row in found if row["step"] == last]
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
