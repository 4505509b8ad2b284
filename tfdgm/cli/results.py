"""Open the model of a workdir, score it, and write the scores, pictures and report of a run."""

import errno
import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from tfdgm.cli.folder_flags import define_trust_flag
from tfdgm.cli.score_file import numbers_of, rounded, write_scores
from tfdgm.contracts.quantity import Quantity
from tfdgm.errors import UserError
from tfdgm.runs.workdir import Workdir
from tfdgm.system.console import print_table, say, warn
from tfdgm.system.files import read_bytes, replacing
from tfdgm.system.runtime import import_tensorflow
from tfdgm.system.signals import signals_raised

if TYPE_CHECKING:
    from tfdgm.runs.experiment import Built
    from tfdgm.trained.at_checkpoint import Reads

_NUM_PICTURES = 64
#: What the report of a run without scores says.
_NOT_SCORED = "Not scored, because of --no_eval."
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def open_trained(
    path: str | None,
    replicas: int = 1,
    checkpoint: str = "latest",
    trusted: bool = False,
    reads: "Reads" = "examples",
    other_data: bool = False,
) -> Iterator[tuple[Workdir, "Built"]]:
    """Yield the model of a workdir, or of an export of it, at one of its checkpoints.

    Args:
      path: the folder.
      replicas: number of devices of this machine that share the work.
      checkpoint: "latest", the newest valid one; "best", by the run's `experiment.keep_best`; or a step.
      trusted: whether the folder may belong to another user.
      reads: what the caller reads of the data; see `experiment_at`.
      other_data: whether the data may differ from that of the checkpoint.

    Raises:
      UserError: the folder holds no run, or no such checkpoint, or belongs to another user; or its data is another.
    """
    if not path:
        raise UserError("--workdir is required: the folder of a run")
    workdir = Workdir(Path(path))
    workdir.check(trusted)
    text = workdir.require_run()
    import_tensorflow()
    from tfdgm.trained.opened import open_model

    built, _ = open_model(workdir, text, checkpoint, replicas, reads, other_data)
    with built.devices.scope():
        yield workdir, built


def define_trained_flags(values: flags.FlagValues, shared: bool = True) -> None:
    """Define the flags of commands that open a trained model.

    Args:
      values: to define them in.
      shared: whether several devices can share the work of the command.
    """
    flags.DEFINE_string("workdir", None, "folder of the run, or of an export of it", flag_values=values)
    flags.DEFINE_string("checkpoint", "latest", "latest, best, or the step of a kept checkpoint", flag_values=values)
    define_trust_flag(values)
    if shared:
        flags.DEFINE_integer("replicas", 1, "number of devices of this machine that share the work", flag_values=values)


def score(
    workdir: Workdir,
    built: "Built",
    split: str,
    num_samples: int,
    names: Sequence[str] = (),
    output: Path | None = None,
) -> dict[str, Any]:
    """Evaluate the model; on the chief, print the table and write the scores, their meanings and for codes `codes.npz`.

    The scores are written to `eval.json`, or to `eval-SPLIT.json` if training scores another split. In a read-only
    workdir nothing is written, with a warning.

    Args:
      workdir: to write to.
      built: the model.
      split: of the data.
      num_samples: draws of z per example.
      names: of the score plugins, or keys of theirs, to compute; all by default.
      output: a further file to write the scores to, which `check_score_file` has accepted.

    Returns:
      The scores by name.

    Raises:
      UserError: a score is unknown, or the files could not be written.
      Stopped: a signal was received; the scores computed before it have been written.
    """
    import numpy as np

    from tfdgm.evaluation.evaluate import score_split
    from tfdgm.evaluation.modes import too_narrow
    from tfdgm.evaluation.score_set import ScoreSet
    from tfdgm.evaluation.scoring_progress import ScoringProgress
    from tfdgm.evaluation.split_evaluation import SplitEvaluation

    run, chosen = SplitEvaluation(built, split, num_samples), ScoreSet(built.experiment, names)
    with ScoringProgress() as progress:
        run.progress = progress if built.devices.is_chief else None
        scores = score_split(run, chosen)
    tables = run.computed_codes
    computed = [name for name, value in scores.items() if name in chosen.quantities]
    if run.stopped and not (computed and built.devices.is_chief):
        raise run.stopped  # the scores of an earlier evaluation are kept
    if not built.devices.is_chief:
        return scores
    print_scores(scores, chosen.quantities)  # before they are written: a full disk must not lose them
    if remark := too_narrow(scores, built.experiment.data.modes()):
        say(remark)
    if output is not None:
        write_scores(output, scores, chosen.quantities)
        say(f"written to {output}")
    suffix = "" if split == scored_split(built) else f"-{split}"
    try:
        if tables:
            with replacing(workdir.path / f"codes{suffix}.npz") as file:
                np.savez(file, **tables)  # type: ignore[arg-type]
        workdir.write_json("scores.json", chosen.meanings())
        path = workdir.write_json(f"eval{suffix}.json", scores)
    except OSError as error:
        message = f"the scores above could not be written to {workdir.path}: {error.strerror or error}"
        if error.errno not in _READ_ONLY:
            raise UserError(message) from None
        warn(message)
    else:
        say(f"written to {path}")
    if run.stopped:
        raise run.stopped
    return scores


def scored_split(built: "Built") -> str:
    """Return the split that training scores at its end."""
    return "test" if "test" in built.experiment.splits else "train"


