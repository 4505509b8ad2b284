"""Metrics, settings, scores and files of a run in other programs: CSV, MLflow, Weights & Biases."""

import csv
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from mlflow import MlflowClient
from small import TINY_BINDINGS, Points, SignalAt, assert_same_tensors, command, normal_rows, points_experiment, silent
from tfdgm_callbacks import follower
from tfdgm_callbacks.csv import CSV
from tfdgm_callbacks.follower import Follower, files_of, settings_of
from tfdgm_callbacks.mlflow import MLflow
from tfdgm_callbacks.wandb import WandB
from wandb.proto import wandb_internal_pb2

from tfdgm import ArraySource, UserError
from tfdgm.runs.checkpoint_files import read
from tfdgm.runs.metrics_file import read_lines
from tfdgm.training.trainer import Trainer

STEPS = (10, 20, 30, 40)


class WithValidation(Points):
    """Validates on the first training rows."""

    def splits(self):
        return {**super().splits(), "validation": ArraySource(self.rows[:40])}


def trained(workdir, *callbacks, **changes):
    experiment = points_experiment(callbacks=list(callbacks), **{"steps": 40, "steps_per_loop": 10, **changes})
    return Trainer(experiment.build(), workdir, silent).train()


# ---- what the trackers share


class Program:
    """A program outside of the run, which answers or raises."""

    def __init__(self, error=None):
        self.error = error
        self.lines = []
        self.connections = []
        self.ended = []
        self.wait = threading.Event()
        self.wait.set()


class Remote(Follower):
    """Follows a run into a `Program`."""

    def __init__(self, program):
        super().__init__()
        self.program = program

    def connect(self):
        if self.program.error is not None:
            raise self.program.error
        self.program.connections.append(self.identity)
        return max((line["step"] for line in self.program.lines), default=-1)

    def send(self, lines):
        assert self.program.wait.wait(60)
        self.program.lines += lines

    def close(self, complete):
        self.program.ended.append(complete)


def steps(program):
    return [line["step"] for line in program.lines]


def test_every_line_is_sent_once_and_the_numbers_of_the_run_stay_the_same(tmp_path):
    program = Program()
    trained(tmp_path / "followed", Remote(program))
    trained(tmp_path / "alone")
    assert program.lines == read_lines(tmp_path / "followed" / "metrics.jsonl")
    assert steps(program) == list(STEPS) and program.ended == [True]
    found = [read(next((tmp_path / name / "checkpoints").glob("step-*40.npz"))) for name in ("followed", "alone")]
    assert_same_tensors(found[0].tensors, found[1].tensors)


def test_a_resumed_run_goes_on_under_its_identity_and_sends_no_line_twice(tmp_path):
    program = Program()
    assert trained(tmp_path, Remote(program), SignalAt(20)).step == 20
    assert program.ended == [False] and steps(program) == [10, 20]
    trained(tmp_path, Remote(program))
    assert len(set(program.connections)) == 1 and len(program.connections) == 2
    assert steps(program) == list(STEPS) and program.ended == [False, True]


