"""Faults that strike a small training run, and what must come of each; `fault_campaign.py` lets them.

The trainers are forked from this process, which has TensorFlow imported but not started, and share compiled programs.
"""

import dataclasses
import os
import random
import resource
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
experiment.validate_every = 200
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
                from tfdgm.commands import main, results

                results.finish = lambda workdir, built: None  # type: ignore[assignment]
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
    """What an undisturbed run ends with, and how long it takes."""

    tensors: dict[str, Any]
    seconds: float


def undisturbed(workdir: Path) -> Truth:
    Trainer(workdir).wait()  # compiles for all
    shutil.rmtree(workdir)
    trainer, began = Trainer(workdir), time.monotonic()
    assert trainer.wait() == 0, trainer.log.read_text()
    return Truth(final_tensors(workdir), time.monotonic() - began)


def final_tensors(workdir: Path) -> dict[str, Any]:
    from tfdgm.training.checkpoints import Checkpoints

    checkpoint = Checkpoints(workdir / "checkpoints", warn=lambda line: None).latest()
    assert checkpoint is not None
    return dict(checkpoint.tensors) if checkpoint.step == STEPS else {}


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
    steps = [line["step"] for line in read_lines(workdir / "metrics.jsonl")]
    return "identical" if steps == list(range(LOOP, STEPS + 1, LOOP)) else "metrics.jsonl lacks or repeats steps"


@dataclasses.dataclass
class Campaign:
    """Where the runs are, and chance."""

    folder: Path
    truth: Truth
    chance: random.Random

    def finished(self, workdir: Path, trainer: Trainer | None = None, **options: Any) -> str:
        """The verdict after the run went on to its end."""
        trainer = trainer or Trainer(workdir, **options)
        code = trainer.wait()
        return verdict(workdir, self.truth) if code == 0 else f"exit code {code}: {last_line(trainer.log)}"

    def some_way(self, workdir: Path, **options: Any) -> Trainer:
        """A trainer that has gone a random part of the way."""
        trainer = Trainer(workdir, **options)
        step = self.chance.uniform(0.05, 0.8) * STEPS
        trainer.wait(lambda: trainer.step() >= step)
        return trainer

    def stopped(self, workdir: Path) -> None:
        """Leaves an interrupted run."""
        trainer = self.some_way(workdir)
        trainer.send(signal.SIGKILL)
        trainer.wait()


def last_line(log: Path) -> str:
    return (log.read_text(errors="replace").strip().splitlines() or ["(it said nothing)"])[-1][:300]


def newest(workdir: Path) -> Path:
    return max((workdir / "checkpoints").glob("step-*.npz"))


def struck_by(number: int) -> Callable[[Campaign, Path], str]:
    def fault(campaign: Campaign, workdir: Path) -> str:
        trainer = campaign.some_way(workdir)
        trainer.send(number)
        trainer.wait()
        return campaign.finished(workdir)

    return fault


def killed_at_any_moment(campaign: Campaign, workdir: Path) -> str:
    """Also while it starts, builds, compiles and restores."""
    trainer = Trainer(workdir)
    pause = time.monotonic() + campaign.chance.uniform(0.0, campaign.truth.seconds)
    trainer.wait(lambda: time.monotonic() > pause)
    trainer.send(signal.SIGKILL)
    trainer.wait()
    return campaign.finished(workdir)


def killed_while_writing(campaign: Campaign, workdir: Path) -> str:
    trainer = campaign.some_way(workdir)
    trainer.wait(lambda: bool(list((workdir / "checkpoints").glob("*.tmp"))))
    trainer.send(signal.SIGKILL)
    trainer.wait()
    return campaign.finished(workdir)


def frozen(campaign: Campaign, workdir: Path) -> str:
    trainer = campaign.some_way(workdir)
    trainer.send(signal.SIGSTOP)
    time.sleep(1.0)
    trainer.send(signal.SIGCONT)
    return campaign.finished(workdir, trainer)


def truncated(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(1, path.stat().st_size))


def emptied(path: Path, chance: random.Random) -> None:
    os.truncate(path, 0)