def print_scores(scores: Mapping[str, Any], quantities: Mapping[str, Quantity]) -> None:
    """Print a table of scores with the direction in which each is better, and notes below it.

    Args:
      scores: by name.
      quantities: their meanings.
    """
    notes = {name: value for name, value in scores.items() if isinstance(value, str) and name != "data_split"}
    rows = []
    for name, value in numbers_of(scores).items():
        quantity = quantities.get(name, Quantity("", ""))
        rows.append((name, rounded(value), quantity.arrow, quantity.unit))
    title = f"step {scores['step']}, {scores['num_examples']} examples of the {scores['data_split']} split"
    print_table(("score", "value", "", "unit"), rows, title, right="value", wrap=False)
    for name, value in notes.items():  # sentences, too long for a column
        print(f"{name}: {value}", flush=True)


def finish(workdir: Workdir, built: "Built", no_eval: bool = False) -> None:
    """Score the test split, draw samples and reconstructions, and on the chief write them and the report.

    Existing files of this step are kept. A signal that ends a run raises `tfdgm.system.signals.Stopped`.

    Args:
      workdir: to write to.
      built: the model.
      no_eval: whether to leave out the scores; the report then says how to compute them. The chief's value decides.

    Raises:
      UserError: a file could not be written; the model is saved all the same.
    """
    to_score = f"to score: {command_on(workdir, 'eval')}"
    with signals_raised(f"stopped while scoring; the model is saved; {to_score}"):
        try:
            _finish(workdir, built, no_eval)
        except OSError as error:
            path = error.filename or workdir.path
            raise UserError(f"{path} could not be written: {error.strerror or error}; the model is saved") from None


def command_on(workdir: Workdir, name: str) -> str:
    """Return a command on a workdir, quoted for a shell."""
    return shlex.join(["tfdgm", name, f"--workdir={workdir.path}"])


def _lacks_scores(page: Path) -> bool:
    """Return whether a page is that of a run that was not scored; not one that cannot be read."""
    try:
        return _NOT_SCORED.encode() in read_bytes(page)
    except OSError:
        return False


def _finish(workdir: Workdir, built: "Built", no_eval: bool) -> None:
    from tfdgm.evaluation.modes import too_narrow
    from tfdgm.reporting.run_page import write_report

    chief, splits = built.devices.is_chief, built.experiment.splits
    split = scored_split(built)
    scores = workdir.scores()
    of_this_step = (scores.get("step"), scores.get("data_split")) == (int(built.state.step.numpy()), split)
    is_scored = of_this_step and "interrupted" not in scores
    page = workdir.path / "report.html"
    is_reported = is_scored and page.exists() and not _lacks_scores(page)
    # the chief decides for all workers, since they score together
    votes = built.devices.all_reduce_sum([chief and vote for vote in (is_scored, is_reported, no_eval)])
    scored, reported, skipped = (vote > 0 for vote in votes)
    if chief and scored:
        again = f"to score it again: {command_on(workdir, 'eval')}"
        say(f"step {scores['step']} has already been scored, in {workdir.path / 'eval.json'}; {again}")
    if reported:
        return
    remark = None
    if skipped and not scored:
        again = f"`{command_on(workdir, 'eval')}`, or `{command_on(workdir, 'train')}` for this page too"
        scores, remark = {}, f"{_NOT_SCORED} To score: {again}."
        if chief:
            say(remark)
    elif not scored:
        if chief:
            missing = "" if split == "test" else "; the data has no test split"
            say(f"scoring {len(splits[split]):,} examples of the {split} split{missing}")
        scores = score(workdir, built, split, 1_000)
    pictures = draw_pictures(workdir, built, split)
    if not chief:
        return
    report = write_report(workdir, scores, pictures, remark or too_narrow(scores, built.experiment.data.modes()))
    if pictures:
        say(f"pictures {', '.join(str(path) for path in pictures)}")
    say(f"report {report}")
    for callback in built.experiment.callbacks:
        callback.on_scored(int(built.state.step.numpy()), scores)


def draw_pictures(workdir: Workdir, built: "Built", split: str) -> dict[Path, str]:
    """Draw samples, and reconstructions if there is a posterior, and write them as PNG if the data has pictures.

    Returns:
      Captions by the path of a picture.
    """
    import numpy as np

    from tfdgm.reporting.pictures import can_draw, save_examples
    from tfdgm.reporting.table_pictures import can_draw_table, save_table_pictures
    from tfdgm.trained.sampling import by_label, draw, examples, reconstruct, save_samples

    spec, step = built.experiment.data.spec, int(built.state.step.numpy())
    num = _NUM_PICTURES if spec.image_shape else 2_500
    labels = by_label(built, num)
    samples = draw(built, num if labels is None else len(labels), y=labels)
    pairs = None
    if built.model.posterior is not None and spec.image_shape is not None:
        pairs = reconstruct(built, split, _NUM_PICTURES // 2)
    if not built.devices.is_chief:
        return {}
    save_samples(workdir.samples / f"samples-{step}.npz", samples, spec)
    if can_draw_table(spec):
        return save_table_pictures(workdir.samples, step, spec, examples(built, split, num), samples.x)
    if not can_draw(spec):
        return {}
    path = workdir.samples / f"samples-{step}.png"
    columns = None if labels is None else int(np.sum(labels == labels[0]))
    save_examples(path, samples.mean if spec.image_shape else samples.x, spec, columns)
    shown = "E[x|z] at" if spec.image_shape else "x of"
    captions = {path: f"Samples at step {step:,}: {shown} {len(samples.x):,} draws of z from the prior."}
    if labels is not None and spec.image_shape:
        captions[path] += " Each row has one label, in order."
    if pairs is not None:
        x, mean = pairs
        path = workdir.samples / f"reconstructions-{step}.png"
        images = np.stack([x, mean], axis=1).reshape(-1, *x.shape[1:])
        save_examples(path, images, spec, columns=2 * math.isqrt(len(x) // 2))
        captions[path] = f"Pairs at step {step:,}: left an example of the {split} split, right its reconstruction."
    return captions
