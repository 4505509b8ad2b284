"""metrics.jsonl and the events contain every logged step once."""

import json
from types import SimpleNamespace

import tensorflow as tf

from tfdgm.runs.metrics_file import read_lines
from tfdgm.training.callbacks.json_lines import JsonLines
from tfdgm.training.callbacks.tensorboard import TensorBoard


def started(callback, workdir, step=0):
    callback.on_start(SimpleNamespace(workdir=workdir, step=step))
    return callback


def test_lines_are_flat_objects_in_the_order_of_the_steps(tmp_path):
    log = started(JsonLines(), tmp_path)
    log.on_loop_end(10, {"loss": 1.23456789, "rate": 2.0})
    log.on_loop_end(20, {"loss": 1.0})
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"step": 10, "loss": 1.234568, "rate": 2.0}, {"step": 20, "loss": 1.0}]


def test_lines_of_steps_that_will_be_repeated_are_removed(tmp_path):
    log = started(JsonLines(), tmp_path)
    for step in (10, 20, 30):
        log.on_loop_end(step, {"loss": 0.0})
    started(log, tmp_path, step=20)
    assert [line["step"] for line in read_lines(log.path)] == [10, 20]


def test_a_truncated_line_is_removed(tmp_path):
    log = started(JsonLines(), tmp_path)
    log.on_loop_end(10, {"loss": 0.0})
    with open(log.path, "a") as file:
        file.write('{"step": 20, "lo')
    started(log, tmp_path, step=20)
    log.on_loop_end(20, {"loss": 1.0})
    assert [line["step"] for line in read_lines(log.path)] == [10, 20]


def test_events_after_closing_are_written_to_a_new_file(tmp_path):
    events = started(TensorBoard(), tmp_path)
    for step in (10, 20):
        events.on_loop_end(step, {"loss": 0.0})
        events.on_end(step)
    assert len(list((tmp_path / "events/train").iterdir())) == 2


def test_validation_scores_are_events_of_another_folder_under_the_same_tag(tmp_path):
    events = started(TensorBoard("steps = 20\n\nexperiment.seed = 3\n"), tmp_path)
    events.on_loop_end(10, {"loss": 3.0, "elbo": -3.0})
    started(events, tmp_path)  # as after a recovery
    events.on_loop_end(20, {"loss": 2.0, "elbo": -2.0, "validation_elbo": -2.5})
    events.on_end(20)
    train, validation = (read_events(tmp_path / "events" / name) for name in ("train", "validation"))
    assert train.Tags()["tensors"] == ["config", "loss", "elbo"] and validation.Tags()["tensors"] == ["elbo"]
    assert values(train, "elbo") == [(10, -3.0), (20, -2.0)] and values(validation, "elbo") == [(20, -2.5)]
    (config,) = train.Tensors("config")
    assert config.tensor_proto.string_val[0].decode() == "    steps = 20\n    \n    experiment.seed = 3\n"
    plugins = {tag: train.SummaryMetadata(tag).plugin_data.plugin_name for tag in ("config", "elbo")}
    assert plugins == {"config": "text", "elbo": "scalars"}


def read_events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()


def values(events, tag):
    return [(event.step, float(tf.make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]
