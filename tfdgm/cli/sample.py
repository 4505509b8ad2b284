"""Draws z from the prior and x from p(x|z). A .png file shows E[x|z] of images, or x of points in the plane; an .npz
file holds the arrays x, mean (E[x|z]) and z, and y in a model of labels. A picture then has a row for each label. A
.csv or .parquet file holds x as a table, with the columns, units and categories of the data.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from absl import flags

from tfdgm.cli.folder_flags import define_data_flag
from tfdgm.cli.results import define_trained_flags, open_trained
from tfdgm.errors import UserError
from tfdgm.system.console import say

if TYPE_CHECKING:
    from tfdgm.trained.at_checkpoint import Reads


REQUIRED = ("workdir", "output")
EXAMPLES = (
    "tfdgm sample --workdir=runs/first --output=samples.png",
    "tfdgm sample --workdir=runs/first --num=10000 --seed=1 --output=samples.npz",
)


def define_flags(values: flags.FlagValues) -> None:
    define_trained_flags(values)
    define_data_flag(values)
    flags.DEFINE_integer("num", 64, "number of draws", flag_values=values)
    flags.DEFINE_string("output", None, "file to write: .png, .npz, .csv or .parquet", flag_values=values)
    flags.DEFINE_integer("seed", 0, "seed of the draws", flag_values=values)
    flags.DEFINE_string(
        "label",
        None,
        "label of all draws, by name or number; by default the data's own, or each in turn in a picture",
        flag_values=values,
    )


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    from tfdgm.trained.tables import TABLE_SUFFIXES, check_table, save_table

    if Path(values.output).suffix not in (".png", ".npz", *TABLE_SUFFIXES):
        raise UserError(f"--output must name a .png, .npz, .csv or .parquet file, got {values.output!r}")
    output = Path(values.output)
    if not output.parent.is_dir():
        raise UserError(f"--output: there is no folder {output.parent}")
    if values.num < 1:
        raise UserError(f"--num must be at least 1, got {values.num}")
    reads: Reads = "conditions" if output.suffix == ".npz" and values.label is None else "nothing"
    with open_trained(
        values.workdir, values.replicas, values.checkpoint, values.trust_workdir, reads, values.other_data
    ) as (_, built):
        from tfdgm.reporting.pictures import save_examples
        from tfdgm.trained.sampling import by_label, draw, label_number, save_samples

        spec = built.experiment.data.spec
        if output.suffix in TABLE_SUFFIXES:
            check_table(output, spec)
        y: np.ndarray | None = None
        if values.label is not None:
            try:
                y = np.full(values.num, label_number(built, values.label), np.int32)
            except UserError as error:
                raise UserError(f"--label: {error}") from None
        elif output.suffix == ".png":
            y = by_label(built, values.num)
        num = values.num if y is None else len(y)
        samples = draw(built, num, values.seed, y)
        columns = None if y is None or values.label is not None else int(np.sum(y == y[0]))
    try:
        if output.suffix == ".npz":
            save_samples(output, samples, spec)
        elif output.suffix in TABLE_SUFFIXES:
            save_table(output, samples.x, spec)
        else:
            save_examples(output, samples.mean if spec.image_shape else samples.x, spec, columns)
    except OSError as error:
        raise UserError(f"{output} could not be written: {error.strerror or error}") from None
    say(f"{num} samples written to {output}")
    return 0
