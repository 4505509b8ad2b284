"""The condition y of a model p(x, z | y): a label, or a vector."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class ConditionSpec:
    """The shape of the condition y of one example.

    Attributes:
      categories: K, if y is a label in 0..K-1; None for a vector.
      size: c, if y is a vector in R^c; 0 for a label.
      names: the K names of the labels, or the c names of the vector's components; empty if they have none.
    """

    categories: int | None = None
    size: int = 0
    names: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of y without the batch: `()` for a label, `(c,)` for a vector."""
        return () if self.categories is not None else (self.size,)

    @property
    def dtype(self) -> str:
        return "int32" if self.categories is not None else "float32"

    @property
    def width(self) -> int:
        """Number of features of y: K for a label, c for a vector."""
        return self.categories or self.size

    def features(self, y: tf.Tensor) -> tf.Tensor:
        """Return y as float32 features `[..., width]`: one-hot for a label, the vector itself otherwise."""
        return tf.one_hot(y, self.categories) if self.categories is not None else y
