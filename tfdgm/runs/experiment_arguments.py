"""Read the arguments of `experiment` from its source, without importing it, which would import TensorFlow."""

import ast
import functools
from pathlib import Path


def experiment_arguments() -> tuple[str, ...]:
    """Return the names of all arguments, in the order of the signature."""
    return tuple(argument.arg for argument in _signature())


def free_arguments() -> tuple[str, ...]:
    """Return the names of the arguments annotated `Free[...]`, which a resumed run may change."""
    return _annotated("Free")


def extendable_arguments() -> tuple[str, ...]:
    """Return the names of the arguments annotated `Extendable[...]`, which an extended run may change as well."""
    return _annotated("Extendable")


def _annotated(mark: str) -> tuple[str, ...]:
    return tuple(
        argument.arg
        for argument in _signature()
        if isinstance(argument.annotation, ast.Subscript)
        and isinstance(argument.annotation.value, ast.Name)
        and argument.annotation.value.id == mark
    )


@functools.cache
def _signature() -> list[ast.arg]:
    tree = ast.parse(Path(__file__).with_name("settings.py").read_text(encoding="utf-8"))
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "experiment")
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
