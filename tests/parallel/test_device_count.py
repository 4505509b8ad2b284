"""The result does not depend on the number of devices or of processes."""

import functools
import sys
import tempfile
from pathlib import Path

import pytest
from replicated import KINDS, largest_difference, train

from tfdgm.runs.checkpoints import Checkpoints

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from local_cluster import environments

from tfdgm.system.supervisor import supervise

WORKER = str(Path(__file__).with_name("worker.py"))
TOLERANCE = 1e-5  # float32 sums in another order, after 50 steps


@functools.cache
def alone(kind):
    """Return the state at the end of training on one device."""
    with tempfile.TemporaryDirectory() as folder:
        return train(Path(folder), kind, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, replicas", [("vae", 2), ("vae", 4), ("vq", 2), ("iwae", 2), ("labels", 2), ("wgan_gp", 4)]
)
def test_devices_of_one_process_give_the_weights_of_one_device(kind, replicas, tmp_path, own_process):
    own_process(check_devices, kind, replicas, tmp_path)


def check_devices(kind, replicas, tmp_path):
    difference, name = largest_difference(alone(kind), train(tmp_path, kind, replicas))
    assert difference < TOLERANCE, name


@pytest.mark.slow
def test_two_workers_of_two_devices_give_the_weights_of_one_device(tmp_path, own_process):
    variables = [{**each, "LOGICAL_CPUS": "2"} for each in environments(2)]
    messages = []
    workers = [[sys.executable, WORKER, str(tmp_path), *KINDS]] * 2
    assert supervise(workers, variables, 0, messages.append) == 0, messages
    own_process(check_workers, tmp_path)


def check_workers(tmp_path):
    for kind in KINDS:
        found = Checkpoints(tmp_path / kind / "checkpoints").latest().tensors
        difference, name = largest_difference(alone(kind), found)
        assert difference < TOLERANCE, f"{kind}: {name}"
