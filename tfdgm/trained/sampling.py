"""Samples and reconstructions of a trained model."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.contracts.data import evenly
from tfdgm.contracts.specs import DataSpec
from tfdgm.errors import UserError, did_you_mean
from tfdgm.numerics.randomness import fold, integer_seed, root_seed
from tfdgm.runs.experiment import Built
from tfdgm.system.files import replacing

_AT_ONCE = 500


@dataclasses.dataclass(frozen=True)
class Samples:
    """Draws from a model.

    Attributes:
      x: draws from p(x|z), `[num, *shape]`, or its means, as `experiment.samples` says.
      mean: E[x|z] at the same z, `[num, *shape]`.
      z: draws from the prior, `[num, *event]`.
      y: the conditions, `[num, *condition.shape]`; None in a model without.
    """

    x: np.ndarray
    mean: np.ndarray
    z: np.ndarray
    y: np.ndarray | None = None


class Sampler:
    """Draws z ~ p(z), then x ~ p(x|z), by a program that is compiled once, whatever the weights.

    Args:
      built: the experiment; moving averages of its weights are used if there are any.
      num: number of draws.

    Raises:
      UserError: `num` is below 1.
    """

    def __init__(self, built: Built, num: int) -> None:
        if num < 1:
            raise UserError(f"the number of samples must be at least 1, got {num}")
        self.built = built
        self.num = num
        self.size = min(num, _AT_ONCE)
        self._generated = built.devices.map(self._generate)

    def _generate(
        self, block: tf.Tensor, root: tf.Tensor, step: tf.Tensor, *y: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        context = Context(fold(root, block), step, y=y[0] if y else None)
        z, likelihood = self.built.model.generate(self.size, context)
        return self.built.model.example(likelihood, context), likelihood.mean(), z

    def __call__(self, seed: int = 0, y: np.ndarray | None = None) -> Samples:
        """Draw samples from `seed` alone; the run's seed has no effect.

        Args:
          seed: of the draws.
          y: the condition of every draw, `[num, *condition.shape]`; None draws those of training examples.
        """
        root, step = root_seed(seed, "sample"), self.built.state.step.read_value()
        number = -(-self.num // self.size)
        calls: Iterable[tuple] = ((tf.constant(block), root, step) for block in range(number))
        if self.built.model.condition is not None:
            y = self._conditions(seed) if y is None else np.asarray(y, self.built.model.condition.dtype)
            if len(y) != self.num:
                raise UserError(f"{self.num} draws need as many conditions, got {len(y)}")
            blocks_of_y = np.resize(y, (number, self.size, *y.shape[1:]))
            calls = ((*call, tf.constant(own)) for call, own in zip(calls, blocks_of_y, strict=True))
        with self.built.state.averaged():
            blocks = list(self._generated(calls))
        x, mean, z = (
            np.concatenate([part.numpy() for part in parts])[: self.num] for parts in zip(*blocks, strict=True)
        )
        return Samples(x, mean, z, y)

    def _conditions(self, seed: int) -> np.ndarray:
        """Return the conditions of `num` training examples drawn at random."""
        train = self.built.experiment.train
        random = np.random.RandomState(integer_seed(seed, "conditions"))
        return train.conditions(random.randint(len(train), size=self.num))


def draw(built: Built, num: int, seed: int = 0, y: np.ndarray | None = None) -> Samples:
    """Draw `num` samples from a trained model; see `Sampler`."""
    return Sampler(built, num)(seed, y)


def by_label(built: Built, num: int) -> np.ndarray | None:
    """Return labels for a picture, one row of equal ones after the other; None without labels.

    There are `num`, rounded up to full rows; with more labels than `num`, the first `num`, one each.
    """
    condition = built.model.condition
    if condition is None or condition.categories is None:
        return None
    each = -(-num // condition.categories)
    return np.repeat(np.arange(min(num, condition.categories), dtype=np.int32), each)


def label_number(built: Built, given: str | int) -> int:
    """Return the number of a label, given by its name or number.

    Raises:
      UserError: the model has no labels, or not this one.
    """
    condition = built.model.condition
    if condition is None or condition.categories is None:
        raise UserError("the model is not conditioned on labels (experiment.condition)")
    names, given = condition.names or tuple(map(str, range(condition.categories))), str(given)
    if given in names:
        return names.index(given)
    if given.isdecimal() and int(given) < condition.categories:
        return int(given)
    raise UserError(f"there is no label {given!r}. {did_you_mean(given, names)}")


def save_samples(path: Path, samples: Samples, spec: DataSpec) -> None:
    """Write an .npz file of the arrays `x`, `mean`, `z`, and `y` if any; replaces an existing file once complete.

    If the data was scaled, `x` and `mean` are written in the original units, as float64.
    """
    arrays = {name: array for name, array in vars(samples).items() if array is not None}
    arrays |= {name: spec.restore(arrays[name]) for name in ("x", "mean")}
    with replacing(path) as file:
        np.savez(file, **arrays)


def examples(built: Built, split: str, num: int) -> np.ndarray:
    """Return x of at most `num` examples spread evenly over a split, `[n, *shape]`."""
    source = built.experiment.splits[split]
    rows = source.gather(evenly(len(source), min(num, len(source))))

    @tf.function(jit_compile=True, autograph=False)
    def observed(rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return built.model.observe(rows, Context(seed, tf.constant(0, tf.int64)))[0]

    return observed(tf.constant(rows), root_seed(0, "examples")).numpy()


class Reconstructor:
    """Reconstructs examples spread evenly over a split, by a program that is compiled once, whatever the weights.

    Args:
      built: the experiment; moving averages of its weights are used if there are any.
      split: of the data.
      num: number of examples, at most those of the split.

    Raises:
      UserError: the model has no posterior, or the data has no such split.
    """

    def __init__(self, built: Built, split: str, num: int) -> None:
        if built.model.posterior is None:
            raise UserError("the model has no posterior, so it cannot reconstruct")
        if split not in built.experiment.splits:
            raise UserError(f"the data has no split {split!r}")
        source = built.experiment.splits[split]
        self.built = built
        self.rows = source.gather(evenly(len(source), min(num, len(source))))
        self._reconstructed = built.devices.map(self._reconstruct)

    def _reconstruct(self, rows: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        model = self.built.model
        x, context = model.observe(rows, Context(root_seed(0, "reconstruct"), step))
        value = model.infer(x, context).sample(seed=context.seed_for("draws"))
        return x, model.decode(model.embed(value), context).mean()

    def __call__(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the examples x, and E[x'|z] at one z ~ q(z|x) each."""
        with self.built.state.averaged():
            calls = [(tf.constant(self.rows), self.built.state.step.read_value())]
            x, mean = next(self._reconstructed(calls))
        return x.numpy(), mean.numpy()


def reconstruct(built: Built, split: str, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `num` examples of a split, and their reconstructions; see `Reconstructor`."""
    return Reconstructor(built, split, num)()
