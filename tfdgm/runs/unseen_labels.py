"""Warn of labels that no training example has."""

import numpy as np

from tfdgm.runs.experiment import Built

_NAMED = 10


def unseen_label_warnings(built: Built) -> list[str]:
    """Return at most one line, about labels of a run with `experiment.condition` that the training split lacks.

    Such a label is an input that no weight has learned. Data that is streamed is not searched.
    """
    condition, source = built.model.condition, built.experiment.train
    if condition is None or condition.categories is None or not built.experiment.resident:
        return []
    labels = np.asarray(source.conditions(np.arange(len(source))))
    unseen = np.setdiff1d(np.arange(condition.categories), labels)
    if not len(unseen):
        return []
    names = [f"{label} ({condition.names[label]})" if condition.names else str(label) for label in unseen[:_NAMED]]
    return [
        f"no training example has the label {', '.join(names)}{', ...' if len(unseen) > _NAMED else ''}: "
        f"{len(unseen)} of {condition.categories} labels are not learned, and samples of them mean nothing"
    ]
