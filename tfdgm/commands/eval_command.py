"""Scores the newest sound checkpoint of a workdir on one split; every score that fits the run."""

from collections.abc import Sequence

from absl import flags


def define_flags(values: flags.FlagValues) -> None:
    flags.DEFINE_string("workdir", None, "folder of the run, or of an export of it", flag_values=values)
    flags.DEFINE_string("split", "test", "split of the data to score", flag_values=values)
    flags.DEFINE_integer(
        "num_samples",
        1_000,
        "draws of z per example: all for nll_iwae, at most 100,000 over the split for the other scores",
        flag_values=values,
    )


def main(values: flags.FlagValues, positional: Sequence[str]) -> int:
    from tfdgm.commands.results import open_trained, score

    workdir, built = open_trained(values.workdir)
    score(workdir, built, values.split, values.num_samples)
    return 0
