"""Draws mode collapse on the ring, and what cures it: samples of several configs at several moments of their training.

python tools/figure_collapse.py [--output docs/mode-collapse.png] [--seed 0]
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tfdgm.configuration.resolve import read_config
from tfdgm.evaluation.modes import mode_scores
from tfdgm.runs.checkpoint_files import read
from tfdgm.trained.sampling import draw
from tfdgm.training.trainer import Trainer

CONFIGS = {
    "plain, slow critic": "toy/plain_gan.gin",
    "unrolled 5 steps": "toy/unrolled_gan.gin",
    "saturating, strong critic": "toy/saturating_gan.gin",
    "with instance noise": "toy/instance_noise.gin",
    "relativistic, R1 and R2": "toy/ring.gin",
}
COLUMNS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/mode-collapse.png"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    figure = Figure(figsize=(2.3 * COLUMNS, 2.5 * len(CONFIGS)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for row, (title, file) in enumerate(CONFIGS.items()):
        settings = ["experiment.checkpoint_seconds = 0.0", "experiment.keep_checkpoints = 1_000"]
        built = read_config([file], [*settings, f"experiment.seed = {options.seed}"]).experiment().build()
        truth = built.experiment.train.rows[:500]
        modes = built.experiment.data.modes()
        with tempfile.TemporaryDirectory() as workdir:
            trainer = Trainer(built, Path(workdir), lambda line: None)
            if trainer.train().signal is not None:
                raise SystemExit("stopped by a signal")
            steps = trainer.checkpoints.steps()
            for column in range(COLUMNS):
                step = steps[(column + 1) * (len(steps) - 1) // COLUMNS]
                built.state.assign(read(trainer.checkpoints.path(step)).tensors)
                samples = draw(built, 2_500).x
                scores = mode_scores(samples, modes)
                axes = figure.add_subplot(len(CONFIGS), COLUMNS, row * COLUMNS + column + 1)
                axes.scatter(*truth.T, s=6, color="#0072b2", linewidths=0, label="data")
                axes.scatter(*samples[:1_000].T, s=2, color="#d55e00", linewidths=0, label="samples")
                axes.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
                axes.set_title(f"step {step:,}: {scores['modes']} modes, {scores['high_quality']:.0%}", fontsize=9)
                axes.tick_params(labelsize=7)
                if column == 0:
                    axes.set_ylabel(f"{title}\n$x_2$", fontsize=9)
                if row == len(CONFIGS) - 1:
                    axes.set_xlabel("$x_1$", fontsize=9)
                print(title, step, scores, flush=True)
    figure.axes[0].legend(fontsize=7, loc="center", markerscale=2)
    figure.savefig(options.output)


if __name__ == "__main__":
    main()
