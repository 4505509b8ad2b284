"""Specifications that components get when they are built: of the data and of the latent."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from tfdgm.contracts.condition import ConditionSpec
from tfdgm.contracts.scaling import Scaling
from tfdgm.contracts.table_spec import TableSpec


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """The shape and range of one example x.

    Attributes:
      shape: shape of x without the batch, for example `(64,)` or `(32, 32, 3)`.
      low, high: closed range of the values of x, as the likelihood sees them; infinities where unbounded.
      levels: number of distinct grey levels in [low, high] if x is discrete, else None.
      binarized: how x was binarised ("dynamic", "static"), else None.
      image_shape: shape in which to draw x, `(height, width)` or `(height, width, 3)`; None if x is not an image.
      condition: the labels or condition vectors y that the examples carry; None if they carry none.
      counts: whether x is counts, whole numbers from 0.
      table: the columns of the table whose rows are the examples; None if x is no row of a table.
      scaling: how the original values became x; None if they are x. The columns of a table have scalings of their own.
    """

    shape: tuple[int, ...]
    low: float = -math.inf
    high: float = math.inf
    levels: int | None = None
    binarized: str | None = None
    image_shape: tuple[int, ...] | None = None
    condition: ConditionSpec | None = None
    counts: bool = False
    table: TableSpec | None = None
    scaling: Scaling | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def restore(self, x: np.ndarray) -> np.ndarray:
        """Return the original values of x `[..., *shape]`: those before `scaling`."""
        return x if self.scaling is None else self.scaling.restore(x)


@dataclasses.dataclass(frozen=True)
class LatentSpec:
    """The shape of one latent: a vector in R^d, or a grid of codes.

    Attributes:
      size: d, the dimension of a latent vector; for codes C, the dimension of a code's embedding.
      positions: shape of the grid of codes, `(N,)` or `(h, w)`; None for a vector.
      categories: K, the number of codes; None for a vector.
      codebooks: L, if each position has L codes, one from each of L codebooks of K, and the decoder reads the sum of
        their embeddings (residual quantisation); None for one code per position.
      deterministic: whether q(z|x) puts all its mass on one point, as vector quantisation does.
    """

    size: int
    positions: tuple[int, ...] | None = None
    categories: int | None = None
    codebooks: int | None = None
    deterministic: bool = False

    def __str__(self) -> str:
        if self.positions is None:
            return f"a vector in R^{self.size}"
        grid = " x ".join(map(str, self.positions))
        if self.codebooks is None:
            return f"{grid} codes of {self.categories}, embedded in R^{self.size}"
        codes = f"{grid} x {self.codebooks} codes of {self.categories}"
        return f"{codes}, embedded in R^{self.size} as sums of {self.codebooks}"

    @property
    def discrete(self) -> bool:
        return self.categories is not None

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one draw from q(z|x): `(d,)`, or that of the integer codes, `positions` or `positions + (L,)`."""
        if self.positions is None:
            return (self.size,)
        return self.positions if self.codebooks is None else (*self.positions, self.codebooks)

    @property
    def decoder_input_shape(self) -> tuple[int, ...]:
        """Shape of the decoder's input: `(d,)`, or `positions + (C,)`."""
        return (*(self.positions or ()), self.size)


def _no_decoder() -> Any:
    raise ValueError("outside an experiment there is no decoder to copy")


@dataclasses.dataclass(frozen=True)
class BuildContext:
    """The context in which a component creates its variables.

    Attributes:
      data: specification of x.
      latent: specification of z.
      num_train: number of training examples.
      train_rows: indices -> observed training examples x as a NumPy array `[len(indices), *data.shape]`, for
        initialisations from data, such as pseudo-inputs.
      condition: specification of y in a run with `experiment.condition`; None in any other run.
      train_conditions: indices -> y of those training examples as a NumPy array; None without a condition.
      train_features: indices -> the untrained encoder's features of those examples; None without an encoder.
      steps: number of model updates in the whole run, over which to check schedules.
      like_decoder: returns a new network with the decoder's class and hyperparameters, not built yet: the default
        critic.
      precision: the precision in which networks compute; weights and densities are float32.
      seed: integer seed for `keras.initializers`. Derive one per purpose with `seed_for`.
    """

    data: DataSpec
    latent: LatentSpec
    num_train: int
    train_rows: Callable[[np.ndarray], np.ndarray]
    seed: int
    steps: int = 1
    train_features: Callable[[np.ndarray], np.ndarray] | None = None
    like_decoder: Callable[[], Any] = _no_decoder
    precision: Literal["float32", "bfloat16"] = "float32"
    condition: ConditionSpec | None = None
    train_conditions: Callable[[np.ndarray], np.ndarray] | None = None

    def seed_for(self, purpose: str) -> int:
        """Return a non-negative integer seed, a function of the run's seed and of `purpose`."""
        from tfdgm.numerics.randomness import integer_seed

        return integer_seed(self.seed, purpose)

    def within(self, name: str) -> "BuildContext":
        """Return the same context with separate seeds, to pass to a part of a component."""
        return dataclasses.replace(self, seed=self.seed_for(name))
