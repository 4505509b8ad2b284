"""Writes a checkpoint, by default the newest valid one, as a SavedModel with the signatures sample and decode and, if
the model has a posterior, encode, reconstruct and log_prob. Those that draw take a seed; decode, encode_mean and
reconstruct_mean draw nothing, and decode is also serving_default. The folder can also be the --workdir of eval and
sample.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from absl import flags

from tfdgm.cli.results import define_trained_flags, open_trained
from tfdgm.errors import UserError
from tfdgm.system.console import say

REQUIRED = ("workdir", "output")
EXAMPLES = ("tfdgm export --workdir=runs/first --output=model",)


def define_flags(values: flags.FlagValues) -> None:
    define_trained_flags(values, shared=False)
    flags.DEFINE_string("output", None, "folder to write; it must be new or empty", flag_values=values)
    flags.DEFINE_enum(
        "format",
        "saved_model",
        ["saved_model", "onnx", "tflite"],
        "onnx and tflite: one file for each of decode, encode_mean and reconstruct_mean",
        flag_values=values,
    )
    flags.DEFINE_integer("num_samples", 100, "draws of z per example in log_prob", flag_values=values)


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    if values.num_samples < 1:
        raise UserError(f"--num_samples must be at least 1, got {values.num_samples}")
    if values.format == "onnx" and find_spec("tf2onnx") is None:
        raise UserError("--format=onnx requires an extra: pip install 'tfdgm[onnx]'")
    output = Path(values.output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"--output: {output} is not an empty folder")
    with open_trained(values.workdir, checkpoint=values.checkpoint, trusted=values.trust_workdir, reads="nothing") as (
        workdir,
        built,
    ):
        from tfdgm.trained.conversion import convert
        from tfdgm.trained.export import export

        try:
            if values.format == "saved_model":
                export(built, workdir, output, values.num_samples)
            else:
                convert(built, output, values.format)
        except OSError as error:
            raise UserError(f"{output} could not be written: {error.strerror or error}") from None
    say(f"written to {output}")
    return 0
