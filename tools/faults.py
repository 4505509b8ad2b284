"""Faults that strike a small training run, and what must come of each; `fault_campaign.py` lets them."""

import dataclasses
import os
import random
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from damages import (
    as_folder,
    as_pipe,
    bit_flipped,
    bomb,
    emptied,
    encrypted,
    garbage,
    missing,
    of_another_seed,
    pickled,
    truncated,
)
from trainers import STEPS, Trainer, Truth, verdict


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
    trainer.wait(lambda: bool(list((workdir / "checkpoints").glob(".*.tmp"))))
    trainer.send(signal.SIGKILL)
    trainer.wait()
    return campaign.finished(workdir)


def frozen(campaign: Campaign, workdir: Path) -> str:
    trainer = campaign.some_way(workdir)
    trainer.send(signal.SIGSTOP)
    time.sleep(1.0)
    trainer.send(signal.SIGCONT)
    return campaign.finished(workdir, trainer)


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


def killed_after_the_best(campaign: Campaign, workdir: Path) -> str:
    """Between the two files of a step that is the best so far."""
    step = campaign.chance.choice([100, 200, 300, 400])
    Trainer(workdir, prepare=lambda: _kill_after_best(step)).wait()
    return campaign.finished(workdir)


def _kill_after_best(step: int) -> None:
    from tfdgm.runs import checkpoints

    write = checkpoints.write

    def write_and_die(path: Path, checkpoint: Any) -> None:
        write(path, checkpoint)
        if path.name == "best.npz" and checkpoint.step >= step:
            os.kill(os.getpid(), signal.SIGKILL)

    checkpoints.write = write_and_die  # type: ignore[assignment]


def output_gone(campaign: Campaign, workdir: Path) -> str:
    """Whoever read what it prints is gone, as after `| head -1`, or the disk of its log is full."""

    def prepare() -> None:
        if campaign.chance.random() < 0.5:
            reader, writer = os.pipe()
            os.close(reader)
        else:
            writer = os.open("/dev/full", os.O_WRONLY)
        os.dup2(writer, 1)

    return campaign.finished(workdir, prepare=prepare)


def full_disk(campaign: Campaign, workdir: Path) -> str:
    """No file may grow beyond 20 kB from some moment on; later there is room again."""
    trainer = Trainer(workdir, prepare=lambda: _limit_after(campaign.chance.uniform(0.2, 0.7) * STEPS))
    code = trainer.wait()
    if code != 2:
        return f"exit code {code}: {last_line(trainer.log)}"
    return campaign.finished(workdir)


def _limit_after(step: float) -> None:
    from tfdgm.runs.checkpoints import Checkpoints

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
    "kill between the best and its step": (killed_after_the_best, "identical"),
    "SIGTERM": (struck_by(signal.SIGTERM), "identical"),
    "SIGINT": (struck_by(signal.SIGINT), "identical"),
    "SIGHUP": (struck_by(signal.SIGHUP), "identical"),
    "SIGQUIT": (struck_by(signal.SIGQUIT), "identical"),
    "SIGSTOP for a second": (frozen, "identical"),
    "newest checkpoint truncated": (damaged(truncated), "identical"),
    "newest checkpoint empty": (damaged(emptied), "identical"),
    "newest checkpoint: a bit flipped": (damaged(bit_flipped), "identical"),
    "newest checkpoint: garbage": (damaged(garbage), "identical"),
    "newest checkpoint missing": (damaged(missing), "identical"),
    "newest checkpoint: encrypted": (damaged(encrypted), "identical"),
    "newest checkpoint: a pickle": (damaged(pickled), "identical"),
    "newest checkpoint: claims 2^60 bytes": (damaged(bomb), "identical"),
    "newest checkpoint: a pipe": (damaged(as_pipe), "identical"),
    "newest checkpoint: a folder": (damaged(as_folder), "identical"),
    "best checkpoint: a bit flipped": (damaged(bit_flipped, "checkpoints/best.npz"), "identical"),
    "all checkpoints truncated": (all_checkpoints_damaged, "refused"),
    "config.gin: garbage": (refused_if_the_configuration_is(garbage), "refused"),
    "config.gin truncated": (refused_if_the_configuration_is(truncated), "refused"),
    "config.gin missing": (damaged(missing, "config.gin"), "identical"),
    "config.gin: of another seed": (refused_if_the_configuration_is(of_another_seed), "refused"),
    "output gone": (output_gone, "identical"),
    "run.json: garbage": (damaged(garbage, "run.json"), "identical"),
    "run.json missing": (damaged(missing, "run.json"), "identical"),
    "full disk": (full_disk, "identical"),
    "checkpoints turn read-only": (read_only, "identical"),
    "clock set back by a day": (clock_set_back, "identical"),
    "two processes on one workdir": (started_twice, "identical"),
}
