"""A product of two large float32 matrices in TensorFlow: the machine's matrix rate. A unit is a product."""

from matrix import SIDE
from work import Size, Work

from contenders.tensorflow_on_cpu import tf


def product(size: Size) -> Work:
    a, b = (tf.random.stateless_normal([SIDE, SIDE], [0, number]) for number in range(2))
    return Work(lambda: float(tf.matmul(a, b)[0, 0]))
