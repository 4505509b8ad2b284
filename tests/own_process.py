"""Run the tests of a module in a process of their own, which ends with the module and frees what they compiled.

XLA's programs and TensorFlow's graphs stay in the memory of a process. The modules that make most of them use the
fixture `own_process` of conftest.py: `own_process(function, *arguments)` calls a function of the module, not a test,
with arguments that can be pickled, and returns its result or raises its error.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager


def prepare():
    """Set TensorFlow up as for all other tests."""
    import conftest  # noqa: F401  # it does so on import


@contextmanager
def process():
    """Yield a function that calls another one in the process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), prepare) as pool:
        yield lambda function, *arguments: pool.submit(function, *arguments).result()
