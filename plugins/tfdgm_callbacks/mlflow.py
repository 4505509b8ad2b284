"""Log runs to MLflow."""

import importlib.util
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from tfdgm_callbacks.follower import Follower, Line, files_of, settings_of

#: Largest numbers that MLflow takes in one request, and characters of a value.
_MOST_METRICS, _MOST_PARAMETERS, _LONGEST_VALUE = 1_000, 100, 6_000
#: Tags of a run in MLflow: the identity of the run, and the last step whose metrics were sent.
_IDENTITY, _STEP = "tfdgm.identity", "tfdgm.step"

Artifact = Literal["config", "page", "pictures", "checkpoint"]


class MLflow(Follower):
    """Logs settings as parameters, metrics by step, scores and files to an MLflow tracking server or store.

    A resumed run continues its MLflow run, and no step is logged twice. A server that cannot be reached is told by one
    warning; what it missed is sent when it answers again.

    Args:
      uri: of the server or store, such as "http://127.0.0.1:5000" or "sqlite:///mlflow.db".
      experiment: name of the experiment in MLflow, which is created if it does not exist.
      run: name of the run; the name of the workdir by default.
      artifacts: the files to upload when the run has been scored: the configuration, the page with `eval.json`,
        pictures, and the last checkpoint.
    """

    def __init__(
        self,
        *,
        uri: str,
        experiment: str = "tfdgm",
        run: str | None = None,
        artifacts: Sequence[Artifact] = ("config", "page", "pictures"),
    ) -> None:
        self.require(importlib.util.find_spec("mlflow") is not None, "MLflow is missing: pip install 'tfdgm[mlflow]'")
        self.require(bool(uri), "uri must name a tracking server or store")
        super().__init__()
        self.uri = uri
        self.experiment = experiment
        self.run_name = run
        self.artifacts = artifacts
        self.client: Any = None
        self.run_id = ""

    def connect(self) -> int:
        # a server that is down must not hold the end of the run for MLflow's many minutes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow import MlflowClient  # not at the top: it takes a second

        self.client = MlflowClient(self.uri)
        experiment = self.client.get_experiment_by_name(self.experiment)
        number = experiment.experiment_id if experiment else self.client.create_experiment(self.experiment)
        found = self.client.search_runs([number], f"tags.`{_IDENTITY}` = '{self.identity}'", max_results=1)
        if found:
            run = found[0]
            self.client.update_run(run.info.run_id, status="RUNNING")
        else:
            name = self.run_name or self.training.workdir.resolve().name
            run = self.client.create_run(number, tags={_IDENTITY: str(self.identity)}, run_name=name)
        self.run_id = run.info.run_id
        self._log_settings(run.data.params)
        return int(run.data.tags.get(_STEP, -1))

    def _log_settings(self, known: Mapping[str, str]) -> None:
        """Log the settings that are new; MLflow refuses to change a parameter, so what changed becomes a tag."""
        from mlflow.entities import Param, RunTag

        settings = {name: value[:_LONGEST_VALUE] for name, value in settings_of(self.training.workdir).items()}
        new = [Param(name, value) for name, value in settings.items() if name not in known]
        changed = [RunTag(f"changed.{n}", v) for n, v in settings.items() if n in known and known[n] != v]
        for first in range(0, len(new), _MOST_PARAMETERS):
            self.client.log_batch(self.run_id, params=new[first : first + _MOST_PARAMETERS])
        if changed:
            self.client.log_batch(self.run_id, tags=changed[:_MOST_PARAMETERS])

    def send(self, lines: Sequence[Line]) -> None:
        from mlflow.entities import Metric, RunTag

        now, batch, last = int(1_000 * time.time()), list[Any](), -1

        def flush() -> None:  # the metrics and the last step are stored together
            self.client.log_batch(self.run_id, metrics=batch[:_MOST_METRICS], tags=[RunTag(_STEP, str(last))])
            batch.clear()

        for line in lines:
            step = int(line["step"])
            metrics = [Metric(name, value, now, step) for name, value in line.items() if name != "step"]
            if batch and len(batch) + len(metrics) > _MOST_METRICS:
                flush()
            batch += metrics
            last = step
        flush()

    def close(self, complete: bool) -> None:
        self.client.set_terminated(self.run_id, "FINISHED" if complete else "KILLED")

    def publish(self, step: int, scores: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric

        split, now = scores.get("data_split", "test"), int(1_000 * time.time())
        numbers = {name: value for name, value in scores.items() if isinstance(value, (int, float))}
        metrics = [Metric(f"{split}_{name}", value, now, step) for name, value in numbers.items() if name != "step"]
        self.client.log_batch(self.run_id, metrics=metrics[:_MOST_METRICS])
        for path, folder in files_of(self.training.workdir, step, self.artifacts):
            self.client.log_artifact(self.run_id, str(path), folder or None)
        self.client.set_terminated(self.run_id, "FINISHED")
