"""Fixtures that share what is expensive: TensorFlow is imported once, a run is trained once."""

import atexit
import os
import shutil
import signal
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # the numbers below were fixed on the CPU
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["MPLBACKEND"] = "Agg"

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background job ignores both, and so do its children
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGQUIT) == signal.SIG_IGN:
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)

if "xla_persistent_cache" not in os.environ.get("TF_XLA_FLAGS", ""):  # the processes of one session share programs
    _programs = os.environ.get("TFDGM_TEST_CACHE")  # a folder that is kept for the next session
    if _programs is None:
        _programs = tempfile.mkdtemp(prefix="tfdgm-programs-")
        atexit.register(shutil.rmtree, _programs, ignore_errors=True)
    os.environ["TF_XLA_FLAGS"] = (
        f'--tf_xla_persistent_cache_directory="{_programs}" --tf_xla_persistent_cache_device_types=CPU'
    )

import pytest
import tensorflow as tf
from own_process import process
from small import TINY_BINDINGS, command

from tfdgm.system import program_names

program_names.install()

# for the tests of several devices; all others use the first
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 4
)


#: Files that take longest, which start first, so that all processes end at about the same time.
LONGEST_FIRST = [
    "test_workers", "test_device_count", "test_config_fuzz", "test_objective_combinations", "test_resume",
    "test_config", "test_trained", "test_parallel_lines", "test_recovery", "test_program_cache", "test_shared_work",
    "test_training_labs", "test_faults", "test_combinations", "test_mutations", "test_matrix", "test_verify_command",
    "test_processes", "test_xla_gate", "test_code_scores", "test_bounds", "test_first_party", "test_plugins_command",
]  # fmt: skip


def pytest_collection_modifyitems(items):
    place = {name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(scope="module")
def own_process():
    """Call functions in a process that ends with the module; see own_process.py."""
    with process() as call:
        yield call


@pytest.fixture(scope="session")
def trained_workdir(tmp_path_factory):
    """The workdir of a finished run of 40 steps; tests read it and write nothing in it but `eval.json`."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    assert command("train", f"--workdir={workdir}", f"--gin_bindings={TINY_BINDINGS}") == 0
    return workdir
