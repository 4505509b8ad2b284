"""`tfdgm.train` and `tfdgm.load`."""

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfdgm.api.boundary import framework_defaults, in_one_message
from tfdgm.errors import UserError
from tfdgm.runs.workdir import Workdir
from tfdgm.system.console import say, warn

if TYPE_CHECKING:
    from tfdgm.api.given_settings import Bindings
    from tfdgm.api.run import TrainedRun
    from tfdgm.configuration.resolve import Config
    from tfdgm.runs.experiment import Built, Experiment
    from tfdgm.training.trainer import TrainingResult


@in_one_message
def train(
    data: Any = None,
    labels: Any = None,
    *,
    workdir: str | Path | None = None,
    experiment: "Experiment | None" = None,
    config: str | Path | Sequence[str | Path] = (),
    bindings: "Bindings" = (),
    prior: str | None = None,
    posterior: str | None = None,
    likelihood: str | None = None,
    objective: str | Sequence[str] = (),
    progress: bool = True,
    extend: bool = False,
    other_data: bool = False,
    trust_workdir: bool = False,
    no_lock: bool = False,
    **settings: Any,
) -> "TrainedRun":
    """Train a model, or resume its training, and return it.

    The weights are those of `tfdgm train` with the same settings, whatever else this process has computed. Ctrl-C, or a
    notebook's stop button, ends the training after the current loop of steps with a checkpoint, and returns the run; a
    second one raises KeyboardInterrupt at once. Nothing is scored; see `TrainedRun.scores`.

        run = tfdgm.train(data=x, prior="maf", steps=2_000, workdir="w")
        run.sample(64).x                                # [64, *x.shape[1:]]

    Args:
      data: one of
        - an array `[n, ...]`, which a fixed permutation of its rows divides into 80 % training, 10 % validation, 10 %
          test; integers are grey levels in 0..255, divided by 255, and floats are taken as they are;
        - a dict of the splits "train" and, where there are any, "validation" and "test"; or a tuple (train, test) or
          (train, validation, test);
        - the name of a data plugin, such as "digits";
        - None, for the data of the config or of the run in the workdir.
        Arrays are kept in the workdir as `data.npz`, which `tfdgm eval --workdir` and `tfdgm.load` then read.
      labels: integers from 0 `[n]`, or condition vectors `[n, c]`, in the same form as the arrays in `data`. The model
        is then p(x, z | y), unless `condition=False`.
      workdir: folder of the run, in which a later call resumes it. None stands for a temporary folder, which is removed
        once the run is no longer used; `TrainedRun.save` copies it.
      experiment: the result of `tfdgm.experiment(...)`, in place of all settings; `tfdgm.load` then needs it again.
      config: path of a config file, or of several; short paths name packaged ones. Without it, arrays are trained by a
        VAE whose likelihood fits their values (`arrays/reals.gin`, `arrays/binary.gin`, `arrays/levels.gin`), other
        data by `digits/vae.gin`, and a workdir with a run as its config says.
      bindings: gin statements, or a dict of values such as `{"prior.maf.num_bijectors": 5}`.
      prior, posterior, likelihood, objective: names of plugins; `objective` may be a list, `posterior="none"` is a GAN.
      progress: whether to show a bar in a terminal or notebook, one line elsewhere, and remarks.
      extend: whether the run in the workdir may go on under other further steps, such as `steps=20_000` or another
        learning rate.
      other_data: whether a resumed run may go on with other data than it began with.
      trust_workdir: whether to accept a workdir of another user.
      no_lock: whether to leave the workdir unlocked, for file systems without locks.
      settings: further arguments of `tfdgm.experiment`: `steps`, `batch_size`, `latent_size`, `seed`, `encoder="conv"`
        and so on. An argument that the config reads from a macro sets the macro, so that its schedules follow.

    Raises:
      UserError: a setting or the data is refused, or the workdir holds a run of other settings or data.
      NonFiniteError: a loss or a weight became NaN or infinite; the last good checkpoint is kept.
    """
    given = {"data": data, "labels": labels, "config": config, "bindings": bindings, "prior": prior}
    given |= {"posterior": posterior, "likelihood": likelihood, "objective": objective, **settings}
    given = {name: value for name, value in given.items() if value is not None and not _is_empty(value)}
    if experiment is not None and given:
        raise UserError(f"experiment= has all settings of a run, so {' and '.join(given)} cannot be given beside it")
    from tfdgm.api.beginnings import from_experiment, from_settings  # not at the top: it reads the plugins' metadata

    tell = say if progress else _silent
    with _folder(workdir, trust_workdir) as folder, folder.locked(not no_lock):
        if experiment is None:
            terms = [objective] if isinstance(objective, str) else objective
            plugins: dict[str, Any] = {"prior": prior, "posterior": posterior, "objectives": terms}
            named = {} if likelihood is None else {"likelihood": likelihood}
            begin = from_settings(folder, data, labels, config, bindings, plugins, {**named, **settings}, extend)
        else:
            begin = from_experiment(folder, experiment)
        with framework_defaults():
            built, resolved = begin()
            result = _trained(folder, built, resolved, tell, progress, extend, other_data)
    from tfdgm.api.run import TrainedRun  # not at the top: it imports TensorFlow

    run = TrainedRun(folder, built, resolved, reason=result.reason, temporary=workdir is None)
    if result.signal not in (None, signal.SIGINT):
        signal.raise_signal(result.signal)  # the state is saved; the process decides what follows
    return run


