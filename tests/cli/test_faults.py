"""A short run of tools/fault_campaign.py."""

import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parents[2] / "tools" / "fault_campaign.py"


@pytest.mark.slow
def test_after_every_fault_the_weights_are_those_of_an_undisturbed_run_or_the_run_is_refused(tmp_path):
    faults = ("kill", "kill while a checkpoint is written", "SIGSTOP for a second", "two processes on one workdir",
              "newest checkpoint: a bit flipped", "config.gin: garbage", "run.json: garbage", "full disk")  # fmt: skip
    command = [sys.executable, str(CAMPAIGN), "--times=1", "--seed=1", *(f"--only={name}" for name in faults)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "8 faults in " in run.stdout and "0 went wrong" in run.stdout
