"""The style of plots, apart from pictures of examples, which need TensorFlow."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw with matplotlib's own settings within the block.

    Otherwise matplotlib reads a file `matplotlibrc` of the current folder, whoever owns it; that file can make LaTeX
    run arbitrary commands.
    """
    from matplotlib import style

    with style.context("default"):
        yield
