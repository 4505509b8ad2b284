"""The experiment of a checkpoint, with the data that a use of it needs."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from tfdgm.configuration.resolve import Config
from tfdgm.model.packing import Conditioned
from tfdgm.runs.checkpoint_files import Checkpoint
from tfdgm.runs.data_identity import check_data
from tfdgm.runs.experiment import Experiment
from tfdgm.runs.recorded_data import RecordedData

#: What a use of a trained model reads of the data: its examples; its conditions, in a model that has some; or nothing.
Reads = Literal["examples", "conditions", "nothing"]


def experiment_at(
    config: Config,
    checkpoint: Checkpoint,
    workdir: Path,
    reads: Reads = "examples",
    other_data: bool = False,
    warn: Callable[[str], None] = lambda line: None,
) -> Experiment:
    """Return the experiment of a checkpoint, not built.

    Where nothing is read, the record of the data in the checkpoint replaces it, and the data may be gone.

    Args:
      config: the configuration of the run.
      checkpoint: one of its checkpoints.
      workdir: of the run.
      reads: what will be read of the data.
      other_data: whether the data may differ from that of the checkpoint.
      warn: shows a sentence about each difference.

    Raises:
      UserError: the data cannot be read, or is not that of the checkpoint.
    """
    if reads != "examples" and checkpoint.data is not None:
        experiment = config.experiment(workdir, RecordedData(checkpoint.data))
        if reads == "nothing" or not isinstance(experiment.train, Conditioned):
            return experiment
    experiment = config.experiment(workdir)
    changes = check_data(checkpoint.data, experiment.data_identity(), other_data)
    for line in changes:
        warn(f"other data than that of the run: {line}")
    return dataclasses.replace(experiment, other_data=tuple(changes))
