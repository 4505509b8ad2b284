"""What commands share: opening a workdir's model, and the table and pictures at the end of a run."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tfdgm.commands import import_tensorflow
from tfdgm.errors import UserError
from tfdgm.evaluation.scores import unit
from tfdgm.workdir import Workdir

if TYPE_CHECKING:
    from tfdgm.experiment import Built

_NUM_PICTURES = 64


def open_trained(path: str | None) -> tuple[Workdir, "Built"]:
    """The model of a workdir, or of an export of it, at its newest sound checkpoint.

    Raises:
      UserError: the folder holds no run, or no checkpoint.
    """
    if not path:
        raise UserError("--workdir is needed: the folder of a run")
    workdir = Workdir(Path(path))
    text = workdir.require_run()
    import_tensorflow()
    from tfdgm.config import read_config
    from tfdgm.training.checkpoints import Checkpoints

    checkpoint = Checkpoints(workdir.checkpoints).latest()
    if checkpoint is None:
        raise UserError(f"there is no checkpoint in {workdir.checkpoints}; train first")
    built = read_config([], [text]).experiment().build()
    built.state.assign(checkpoint.tensors)
    return workdir, built


def score(workdir: Workdir, built: "Built", split: str, num_samples: int) -> dict[str, Any]:
    """Evaluates, writes `eval.json`, for codes `codes.npz`, and prints the table."""
    import numpy as np

    from tfdgm.evaluation.codes import code_tables
    from tfdgm.evaluation.evaluate import evaluate

    scores = evaluate(built, split, num_samples)
    try:
        if built.model.latent.discrete:
            np.savez(workdir.path / "codes.npz", **code_tables(built, split))  # type: ignore[arg-type]
        path = workdir.write_json("eval.json", scores)
    except OSError as error:
        raise UserError(f"the scores could not be written to {workdir.path}: {error.strerror or error}") from None
    print_scores(scores)
    print(f"written to {path}", flush=True)
    return scores


def print_scores(scores: Mapping[str, Any]) -> None:
    table = Table(title=f"step {scores['step']}, {scores['num_examples']} examples of the {scores['data_split']} split")
    table.add_column("score")
    table.add_column("value", justify="right")
    table.add_column("unit")
    for name, value in scores.items():
        if name not in ("step", "num_examples", "data_split"):
            table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value), unit(name, value))
    Console().print(table)


def finish(workdir: Workdir, built: "Built") -> None:
    """Scores the test split, draws samples and reconstructions, and writes the report."""
    from tfdgm.report import write_report

    split = "test" if "test" in built.experiment.splits else "train"
    if split != "test":
        print("the data has no test split: scored on the training split", flush=True)
    scores = score(workdir, built, split, 1_000)
    pictures = draw_pictures(workdir, built, split)
    report = write_report(workdir, scores, pictures)
    if pictures:
        print(f"pictures {', '.join(str(path) for path in pictures)}", flush=True)
    print(f"report {report}", flush=True)


def draw_pictures(workdir: Workdir, built: "Built", split: str) -> list[Path]:
    """Samples, and reconstructions where there is a posterior, as PNG; nothing for data that has no picture."""
    import numpy as np

    from tfdgm.pictures import can_draw, save_examples
    from tfdgm.sampling import draw, reconstruct

    spec, step = built.experiment.data.spec, int(built.state.step.numpy())
    samples = draw(built, _NUM_PICTURES if spec.image_shape else 2_500)
    np.savez(workdir.samples / f"samples-{step}.npz", x=samples.x, mean=samples.mean, z=samples.z)
    if not can_draw(spec):
        return []
    paths = [workdir.samples / f"samples-{step}.png"]
    save_examples(paths[0], samples.mean if spec.image_shape else samples.x, spec)
    if built.model.posterior is not None and spec.image_shape is not None:
        x, mean = reconstruct(built, split, _NUM_PICTURES // 2)
        paths.append(workdir.samples / f"reconstructions-{step}.png")
        pairs = np.stack([x, mean], axis=1).reshape(-1, *x.shape[1:])
        save_examples(paths[1], pairs, spec, columns=2 * math.isqrt(len(x) // 2))
    return paths
