"""Writes a checkpoint, by default the newest valid one, as a SavedModel with the signatures sample and decode and, if
the model has a posterior, encode, reconstruct and log_prob. Those that draw take a seed; decode, encode_mean and
reconstruct_mean draw nothing, and decode is also serving_default. The folder can also be the --workdir of eval and
sample.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfdgm.cli.results import define_trained_flags, open_trained
from tfdgm.errors import UserError
from tfdgm.system.console import say


def define_flags(values: flags.FlagValues) -> None:
    define_trained_flags(values, shared=False)
    flags.DEFINE_string("output", None, "folder to write; it must be new or empty", flag_values=values)
    flags.DEFINE_integer("num_samples", 100, "draws of z per example in log_prob", flag_values=values)


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    if not values.output:
        raise UserError("--output is required: the folder to write")
    if values.num_samples < 1:
        raise UserError(f"--num_samples must be at least 1, got {values.num_samples}")
    output = Path(values.output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"--output: {output} is not an empty folder")
    with open_trained(values.workdir, checkpoint=values.checkpoint, trusted=values.trust_workdir) as (workdir, built):
        from tfdgm.trained.export import export

        try:
            export(built, workdir, output, values.num_samples)
        except OSError as error:
            raise UserError(f"{output} could not be written: {error.strerror or error}") from None
    say(f"written to {output}")
    return 0
