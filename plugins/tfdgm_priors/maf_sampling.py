"""A masked autoregressive flow in its slow direction, u -> z: one dimension after the other, each unit computed once.

z_i needs the outputs i, they the hidden units of degrees below i, and those of degree i the inputs up to z_i. With the
units sorted by degree, a dimension computes one group of units in each layer and one pair of outputs, so that d
dimensions cost together what one pass of the network does, where d passes of the whole network compute most units in
vain. The gradient goes back in the same way, from the last dimension to the first.

Arrays have the units in front and the examples, n of them, behind: what is written in a step is contiguous.
"""

from typing import Any

import tensorflow as tf

from tfdgm_priors.made import Architecture, Layers
from tfdgm_priors.maf_density import Orders, inverse_order

#: Kernels and biases in turn. A hidden layer's have shapes `[groups, g, in]` and `[groups, g]`, where group i holds the
#: g units of degree i + 1, filled up with units whose weights are 0; the last layer's `[d, 2, in]` and `[d, 2]`.
Groups = list[tf.Tensor]


def from_noise(u: tf.Tensor, layers: Layers, orders: Orders, architecture: Architecture) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes z of u, through the last bijector first: z_i = u_i exp(a_i) + m_i (Papamakarios 2017, eq. 3).

    Args:
      u: `[n, d]`.
      layers: of the networks, stacked along the first axis.
      orders: how `maf_density.to_noise` reorders the dimensions before each bijector.
      architecture: the networks'.

    Returns:
      z `[n, d]` and log |det dz/du| `[n]`.
    """
    count = len(orders)
    forth, back = tf.constant(orders), tf.constant([inverse_order(order) for order in orders])
    bijector = _Bijector(architecture)

    @tf.custom_gradient
    def flow(u: tf.Tensor, *groups: tf.Tensor) -> Any:
        def step(number: tf.Tensor, u: tf.Tensor, log_det: tf.Tensor, seen: tf.TensorArray) -> tuple[Any, ...]:
            z, contribution = bijector(u, [tensor[number] for tensor in groups])
            return number - 1, tf.gather(z, back[number]), log_det + contribution, seen.write(number, z)

        seen = tf.TensorArray(tf.float32, count, element_shape=u.shape)
        start = (tf.constant(count - 1), u, tf.zeros_like(u[0]), seen)
        _, z, log_det, seen = tf.while_loop(lambda number, *_: number >= 0, step, start, maximum_iterations=count)
        each_z = seen.stack()

        def gradient(of_z: tf.Tensor, of_log_det: tf.Tensor) -> tuple[tf.Tensor, ...]:
            def step(number: tf.Tensor, of_z: tf.Tensor, *of_groups: tf.TensorArray) -> tuple[Any, ...]:
                own = [tensor[number] for tensor in groups]
                of_z = tf.gather(of_z, forth[number])
                of_u, of_own = bijector.gradient(each_z[number], own, of_z, of_log_det)
                return number + 1, of_u, *(a.write(number, g) for a, g in zip(of_groups, of_own, strict=True))

            arrays = [tf.TensorArray(tf.float32, count, element_shape=tensor.shape[1:]) for tensor in groups]
            start = (tf.constant(0), of_z, *arrays)
            _, of_u, *arrays = tf.while_loop(lambda number, *_: number < count, step, start, maximum_iterations=count)
            return of_u, *(array.stack() for array in arrays)

        return (z, log_det), gradient

    z, log_det = flow(tf.transpose(u), *by_degree(layers, architecture))
    return tf.transpose(z), log_det


def by_degree(layers: Layers, architecture: Architecture) -> Groups:
    """The units of stacked layers sorted by degree.

    Degrees go 1, 2, .., d-1, 1, 2, .. along a layer (`made.degrees`), so that sorting is a transposition.
    """
    size, count = architecture.size, layers[0][0].shape[0]
    groups = max(1, size - 1)
    found: Groups = []
    before = (1, size)  # of the units before: members of a group, groups
    for number, (kernel, bias) in enumerate(layers):
        last = number == len(layers) - 1
        after = (2, size) if last else (-(-kernel.shape[2] // groups), groups)
        units_before, units = before[0] * before[1], after[0] * after[1]
        kernel = tf.pad(kernel, [[0, 0], [0, units_before - kernel.shape[1]], [0, units - kernel.shape[2]]])
        kernel = tf.transpose(tf.reshape(kernel, [count, *before, *after]), [0, 4, 3, 2, 1])
        bias = tf.reshape(tf.pad(bias, [[0, 0], [0, units - bias.shape[1]]]), [count, *after])
        found += [tf.reshape(kernel, [count, *after[::-1], units_before]), tf.transpose(bias, [0, 2, 1])]
        before = after
    return found


class _Bijector:
    """One bijector, and its gradient."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.size = architecture.size

    def __call__(self, u: tf.Tensor, groups: Groups) -> tuple[tf.Tensor, tf.Tensor]:
        """u `[d, n]` -> z `[d, n]` and sum_i a_i `[n]`."""
        *inner, kernel, bias = groups
        hidden_layers = list(zip(inner[::2], inner[1::2], strict=True))

        def output(i: tf.Tensor, z: tf.Tensor, total: tf.Tensor, hidden: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            shift, raw = tf.unstack(kernel[i] @ _flat(hidden) + bias[i][:, None])
            log_scale = self.architecture.log_scale(raw)
            return _written(z, i, u[i] * tf.exp(log_scale) + shift), total + log_scale

        def step(i: tf.Tensor, z: tf.Tensor, total: tf.Tensor, *hidden: tf.Tensor) -> tuple[Any, ...]:
            before, after = z, []
            for (kernels, biases), units in zip(hidden_layers, hidden, strict=True):
                group = self.architecture.activate(kernels[i] @ before + biases[i][:, None])
                after.append(_written(units, i, group))
                before = _flat(after[-1])
            return i + 1, *output(i + 1, z, total, after[-1]), *after

        hidden = [_zeros(u, biases.shape) for _, biases in hidden_layers]
        z, total = output(tf.constant(0), tf.zeros_like(u), tf.zeros_like(u[0]), hidden[-1])
        steps = self.size - 1
        _, z, total, *_ = tf.while_loop(
            lambda i, *_: i < steps, step, (tf.constant(0), z, total, *hidden), maximum_iterations=steps
        )
        return z, total

    def gradient(
        self, z: tf.Tensor, groups: Groups, of_z: tf.Tensor, of_total: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Gradients of u `[d, n]` and of the groups, from those of what `__call__` returns and its z."""
        kernels, biases = groups[::2], groups[1::2]
        inputs, slopes = [z], []
        for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
            units = tf.reshape(kernel, [-1, kernel.shape[2]]) @ inputs[-1] + tf.reshape(bias, [-1, 1])
            with tf.GradientTape() as tape:
                tape.watch(units)
                hidden = self.architecture.activate(units)
            slopes.append(tf.reshape(tape.gradient(hidden, units), [*bias.shape, -1]))
            inputs.append(hidden)
        outputs = tf.reshape(kernels[-1], [2 * self.size, -1]) @ inputs[-1] + tf.reshape(biases[-1], [-1, 1])
        shift, raw = tf.unstack(tf.reshape(outputs, [self.size, 2, -1]), axis=1)
        with tf.GradientTape() as tape:
            tape.watch(raw)
            log_scale = self.architecture.log_scale(raw)
        slope = tape.gradient(log_scale, raw)
        transposed = [self._transposed(kernel, layer) for layer, kernel in enumerate(kernels)]

        def output(i: tf.Tensor, of_outputs: tf.Tensor, of_first: tf.Tensor) -> tf.Tensor:
            """The gradients of shift and raw log scale of dimension i, from those of all that depends on z_i."""
            total = of_z[i] + tf.squeeze(transposed[0][i] @ _flat(of_first), axis=0)
            of_raw = (total * (z[i] - shift[i]) + of_total) * slope[i]
            return _written(of_outputs, i, tf.stack([total, of_raw]))

        def step(i: tf.Tensor, of_outputs: tf.Tensor, *of_units: tf.Tensor) -> tuple[Any, ...]:
            of_outputs = output(i + 1, of_outputs, of_units[0])
            after, of_next = list(of_units), _flat(of_outputs)
            for layer in reversed(range(len(after))):
                group = (transposed[layer + 1][i] @ of_next) * slopes[layer][i]
                after[layer] = _written(after[layer], i, group)
                of_next = _flat(after[layer])
            return i - 1, of_outputs, *after

        steps = self.size - 1
        start = (tf.constant(steps - 1), *(_zeros(z, bias.shape) for bias in [biases[-1], *biases[:-1]]))
        _, of_outputs, *of_units = tf.while_loop(lambda i, *_: i >= 0, step, start, maximum_iterations=steps)
        of_outputs = output(tf.constant(0), of_outputs, of_units[0])
        found = []
        for kernel, before, of_layer in zip(kernels, inputs, [*of_units, of_outputs], strict=True):
            of_kernel = tf.matmul(_flat(of_layer), before, transpose_b=True)
            found += [tf.reshape(of_kernel, kernel.shape), tf.reduce_sum(of_layer, axis=-1)]
        return of_outputs[:, 0] * tf.exp(log_scale), found

    def _transposed(self, kernel: tf.Tensor, layer: int) -> tf.Tensor:
        """`[groups, g, in]` of layer's units -> `[groups, g, out]` of the units that it reads."""
        groups, members, units = kernel.shape
        before = self.size if layer == 0 else max(1, self.size - 1)
        split = tf.reshape(kernel, [groups * members, before, units // before])
        return tf.transpose(split, [1, 2, 0])


def _written(rows: tf.Tensor, i: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
    return tf.tensor_scatter_nd_update(rows, [[i]], row[None])


def _zeros(like: tf.Tensor, shape: tf.TensorShape) -> tf.Tensor:
    """`[*shape, n]` for examples `[d, n]`."""
    return tf.zeros([*shape, 1]) + tf.zeros_like(like[0])


def _flat(units: tf.Tensor) -> tf.Tensor:
    """`[groups, g, n]` -> `[groups * g, n]`."""
    return tf.reshape(units, [units.shape[0] * units.shape[1], -1])
