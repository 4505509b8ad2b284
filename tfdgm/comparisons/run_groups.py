"""Groups of runs that differ in nothing but the seed, named by what differs between them."""

import dataclasses
import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence

from tfdgm.comparisons.compared_run import ComparedRun
from tfdgm.comparisons.differing_settings import differing_settings

#: Largest number of settings in the name of a group; with more, it has the name of its first run.
_MOST_IN_NAME = 3


@dataclasses.dataclass(frozen=True)
class RunGroup:
    """Runs that share all settings but the seed.

    Attributes:
      name: what distinguishes it from the other groups.
      settings: the values of the settings that differ between groups, by name.
      runs: in the order given.
    """

    name: str
    settings: Mapping[str, str]
    runs: Sequence[ComparedRun]

    def values(self, score: str) -> list[float]:
        """Return the values of a score, of the runs that have it."""
        return [run.scores[score] for run in self.runs if score in run.scores]

    @property
    def steps(self) -> str:
        """The step at which its runs were scored, or the first and the last."""
        steps = sorted({run.step for run in self.runs if run.step is not None})
        return " to ".join(f"{step:,}" for step in dict.fromkeys([*steps[:1], *steps[-1:]]))


def group_runs(runs: Sequence[ComparedRun]) -> list[RunGroup]:
    """Return the groups in the order of their first runs. Runs of different data are in different groups.

    A run made in Python has no recorded settings, and is a group of its own.
    """
    settings = differing_settings([run.settings for run in runs])
    data = _data_names(runs)
    members: dict[tuple[str, ...], list[int]] = {}
    for number, run in enumerate(runs):
        alone = str(run.path) if run.settings is None else ""
        members.setdefault((alone, data[number], *settings[number].values()), []).append(number)
    groups = []
    for numbers in members.values():
        of_first = settings[numbers[0]]
        if len(set(data)) > 1:
            of_first = {**of_first, "content of the data": data[numbers[0]]}
        groups.append(RunGroup("", of_first, [runs[number] for number in numbers]))
    return [dataclasses.replace(group, name=name) for group, name in zip(groups, _names(groups), strict=True)]


def _data_names(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the first digits of a digest of each run's data; "unknown" if it is not recorded."""
    texts = [json.dumps(run.data.plain(), sort_keys=True) if run.data else "" for run in runs]
    return [hashlib.sha256(text.encode()).hexdigest()[:6] if text else "unknown" for text in texts]


def named(settings: Mapping[str, str]) -> str:
    """Return `name=value, ...` of the settings that a group has."""
    return ", ".join(f"{name}={value}" for name, value in settings.items() if value)


def named_by_settings(groups: Sequence[RunGroup]) -> bool:
    """Return whether the names of the groups have all settings that differ."""
    return all(group.name == named(group.settings) for group in groups)


def _names(groups: Sequence[RunGroup]) -> list[str]:
    names = [named(group.settings) for group in groups]
    few = len(groups[0].settings) <= _MOST_IN_NAME
    if few and all(names) and len(set(names)) == len(names):
        return names
    return [f"{group.runs[0].path}{f' (+{len(group.runs) - 1})' if len(group.runs) > 1 else ''}" for group in groups]


def remarks(groups: Sequence[RunGroup]) -> list[str]:
    """Return sentences on what restricts a comparison: missing scores, other data or splits, equal seeds."""
    runs = [run for group in groups for run in group.runs]
    lines = [
        f"{run.path} has no scores; to score it: {shlex.join(['tfdgm', 'eval', f'--workdir={run.path}'])}"
        for run in runs
        if not run.scores
    ]
    lines += [
        f"{run.path}: the evaluation was interrupted; some of its scores are missing"
        for run in runs
        if "interrupted" in run.evaluation
    ]
    for group in groups:
        by_seed: dict[int | None, list[str]] = {}
        for run in group.runs:
            by_seed.setdefault(run.seed, []).append(str(run.path))
        lines += [
            f"{' and '.join(paths)} have the same settings and seed {seed}; each counts as a run of its own"
            for seed, paths in by_seed.items()
            if len(paths) > 1
        ]
    return lines + obstacles(groups)


def obstacles(groups: Sequence[RunGroup]) -> list[str]:
    """Return the reasons why scores of these groups must not be ranked: other data, or another split of it."""
    lines = []
    known = [run for group in groups for run in group.runs if run.data is not None]
    for run in known[1:]:
        assert known[0].data is not None and run.data is not None
        if differences := known[0].data.differences(run.data):
            lines.append(f"{run.path} has other data than {known[0].path}: {'; '.join(differences)}")
    scored = [run for group in groups for run in group.runs if run.scores]
    splits = {(run.evaluation.get("data_split"), run.evaluation.get("num_examples")): run.path for run in scored}
    if len(splits) > 1:
        each = "; ".join(f"{number} examples of {split}, as {path}" for (split, number), path in splits.items())
        lines.append(f"the scores are of different examples: {each}")
    return lines
