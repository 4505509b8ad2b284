"""Train in a workdir, with a record of the start: what `tfdgm train` and `tfdgm.train` share."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfdgm.contracts.callback import Callback
from tfdgm.evaluation.units import units_of
from tfdgm.runs.experiment import Built
from tfdgm.runs.record import describe_run
from tfdgm.runs.workdir import Workdir
from tfdgm.system.console import warn
from tfdgm.training.trainer import Trainer, TrainingResult

if TYPE_CHECKING:
    from tfdgm.configuration.resolve import Config


def train_recorded(
    workdir: Workdir,
    built: Built,
    config: "Config | None",
    say: Callable[[str], None],
    progress: Callback | None = None,
    extending: bool = False,
    other_data: bool = False,
) -> TrainingResult:
    """Train, or resume from the newest checkpoint. The chief also writes all records of the run.

    Args:
      workdir: of the run; the caller holds its lock, and the workdir admits the configuration.
      built: the experiment.
      config: its configuration; None for an experiment that was made in Python.
      say: prints one line to the user.
      progress: shows the progress; the bar or lines of a command by default.
      extending: whether the run may continue under other further steps; see `tfdgm.runs.same_run.differences`.
      other_data: whether the data may differ from that of the checkpoint.

    Raises:
      NonFiniteError: a loss or weight became NaN or infinite; see `Trainer.train`.
    """
    text = None if config is None else config.text
    trainer = Trainer(built, workdir.path, say, text, (), extending, other_data, progress)
    if not built.devices.is_chief:
        return trainer.train()
    step, initial = trainer.prepare(), trainer.initial
    changes = workdir.differences(text) if extending and text is not None else []
    if text is not None:  # not before: a checkpoint or weights that do not fit leave the workdir as it was
        workdir.begin(text, extending)
    experiment = built.experiment
    record = describe_run(
        [] if config is None else config.plugins,
        experiment.seed,
        experiment.data.describe(),
        units_of(experiment.objectives.values()),
        workdir.run_record(),
        fingerprint=trainer.data.splits,
        config=text,
        step=step,
        other_data=trainer.data_changes,
        initial=None if initial is None else dataclasses.asdict(initial),
    )
    workdir.write_json("run.json", record)
    if changes:
        say("\n  ".join([f"extended from step {step:,} under another configuration:", *changes]))
    for line in trainer.data_changes:
        warn(f"other data than that of the run before: {line}")
    for line in [] if initial is None else initial.lines():
        say(line)
    result = trainer.train()
    if config is not None:
        workdir.write(f"operative_config-{result.step}.gin", config.operative)
    return result
