"""The checkpoints of a run: writing them in the background, deleting old ones, finding the one to read."""

import secrets
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tfdgm.errors import UserError
from tfdgm.runs.checkpoint_files import Checkpoint, DamagedCheckpoint, newest_intact, path_of, read, steps_in, write
from tfdgm.system import console
from tfdgm.system.files import remove_leftovers

_BEST = "best.npz"


class Checkpoints:
    """The checkpoints of one run.

    Args:
      directory: folder of the files.
      keep: number of the newest checkpoints to keep.
      warn: shows one line to the user.
    """

    def __init__(self, directory: Path, keep: int = 3, warn: Callable[[str], None] = console.warn) -> None:
        self.directory = directory
        self.keep = keep
        self.warn = warn
        self._writer = ThreadPoolExecutor(1, "checkpoints")
        self._pending: tuple[int, Future] | None = None

    def steps(self) -> list[int]:
        """Return the steps that have a file, in ascending order."""
        return steps_in(self.directory)

    def path(self, step: int) -> Path:
        """Return the path of the checkpoint of a step."""
        return path_of(self.directory, step)

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write one checkpoint, first as the best one if it has a score, and delete all but the newest `keep`.

        After a crash between the two files the best checkpoint is ahead of the others, and the resumed run reaches its
        step again. In the opposite order the best checkpoint would be lost.

        Raises:
          NonFiniteError: a tensor holds NaN or infinity; nothing is written.
          OSError: the disk is full or read-only; older checkpoints stay as they are.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.path(checkpoint.step)
        if path.is_dir():  # not ours, and skipped when checkpoints are read
            path.rename(path.with_name(f"{path.name}.moved-{secrets.token_hex(4)}"))
        if checkpoint.score is not None:
            write(self.directory / _BEST, checkpoint)
        write(path, checkpoint)
        for old in self.steps()[: -self.keep]:
            self.path(old).unlink(missing_ok=True)
        return path

    def save_later(self, checkpoint: Checkpoint) -> None:
        """Save in another thread, once the pending save is on disk; raise the error of that save as `wait` does."""
        self.wait()
        self._pending = (checkpoint.step, self._writer.submit(self.save, checkpoint))

    def wait(self) -> None:
        """Block until the pending save is on disk.

        Raises:
          UserError: the save failed; the message names the newest checkpoint on disk.
        """
        if self._pending is None:
            return
        (step, written), self._pending = self._pending, None
        try:
            written.result()
        except OSError as error:
            good = [kept for kept in self.steps() if kept != step]  # a file of this step was skipped as damaged
            kept = f"the checkpoint of step {good[-1]} is kept" if good else "there is no earlier one"
            raise UserError(
                f"the checkpoint of step {step} could not be written to {self.directory}: "
                f"{error.strerror or error}; {kept}"
            ) from None

    def latest(self) -> Checkpoint | None:
        """Return the newest intact checkpoint, or None if there is no checkpoint at all.

        Raises:
          UserError: every checkpoint is damaged.
        """
        checkpoint, problems = newest_intact(self.directory)
        named = [f"{self.path(step).name} {problem}" for step, problem in problems.items()]
        if checkpoint is None:
            if named:
                raise UserError(
                    f"every checkpoint in {self.directory} is damaged: {'; '.join(named)}. "
                    "Restore one from a copy, or start again in another workdir"
                )
            return None
        for problem in named:
            self.warn(f"damaged checkpoint skipped: {problem}")
        if named:
            self.warn(f"continuing from step {checkpoint.step}, the newest intact checkpoint")
        return checkpoint

    def drop_newest(self) -> None:
        """Delete the newest checkpoint, unless it is the only one."""
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
        """Return the checkpoint named "latest", "best", or by its step.

        Raises:
          UserError: there is none of that name.
        """
        if name not in ("latest", "best") and not (name.isascii() and name.isdecimal()):
            raise UserError(f"a checkpoint is latest, best, or the number of a step, got {name!r}")
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
        """Return the checkpoint with the best score, or None; warn if it is damaged."""
        if not (self.directory / _BEST).exists():
            return None
        try:
            return read(self.directory / _BEST)
        except DamagedCheckpoint as error:
            self.warn(f"{_BEST} {error}; the search for the best checkpoint starts again")
            return None

    def clean(self) -> None:
        """Remove the temporary files of interrupted writes."""
        remove_leftovers(self.directory)
