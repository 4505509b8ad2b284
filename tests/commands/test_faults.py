"""A short campaign of the faults in tools/fault_campaign.py; the tool itself strikes as often as one likes."""

import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).parents[2] / "tools" / "fault_campaign.py"


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults",
    [
        {
            "kill": 3,
            "kill while a checkpoint is written": 2,
            "SIGSTOP for a second": 1,
            "two processes on one workdir": 1,
        },
        {"newest checkpoint: a bit flipped": 1, "config.gin: garbage": 1, "full disk": 1, "run.json: garbage": 1},
    ],
)
def test_after_every_fault_the_weights_are_those_of_an_undisturbed_run_or_the_run_is_refused(faults, tmp_path):
    for count in sorted(set(faults.values())):
        only = [f"--only={name}" for name, times in faults.items() if times == count]
        command = [sys.executable, str(CAMPAIGN), f"--times={count}", *only, "--seed=1"]
        run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=900)
        assert run.returncode == 0, run.stdout + run.stderr
        assert "0 went wrong" in run.stdout
