"""Fixtures that share what is expensive: TensorFlow is imported once, a run is trained once."""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the numbers below were fixed on the CPU
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["MPLBACKEND"] = "Agg"

if "tfdgm-programs" not in os.environ.get("TF_XLA_FLAGS", ""):  # the processes of one session share what is compiled
    _programs = tempfile.mkdtemp(prefix="tfdgm-programs-")
    atexit.register(shutil.rmtree, _programs, ignore_errors=True)
    os.environ["TF_XLA_FLAGS"] = (
        f'--tf_xla_persistent_cache_directory="{_programs}" --tf_xla_persistent_cache_device_types=CPU'
    )

import pytest
import tensorflow as tf
from small import TINY_BINDINGS, command

# for the tests of several devices; all others use the first
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 4
)


@pytest.fixture(scope="session")
def trained_workdir(tmp_path_factory):
    """The workdir of a finished run of 40 steps; tests read it and write nothing in it but `eval.json`."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    assert command("train", f"--workdir={workdir}", f"--gin_bindings={TINY_BINDINGS}") == 0
    return workdir
