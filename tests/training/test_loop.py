"""The compiled loop: on a CPU a step with convolutions is a separate program, with the same results."""

import keras
import pytest
import tensorflow as tf
from small import assert_same_tensors, digits_experiment, points_experiment, silent
from tfdgm_data.digits import Digits
from tfdgm_networks.conv import Conv

import tfdgm.training.loop as loop
from tfdgm.training.trainer import Trainer


class StaticDigits(Digits):
    """Binary digits without validation, which would cost a compilation."""

    def __init__(self):
        super().__init__(binarization="static")

    def splits(self):
        return {"train": super().splits()["train"]}


def conv_experiment(**changes):
    settings = {
        "data": StaticDigits(),
        "encoder": Conv(width=4, residual_blocks=1),
        "decoder": Conv(width=4, residual_blocks=1),
        "optimizer": keras.optimizers.SGD(1e-3),
        "batch_size": 8,
        "latent_size": 2,
        "steps": 8,
        "steps_per_loop": 4,
    }
    return digits_experiment(**{**settings, **changes})


def trained(workdir, **changes):
    """The final state, and whether the loop was compiled as a whole."""
    trainer = Trainer(conv_experiment(**changes).build(), workdir, silent)
    trainer.train()
    return trainer.built.state.read(), is_compiled(trainer.loop)


def is_compiled(built_loop):
    (program,) = built_loop._compiled.values()
    return program._jit_compile


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("apart"))


def concrete(function, *shapes):
    return tf.function(function, autograph=False).get_concrete_function(*(tf.TensorSpec(shape) for shape in shapes))


IMAGES, KERNEL = [2, 8, 8, 3], [3, 3, 3, 4]


def convolution(x, kernel):
    return tf.nn.conv2d(x, kernel, 1, "SAME")


def test_a_convolution_is_found_at_any_depth():
    assert loop.convolves(concrete(convolution, IMAGES, KERNEL))
    nested = tf.function(tf.function(convolution))
    assert loop.convolves(concrete(lambda x, kernel: 2 * nested(x, kernel), IMAGES, KERNEL))

    def repeated(x, kernel):
        return tf.while_loop(
            lambda i, _: i < 3, lambda i, y: (i + 1, y + tf.reduce_sum(convolution(x, kernel))), (0, tf.zeros([]))
        )

    assert loop.convolves(concrete(repeated, IMAGES, KERNEL))


def test_a_transposed_convolution_and_a_gradient_are_convolutions():
    def transposed(y, kernel):
        return tf.nn.conv2d_transpose(y, kernel, [2, 8, 8, 3], 1, "SAME")

    assert loop.convolves(concrete(transposed, [2, 8, 8, 4], KERNEL))

    def gradient(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            y = convolution(x, kernel)
        return tape.gradient(y, kernel)

    assert loop.convolves(concrete(gradient, IMAGES, KERNEL))


def test_dense_layers_are_not_convolutions():
    dense = tf.function(lambda x, kernel: tf.nn.relu(x @ kernel))
    assert not loop.convolves(concrete(lambda x, kernel: tf.cast(dense(x, kernel), tf.int32), [5, 3], [3, 4]))


@pytest.mark.slow
def test_a_dense_step_is_compiled_with_its_loop(tmp_path):
    trainer = Trainer(points_experiment(steps=10).build(), tmp_path, silent)
    trainer.train()
    assert is_compiled(trainer.loop)


@pytest.mark.slow
def test_a_step_with_convolutions_is_compiled_separately_and_gives_the_weights_of_the_compiled_loop(
    apart, tmp_path, monkeypatch
):
    state, compiled = apart
    assert not compiled
    monkeypatch.setattr(loop, "convolves", lambda function: False)
    expected, compiled = trained(tmp_path)
    assert compiled
    # Two programs, in which XLA sums convolutions in different orders; weights of size 1 after eight steps
    assert_same_tensors(state, expected, atol=1e-5)


@pytest.mark.slow
def test_a_convolutional_run_resumes_bit_for_bit(apart, tmp_path):
    trained(tmp_path, steps=4)
    state, _ = trained(tmp_path)
    assert_same_tensors(state, apart[0])
    assert state["step"] == 8
