"""What every function of the Python interface does around its work: errors in one message, and no leaks of settings."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tfdgm.errors import NonFiniteError, UserError, explained
from tfdgm.system.runtime import import_tensorflow

_F = TypeVar("_F", bound=Callable[..., Any])


def in_one_message(function: _F) -> _F:
    """Decorate a function to raise `UserError` for errors of the machine too: a full disk, memory, XLA's refusals."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (UserError, NonFiniteError):
            raise
        except Exception as error:
            _, message = explained(error)
            if message is None:
                raise
            raise UserError(message) from error

    return call  # type: ignore[return-value]


def computing(function: _F) -> _F:
    """Decorate a function that computes: as `in_one_message`, under `framework_defaults`."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with framework_defaults():
            return function(*args, **kwargs)

    return in_one_message(call)  # type: ignore[return-value]


@contextmanager
def framework_defaults() -> Iterator[None]:
    """Import TensorFlow, and give Keras and TensorFlow their default settings within the block.

    A program may have set others for its own models; those of a run would then have other numbers than a command's.

    Raises:
      UserError: Keras has been imported with another backend.
    """
    import_tensorflow()
    import keras
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"Keras has been imported with the backend {keras.backend.backend()!r}; tfdgm needs 'tensorflow': set "
            'os.environ["KERAS_BACKEND"] = "tensorflow" before keras is imported'
        )
    config = keras.config
    kept = config.floatx(), config.dtype_policy(), config.epsilon(), config.image_data_format()
    eager = tf.config.functions_run_eagerly()
    try:
        _set_keras("float32", "float32", 1e-7, "channels_last")
        tf.config.run_functions_eagerly(False)
        yield
    finally:
        _set_keras(*kept)
        tf.config.run_functions_eagerly(eager)


def _set_keras(floatx: str, policy: Any, epsilon: float, image_data_format: str) -> None:
    from keras import config

    config.set_floatx(floatx)
    config.set_dtype_policy(policy)
    config.set_epsilon(epsilon)
    config.set_image_data_format(image_data_format)
