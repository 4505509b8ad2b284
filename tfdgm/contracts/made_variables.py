"""Watches where variables are made: one that is not below a component is neither trained nor saved."""

import dataclasses
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Made:
    """A variable, with the file and line where it was made."""

    variable: Any
    place: str

    def __str__(self) -> str:
        return f"the variable {self.variable.name!r} of shape {tuple(self.variable.shape)} ({self.place})"


def place_of(stack: Sequence[traceback.FrameSummary]) -> str:
    """Return the file and line of the innermost frame outside of libraries and of this package's machinery."""
    own = [frame for frame in stack if "site-packages" not in frame.filename and frame.filename != __file__]
    frame = own[-1]
    return f'file "{frame.filename}", line {frame.lineno}'


@contextmanager
def variables_made() -> Iterator[list[Made]]:
    """Collect the variables that the block creates, those of Keras included."""
    made: list[Made] = []

    def creator(create: Callable[..., Any], **arguments: Any) -> Any:
        variable = create(**arguments)
        made.append(Made(variable, place_of(traceback.extract_stack()[:-1])))
        return variable

    with tf.variable_creator_scope(creator):
        yield made


@contextmanager
def no_variables(refuse: Callable[[str], Exception]) -> Iterator[None]:
    """Raise the exception that `refuse` makes of a place when the block creates a variable there."""

    def creator(create: Callable[..., Any], **arguments: Any) -> Any:
        raise refuse(place_of(traceback.extract_stack()[:-1]))

    with tf.variable_creator_scope(creator):
        yield
