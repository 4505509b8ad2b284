"""Train in a workdir, with a record of the start: what `tfdgm train` and `tfdgm.train` share."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tfdgm.contracts.callback import Callback
from tfdgm.evaluation.units import units_of
from tfdgm.runs.experiment import Built
from tfdgm.runs.record import describe_run
from tfdgm.runs.workdir import Workdir
from tfdgm.training.trainer import Trainer, TrainingResult

if TYPE_CHECKING:
    from tfdgm.configuration.resolve import Config


def train_recorded(
    workdir: Workdir,
    built: Built,
    config: "Config | None",
    say: Callable[[str], None],
    progress: Callback | None = None,
) -> TrainingResult:
    """Train, or resume from the newest checkpoint. The chief also writes `run.json` and the operative config.

    Args:
      workdir: of the run; the caller holds its lock and has written `config.gin`.
      built: the experiment.
      config: its configuration; None for an experiment that was made in Python.
      say: prints one line to the user.
      progress: shows the progress; the bar or lines of a command by default.

    Raises:
      NonFiniteError: a loss or weight became NaN or infinite; see `Trainer.train`.
    """
    trainer = Trainer(built, workdir.path, say, None if config is None else config.text, progress=progress)
    if not built.devices.is_chief:
        return trainer.train()
    experiment = built.experiment
    plugins = [] if config is None else config.plugins
    facts, units = experiment.data.describe(), units_of(experiment.objectives.values())
    workdir.write_json("run.json", describe_run(plugins, experiment.seed, facts, units, workdir.run_record()))
    result = trainer.train()
    if config is not None:
        workdir.write(f"operative_config-{result.step}.gin", config.operative)
    return result
