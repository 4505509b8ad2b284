"""The entry point loads the plugin, and a run with it trains."""

import subprocess
import sys
from importlib.metadata import entry_points

from example_module import ExamplePlugin

TINY = "steps = 4\nexperiment.steps_per_loop = 2\nexperiment.batch_size = 8\nnetwork.mlp.hidden = (8,)"
USE = """BINDINGS"""


def test_the_entry_point_names_the_plugin():
    found = entry_points(group="tfdgm.KIND", name="NAME")
    (entry,) = (entry for entry in found if entry.dist and entry.dist.name == "PACKAGE")
    assert entry.load() is ExamplePlugin


def test_a_run_with_the_defaults_trains_and_is_scored(tmp_path):
    bindings = [f"--gin_bindings={text}" for text in (TINY, USE)]
    command = [sys.executable, "-m", "tfdgm", "train", f"--workdir={tmp_path / 'run'}", *bindings]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "eval.json").exists()
