"""Scores a checkpoint of a workdir, by default the newest valid one, on one split, with every applicable score."""

from collections.abc import Sequence

from absl import flags

from tfdgm.cli.folder_flags import define_data_flag
from tfdgm.cli.results import define_trained_flags, open_trained, score

REQUIRED = ("workdir",)
EXAMPLES = (
    "tfdgm eval --workdir=runs/first",
    "tfdgm eval --workdir=runs/first --split=validation --scores=nll_iwae --num_samples=5000",
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
        "names of score plugins to compute, by default all; eval.json then holds these alone",
        flag_values=values,
    )


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    with open_trained(
        values.workdir, values.replicas, values.checkpoint, values.trust_workdir, other_data=values.other_data
    ) as (workdir, built):
        score(workdir, built, values.split, values.num_samples, values.scores)
    return 0
