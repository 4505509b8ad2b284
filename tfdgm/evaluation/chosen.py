"""Some examples of a split."""

import numpy as np

from tfdgm.contracts.data import Source, evenly
from tfdgm.evaluation.bounds import Draws


class Chosen(Source):
    """The rows of another source at given positions."""

    def __init__(self, source: Source, positions: np.ndarray) -> None:
        self.source = source
        self.positions = positions
        self.shape = source.shape
        self.dtype = source.dtype

    def __len__(self) -> int:
        return len(self.positions)

    def gather(self, indices: np.ndarray) -> np.ndarray:
        return self.source.gather(self.positions[indices])

    def conditions(self, indices: np.ndarray) -> np.ndarray:
        return self.source.conditions(self.positions[indices])


def examples(draws: Draws, count: int) -> np.ndarray:
    """Return `count` examples x spread evenly over a split, observed in the same way as for the bounds."""
    chosen = Chosen(draws.source, evenly(len(draws.source), count))
    return np.concatenate([x.numpy()[:kept] for _, x, kept in draws.over(chosen).chunks()])