@in_one_message
def load(
    workdir: str | Path,
    checkpoint: str | int = "latest",
    *,
    experiment: "Experiment | None" = None,
    replicas: int = 1,
    other_data: bool = False,
    trust_workdir: bool = False,
) -> "TrainedRun":
    """Return the run of a workdir, of `tfdgm train` or `tfdgm.train`, or of an export of it.

    Args:
      workdir: the folder.
      checkpoint: "latest", the newest valid one; "best", by the run's `keep_best`; or the step of one that is kept.
      experiment: of a run that was trained with `experiment=`.
      replicas: number of devices of this machine that share the work.
      other_data: whether the data may differ from that of the checkpoint.
      trust_workdir: whether to accept a folder of another user.

    Raises:
      UserError: the folder holds no run, or no such checkpoint, or belongs to another user.
    """
    folder = Workdir(Path(workdir))
    folder.check(trust_workdir)
    text = None if experiment is not None else folder.require_run()
    with framework_defaults():
        from tfdgm.api.beginnings import build_copy
        from tfdgm.api.run import TrainedRun
        from tfdgm.trained.opened import checkpoint_named, open_model

        if text is not None:
            return TrainedRun(folder, *open_model(folder, text, str(checkpoint), replicas, "examples", other_data))
        assert experiment is not None
        found = checkpoint_named(folder, str(checkpoint))
        built = build_copy(experiment)
        built.state.assign(found.tensors)
        return TrainedRun(folder, built, None)


def _trained(
    folder: Workdir,
    built: "Built",
    resolved: "Config | None",
    tell: Callable[[str], None],
    progress: bool,
    extending: bool,
    other_data: bool,
) -> "TrainingResult":
    """Train, and tell why it ended if it did before the last step."""
    from tfdgm.contracts.callback import Callback
    from tfdgm.runs.data_scale import data_scale_warnings
    from tfdgm.runs.unseen_labels import unseen_label_warnings
    from tfdgm.training.callbacks.progress_bar import ProgressBar
    from tfdgm.training.recorded import train_recorded

    steps = built.experiment.steps
    with built.devices.scope():
        for line in [*data_scale_warnings(built), *unseen_label_warnings(built)]:
            warn(line)
        bar = ProgressBar(steps, lines=False) if progress else Callback()
        result = train_recorded(folder, built, resolved, tell, bar, extending, other_data)
    if result.step < steps:
        reason = result.reason or "interrupted; the same call with this workdir continues"
        tell(f"stopped at step {result.step:,} of {steps:,}, with a checkpoint: {reason}")
    return result


@contextmanager
def _folder(workdir: str | Path | None, trusted: bool) -> Iterator[Workdir]:
    """Make the workdir, or a temporary one; remove a new one if the block fails before its run has begun."""
    folder = Workdir(Path(tempfile.mkdtemp(prefix="tfdgm-") if workdir is None else workdir))
    new = workdir is None or not folder.path.exists()
    folder.make(trusted)
    try:
        yield folder
    except BaseException:
        if new and (workdir is None or not folder.samples.exists()):
            shutil.rmtree(folder.path, ignore_errors=True)
        raise


def _is_empty(value: Any) -> bool:
    return isinstance(value, (str, list, tuple, dict)) and not value


def _silent(line: str) -> None:
    """Tell nothing."""
