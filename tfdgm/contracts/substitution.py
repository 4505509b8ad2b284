"""Tensors in the place of variables: a component as a function of its weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import keras
import tensorflow as tf

_Mapping = tuple[tuple[keras.Variable, tf.Tensor], ...]
_outer: ContextVar[_Mapping] = ContextVar("substituted", default=())


@contextmanager
def substituted(variables: Sequence[keras.Variable], values: Sequence[tf.Tensor]) -> Iterator[None]:
    """Within it each Keras variable reads as a tensor, through which gradients flow.

    It nests: variables that an outer substitution names, and this one does not, stay as the outer one has them.
    (`keras.StatelessScope` alone forgets them.)

    Args:
      variables: what to replace.
      values: tensors of the same shapes, in the same order.
    """
    # of one variable's entries the last counts
    mapping = (*_outer.get(), *zip(variables, values, strict=True))
    token = _outer.set(mapping)
    try:
        with keras.StatelessScope(state_mapping=mapping):
            yield
    finally:
        _outer.reset(token)
