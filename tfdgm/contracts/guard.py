"""Turns an exception in a plugin's method, and a result of the wrong kind, into one message that names both.

Every method of a contract that a plugin defines is wrapped when its class is created.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import tensorflow as tf

from tfdgm.contracts.made_variables import no_variables
from tfdgm.errors import NonFiniteError, PluginFault, UserError, described, raised_by_library

#: The methods that may make variables: those that build, those of data on the host (a classifier), those of callbacks.
_MAKE_VARIABLES = (
    "__init__", "build", "splits", "density", "modes", "features", "classifier",
    "on_start", "on_loop_end", "on_validation", "on_checkpoint", "on_end",
)  # fmt: skip

#: Exceptions that mean something to the caller, or that are not the plugin's fault.
_PASSED = (UserError, NonFiniteError, MemoryError, OSError, tf.errors.OpError)


def guard_methods(cls: type, contract: type, results: Mapping[str, Callable[[Any], str | None]]) -> None:
    """Wrap the methods of a contract that a class defines.

    Args:
      cls: the class.
      contract: its contract.
      results: by method, a function that returns what is wrong with a result, or None.
    """
    names = {name for base in contract.__mro__ for name in vars(base) if name == "__call__" or name[0] != "_"}
    for name in names & set(vars(cls)):
        method = vars(cls)[name]
        if callable(method) and not isinstance(method, (type, staticmethod)):
            setattr(cls, name, guarded(method, name, results.get(name)))


def guarded(method: Callable[..., Any], name: str, problem: Callable[[Any], str | None] | None = None) -> Any:
    """Return a method whose exceptions and wrong results are a `PluginFault`."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        def refused(place: str) -> PluginFault:
            return PluginFault(
                f"{self.display_name()}: {name} makes a variable ({place}); make it in build, where a Keras layer is "
                "built by layer.build(shape)"
            )

        try:
            with nullcontext() if name in _MAKE_VARIABLES else no_variables(refused):
                result = method(self, *args, **kwargs)
        except _PASSED:
            raise
        except Exception as error:
            if isinstance(error, NotImplementedError) and not raised_by_library(error):
                raise  # the plugin says that it has no such result, as `Objective.scores` may
            raise PluginFault(f"{self.display_name()}: {name} raised {described(error)}") from error
        wrong = None if problem is None else problem(result)
        if wrong is not None:
            code = getattr(inspect.unwrap(getattr(method, "python_function", method)), "__code__", None)
            where = f' (file "{code.co_filename}", line {code.co_firstlineno})' if code is not None else ""
            raise PluginFault(f"{self.display_name()}: {name} returned {spelt(result)}, not {wrong}{where}")
        return result

    return call


def kind_of_result(wanted: Callable[[], type], words: str) -> Callable[[Any], str | None]:
    """Return a function that returns `words` for a result that is no instance of the type."""
    return lambda result: None if isinstance(result, wanted()) else words


def distribution() -> type:
    """Return tfd.Distribution, whose import takes seconds."""
    from tensorflow_probability import distributions as tfd

    return tfd.Distribution


is_distribution = kind_of_result(distribution, "a tfd.Distribution")
is_tensor = kind_of_result(lambda: tf.Tensor, "a tensor")


def spelt(value: Any) -> str:
    """Return a result as words: a tensor by type and shape, others by type."""
    if value is None:
        return "None"
    if tf.is_tensor(value) or hasattr(value, "dtype"):
        shape = getattr(value, "shape", None)
        return f"a {type(value).__name__} of shape {tuple(shape) if shape is not None else '?'} and {value.dtype}"
    return f"a {type(value).__name__}"
