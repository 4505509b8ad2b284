"""A small training run in a forked process, and what an undisturbed one ends with.

The trainers are forked from this process, which has TensorFlow imported but not started, and share compiled programs.
"""

import dataclasses
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ["KERAS_BACKEND"] = "tensorflow"

STEPS, LOOP = 600, 10
#: An aggregated posterior's memory, batch normalisation, and a checkpoint after every loop: much that could get lost.
BINDINGS = f"""
steps = {STEPS}
experiment.steps_per_loop = {LOOP}
experiment.batch_size = 16
experiment.latent_size = 2
experiment.checkpoint_seconds = 0.0
experiment.validate_every = 100
experiment.keep_best = "validation_elbo"
experiment.ema_decay = 0.9
experiment.prior = @prior.aggregated_posterior()
prior.aggregated_posterior.components = "exact"
network.mlp.hidden = (16,)
network.mlp.normalization = "batch"
network.mlp.dropout = 0.1
data.digits.binarization = "static"
"""


class Trainer:
    """A forked process that trains in a workdir.

    Args:
      workdir: of the run.
      prepare: called in the new process before anything else.
      bindings: added to the run's own.
    """

    def __init__(self, workdir: Path, prepare: Callable[[], None] | None = None, bindings: str = "") -> None:
        self.workdir = workdir
        self.log = workdir.with_suffix(".log")
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(log, 1)
                os.dup2(log, 2)
                if prepare is not None:
                    prepare()
                # scores and pictures are no part of this: they are made from the last checkpoint
                from tfdgm.cli import results
                from tfdgm.cli.main import main

                results.finish = lambda workdir, built, no_eval: None  # type: ignore[assignment]
                code = main(["train", f"--workdir={workdir}", f"--gin_bindings={BINDINGS}{bindings}"])
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        self.code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, until: Callable[[], bool] = lambda: False, seconds: float = 600.0) -> int | None:
        """Until it ends, or a condition holds; the exit code where it ended."""
        deadline = time.monotonic() + seconds
        while self.poll() is None and not until():
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise TimeoutError(f"{self.workdir}: still running after {seconds:.0f} s")
            time.sleep(0.005)
        return self.code

    def send(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def step(self) -> int:
        """Of its newest checkpoint, or -1."""
        names = [path.stem for path in (self.workdir / "checkpoints").glob("step-*.npz")]
        return max((int(name.removeprefix("step-")) for name in names), default=-1)


@dataclasses.dataclass(frozen=True)
class Truth:
    """What an undisturbed run ends with, its best checkpoint as (step, score), and how long it takes."""

    tensors: dict[str, Any]
    best: tuple[int, float]
    seconds: float


def undisturbed(workdir: Path) -> Truth:
    Trainer(workdir).wait()  # compiles for all
    shutil.rmtree(workdir)
    trainer, began = Trainer(workdir), time.monotonic()
    assert trainer.wait() == 0, trainer.log.read_text()
    return Truth(final_tensors(workdir), best_of(workdir), time.monotonic() - began)


def final_tensors(workdir: Path) -> dict[str, Any]:
    from tfdgm.runs.checkpoints import Checkpoints

    checkpoint = Checkpoints(workdir / "checkpoints", warn=lambda line: None).latest()
    assert checkpoint is not None
    return dict(checkpoint.tensors) if checkpoint.step == STEPS else {}


def best_of(workdir: Path) -> Any:
    from tfdgm.runs.checkpoints import Checkpoints

    best = Checkpoints(workdir / "checkpoints").best()
    return best and (best.step, best.score)


def verdict(workdir: Path, truth: Truth) -> str:
    """ "identical", or what differs."""
    import numpy as np

    from tfdgm.runs.metrics_file import read_lines

    found = final_tensors(workdir)
    if set(found) != set(truth.tensors):
        return "the run is not complete"
    different = [name for name, value in truth.tensors.items() if not np.array_equal(found[name], value)]
    if different:
        return f"{len(different)} tensors differ, first {different[0]}"
    if best_of(workdir) != truth.best:
        return f"the best checkpoint is {best_of(workdir)}, not {truth.best}"
    steps = [line["step"] for line in read_lines(workdir / "metrics.jsonl")]
    return "identical" if steps == list(range(LOOP, STEPS + 1, LOOP)) else "metrics.jsonl lacks or repeats steps"
