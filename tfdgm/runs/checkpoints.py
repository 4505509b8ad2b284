"""The checkpoints of a run: which are kept, when they are written, and which one is read."""

import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tfdgm.errors import UserError
from tfdgm.runs.checkpoint_files import Checkpoint, DamagedCheckpoint, newest_sound, path_of, read, steps_in, write
from tfdgm.system import console
from tfdgm.system.files import remove_leftovers

_BEST = "best.npz"


class Checkpoints:
    """The checkpoints of one run.

    Args:
      directory: where they are.
      keep: how many of the newest to keep.
      warn: takes one line to the user.
    """

    def __init__(self, directory: Path, keep: int = 3, warn: Callable[[str], None] = console.warn) -> None:
        self.directory = directory
        self.keep = keep
        self.warn = warn
        self._writer = ThreadPoolExecutor(1, "checkpoints")
        self._pending: tuple[int, Future] | None = None

    def steps(self) -> list[int]:
        """Return the steps that have a file, ascending."""
        return steps_in(self.directory)

    def path(self, step: int) -> Path:
        return path_of(self.directory, step)

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write one checkpoint, first as the best where it has a score, and drop the oldest beyond `keep`.

        A crash between the two files leaves a best one that is ahead of the steps; the resumed run comes to the same
        step again and finds it there. The other way round it would never look back.

        Raises:
          NonFiniteError: a tensor holds NaN or infinity; nothing is written.
          OSError: the disk is full or read-only; older checkpoints stay as they are.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.path(checkpoint.step)
        if path.is_dir():  # somebody else's, which is passed over when checkpoints are read
            path.rename(path.with_name(f"{path.name}.moved-{secrets.token_hex(4)}"))
        if checkpoint.score is not None:
            write(self.directory / _BEST, checkpoint)
        write(path, checkpoint)
        for old in self.steps()[: -self.keep]:
            self.path(old).unlink(missing_ok=True)
        return path

    def save_later(self, checkpoint: Checkpoint) -> None:
        """Save in another thread, once the pending save is on disk; what that one raised comes now, as by `wait`."""
        self.wait()
        self._pending = (checkpoint.step, self._writer.submit(self.save, checkpoint))

    def wait(self) -> None:
        """Block until the pending save is on disk.

        Raises:
          UserError: it could not be written; says what is kept.
        """
        if self._pending is None:
            return
        (step, written), self._pending = self._pending, None
        try:
            written.result()
        except OSError as error:
            good = [kept for kept in self.steps() if kept != step]  # a file of this step is one that was passed over
            kept = f"the checkpoint of step {good[-1]} is kept" if good else "there is no earlier one"
            raise UserError(
                f"the checkpoint of step {step} could not be written to {self.directory}: "
                f"{error.strerror or error}; {kept}"
            ) from None

    def latest(self) -> Checkpoint | None:
        """Return the newest sound checkpoint, or None where there is no checkpoint at all.

        Raises:
          UserError: there are checkpoints, and every one is damaged.
        """
        checkpoint, problems = newest_sound(self.directory)
        named = [f"{self.path(step).name} {problem}" for step, problem in problems.items()]
        if checkpoint is None:
            if named:
                raise UserError(
                    f"every checkpoint in {self.directory} is damaged: {'; '.join(named)}. "
                    "Restore one from a copy, or start again in another workdir"
                )
            return None
        for problem in named:
            self.warn(f"damaged checkpoint passed over: {problem}")
        if named:
            self.warn(f"going on from step {checkpoint.step}, the newest sound checkpoint")
        return checkpoint

    def drop_newest(self) -> None:
        """Remove the newest one, unless it is the only one."""
        self.wait()
        steps = self.steps()
        if len(steps) > 1:
            self.path(steps[-1]).unlink(missing_ok=True)

    def at(self, step: int) -> Checkpoint:
        """Return the checkpoint of one step.

        Raises:
          UserError: there is none, or it is damaged.
        """
        try:
            return read(self.path(step))
        except DamagedCheckpoint as error:
            raise UserError(f"{self.path(step)} {error}") from None

    def named(self, name: str) -> Checkpoint:
        """Return the checkpoint that is called "latest", "best", or by its step.

        Raises:
          UserError: there is none of that name.
        """
        if name not in ("latest", "best") and not (name.isascii() and name.isdecimal()):
            raise UserError(f"a checkpoint is latest, best, or the number of a step; got {name!r}")
        if name.isdecimal():
            if len(name) > 18 or int(name) not in self.steps():
                kept = ", ".join(map(str, self.steps())) or "none"
                raise UserError(f"there is no checkpoint of step {name} in {self.directory}; kept are: {kept}")
            return self.at(int(name))
        found = self.latest() if name == "latest" else self.best()
        if found is None:
            reason = "train first" if name == "latest" else "experiment.keep_best keeps one"
            raise UserError(f"there is no {name} checkpoint in {self.directory}; {reason}")
        return found

    def best(self) -> Checkpoint | None:
        """Return the one of the best score so far; None where there is none, or with a warning where it is damaged."""
        if not (self.directory / _BEST).exists():
            return None
        try:
            return read(self.directory / _BEST)
        except DamagedCheckpoint as error:
            self.warn(f"{_BEST} {error}; the best is looked for anew")
            return None

    def clean(self) -> None:
        """Remove what a write that was cut off left behind."""
        remove_leftovers(self.directory)
