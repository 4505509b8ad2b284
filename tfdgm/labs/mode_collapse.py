"""An unconstrained generator moves all of its mass to where the discriminator is weakest; the discriminator follows,
and both cycle through the modes without end (Metz et al. 2017, figure 2). Three cures on the ring of eight Gaussians:
unrolling, with which the generator anticipates the critic's update; instance noise, with which the distributions
overlap (Sonderby et al. 2017); and the Wasserstein distance, which measures the distance of missing modes (Arjovsky et
al. 2017).

The lab shows frames of the training. A mode is found if one of 2,500 samples is within 3 sigma of it (Lin et al.
2018). The Kullback-Leibler divergence of the shares of the modes from equal shares is 2.08 nats if all samples are at
one mode.
"""

import numpy as np
from matplotlib.figure import Figure

from tfdgm.contracts.data import evenly
from tfdgm.evaluation.modes import mode_scores
from tfdgm.labs.figures import BLUE, GREEN, ORANGE, RED, slide
from tfdgm.labs.lab import Check, LabResult, LabSettings, Row, above, below, near
from tfdgm.labs.trainings import Run, build
from tfdgm.trained.sampling import Sampler

PLAIN = "plain"
FILES = {
    PLAIN: "mode_collapse/plain.gin",
    "unrolled": "mode_collapse/unrolled.gin",
    "instance noise": "mode_collapse/instance_noise.gin",
    "Wasserstein": "mode_collapse/wasserstein.gin",
}
_STYLES = {PLAIN: (RED, "-"), "unrolled": (BLUE, "--"), "instance noise": (GREEN, "-."), "Wasserstein": (ORANGE, ":")}
_COLUMNS, _SAMPLES = 5, 2_500


def run(settings: LabSettings) -> LabResult:
    rows: list[Row] = []
    pictures: dict[str, list[np.ndarray]] = {}
    truth = np.zeros((0, 2))
    for name, file in FILES.items():
        training = Run(settings, build(settings, file), name.replace(" ", "-"))
        training.train()
        data = training.built.experiment
        modes, truth = data.data.modes(), data.train.gather(np.arange(400))
        assert modes is not None
        sampler = Sampler(training.built, _SAMPLES)
        pictures[name] = []
        for step in training.frames():
            pictures[name].append(sampler(settings.seed).x)
            rows.append({"cure": name, "step": step, **mode_scores(pictures[name][-1], modes)})
    return LabResult(rows, _figure(rows, pictures, truth), _checks(rows))


def _checks(rows: list[Row]) -> list[Check]:
    steps = max(float(row["step"]) for row in rows)
    late = {name: [row for row in rows if row["cure"] == name and float(row["step"]) > steps / 2] for name in FILES}
    uneven = {name: float(np.mean([row["reverse_kl"] for row in late[name]])) for name in FILES}
    hunting = float(np.mean([row["reverse_kl"] for row in rows if row["cure"] == PLAIN and row["step"]]))
    # over the whole training: on its way from one mode to another it is sometimes at most of them
    checks = [above("plain: mean KL of the shares of the modes (nats)", hunting, 0.7)]
    for name in FILES:
        if name != PLAIN:
            # sigma is 0.01, so single frames miss a mode
            most = max(float(row["modes"]) for row in late[name])
            checks.append(near(f"{name}: most modes in a frame, second half", most, 8, 1))
            checks.append(below(f"{name}: mean KL of the shares, second half (nats)", uneven[name], 0.1))
    return checks


def _figure(rows: list[Row], pictures: dict[str, list[np.ndarray]], truth: np.ndarray) -> Figure:
    figure = slide()
    corners = figure.add_gridspec(len(FILES), _COLUMNS + 2)
    for number, (name, frames) in enumerate(pictures.items()):
        own = [row for row in rows if row["cure"] == name]
        for column, frame in enumerate(evenly(len(frames), _COLUMNS + 1)[1:]):
            axes = figure.add_subplot(corners[number, column])
            axes.scatter(truth[:, 0], truth[:, 1], s=10, color=BLUE, linewidths=0)
            shown = frames[frame][:1_000]
            axes.scatter(shown[:, 0], shown[:, 1], s=5, color=RED, linewidths=0)
            axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
            axes.grid(False)
            axes.tick_params(labelsize=14, labelleft=not column, labelbottom=number == len(FILES) - 1)
            if number == 0:
                axes.set_title(f"step {own[frame]['step']:,}")
            if column == 0:
                axes.set_ylabel(f"{name}\n$x_2$ (units of x)", fontsize=15)
            if number == len(FILES) - 1:
                axes.set_xlabel("$x_1$ (units of x)", fontsize=15)
    modes = figure.add_subplot(corners[:2, _COLUMNS:])
    uneven = figure.add_subplot(corners[2:, _COLUMNS:])
    for name, (colour, style) in _STYLES.items():
        own = [row for row in rows if row["cure"] == name]
        steps = [float(row["step"]) for row in own]
        modes.plot(steps, [float(row["modes"]) for row in own], style, color=colour, label=name)
        uneven.plot(steps, [float(row["reverse_kl"]) for row in own], style, color=colour, label=name)
    modes.set(xlabel="training step", ylabel="modes found", ylim=(-0.3, 8.5))
    uneven.set(xlabel="training step", ylabel="KL of shares to equal (nats)", ylim=(-0.05, 2.2))
    figure.legend(*modes.get_legend_handles_labels(), loc="outside upper right", ncols=4)
    return figure
