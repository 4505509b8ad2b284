"""What components are told when they are built: shapes of the data and of the latent."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """One example x.

    Attributes:
      shape: shape of x without the batch, for example `(64,)` or `(32, 32, 3)`.
      low, high: closed range of the values of x, as the likelihood sees them; infinities where unbounded.
      levels: number of distinct grey levels in [low, high] where x is discrete, else None.
      binarized: how x was made binary ("dynamic", "static"), else None.
      image_shape: shape to draw x as, `(height, width)` or `(height, width, 3)`, or None where x is no picture.
    """

    shape: tuple[int, ...]
    low: float = -math.inf
    high: float = math.inf
    levels: int | None = None
    binarized: str | None = None
    image_shape: tuple[int, ...] | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class LatentSpec:
    """One latent.

    Attributes:
      size: d, the dimension of a latent vector; for codes, C, that of one code's embedding.
      positions: shape of the grid of codes (N,) or (h, w); None where the latent is a vector in R^d.
      categories: K, the number of codes; None where the latent is a vector.
      deterministic: whether q(z|x) puts all its mass on one point, as vector quantisation does.
    """

    size: int
    positions: tuple[int, ...] | None = None
    categories: int | None = None
    deterministic: bool = False

    def __str__(self) -> str:
        if self.positions is None:
            return f"a vector in R^{self.size}"
        grid = " x ".join(map(str, self.positions))
        return f"{grid} codes of {self.categories}, embedded in R^{self.size}"

    @property
    def discrete(self) -> bool:
        return self.categories is not None

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one draw from q(z|x): `(d,)`, or the grid of integer codes."""
        return self.positions if self.positions is not None else (self.size,)

    @property
    def decoder_input_shape(self) -> tuple[int, ...]:
        """Shape of what the decoder reads: `(d,)`, or `positions + (C,)`."""
        return (*(self.positions or ()), self.size)


def _no_decoder() -> Any:
    raise ValueError("outside an experiment there is no decoder to make a network like")


@dataclasses.dataclass(frozen=True)
class BuildContext:
    """What every component gets in `build`.

    Attributes:
      data: the spec of x.
      latent: the spec of z.
      num_train: number of training examples.
      train_rows: indices -> observed training examples x as a NumPy array `[len(indices), *data.shape]`; for
        pseudo-inputs and other initialisations from data.
      train_features: indices -> the untrained encoder's features of those examples; None where there is no encoder.
      steps: number of model moves of the whole run; for checking schedules.
      like_decoder: makes a network of the decoder's kind, not built yet: what a critic is where none is given.
      precision: in which networks compute; weights and densities are float32.
      seed: an integer; `keras.initializers` take it. Derive one per purpose with `seed_for`.
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

    def seed_for(self, purpose: str) -> int:
        """A non-negative integer seed that depends on the run's seed and on `purpose` alone."""
        from tfdgm.numerics.randomness import integer_seed

        return integer_seed(self.seed, purpose)

    def within(self, name: str) -> "BuildContext":
        """The same, with seeds of its own: what a component gives to a part of it."""
        return dataclasses.replace(self, seed=self.seed_for(name))
