"""`--goal='NAME largest'`: the number by which a study compares combinations."""

import dataclasses
from pathlib import Path
from typing import Literal

from tfdgm.errors import UserError, did_you_mean
from tfdgm.runs.metrics_file import read_lines
from tfdgm.runs.workdir import Workdir

Direction = Literal["largest", "smallest"]


@dataclasses.dataclass(frozen=True)
class Goal:
    """A number of `eval.json`, or one that training reports, such as `validation_elbo`, and which value is best."""

    name: str
    direction: Direction

    @staticmethod
    def read(text: str) -> "Goal":
        """Return the goal of a flag.

        Raises:
          UserError: the text is not `NAME largest` or `NAME smallest`.
        """
        words = text.split()
        if len(words) != 2 or words[1] not in ("largest", "smallest"):
            raise UserError(
                f"--goal must be 'NAME largest' or 'NAME smallest', as 'validation_elbo largest'; got {text!r}"
            )
        return Goal(words[0], "largest" if words[1] == "largest" else "smallest")

    def best(self, values: dict[tuple[str, ...], float]) -> tuple[str, ...]:
        """Return the key of the best value."""
        return (max if self.direction == "largest" else min)(values, key=lambda key: values[key])

    def of_run(self, workdir: Path) -> float:
        """Return the number of a finished run: that of `eval.json`, else the last that training reported.

        Raises:
          UserError: the run has no such number.
        """
        scores = Workdir(workdir).scores()
        if isinstance(scores.get(self.name), (int, float)):
            return float(scores[self.name])
        reported = self.reported(workdir)
        if reported:
            return reported[-1][1]
        known = [name for name, value in scores.items() if isinstance(value, (int, float)) and name != "seed"]
        lines = Workdir(workdir).metrics()
        known += [name for name in (lines[-1] if lines else {}) if name != "step"]
        raise UserError(f"--goal: {workdir} has no number {self.name!r}. {did_you_mean(self.name, known)}")

    def reported(self, workdir: Path) -> list[tuple[int, float]]:
        """Return (step, value) of every line of `metrics.jsonl` that has the number."""
        try:
            lines = read_lines(workdir / "metrics.jsonl")
        except OSError:
            return []
        return [(int(line["step"]), line[self.name]) for line in lines if self.name in line]
