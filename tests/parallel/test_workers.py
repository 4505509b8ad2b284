"""Workers over the loopback interface: the weights and scores of one device, a common stop, and restarts."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from loopback import answers, filters_allowed
from replicated import largest_difference
from small import command

from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.metrics_file import read_lines

TOOLS = Path(__file__).parents[2] / "tools"
sys.path.insert(0, str(TOOLS))
from local_cluster import environments  # noqa: E402

from tfdgm.system.supervisor import supervise  # noqa: E402

WORKER = str(Path(__file__).with_name("worker.py"))
#: A digits VAE with an aggregated posterior, whose memory all workers share, and with a validation split.
BINDINGS = """
steps = 60
experiment.steps_per_loop = 20
experiment.batch_size = 32
experiment.latent_size = 2
experiment.shards = 4
experiment.clip_norm = 5.0
experiment.validate_every = 20
experiment.prior = @prior.aggregated_posterior()
prior.aggregated_posterior.components = "exact"
network.mlp.hidden = (16,)
network.mlp.dropout = 0.1
network.mlp.normalization = "batch"
data.digits.binarization = "static"
"""
MULTI = 'experiment.strategy = "multi_worker"'


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The final tensors and the scores of one device."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    assert command("train", f"--workdir={workdir}", f"--gin_bindings={BINDINGS}") == 0
    return Checkpoints(workdir / "checkpoints").latest().tensors, json.loads((workdir / "eval.json").read_text())


@pytest.mark.slow
def test_two_workers_give_the_weights_and_scores_of_one_device_and_only_the_chief_writes(alone, tmp_path):
    flags = [f"--workdir={tmp_path / 'run'}", f"--gin_bindings={BINDINGS}", f"--gin_bindings={MULTI}"]
    messages = []
    assert supervise([[sys.executable, WORKER, "train", *flags]] * 2, environments(2), 0, messages.append) == 0, (
        messages
    )
    found = Checkpoints(tmp_path / "run" / "checkpoints").latest().tensors
    difference, name = largest_difference(alone[0], found)
    assert difference < 1e-5, name  # float32 sums in another order
    scores = json.loads((tmp_path / "run" / "eval.json").read_text())
    assert set(scores) == set(alone[1])
    assert scores["nll_iwae"] == pytest.approx(alone[1]["nll_iwae"], rel=1e-4)
    assert [line["step"] for line in read_lines(tmp_path / "run" / "metrics.jsonl")] == [20, 40, 60]


def wait_for(condition, process, seconds=400):
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.1)


@pytest.mark.slow
def test_all_restart_when_a_worker_or_the_chief_is_lost_and_sigterm_stops_all_at_one_step(tmp_path):
    workdir = tmp_path / "run"
    bindings = BINDINGS.replace("steps = 60", "steps = 200_000") + "experiment.checkpoint_seconds = 0.0"
    flags = ["--", f"--workdir={workdir}", f"--gin_bindings={bindings}"]
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, str(TOOLS / "local_cluster.py"), "--workers=2", *flags],
            stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path,
        )  # fmt: skip
    checkpoints = Checkpoints(workdir / "checkpoints")
    wait_for(lambda: len(checkpoints.steps()) > 1, process)
    for address in worker_processes(workdir)[0][1]["cluster"]["worker"]:
        port = int(address.removeprefix("127.0.0.1:"))
        assert answers("127.0.0.1", port) and not (filters_allowed() and answers("127.0.0.2", port))
    for times, index in ((1, 1), (2, 0)):  # the second worker, then the chief
        os.kill(worker_processes(workdir)[index][0], signal.SIGKILL)
        wait_for(lambda times=times: f"restarting, {times} of at most 3" in (tmp_path / "log").read_text(), process)
        reached = checkpoints.steps()[-1]
        wait_for(lambda reached=reached: checkpoints.steps()[-1] > reached + 20, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(400) == 128 + signal.SIGTERM
    stopped = checkpoints.latest().step
    assert f"stopped and saved at step {stopped}" in (tmp_path / "log").read_text()
    steps = [line["step"] for line in read_lines(workdir / "metrics.jsonl")]
    assert steps == list(np.arange(20, stopped + 1, 20))


def worker_processes(workdir):
    """The process id and TF_CONFIG of each worker, by index."""
    found = {}
    for path in Path("/proc").iterdir():
        try:
            variables, arguments = (path / "environ").read_bytes(), (path / "cmdline").read_bytes()
        except OSError:
            continue  # not a process, or one that has ended
        match = re.search(rb"TF_CONFIG=([^\0]+)", variables)
        if match and str(workdir).encode() in arguments:
            config = json.loads(match[1])
            found[config["task"]["index"]] = int(path.name), config
    return found
