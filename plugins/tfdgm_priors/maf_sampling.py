"""A masked autoregressive flow in its slow direction, u -> z: dimension by dimension, computing each unit once.

z_i depends on outputs i, which depend on hidden units of degrees below i; those of degree i depend on inputs up to z_i.
With the units sorted by degree, each dimension computes one group of units per layer and one pair of outputs, so that d
dimensions together cost one pass through the network, where d passes through the whole network would waste most units.
The gradient proceeds in the same way, from the last dimension to the first.

Arrays have the units first and the n examples last, so that each step writes a contiguous block.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tfdgm_flows.made import Architecture, Layers

from tfdgm_priors.bijector_loop import Orders, inverse_order

#: Kernels and biases, alternating. Those of a hidden layer have shapes `[groups, g, in]` and `[groups, g]`; group i
#: holds the g units of degree i + 1, padded with units of weight 0. Those of the last layer: `[d, 2, in]` and `[d, 2]`.
Groups = list[tf.Tensor]


def from_noise(u: tf.Tensor, layers: Layers, orders: Orders, architecture: Architecture) -> tuple[tf.Tensor, tf.Tensor]:
    """Map u to z, through the last bijector first: z_i = u_i exp(a_i) + m_i (Papamakarios et al. 2017, eq. 3).

    Args:
      u: `[n, d]`.
      layers: layers of the networks, stacked along the first axis.
      orders: how `maf_density.to_noise` reorders the dimensions before each bijector.
      architecture: architecture of the networks.

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
    """Sort the units of stacked layers by degree.

    Degrees along a layer are 1, 2, .., d-1, 1, 2, .. (`made.degrees`), so sorting is a transposition.
    """
    size, count = architecture.size, layers[0][0].shape[0]
    groups = max(1, size - 1)
    found: Groups = []
    before = (1, size)  # the previous layer: members of a group, groups
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
    """One bijector and its gradient."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.size = architecture.size

    def __call__(self, u: tf.Tensor, groups: Groups) -> tuple[tf.Tensor, tf.Tensor]:
        """Map u `[d, n]` to z `[d, n]` and sum_i a_i `[n]`."""
        *inner, kernel, bias = groups
        hidden_layers = list(zip(inner[::2], inner[1::2], strict=True))

        def output(i: tf.Tensor, hidden: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            """Return z_i `[1, n]` and a_i `[n]`."""
            shift, raw = tf.unstack(kernel[i] @ _flat(hidden) + bias[i][:, None])
            log_scale = self.architecture.log_scale(raw)
            return (u[i] * tf.exp(log_scale) + shift)[None], log_scale

        def step(i: tf.Tensor, total: tf.Tensor, *units: tf.Tensor) -> tuple[Any, ...]:
            group, log_scale = output(i, units[-1])
            written = [_written(units[0], i, group)]
            for (kernels, biases), before, own in zip(hidden_layers, units[:-1], units[1:], strict=True):
                group = self.architecture.activate(_product(kernels[i], before, i, group) + biases[i][:, None])
                written.append(_written(own, i, group))
            return i + 1, total + log_scale, *written

        last = self.size - 1
        units = [_zeros(u, shape) for shape in [(self.size, 1), *(biases.shape for _, biases in hidden_layers)]]
        start = (tf.constant(0), tf.zeros_like(u[0]), *units)
        _, total, z, *hidden = tf.while_loop(lambda i, *_: i < last, step, start, maximum_iterations=last)
        group, log_scale = output(tf.constant(last), hidden[-1])
        return _flat(_written(z, tf.constant(last), group)), total + log_scale

    def gradient(
        self, z: tf.Tensor, groups: Groups, of_z: tf.Tensor, of_total: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return gradients of u `[d, n]` and of the groups, given z and the gradients of `__call__`'s results."""
        kernels, biases = groups[::2], groups[1::2]
        inputs, slopes = [z], []
        for kernel, bias in zip(kernels[:-1], biases[:-1], strict=True):
            units = tf.reshape(kernel, [-1, kernel.shape[2]]) @ inputs[-1] + tf.reshape(bias, [-1, 1])
            hidden, slope = _with_slope(self.architecture.activate, units)
            inputs.append(hidden)
            slopes.append(tf.reshape(slope, [*bias.shape, -1]))
        outputs = tf.reshape(kernels[-1], [2 * self.size, -1]) @ inputs[-1] + tf.reshape(biases[-1], [-1, 1])
        shift, raw = tf.unstack(tf.reshape(outputs, [self.size, 2, -1]), axis=1)
        log_scale, slope = _with_slope(self.architecture.log_scale, raw)
        transposed = [self._transposed(kernel, layer) for layer, kernel in enumerate(kernels)]

        def output(i: tf.Tensor, of_first: tf.Tensor) -> tf.Tensor:
            """Return gradients of shift and raw log scale i, `[2, n]`, given those of the units that depend on z_i."""
            of_shift = of_z[i] + tf.squeeze(transposed[0][i] @ _flat(of_first), axis=0)
            return tf.stack([of_shift, (of_shift * (z[i] - shift[i]) + of_total) * slope[i]])

        def step(i: tf.Tensor, *of_units: tf.Tensor) -> tuple[Any, ...]:
            place, group = i, output(i, of_units[0])
            written = [_written(of_units[-1], i, group)]
            for layer in reversed(range(len(slopes))):
                of_group = _product(transposed[layer + 1][i - 1], of_units[layer + 1], place, group)
                place, group = i - 1, of_group * slopes[layer][i - 1]
                written.insert(0, _written(of_units[layer], place, group))
            return i - 1, *written

        last = self.size - 1
        start = (tf.constant(last), *(_zeros(z, bias.shape) for bias in biases))
        _, *of_units = tf.while_loop(lambda i, *_: i > 0, step, start, maximum_iterations=last)
        of_units[-1] = _written(of_units[-1], tf.constant(0), output(tf.constant(0), of_units[0]))
        found = []
        for kernel, before, of_layer in zip(kernels, inputs, of_units, strict=True):
            of_kernel = tf.matmul(_flat(of_layer), before, transpose_b=True)
            found += [tf.reshape(of_kernel, kernel.shape), tf.reduce_sum(of_layer, axis=-1)]
        return of_units[-1][:, 0] * tf.exp(log_scale), found

    def _transposed(self, kernel: tf.Tensor, layer: int) -> tf.Tensor:
        """Transpose a kernel `[groups, g, in]` to `[groups, g, out]` of its input units; inputs are groups of 1."""
        groups, members, units = kernel.shape
        before = self.size if layer == 0 else max(1, self.size - 1)
        split = tf.reshape(kernel, [groups * members, before, units // before])
        return tf.transpose(split, [1, 2, 0])


def _with_slope(function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return f(x) and f'(x) of an elementwise f."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = function(x)
    return value, tape.gradient(value, x)


def _zeros(examples: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Return zeros `[groups, g, n]` for examples `[d, n]`."""
    return tf.zeros([*shape, 1]) + tf.zeros_like(examples[0])


def _flat(units: tf.Tensor) -> tf.Tensor:
    """Reshape `[groups, g, n]` to `[groups * g, n]`."""
    return tf.reshape(units, [units.shape[0] * units.shape[1], -1])


def _written(units: tf.Tensor, i: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
    """Return units `[groups, g, n]` with group i replaced by `[g, n]`."""
    return tf.tensor_scatter_nd_update(units, [[i]], group[None])


def _product(kernel: tf.Tensor, units: tf.Tensor, i: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
    """Return kernel `[m, groups * g]` times the units with group i, from units in which group i is still 0.

    All units are read before any is written: otherwise XLA copies them all.
    """
    own = tf.reshape(kernel, [kernel.shape[0], *units.shape[:2]])[:, i]
    return kernel @ _flat(units) + own @ group
