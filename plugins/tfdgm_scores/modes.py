"""Coverage of the data's modes."""

from collections.abc import Mapping
from typing import ClassVar

from tfdgm import Evaluation, Quantity, Score, mode_scores

_SAMPLES = "mode_samples draws"


class ModeCoverage(Score):
    """Modes found, share of samples near a mode, and balance between modes (Lin et al. 2018), if the data has modes."""

    rank = 60
    note_key = "generation_note"
    quantities: ClassVar[Mapping[str, Quantity]] = {
        "modes": Quantity(
            "modes",
            "number of modes with a draw of high quality",
            "larger",
            _SAMPLES,
            "rises with the number of draws",
            main=True,
        ),
        "high_quality": Quantity(
            "share of the samples", "draws of high quality, by the data's definition", samples=_SAMPLES, main=True
        ),
        "reverse_kl": Quantity(
            "nats",
            "KL(p_hat || uniform), p_hat the share of the draws at each mode",
            "smaller",
            _SAMPLES,
            "about (M - 1) / (2 n) too large for M modes",
        ),
        "mode_samples": Quantity("", "2,500 draws, or 26 for each of more than 96 modes", count=True),
    }

    def obstacle(self, run: Evaluation) -> str | None:
        modes = run.built.experiment.data.modes()
        return "the data has no modes" if modes is None else run.comparison.problem

    def compute(self, run: Evaluation) -> dict[str, float]:
        draws = run.comparison.mode_draws
        return mode_scores(draws, run.built.experiment.data.modes()) | {"mode_samples": len(draws)}
