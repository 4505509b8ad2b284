"""Scores a checkpoint of a workdir, the newest sound one by default, on one split; every score that fits the run."""

from collections.abc import Sequence

from absl import flags

from tfdgm.cli.results import define_trained_flags, open_trained, score


def define_flags(values: flags.FlagValues) -> None:
    define_trained_flags(values)
    flags.DEFINE_string("split", "test", "split of the data to score", flag_values=values)
    flags.DEFINE_integer(
        "num_samples",
        1_000,
        "draws of z per example: all for nll_iwae, at most 100,000 over the split for the other scores",
        flag_values=values,
    )


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    with open_trained(values.workdir, values.replicas, values.checkpoint, values.trust_workdir) as (workdir, built):
        score(workdir, built, values.split, values.num_samples)
    return 0
