"""Data whose splits are drawn from a known distribution."""

import functools
import inspect
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tfdgm import Data, Source

_STREAMS = {"train": 0, "validation": 1, "test": 2}


class SampledSplits(Data):
    """Data whose splits are independent draws, fixed by a seed.

    Split number k (0 train, 1 validation, 2 test) is drawn from `numpy.random.RandomState([sample_seed, k])`. NumPy
    freezes these streams, so all its versions draw the same examples. A split of size 0 does not exist.

    Args:
      num_train: number of training examples.
      num_validation: number of validation examples; 0 for no such split.
      num_test: number of test examples; 0 for no such split.
      sample_seed: seed of the examples; the run's seed does not change them.
    """

    def __init__(
        self,
        *,
        num_train: int = 100_000,
        num_validation: int = 2_000,
        num_test: int = 10_000,
        sample_seed: int = 0,
    ) -> None:
        self.require(num_train >= 1, f"num_train must be at least 1, got {num_train}")
        self.require(num_validation >= 0, f"num_validation must not be negative, got {num_validation}")
        self.require(num_test >= 0, f"num_test must not be negative, got {num_test}")
        self.require(0 <= sample_seed < 2**32, f"sample_seed must be from 0 to 2^32 - 1, got {sample_seed}")
        counts = {"train": num_train, "validation": num_validation, "test": num_test}
        self.counts = {name: count for name, count in counts.items() if count}
        self.sample_seed = sample_seed

    @abstractmethod
    def draw_split(self, name: str, random: np.random.RandomState, count: int) -> Source:
        """Draw `count` examples of the split `name`."""

    def splits(self) -> dict[str, Source]:
        return {
            name: self.draw_split(name, np.random.RandomState([self.sample_seed, _STREAMS[name]]), count)
            for name, count in self.counts.items()
        }

    def describe(self) -> dict[str, Any]:
        return {
            "drawn": f"from RandomState([{self.sample_seed}, k]), k = 0 train, 1 validation, 2 test",
            "examples": dict(self.counts),
        }


Splits = TypeVar("Splits", bound=type[SampledSplits])


def with_split_sizes(**defaults: int) -> Callable[[Splits], Splits]:
    """Add the parameters of `SampledSplits`, and their documentation, to a subclass's constructor.

    The subclass declares its own parameters only, and its `__init__` does not call that of `SampledSplits`:

        @with_split_sizes(num_train=50_000)
        class Disc(SampledSplits):
            def __init__(self, *, radius: float = 1.0) -> None: ...

        Disc(radius=2.0, num_test=0)

    Args:
      **defaults: defaults that differ from those of `SampledSplits`.
    """
    inherited = inspect.signature(SampledSplits.__init__).parameters.values()
    sizes = {
        parameter.name: parameter.replace(default=defaults.get(parameter.name, parameter.default))
        for parameter in inherited
        if parameter.kind is parameter.KEYWORD_ONLY
    }

    def decorate(data: Splits) -> Splits:
        own_init: Any = data.__init__
        own = inspect.signature(own_init)

        @functools.wraps(own_init)
        def init(self: SampledSplits, *args: Any, **settings: Any) -> None:
            given = {name: settings.pop(name, size.default) for name, size in sizes.items()}
            own_init(self, *args, **settings)
            SampledSplits.__init__(self, **given)

        # gin reads parameters and defaults off the signature, and would look behind a wrapper
        del init.__wrapped__  # type: ignore[attr-defined]
        init.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[*own.parameters.values(), *sizes.values()]
        )
        data.__init__ = init  # type: ignore[method-assign, misc]
        data.__doc__ = _documented(data)
        return data

    return decorate


def _documented(data: type[SampledSplits]) -> str:
    """Append the documentation of the split sizes to the class's own."""
    text, sizes = inspect.cleandoc(data.__doc__ or ""), inspect.cleandoc(SampledSplits.__doc__ or "")
    separator = "" if "\nArgs:\n" in text else "\n\nArgs:"
    return text + separator + sizes.partition("\nArgs:")[2]
