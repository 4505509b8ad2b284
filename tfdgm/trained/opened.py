"""Open the model of a workdir at one of its checkpoints: what the commands and `tfdgm.load` share."""

from tfdgm.configuration.resolve import Config, read_config
from tfdgm.errors import UserError
from tfdgm.parallel.strategies import mirrored
from tfdgm.runs.checkpoint_files import Checkpoint
from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.experiment import Built
from tfdgm.runs.same_run import check_config, differences
from tfdgm.runs.workdir import Workdir
from tfdgm.system.console import detail, warn
from tfdgm.trained.at_checkpoint import Reads, experiment_at


def open_model(
    workdir: Workdir,
    text: str,
    checkpoint: str = "latest",
    replicas: int = 1,
    reads: Reads = "examples",
    other_data: bool = False,
) -> tuple[Built, Config]:
    """Return the model of a run, and its configuration; use it within `built.devices.scope()`.

    Args:
      workdir: of the run, or an export of it.
      text: the run's configuration.
      checkpoint: "latest", the newest valid one; "best", by the run's `experiment.keep_best`; or a step.
      replicas: number of devices of this machine that share the work.
      reads: what the caller reads of the data; see `experiment_at`.
      other_data: whether the data may differ from that of the checkpoint.

    Raises:
      UserError: there is no such checkpoint, or it belongs to another configuration or other data.
    """
    if replicas < 1:
        raise UserError(f"--replicas must be at least 1, got {replicas}")
    found = checkpoint_named(workdir, checkpoint)
    devices = mirrored(replicas)
    with devices.scope():
        config = read_config([], base=text, prefer=workdir.recorded_package)
        check_config(found, config.text, extending=True)
        if found.config is not None and differences(found.config, config.text):  # older than the run's extension
            config = read_config([], base=found.config, prefer=workdir.recorded_package)
        detail(f"checkpoint of step {found.step} in {workdir.path}")
        built = experiment_at(config, found, workdir.path, reads, other_data, warn).build(devices)
        built.state.assign(found.tensors)
    return built, config


def checkpoint_named(workdir: Workdir, name: str) -> Checkpoint:
    """Return the checkpoint named "latest", "best", or by its step.

    Raises:
      UserError: there is none of that name.
    """
    return Checkpoints(workdir.checkpoints).named(name)