def bit_flipped(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def garbage(path: Path, chance: random.Random) -> None:
    path.write_bytes(chance.randbytes(1000))


def missing(path: Path, chance: random.Random) -> None:
    path.unlink()


def damaged(damage: Callable[[Path, random.Random], None], name: str | None = None) -> Callable[[Campaign, Path], str]:
    """A file of an interrupted run is damaged: the newest checkpoint, or the one named."""

    def fault(campaign: Campaign, workdir: Path) -> str:
        campaign.stopped(workdir)
        damage(newest(workdir) if name is None else workdir / name, campaign.chance)
        return campaign.finished(workdir)

    return fault


def refused_if_the_configuration_is(
    damage: Callable[[Path, random.Random], None],
) -> Callable[[Campaign, Path], str]:
    """config.gin says what the run is: with another one in its place the run must not go on."""

    def fault(campaign: Campaign, workdir: Path) -> str:
        campaign.stopped(workdir)
        kept = (workdir / "config.gin").read_bytes()
        damage(workdir / "config.gin", campaign.chance)
        before = newest(workdir)
        code = Trainer(workdir).wait()
        (workdir / "config.gin").write_bytes(kept)
        if code != 2 or newest(workdir) != before:
            return f"exit code {code}"
        return "refused" if campaign.finished(workdir) == "identical" else "refused, but lost"

    return fault


def all_checkpoints_damaged(campaign: Campaign, workdir: Path) -> str:
    campaign.stopped(workdir)
    for path in (workdir / "checkpoints").glob("step-*.npz"):
        truncated(path, campaign.chance)
    trainer = Trainer(workdir)
    return "refused" if trainer.wait() == 2 else f"exit code {trainer.code}: {last_line(trainer.log)}"


def full_disk(campaign: Campaign, workdir: Path) -> str:
    """No file may grow beyond 20 kB from some moment on; later there is room again."""
    trainer = Trainer(workdir, prepare=lambda: _limit_after(campaign.chance.uniform(0.2, 0.7) * STEPS))
    code = trainer.wait()
    if code != 2:
        return f"exit code {code}: {last_line(trainer.log)}"
    return campaign.finished(workdir)


def _limit_after(step: float) -> None:
    from tfdgm.training.checkpoints import Checkpoints

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    save = Checkpoints.save

    def limited(self: Any, checkpoint: Any) -> Path:
        if checkpoint.step > step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
        return save(self, checkpoint)

    Checkpoints.save = limited  # type: ignore[method-assign]


def read_only(campaign: Campaign, workdir: Path) -> str:
    """The folder of checkpoints turns read-only under the run, and is writable again when it goes on."""
    trainer = campaign.some_way(workdir)
    root = os.getuid() == 0  # whom permissions do not stop; an attribute of some file systems does
    if root and os.system(f"chattr +i {workdir}/checkpoints 2>/dev/null") != 0:
        trainer.wait()
        return "not tried: this file system has no immutable folders"
    if not root:
        (workdir / "checkpoints").chmod(0o555)
    code = trainer.wait()
    if root:
        os.system(f"chattr -i {workdir}/checkpoints")
    else:
        (workdir / "checkpoints").chmod(0o755)
    if code != 2:
        return f"exit code {code}: {last_line(trainer.log)}"
    return campaign.finished(workdir)


def clock_set_back(campaign: Campaign, workdir: Path) -> str:
    trainer = campaign.some_way(workdir, prepare=_clock_that_jumps_back)
    return campaign.finished(workdir, trainer)


def _clock_that_jumps_back() -> None:
    began, true_time = time.monotonic(), time.time
    time.time = lambda: true_time() - (86_400.0 if time.monotonic() - began > 4 else 0.0)  # type: ignore[assignment]


def started_twice(campaign: Campaign, workdir: Path) -> str:
    first = campaign.some_way(workdir)
    first.send(signal.SIGSTOP)  # still there, and holding the workdir
    second = Trainer(workdir)
    refused = second.wait() == 2
    first.send(signal.SIGCONT)
    ended = campaign.finished(workdir, first)
    return ended if refused else f"the second process ended with {second.code}"


#: By name: the fault, and what must come of it.
FAULTS: dict[str, tuple[Callable[[Campaign, Path], str], str]] = {
    "kill": (killed_at_any_moment, "identical"),
    "kill while a checkpoint is written": (killed_while_writing, "identical"),
    "SIGTERM": (struck_by(signal.SIGTERM), "identical"),
    "SIGINT": (struck_by(signal.SIGINT), "identical"),
    "SIGSTOP for a second": (frozen, "identical"),
    "newest checkpoint truncated": (damaged(truncated), "identical"),
    "newest checkpoint empty": (damaged(emptied), "identical"),
    "newest checkpoint: a bit flipped": (damaged(bit_flipped), "identical"),
    "newest checkpoint: garbage": (damaged(garbage), "identical"),
    "newest checkpoint missing": (damaged(missing), "identical"),
    "all checkpoints truncated": (all_checkpoints_damaged, "refused"),
    "config.gin: garbage": (refused_if_the_configuration_is(garbage), "refused"),
    "config.gin truncated": (refused_if_the_configuration_is(truncated), "refused"),
    "config.gin missing": (damaged(missing, "config.gin"), "identical"),
    "run.json: garbage": (damaged(garbage, "run.json"), "identical"),
    "run.json missing": (damaged(missing, "run.json"), "identical"),
    "full disk": (full_disk, "identical"),
    "checkpoints turn read-only": (read_only, "identical"),
    "clock set back by a day": (clock_set_back, "identical"),
    "two processes on one workdir": (started_twice, "identical"),
}
