"""What commands share: opening a workdir's model, and the table and pictures at the end of a run."""

import math
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from tfdgm.cli.folder_flags import define_trust_flag
from tfdgm.errors import UserError
from tfdgm.runs.workdir import Workdir
from tfdgm.system.console import print_table, say
from tfdgm.system.files import replacing
from tfdgm.system.runtime import import_tensorflow
from tfdgm.system.signals import signals_raised

if TYPE_CHECKING:
    from tfdgm.runs.experiment import Built

_NUM_PICTURES = 64


@contextmanager
def open_trained(
    path: str | None, replicas: int = 1, checkpoint: str = "latest", trusted: bool = False
) -> Iterator[tuple[Workdir, "Built"]]:
    """The model of a workdir, or of an export of it, at one of its checkpoints.

    Args:
      path: the folder.
      replicas: devices of this machine that share the work.
      checkpoint: "latest", the newest sound one; "best", by the run's `experiment.keep_best`; or a step.
      trusted: whether the folder may belong to another user.

    Raises:
      UserError: the folder holds no run, or no such checkpoint, or belongs to another user.
    """
    if not path:
        raise UserError("--workdir is needed: the folder of a run")
    workdir = Workdir(Path(path))
    workdir.check(trusted)
    text = workdir.require_run()
    import_tensorflow()
    from tfdgm.configuration.resolve import read_config
    from tfdgm.parallel.strategies import mirrored
    from tfdgm.runs.checkpoints import Checkpoints
    from tfdgm.runs.same_run import check_config

    if replicas < 1:
        raise UserError(f"--replicas must be at least 1, got {replicas}")
    found = Checkpoints(workdir.checkpoints).named(checkpoint)
    devices = mirrored(replicas)
    with devices.scope():
        config = read_config([], base=text)
        check_config(found, config.text)
        built = config.experiment().build(devices)
        built.state.assign(found.tensors)
        yield workdir, built


def define_trained_flags(values: flags.FlagValues, shared: bool = True) -> None:
    """The flags of commands that open a trained model, and of those whose work several devices can share."""
    flags.DEFINE_string("workdir", None, "folder of the run, or of an export of it", flag_values=values)
    flags.DEFINE_string("checkpoint", "latest", "latest, best, or a step that was kept", flag_values=values)
    define_trust_flag(values)
    if shared:
        flags.DEFINE_integer("replicas", 1, "devices of this machine that share the work", flag_values=values)


def score(workdir: Workdir, built: "Built", split: str, num_samples: int) -> dict[str, Any]:
    """Evaluates, and on the chief writes `eval.json`, for codes `codes.npz`, and prints the table."""
    import numpy as np

    from tfdgm.evaluation.code_scores import code_tables
    from tfdgm.evaluation.evaluate import evaluate
    from tfdgm.evaluation.modes import too_narrow
    from tfdgm.evaluation.scores import units_of

    scores = evaluate(built, split, num_samples)
    tables = code_tables(built, split) if built.model.latent.discrete else {}
    if not built.devices.is_chief:
        return scores
    units = units_of(built.experiment.objectives.values())
    print_scores(scores, units)  # first: what a full disk or a read-only workdir does not keep is seen at least
    if remark := too_narrow(scores, built.experiment.data.modes()):
        say(remark)
    try:
        if tables:
            with replacing(workdir.path / "codes.npz") as file:
                np.savez(file, **tables)  # type: ignore[arg-type]
        path = workdir.write_json("eval.json", scores)
    except OSError as error:
        raise UserError(f"the scores above could not be written to {workdir.path}: {error.strerror or error}") from None
    say(f"written to {path}")
    return scores


def print_scores(scores: Mapping[str, Any], units: Mapping[str, str]) -> None:
    """Print a table of scores, and notes below it.

    Args:
      scores: by name.
      units: of the scores that the objectives estimate.
    """
    from tfdgm.evaluation.scores import unit

    notes = {name: value for name, value in scores.items() if isinstance(value, str) and name != "data_split"}
    rows = [
        (name, f"{value:.4f}" if isinstance(value, float) else value, unit(name, value, units))
        for name, value in scores.items()
        if name not in ("step", "num_examples", "data_split", *notes)
    ]
    title = f"step {scores['step']}, {scores['num_examples']} examples of the {scores['data_split']} split"
    print_table(("score", "value", "unit"), rows, title, right="value", wrap=False)
    for name, value in notes.items():  # sentences, which would make the columns narrow
        say(f"{name}: {value}")


