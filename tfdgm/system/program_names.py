"""Name TensorFlow's functions after their content, so that the same program has the same name in every process.

TensorFlow numbers functions with a counter that also counts eager tensors, and XLA's cache of compiled programs has
the names in its keys: a process that does anything more or less before it traces a function does not find the program
of the last one. Here a function of the same operations gets the same name; a second one that lives at the same time
gets the next number.
"""

import hashlib
import re
import threading
from collections.abc import Callable
from typing import Any

#: What TensorFlow appends to names: a number of its counter.
_COUNTED = re.compile(r"_\d+$")
_INFERENCE = "__inference_"


def install() -> bool:
    """Make TensorFlow name the functions that it traces from now on after their content.

    Returns:
      Whether this version of TensorFlow has the functions to replace; without them, programs work, and are found less
      often.
    """
    try:
        from tensorflow.python.eager.polymorphic_function import atomic_function
        from tensorflow.python.framework import func_graph, ops
        from tensorflow.python.ops import control_flow_util_v2

        original, count, context = atomic_function.from_func_graph, ops.uid, atomic_function.context.context
        _ = control_flow_util_v2.unique_fn_name, control_flow_util_v2.unique_grad_fn_name
        capture = func_graph.FuncGraph.capture
    except (ImportError, AttributeError):
        return False
    if getattr(original, "names_content", False):
        return True
    names, lock = _Names(context), threading.RLock()

    def from_func_graph(name: Any, graph: Any, attrs: Any, *args: Any, **options: Any) -> Any:
        with lock:  # a name is free until it is registered
            return named(name, graph, attrs, *args, **options)

    def named(name: Any, graph: Any, attrs: Any, *args: Any, **options: Any) -> Any:
        branch = name == graph.name  # or the body of a loop: its caller refers to it by the name of its graph
        if branch or name.startswith(_INFERENCE):  # else one of a pair for gradients, which has the name of the other
            digest, gradients = _digest(graph, attrs)
            stem = name if branch else _COUNTED.sub("", name)
            name = names.name(stem, digest, gradients) if digest is not None else f"{stem}_{count()}"
        if branch:
            graph.name = name
        return original(name, graph, attrs, *args, **options)

    def capture_by_one_name(graph: Any, tensor: Any, name: Any = None, shape: Any = None) -> Any:
        return capture(graph, tensor, "captured" if name is None and isinstance(tensor, ops.EagerTensor) else name)

    from_func_graph.names_content = True  # type: ignore[attr-defined]
    atomic_function.from_func_graph = from_func_graph
    # A branch has its name while it is traced, in the names of its placeholders too, and its digest after that.
    control_flow_util_v2.unique_fn_name = lambda scope, name: f"{scope}{name}".replace("/", "_")
    control_flow_util_v2.unique_grad_fn_name = lambda forward: f"{forward}_grad"
    func_graph.FuncGraph.capture = capture_by_one_name
    return True


class _Names:
    """The names of functions with a digest, and what each living one refers to outside of its operations."""

    def __init__(self, context: Callable[[], Any]) -> None:
        self.context = context
        self.references: dict[str, list[str]] = {}

    def name(self, stem: str, digest: int, references: list[str]) -> str:
        """Return the name of an equal function, or the first one that no living function has.

        It ends in an integer, as TensorFlow's own names do: the fingerprint of a SavedModel expects that.
        """
        while self.context().has_function(name := f"{stem}_{digest}") and self.references.get(name, []) != references:
            digest += 1
        self.references.pop(name, None)
        if references:
            self.references[name] = references
        return name


def _digest(graph: Any, attrs: Any) -> tuple[int | None, list[str]]:
    """Return a digest of what a graph computes, and the numbered names of the gradients that it refers to.

    The digest is None where operations keep a state of their own: a seed, or a queue, table or iterator.
    """
    definition = graph.as_graph_def()
    gradients = []
    for node in definition.node:
        if "seed2" in node.attr or ("shared_name" in node.attr and node.op != "VarHandleOp"):
            return None, []
        if "_gradient_op_type" in node.attr:
            gradients.append(str(node.attr.pop("_gradient_op_type")))
    definition.ClearField("library")  # the operations have the names of its functions, which are digests
    content = hashlib.sha256(definition.SerializeToString(deterministic=True))
    inputs, outputs = ([tensor.name for tensor in side] for side in (graph.inputs, graph.outputs))
    content.update(repr((inputs, outputs, sorted(op.name for op in graph.control_outputs))).encode())
    content.update(repr(sorted((key, str(value)) for key, value in (attrs or {}).items())).encode())
    return int.from_bytes(content.digest()[:7], "big"), gradients
