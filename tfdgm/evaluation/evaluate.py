"""All applicable scores of a run, in one flat dict."""

from collections.abc import Sequence
from typing import Any

from tfdgm.evaluation.score_set import ScoreSet
from tfdgm.evaluation.split_evaluation import SplitEvaluation
from tfdgm.runs.experiment import Built


def evaluate(built: Built, split: str = "test", num_samples: int = 1_000, names: Sequence[str] = ()) -> dict[str, Any]:
    """Score a trained model on one split.

    Args:
      built: the experiment with its trained weights; moving averages are used if there are any.
      split: "train", "validation" or "test".
      num_samples: draws of z per example for `nll_iwae`.
      names: of the score plugins to compute; all by default.

    Returns:
      The result of `score_split`.

    Raises:
      UserError: `num_samples` is below 1, the data has no such split, or a score is unknown.
    """
    return score_split(SplitEvaluation(built, split, num_samples), ScoreSet(built.experiment, names))


def score_split(run: SplitEvaluation, scores: ScoreSet) -> dict[str, Any]:
    """Compute scores on one split.

    Returns:
      The numbers of the scores that apply, by key, then their notes; `ScoreSet.quantities` describes them. Always
      `step`, `seed`, `data_split` and `num_examples`, and `binarization` if the data describes it, and
      `other_data` if the data differs from the run's.
    """
    built = run.built
    with built.state.averaged():
        found = scores.compute(run)
    found |= {
        "step": int(built.state.step.numpy()),
        "seed": built.experiment.seed,
        "data_split": run.split,
        "num_examples": len(run.source),
    }
    binarization = built.experiment.data.describe().get(f"binarization_{run.split}")
    notes = {"binarization": binarization, "other_data": "; ".join(built.experiment.other_data)}
    return found | {name: note for name, note in notes.items() if note}
