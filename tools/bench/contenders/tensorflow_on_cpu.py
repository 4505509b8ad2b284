"""TensorFlow as all contenders that use it import it."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import tensorflow as tf

tf.get_logger().setLevel("ERROR")  # what is compiled again on purpose would be warned about
