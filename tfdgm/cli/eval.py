"""Scores a checkpoint of a workdir, by default the newest valid one, on one split, with every applicable score."""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from tfdgm.cli.folder_flags import define_data_flag
from tfdgm.cli.results import define_trained_flags, open_trained, score
from tfdgm.cli.score_file import check_score_file
from tfdgm.errors import UserError

REQUIRED = ("workdir",)
EXAMPLES = (
    "tfdgm eval --workdir=runs/first",
    "tfdgm eval --workdir=runs/first --split=validation --scores=nll_iwae --num_samples=5000",
    "tfdgm eval --workdir=runs/first --scores=elbo_surgery,mmd --output=scores.csv",
)


def define_flags(values: flags.FlagValues) -> None:
    define_trained_flags(values)
    define_data_flag(values)
    flags.DEFINE_string("split", "test", "split of the data to score", flag_values=values)
    flags.DEFINE_integer(
        "num_samples",
        1_000,
        "draws of z per example for nll_iwae; the other scores use at most 100,000 draws over the split",
        flag_values=values,
    )
    flags.DEFINE_multi_string(
        "scores",
        [],
        "score plugins to compute, by name or by a key that they report, separated by commas; by default all; "
        "eval.json then holds these alone",
        flag_values=values,
    )
    flags.DEFINE_string("output", None, "file to write the scores to: .json, .csv, .md or .tex", flag_values=values)


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    if values.num_samples < 1:
        raise UserError(f"--num_samples must be at least 1, got {values.num_samples}")
    names = [name.strip() for listed in values.scores for name in listed.split(",")]
    if "" in names:
        raise UserError(f"--scores has an empty name: {', '.join(map(repr, values.scores))}")
    output = Path(values.output) if values.output is not None else None
    if output is not None:
        check_score_file(output, Path(values.workdir))
    with open_trained(
        values.workdir, values.replicas, values.checkpoint, values.trust_workdir, other_data=values.other_data
    ) as (workdir, built):
        score(workdir, built, values.split, values.num_samples, names, output)
    return 0