def test_a_program_that_is_down_is_told_once_and_gets_what_it_missed(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(follower, "_RETRY", 0.0)
    down = Program(ConnectionError("nobody listens\non this port"))
    assert trained(tmp_path, Remote(down), SignalAt(20)).step == 20
    error = capsys.readouterr().err
    assert error.count("warning") == 1 and "ConnectionError: nobody listens; training goes on" in error
    assert down.lines == []
    down.error = None
    trained(tmp_path, Remote(down))
    assert steps(down) == list(STEPS)


def test_a_program_that_hangs_delays_the_end_by_a_bounded_time(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(follower, "_PATIENCE", 0.2)
    slow = Program()
    slow.wait.clear()
    assert trained(tmp_path, Remote(slow)).step == 40
    assert "it has not answered for 0 s" in capsys.readouterr().err
    slow.wait.set()


def test_the_settings_of_a_run_are_read_by_name(tmp_path):
    (tmp_path / "config.gin").write_text("steps = 3\n\na.b = \\\n    ['x',\n     'y = z']\nc/d.e = @f.g()\n")
    assert settings_of(tmp_path) == {"steps": "3", "a.b": "['x','y = z']", "c/d.e": "@f.g()"}
    assert settings_of(tmp_path / "nowhere") == {}


def test_the_files_of_a_run_are_those_of_the_last_step(tmp_path):
    for name in (
        "config.gin",
        "report.html",
        "samples/samples-5.png",
        "samples/samples-40.png",
        "checkpoints/step-40.npz",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = files_of(tmp_path, 40, ("config", "page", "pictures", "checkpoint"))
    assert {(path.name, folder) for path, folder in found} == {
        ("config.gin", ""),
        ("report.html", ""),
        ("samples-40.png", "samples"),
        ("step-40.npz", "checkpoints"),
    }


# ---- CSV


def test_the_csv_file_has_a_row_for_each_loop_and_empty_cells_for_what_a_loop_lacks(tmp_path):
    data = WithValidation(rows=normal_rows())
    trained(tmp_path, CSV(), data=data, validate_every=20)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [int(row["step"]) for row in rows] == list(STEPS)
    assert [bool(row["validation_elbo"]) for row in rows] == [False, True, False, True]
    lines = read_lines(tmp_path / "metrics.jsonl")
    assert [float(row["loss"]) for row in rows] == [line["loss"] for line in lines]


def test_a_csv_file_outside_of_the_workdir_is_refused():
    with pytest.raises(UserError, match=r"name must be NAME\.csv, got '\.\./x\.csv'"):
        CSV(name="../x.csv")


# ---- MLflow


def history(client, name):
    (run,) = client.search_runs([client.get_experiment_by_name("tfdgm").experiment_id])
    return run, [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]


def test_a_resumed_run_continues_its_mlflow_run(tmp_path):
    uri = f"sqlite:///{tmp_path / 'store.db'}"
    workdir = tmp_path / "run"
    trained(workdir, MLflow(uri=uri), SignalAt(20))
    client = MlflowClient(uri)
    run, values = history(client, "loss")
    assert [step for step, _ in values] == [10, 20] and run.info.status == "KILLED" and run.info.run_name == "run"
    (workdir / "config.gin").write_text("steps = 40\n")
    trained(workdir, MLflow(uri=uri))
    run, values = history(client, "loss")
    assert values == [(line["step"], line["loss"]) for line in read_lines(workdir / "metrics.jsonl")]
    assert run.info.status == "FINISHED" and run.data.params == {"steps": "40"}
    (workdir / "config.gin").write_text("steps = 60\n")
    trained(workdir, MLflow(uri=uri), steps=60)
    run, values = history(client, "loss")
    assert [step for step, _ in values] == [10, 20, 30, 40, 50, 60]
    assert run.data.params == {"steps": "40"} and run.data.tags["changed.steps"] == "60"  # parameters cannot change


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of an MLflow server on this machine, with a SQLite store."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    flags = [f"--backend-store-uri=sqlite:///{folder}/store.db", f"--artifacts-destination={folder}/files"]
    run = [sys.executable, "-m", "mlflow", "server", *flags, "--host=127.0.0.1", f"--port={port}", "--workers=1"]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(run, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 120
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5)
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        stop_group(process)


def stop_group(process):
    """Kill a server and its workers."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_the_command_logs_settings_metrics_scores_and_files_to_a_server(server, tmp_path, capsys):
    workdir = tmp_path / "mine"
    bindings = f"{TINY_BINDINGS}\nexperiment.callbacks = [@callback.mlflow()]\ncallback.mlflow.uri = '{server}'"
    assert command("train", f"--workdir={workdir}", f"--gin_bindings={bindings}") == 0
    assert "warning" not in capsys.readouterr().err
    client = MlflowClient(server)
    run, values = history(client, "validation_elbo")
    lines = read_lines(workdir / "metrics.jsonl")
    assert values == [(line["step"], line["validation_elbo"]) for line in lines if line["step"] in (20, 40)]
    assert run.info.run_name == "mine" and run.info.status == "FINISHED"
    assert (
        run.data.params["experiment.latent_size"] == "4" and run.data.params["experiment.prior"] == "@prior.gaussian()"
    )
    scores = json.loads((workdir / "eval.json").read_text())
    assert run.data.metrics["test_elbo"] == scores["elbo"]
    top = {file.path for file in client.list_artifacts(run.info.run_id)}
    pictures = {file.path for file in client.list_artifacts(run.info.run_id, "samples")}
    assert top == {"config.gin", "eval.json", "report.html", "samples"}
    assert pictures == {"samples/samples-40.png", "samples/reconstructions-40.png"}
    page = client.download_artifacts(run.info.run_id, "report.html", str(tmp_path))
    assert Path(page).read_bytes() == (workdir / "report.html").read_bytes()


# ---- Weights & Biases


def records(path):
    """Yield the records of a `.wandb` file: 7 bytes, then a log in blocks of 32 KiB as LevelDB writes it."""
    content, position, parts = path.read_bytes(), 7, b""
    while position + 7 <= len(content):
        left = 32_768 - position % 32_768
        if left < 7:
            position += left
            continue
        _, size, kind = struct.unpack("<IHB", content[position : position + 7])
        if kind == 0:
            return
        parts += content[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (1, 4):  # a whole record, or the end of one
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            yield record
            parts = b""


def test_a_run_is_written_offline_and_read_back(tmp_path):
    workdir = tmp_path / "run"
    workdir.mkdir()
    (workdir / "config.gin").write_text("steps = 40\nexperiment.latent_size = 2\n")
    (workdir / "report.html").write_text("a page")
    callback = WandB(project="mine", mode="offline")
    trained(workdir, callback)
    callback.on_scored(40, {"step": 40, "data_split": "test", "elbo": -2.5, "note": "a text"})
    (file,) = workdir.glob("wandb/offline-run-*/*.wandb")
    deadline = time.monotonic() + 30
    while "exit" not in [record.WhichOneof("record_type") for record in records(file)]:
        assert time.monotonic() < deadline  # the service of wandb writes the last records after `finish`
        time.sleep(0.05)
    found = list(records(file))
    (run,) = [record.run for record in found if record.WhichOneof("record_type") == "run"]
    settings = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert (run.project, run.run_id, run.display_name) == ("mine", callback.identity, "run")
    assert settings["experiment.latent_size"] == "2"
    logged = {}
    for record in found:
        if record.WhichOneof("record_type") == "history":
            items = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            if "loss" in items:
                logged[items["_step"]] = items["loss"]
    assert logged == {line["step"]: line["loss"] for line in read_lines(workdir / "metrics.jsonl")}
    summaries = [record.summary for record in found if record.WhichOneof("record_type") == "summary"]
    values = {item.key or item.nested_key[0]: json.loads(item.value_json) for s in summaries for item in s.update}
    assert values["test_elbo"] == -2.5 and "note" not in values


@pytest.mark.parametrize("make", [lambda: MLflow(uri=""), lambda: WandB(project="")])
def test_a_tracker_without_a_place_is_refused(make):
    with pytest.raises(UserError, match="must"):
        make()
