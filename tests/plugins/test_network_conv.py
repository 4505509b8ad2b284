"""The convolutional network: shapes between images and vectors, and its formula against SciPy."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy.signal import correlate
from small import context
from tfdgm_networks.conv import Conv
from tfdgm_networks.images import as_image, halvings

from tfdgm import BuildContext, DataSpec, LatentSpec, UserError
from tfdgm.contracts.component import named_variables, trainable

COLOUR = DataSpec(shape=(32, 32, 3), image_shape=(32, 32, 3))
ODD = DataSpec(shape=(31, 17, 1), image_shape=(31, 17))
WIDE = DataSpec(shape=(60, 100, 3), image_shape=(60, 100, 3))
FLAT = DataSpec(shape=(64,), image_shape=(8, 8))


def built(source, target, data=COLOUR, latent=None, seed=0, **settings):
    settings = {"width": 8, "residual_blocks": 1, **settings}
    network = Conv(**settings)
    network.build(source, target, BuildContext(data, latent or LatentSpec(5), 10, None, seed))
    for name, variable in named_variables(network).items():
        if name.endswith("bias"):
            variable.assign(np.random.RandomState(1).randn(*variable.shape) / 10)
    return network


def applied(network, source, batch=3):
    x = np.random.RandomState(0).randn(batch, *source).astype(np.float32)
    return x, network(tf.constant(x), context()).numpy()


def convolved(x, layer):
    """`same` convolution of stride 1 of images `[batch, h, w, c]`, by SciPy, in float64."""
    kernel, bias = layer.kernel.numpy().astype(float), layer.bias.numpy()
    height, width = kernel.shape[0] // 2, kernel.shape[1] // 2
    x = np.pad(x, [(0, 0), (height, height), (width, width), (0, 0)])
    maps = [[correlate(image, kernel[..., c], "valid")[..., 0] for c in range(kernel.shape[-1])] for image in x]
    return np.moveaxis(np.array(maps), 1, -1) + bias


@pytest.mark.parametrize(
    "source, target, data",
    [
        ((32, 32, 3), (10,), COLOUR),
        ((5,), (32, 32, 3), COLOUR),
        ((32, 32, 3), (8, 8, 6), COLOUR),
        ((8, 8, 6), (32, 32, 3), COLOUR),
        ((32, 32, 3), (32, 32, 4), COLOUR),
        ((32, 32, 3), (), COLOUR),
        ((31, 17, 1), (10,), ODD),
        ((5,), (31, 17, 1), ODD),
        ((31, 17, 1), (8, 5, 6), ODD),
        ((8, 5, 6), (31, 17, 1), ODD),
        ((4, 3, 6), (31, 17, 1, 2), ODD),
        ((5,), (31, 17, 1, 256), ODD),
        ((60, 100, 3), (15, 25, 6), WIDE),
        ((15, 25, 6), (60, 100, 3), WIDE),
        ((5,), (60, 100, 3), WIDE),
        ((64,), (10,), FLAT),
        ((5,), (64,), FLAT),
        ((64,), (4, 4, 6), FLAT),
        ((4, 4, 6), (64,), FLAT),
        ((5,), (64, 17), FLAT),
        ((2, 2, 6), (64, 2), FLAT),
    ],
)
def test_it_maps_between_images_vectors_and_grids_of_any_size(source, target, data):
    network = built(source, target, data)
    x, y = applied(network, source)
    assert y.shape == (3, *target) and np.all(np.isfinite(y))
    # one example at a time gives the same up to float32: no example sees another
    np.testing.assert_allclose(np.concatenate([network(x[i : i + 1], context()) for i in range(3)]), y, atol=1e-4)


@pytest.mark.parametrize(
    "source, target, data, sizes",
    [
        ((32, 32, 3), (10,), COLOUR, [(32, 32), (16, 16), (8, 8), (4, 4)]),
        ((5,), (31, 17, 1), ODD, [(4, 3), (8, 5), (16, 9), (31, 17)]),
        ((31, 17, 1), (8, 5, 6), ODD, [(31, 17), (16, 9), (8, 5)]),
        ((60, 100, 3), (10,), WIDE, [(60, 100), (30, 50), (15, 25), (8, 13), (4, 7), (2, 4)]),
        ((4, 4, 6), (64,), FLAT, [(4, 4), (8, 8)]),
        ((5,), (64, 17), FLAT, [(4, 4), (8, 8)]),
        ((8, 8, 3), (8, 8, 3), dataclasses.replace(FLAT, shape=(8, 8, 3)), [(8, 8)]),
    ],
)
def test_the_sizes_on_the_way_are_halves_rounded_up(source, target, data, sizes):
    assert built(source, target, data).sizes == sizes


@pytest.mark.parametrize("smallest, coarsest", [(1, (1, 1)), (3, (2, 2)), (4, (4, 4)), (7, (4, 4)), (64, (32, 32))])
def test_vectors_stand_at_the_first_size_that_is_small_enough(smallest, coarsest):
    assert built((32, 32, 3), (10,), smallest=smallest).sizes[-1] == coarsest
    assert built((5,), (32, 32, 3), smallest=smallest).sizes[0] == coarsest


def test_each_finer_size_has_half_the_channels_and_at_least_sixteen():
    down = built((32, 32, 3), (10,), smallest=2, width=128).down
    assert [layer.kernel.shape[-2:] for layer, _ in down] == [(3, 16), (16, 32), (32, 64), (64, 128)]
    up = built((5,), (32, 32, 3), smallest=2, width=128).up
    assert [layer.kernel.shape[-2:] for _, layer in up] == [(64, 128), (32, 64), (16, 32), (3, 16)]
    assert [layer.kernel.shape[-1] for layer, _ in built((32, 32, 3), (10,), smallest=1, width=64).down] == [
        *(16, 16, 16, 32, 64)
    ]


def test_features_that_have_as_many_numbers_as_x_are_still_a_vector():
    # d = 32 with mean and scale: 64 features of images that are stored as 64 numbers
    encoder = built((64,), (64,), FLAT, LatentSpec(32))
    assert encoder.sizes == [(8, 8), (4, 4)] and encoder.flattens
    decoder = built((64,), (64,), FLAT, LatentSpec(64))
    assert decoder.sizes == [(4, 4), (8, 8)] and not decoder.flattens
    for network in (encoder, decoder):
        assert applied(network, (64,))[1].shape == (3, 64)


def test_pixels_stored_flat_are_in_raster_order_and_further_axes_are_channels():
    x = np.random.RandomState(0).randn(3, 8, 8, 1).astype(np.float32)
    flat, image = built((64,), (10,), FLAT), built((8, 8, 1), (10,), DataSpec((8, 8, 1), image_shape=(8, 8)))
    np.testing.assert_array_equal(flat(tf.reshape(x, [3, 64]), context()), image(tf.constant(x), context()))
    z = tf.constant(np.random.RandomState(0).randn(3, 5), tf.float32)
    flat, image = built((5,), (64, 17), FLAT), built((5,), (8, 8, 17), DataSpec((8, 8, 17), image_shape=(8, 8)))
    np.testing.assert_array_equal(tf.reshape(flat(z, context()), [3, 8, 8, 17]), image(z, context()))


def test_which_shapes_are_images():
    assert as_image((64,), FLAT) == (8, 8, 1)
    assert as_image((64, 17), FLAT) == (8, 8, 17)
    assert as_image((32, 32, 3, 256), COLOUR) == (32, 32, 768)
    assert as_image((31, 17, 1), ODD) == (31, 17, 1)
    assert as_image((4, 4, 6), FLAT) == (4, 4, 6)
    assert as_image((10,), FLAT) is None and as_image((4, 6), FLAT) is None
    assert as_image((64,), DataSpec(shape=(64,))) is None
    assert halvings((31, 5)) == [(31, 5), (16, 3), (8, 2), (4, 1), (2, 1), (1, 1)]


def test_the_residual_block_is_its_formula():
    network = built((5, 3, 8), (5, 3, 8), FLAT, activation="tanh")
    (block,) = network.blocks
    x = np.random.RandomState(0).randn(2, 5, 3, 8)
    expected = x + convolved(np.tanh(convolved(np.tanh(x), block.wide)), block.mix)
    np.testing.assert_allclose(block(tf.constant(x, tf.float32), context()), expected, rtol=1e-4, atol=1e-5)  # float32


@pytest.mark.parametrize("blocks", [0, 2])
def test_at_one_size_it_is_a_convolution_the_blocks_an_activation_and_a_mix(blocks):
    network = built((5, 3, 2), (5, 3, 4), FLAT, residual_blocks=blocks)
    x, y = applied(network, (5, 3, 2))
    hidden = convolved(x, network.middle)
    for block in network.blocks:
        hidden = hidden + convolved(np.maximum(convolved(np.maximum(hidden, 0), block.wide), 0), block.mix)
    np.testing.assert_allclose(y, convolved(np.maximum(hidden, 0), network.exit), rtol=1e-4, atol=1e-4)  # float32
    assert len(network.blocks) == blocks


def test_from_image_to_vector_the_last_map_is_affine_and_from_vector_to_image_the_first():
    network = built((4, 4, 3), (10,), residual_blocks=0)
    x, y = applied(network, (4, 4, 3))
    hidden = np.maximum(convolved(x, network.middle), 0).reshape(3, -1)
    np.testing.assert_allclose(y, hidden @ network.exit.kernel + network.exit.bias, rtol=1e-4, atol=1e-4)  # float32
    network = built((5,), (4, 4, 3), residual_blocks=0, data=DataSpec((4, 4, 3), image_shape=(4, 4, 3)))
    z, y = applied(network, (5,))
    hidden = (z @ network.entry.kernel + network.entry.bias).reshape(3, 4, 4, 8)
    expected = convolved(np.maximum(convolved(hidden, network.middle), 0), network.exit)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)  # float32


@pytest.mark.parametrize(
    "source, target, data",
    [((31, 17, 1), (10,), ODD), ((5,), (31, 17, 1), ODD), ((64,), (2, 2, 6), FLAT), ((4, 4, 6), (64, 17), FLAT)],
)
def test_every_weight_gets_a_gradient(source, target, data):
    network = built(source, target, data)
    x = tf.constant(np.random.RandomState(0).randn(3, *source), tf.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(network(x, context())))
    variables = trainable(named_variables(network))
    gradients = tape.gradient(loss, [variable.value for variable in variables.values()])
    for name, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None and np.all(np.isfinite(gradient)) and np.any(gradient != 0), name
    layers = 3 + len(network.down) + len(network.up) + (network.entry is not None) + (network.exit is not None)
    assert len(variables) == 2 * layers  # the middle and two in the block besides


def test_the_seed_decides_the_weights_and_no_two_layers_share_them():
    def kernels(seed):
        variables = named_variables(built((32, 32, 3), (10,), seed=seed)).items()
        return {name: np.array(variable) for name, variable in variables if name.endswith("kernel")}

    first, again, other = kernels(0), kernels(0), kernels(1)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert np.all(first[name] != other[name])
    starts = [tuple(np.sign(kernel.ravel()[:50])) for kernel in first.values()]
    assert len(set(starts)) == len(starts)


def test_a_size_that_halving_does_not_reach_is_refused_with_those_that_it_does():
    reachable = r"31 x 17 cannot be halved to 8 x 8; .* 31 x 17, 16 x 9, 8 x 5, 4 x 3, 2 x 2, 1 x 1"
    with pytest.raises(UserError, match=reachable):
        built((31, 17, 1), (8, 8, 6), ODD)
    with pytest.raises(UserError, match=reachable):
        built((8, 8, 6), (31, 17, 1), ODD)


def test_two_vectors_are_refused():
    with pytest.raises(UserError, match=r"requires an image as input or output; use network\.mlp"):
        built((5,), (10,), DataSpec(shape=(64,)))


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({"width": 0}, "width must be at least 1, got 0"),
        ({"residual_blocks": -1}, "residual_blocks must not be negative, got -1"),
        ({"smallest": 0}, "smallest must be at least 1, got 0"),
        ({"activation": "rleu"}, "'rleu'"),
        ({"activation": "glu"}, "halves the channels"),
    ],
)
def test_settings_out_of_range_are_refused(settings, expected):
    with pytest.raises(UserError, match=expected):
        Conv(**settings)
