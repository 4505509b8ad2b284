"""Rerunning with the same --workdir resumes. Later settings override earlier ones: files in order, then --prior and the
other shorthand flags, then --gin_bindings.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from tfdgm.cli.folder_flags import define_data_flag, define_holding_flags
from tfdgm.configuration.config_files import DEFAULT_CONFIG
from tfdgm.configuration.shorthand import shorthand_bindings
from tfdgm.contracts.registry import KINDS
from tfdgm.errors import UserError
from tfdgm.runs.same_run import EXTEND
from tfdgm.runs.workdir import Workdir, new_folder
from tfdgm.system.console import complain, say, warn
from tfdgm.system.durations import duration
from tfdgm.system.processes import python_command
from tfdgm.system.runtime import import_tensorflow, programs
from tfdgm.system.supervisor import LOST, supervise

if TYPE_CHECKING:
    from tfdgm.configuration.resolve import Config
    from tfdgm.runs.experiment import Built
    from tfdgm.training.trainer import TrainingResult


EXAMPLES = (
    "tfdgm train --workdir=runs/first",
    "tfdgm train --workdir=runs/long --gin_file=digits/vae.gin --gin_bindings='steps = 20_000'",
    "tfdgm train --data=ring --posterior=none --objective=jsd --gin_file=toy/ring.gin --dry_run",
)


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "folder of the run; runs/NAME-TIME by default", flag_values=values)
    flags.DEFINE_multi_string(
        "gin_file", [], "config file, or short path of a packaged one; may be repeated", flag_values=values
    )
    flags.DEFINE_multi_string("gin_bindings", [], "gin statement; may be repeated", flag_values=values)
    flags.DEFINE_bool("dry_run", False, "print the resolved config and the model, and stop", flag_values=values)
    flags.DEFINE_string("prior", None, "shorthand for experiment.prior = @prior.NAME()", flag_values=values)
    flags.DEFINE_string(
        "posterior", None, "shorthand for experiment.posterior; none for a model without inference", flag_values=values
    )
    flags.DEFINE_multi_string(
        "objective", [], "shorthand for experiment.objectives; may be repeated", flag_values=values
    )
    flags.DEFINE_string("data", None, "shorthand for experiment.data", flag_values=values)
    flags.DEFINE_integer(
        "max_restarts", 0, "how often to restart a run that crashes or loses another worker", flag_values=values
    )
    flags.DEFINE_bool(
        EXTEND.lstrip("-"),
        False,
        "continue the run in the workdir under other steps, optimizers, schedules or validation",
        flag_values=values,
    )
    flags.DEFINE_bool("no_eval", False, "do not score the model at the end", flag_values=values)
    define_data_flag(values)
    define_holding_flags(values)


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    began = time.monotonic()
    shorthand = shorthand_bindings(values.prior, values.posterior, values.objective, values.data)
    if values.max_restarts < 0:
        raise UserError(f"--max_restarts must not be negative, got {values.max_restarts}")
    if values.max_restarts and not values.dry_run:
        arguments = _as_arguments(values)
        if values.workdir:
            return _supervised(arguments, values.max_restarts)
        with new_folder(Path("runs"), default_name(values.gin_file)) as folder:  # every restart uses the same folder
            return _supervised([*arguments, f"--workdir={folder}"], values.max_restarts)
    files, bindings = list(values.gin_file), [*shorthand, *values.gin_bindings]
    workdir = Workdir(Path(values.workdir)) if values.workdir else None
    if workdir:
        workdir.check(values.trust_workdir)
    elif values.extend:
        raise UserError(f"{EXTEND} requires --workdir: the folder of the run to continue")
    base = workdir.saved_config() if workdir and not files else None
    from tfdgm.configuration.gin_parser import read_statements  # not at the top: `--help` loads no gin

    # before TensorFlow is imported, which takes seconds: this finds most errors
    prefer = workdir.recorded_package if workdir else lambda name: None
    statements = read_statements(files if files or base is not None else [DEFAULT_CONFIG], bindings, base, prefer)
    for line in statements.remarks():
        warn(line)
    import_tensorflow()
    from tfdgm.configuration.resolve import resolve
    from tfdgm.parallel.devices import check_shards

    config = resolve(statements)
    if workdir is None and config.placement.strategy == "multi_worker" and not values.dry_run:
        raise UserError("several workers require --workdir: a folder on a file system that all of them share")
    devices = config.placement.devices()
    with devices.scope():
        built = config.experiment(workdir.path if workdir else None).build(devices)
        check_shards(built.experiment.shards or devices.num_replicas, built.experiment.batch_size, devices.num_replicas)
        if values.dry_run:
            print(config.text)
            describe(built, config)
            return 0
        if workdir is not None:
            return _or_lost(lambda: _in(workdir, config, built, began, values))
        with new_folder(Path("runs"), default_name(files)) as folder:
            return _or_lost(lambda: _in(Workdir(folder), config, built, began, values))


def _supervised(arguments: Sequence[str], max_restarts: int) -> int:
    return supervise([python_command("tfdgm", "train", *arguments)], [os.environ], max_restarts, say)


def _in(workdir: Workdir, config: "Config", built: "Built", began: float, values: flags.FlagValues) -> int:
    """Train in a workdir that the chief holds."""
    if not built.devices.is_chief:
        return train(workdir, config, built, began, values.extend, values.other_data, values.no_eval)
    workdir.make(values.trust_workdir)
    with workdir.locked(not values.no_lock):  # before the config is written: two starts must not mix
        workdir.admit(config.text, values.extend)
        return train(workdir, config, built, began, values.extend, values.other_data, values.no_eval)


def _or_lost(work: Callable[[], int]) -> int:
    """Return the exit code of `work`, or `LOST` if another worker was lost; then all of them must be restarted."""
    from tensorflow import errors

    try:
        return work()
    except (errors.UnavailableError, errors.AbortedError, errors.CancelledError, errors.DeadlineExceededError) as error:
        complain(f"another worker was lost: {error.message.splitlines()[0]}")
        return LOST


def default_name(files: Sequence[str]) -> str:
    """Return the name of a run without --workdir, derived from its last config file."""
    return Path((list(files) or [DEFAULT_CONFIG])[-1]).with_suffix("").as_posix().replace("/", "-").strip("-.")


def _as_arguments(values: flags.FlagValues) -> list[str]:
    """Return the flags of the child process that trains, without --max_restarts."""
    arguments = []
    for name in values:
        value = values[name].value
        if name != "max_restarts" and value not in (None, [], False):
            arguments += [f"--{name}={item}" for item in (value if isinstance(value, list) else [value])]
    return arguments


def train(
    workdir: Workdir,
    config: "Config",
    built: "Built",
    began: float,
    extending: bool = False,
    other_data: bool = False,
    no_eval: bool = False,
) -> int:
    """Train or resume, then score (not with `no_eval`), draw pictures and write the report; only the chief writes."""
    from tfdgm.cli.results import command_on, finish
    from tfdgm.runs.data_scale import data_scale_warnings
    from tfdgm.runs.unseen_labels import unseen_label_warnings
    from tfdgm.training.recorded import train_recorded

    experiment = built.experiment
    if not built.devices.is_chief:
        result = train_recorded(workdir, built, config, lambda line: None, None, extending, other_data)
        if result.signal is not None:
            return 128 + result.signal
        finish(workdir, built, no_eval)
        return 0
    describe(built, config)
    for line in [*data_scale_warnings(built), *unseen_label_warnings(built)]:
        warn(line)
    say(f"workdir {workdir.path}")
    result = train_recorded(workdir, built, config, say, None, extending, other_data)
    if result.signal is not None:
        name = signal.Signals(result.signal).name
        rest = "to resume" if result.step < experiment.steps else "training is complete; to score"
        say(f"{name}: stopped and saved at step {result.step}; {rest}: {command_on(workdir, 'train')}")
        return 128 + result.signal
    if result.reason is not None:
        say(f"stopped early at step {result.step} of {experiment.steps}: {result.reason}")
    finish(workdir, built, no_eval)
    say(f"done in {duration(time.monotonic() - began)}; {_rate(result)}{_programs()}")
    return 0


def _rate(result: "TrainingResult") -> str:
    rate = result.steps_per_second
    if rate:
        return f"{rate:.0f} steps/s, {1e6 / rate:.0f} us/step"
    return f"{result.steps_made} step(s) in one loop" if result.steps_made else "no steps were made"


def _programs() -> str:
    """Return how many programs were compiled, and how many were read from the cache."""
    counts = programs()
    return "" if counts is None else f"; {counts[0]} programs compiled, {counts[1]} read from the cache"


def describe(built: "Built", config: "Config") -> None:
    """Print the data, the model, the players and the plugins."""
    from tfdgm.runs.state import count_parameters

    experiment = built.experiment
    sizes = ", ".join(f"{name} {len(source):,}" for name, source in experiment.splits.items())
    say(f"data {type(experiment.data).__name__} of shape {experiment.data.spec.shape}: {sizes}")
    if (table := experiment.data.spec.table) is not None:
        say(f"columns: {'; '.join(map(str, table.columns))}")
    say(f"latent: {built.model.latent}; {count_parameters(built.parameters()):,} trainable parameters")
    for player in built.players:
        say(
            f"player {player.name}: {count_parameters(player.variables):,} parameters, "
            f"{type(player.optimizer).__name__}, {player.updates} update(s) a step"
        )
    say(
        f"{experiment.steps:,} steps of {experiment.batch_size} examples in "
        f"{experiment.shards or built.devices.num_replicas} shard(s) on {built.devices.num_replicas} device(s), "
        f"{experiment.steps_per_loop} steps a loop, data {'on the device' if experiment.resident else 'streamed'}"
    )
    for plugin in sorted(config.plugins, key=lambda plugin: list(KINDS).index(plugin.kind)):
        say(f"plugin {plugin}")
