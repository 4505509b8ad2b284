"""Tensors in place of variables: a component as a function of its weights."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import keras
import tensorflow as tf

_Mapping = tuple[tuple[keras.Variable, tf.Tensor], ...]
_outer: ContextVar[_Mapping] = ContextVar("substituted", default=())


@contextmanager
def substituted(variables: Sequence[keras.Variable], values: Sequence[tf.Tensor]) -> Iterator[None]:
    """Replace Keras variables by tensors within the block, so that gradients flow to the tensors.

    Substitutions nest: the inner block keeps the outer block's tensors for all other variables.
    (`keras.StatelessScope` alone forgets them.)

    Args:
      variables: the variables to replace.
      values: tensors of the same shapes, in the same order.
    """
    # the last entry of a variable wins
    mapping = (*_outer.get(), *zip(variables, values, strict=True))
    token = _outer.set(mapping)
    try:
        with keras.StatelessScope(state_mapping=mapping):
            yield
    finally:
        _outer.reset(token)
