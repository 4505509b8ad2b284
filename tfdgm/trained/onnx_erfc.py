"""The operation Erfc for tf2onnx, which lacks it; Keras computes GELU by it. Importing this module registers it."""

from typing import Any

import numpy as np
from tf2onnx.handler import tf_op


@tf_op("Erfc")
class Erfc:
    """erfc(x) = 1 - erf(x), in float32 right to 1e-7 and not to its relative precision, far in the tail."""

    @classmethod
    def version_9(cls, graph: Any, node: Any, **options: Any) -> None:
        """Replace a node of the graph; opset 9 is the first with Erf."""
        (x,) = node.input
        shape, dtype = graph.get_shape(node.output[0]), graph.get_dtype(node.output[0])
        one = graph.make_const(f"{node.name}_one", np.ones([], np.float32)).output[0]
        erf = graph.make_node("Erf", [x]).output[0]
        outputs = list(node.output)
        graph.remove_node(node.name)
        graph.make_node("Sub", [one, erf], outputs=outputs, shapes=[shape], dtypes=[dtype])
