"""Log runs to Weights & Biases."""

import importlib.util
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tfdgm_callbacks.follower import Follower, Line, files_of, settings_of

Artifact = Literal["config", "page", "pictures", "checkpoint"]


class WandB(Follower):
    """Logs settings, metrics by step, scores, pictures and files to Weights & Biases.

    A resumed run continues the run of the same identity.

    Args:
      project: name of the project.
      entity: user or team; the default of your account if None.
      mode: "online" sends to the server of your account; "offline" writes files below the workdir, which `wandb sync`
        sends later.
      run: name of the run; the name of the workdir by default.
      artifacts: the files to keep when the run has been scored: the configuration, the page with `eval.json`, pictures,
        and the last checkpoint.
    """

    def __init__(
        self,
        *,
        project: str,
        entity: str | None = None,
        mode: Literal["online", "offline"] = "online",
        run: str | None = None,
        artifacts: Sequence[Artifact] = ("config", "page", "pictures"),
    ) -> None:
        self.require(importlib.util.find_spec("wandb") is not None, "W&B is missing: pip install 'tfdgm[wandb]'")
        self.require(bool(project), "project must not be empty")
        super().__init__()
        self.project = project
        self.entity = entity
        self.mode: Literal["online", "offline"] = mode
        self.run_name = run
        self.artifacts = artifacts
        self.run: Any = None

    def connect(self) -> int:
        import wandb

        workdir = self.training.workdir
        self.run = wandb.init(
            project=self.project,
            entity=self.entity,
            mode=self.mode,
            dir=str(workdir),
            id=self.identity,
            resume="allow",
            name=self.run_name or workdir.resolve().name,
            config=settings_of(workdir),
            settings=wandb.Settings(silent=True, console="off", disable_git=True, x_disable_meta=True),
            reinit="create_new",
        )
        return int(self.run.step) - 1

    def send(self, lines: Sequence[Line]) -> None:
        for line in lines:
            self.run.log({name: value for name, value in line.items() if name != "step"}, step=int(line["step"]))

    def close(self, complete: bool) -> None:
        if not complete:
            self.run.finish()

    def publish(self, step: int, scores: Mapping[str, Any]) -> None:
        import wandb

        split = scores.get("data_split", "test")
        numbers = {name: value for name, value in scores.items() if isinstance(value, (int, float))}
        self.run.summary.update({f"{split}_{name}": value for name, value in numbers.items() if name != "step"})
        files = wandb.Artifact(f"run-{self.identity}", type="run")
        for path, folder in files_of(self.training.workdir, step, self.artifacts):
            files.add_file(str(path), f"{folder}/{path.name}" if folder else path.name)
            if path.suffix == ".png":
                self.run.log({f"pictures/{path.stem.rpartition('-')[0]}": wandb.Image(str(path))}, step=step)
        self.run.log_artifact(files)
        self.run.finish()
