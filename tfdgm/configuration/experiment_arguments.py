"""The names of the arguments of `experiment`, for what must not wait until TensorFlow is imported."""

import ast
import functools
from pathlib import Path


@functools.cache
def experiment_arguments() -> tuple[str, ...]:
    """In the order of the signature, which is read off the source."""
    tree = ast.parse((Path(__file__).parents[1] / "runs/settings.py").read_text(encoding="utf-8"))
    (made,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "experiment")
    return tuple(argument.arg for argument in (*made.args.posonlyargs, *made.args.args, *made.args.kwonlyargs))
