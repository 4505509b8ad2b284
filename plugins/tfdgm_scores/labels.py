"""What the scores by label share."""

from tfdgm import Evaluation


def label_obstacle(run: Evaluation) -> str | None:
    """Return why draws of the model have no labels, or None if they have."""
    condition = run.built.model.condition
    if condition is None:
        return "the model has no condition"
    return "the condition is a vector, not a label" if condition.categories is None else None
