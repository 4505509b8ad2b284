"""What a block of code does behind its arguments and results: graphs, generators."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf


@contextmanager
def graphs_traced() -> Iterator[list[str]]:
    """Collect the names of the functions that the block traces."""
    traced: list[str] = []
    original = tf.__internal__.FuncGraph.__init__

    def counted(self: Any, name: str, *arguments: Any, **named: Any) -> None:
        traced.append(name)
        original(self, name, *arguments, **named)

    tf.__internal__.FuncGraph.__init__ = counted
    try:
        yield traced
    finally:
        tf.__internal__.FuncGraph.__init__ = original


class Generators:
    """The global generators of Python, NumPy and TensorFlow within a block, seeded by a number."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __enter__(self) -> "Generators":
        self._kept = random.getstate(), np.random.get_state(), tf.random.get_global_generator()
        random.seed(self.seed)
        np.random.seed(self.seed)
        tf.random.set_seed(self.seed)
        tf.random.set_global_generator(tf.random.Generator.from_seed(self.seed))
        self._python, self._numpy = random.getstate(), _numpy_state()
        self._global = tf.random.get_global_generator().state.numpy()
        return self

    def used(self) -> list[str]:
        """Return the names of the generators from which the block has drawn."""
        names = []
        if random.getstate() != self._python:
            names.append("Python's")
        keys, position = _numpy_state()
        if position != self._numpy[1] or np.any(keys != self._numpy[0]):
            names.append("NumPy's")
        if np.any(tf.random.get_global_generator().state.numpy() != self._global):
            names.append("TensorFlow's global generator")
        after = float(tf.random.uniform([]))
        tf.random.set_seed(self.seed)
        if after != float(tf.random.uniform([])):  # the stream of `tf.random.normal` and the like
            names.append("TensorFlow's operations without a stateless seed")
        return names

    def __exit__(self, *exception: Any) -> None:
        python, numpy, generator = self._kept
        random.setstate(python)
        np.random.set_state(numpy)
        tf.random.set_global_generator(generator)


def _numpy_state() -> tuple[np.ndarray, int]:
    """Return the words of NumPy's global generator, and how many of them are used."""
    state: Any = np.random.get_state()
    return state[1], state[2]