def finish(workdir: Workdir, built: "Built") -> None:
    """Scores the test split, draws samples and reconstructions, and on the chief writes them and the report.

    What is there already of this step is left as it is. A signal that ends a run raises `tfdgm.system.signals.Stopped`.

    Raises:
      UserError: something could not be written; the model is saved all the same.
    """
    to_score = f"to score: {_eval_command(workdir)}"
    with signals_raised(f"stopped while scoring; the model is saved; {to_score}"):
        try:
            _finish(workdir, built)
        except OSError as error:
            what = error.filename or workdir.path
            raise UserError(f"{what} could not be written: {error.strerror or error}; the model is saved") from None


def _eval_command(workdir: Workdir) -> str:
    return shlex.join(["tfdgm", "eval", f"--workdir={workdir.path}"])


def _finish(workdir: Workdir, built: "Built") -> None:
    from tfdgm.evaluation.modes import too_narrow
    from tfdgm.reporting.run_page import write_report

    chief, splits = built.devices.is_chief, built.experiment.splits
    split = "test" if "test" in splits else "train"
    scores = workdir.scores()
    is_scored = (scores.get("step"), scores.get("data_split")) == (int(built.state.step.numpy()), split)
    is_reported = is_scored and (workdir.path / "report.html").exists()
    # what the chief sees counts for all workers, since they score together
    scored, reported = (vote > 0 for vote in built.devices.all_reduce_sum([chief and is_scored, chief and is_reported]))
    if chief and scored:
        again = f"to score it again: {_eval_command(workdir)}"
        say(f"step {scores['step']} has already been scored, in {workdir.path / 'eval.json'}; {again}")
    if reported:
        return
    if not scored:
        if chief:
            missing = "" if split == "test" else "; the data has no test split"
            say(f"scoring {len(splits[split]):,} examples of the {split} split{missing}")
        scores = score(workdir, built, split, 1_000)
    pictures = draw_pictures(workdir, built, split)
    if not chief:
        return
    report = write_report(workdir, scores, pictures, too_narrow(scores, built.experiment.data.modes()))
    if pictures:
        say(f"pictures {', '.join(str(path) for path in pictures)}")
    say(f"report {report}")


def draw_pictures(workdir: Workdir, built: "Built", split: str) -> dict[Path, str]:
    """Samples, and reconstructions where there is a posterior, as PNG; nothing for data that has no picture.

    Returns:
      By path, what the picture shows.
    """
    import numpy as np

    from tfdgm.reporting.pictures import can_draw, save_examples
    from tfdgm.trained.sampling import draw, reconstruct, save_samples

    spec, step = built.experiment.data.spec, int(built.state.step.numpy())
    samples = draw(built, _NUM_PICTURES if spec.image_shape else 2_500)
    again = None
    if built.model.posterior is not None and spec.image_shape is not None:
        again = reconstruct(built, split, _NUM_PICTURES // 2)
    if not built.devices.is_chief:
        return {}
    save_samples(workdir.samples / f"samples-{step}.npz", samples)
    if not can_draw(spec):
        return {}
    path = workdir.samples / f"samples-{step}.png"
    save_examples(path, samples.mean if spec.image_shape else samples.x, spec)
    shown = "E[x|z] at" if spec.image_shape else "x of"
    captions = {path: f"Samples at step {step:,}: {shown} {len(samples.x):,} draws of z from the prior."}
    if again is not None:
        x, mean = again
        path = workdir.samples / f"reconstructions-{step}.png"
        pairs = np.stack([x, mean], axis=1).reshape(-1, *x.shape[1:])
        save_examples(path, pairs, spec, columns=2 * math.isqrt(len(x) // 2))
        captions[path] = f"Pairs at step {step:,}: left an example of the {split} split, right its reconstruction."
    return captions
