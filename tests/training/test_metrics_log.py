"""metrics.jsonl holds every logged step once."""

import json

from tfdgm.runs.metrics_file import read_lines
from tfdgm.training.metrics import MetricsLog


def test_lines_are_flat_objects_in_the_order_of_the_steps(tmp_path):
    log = MetricsLog(tmp_path)
    log.write(10, {"loss": 1.23456789, "rate": 2.0})
    log.write(20, {"loss": 1.0})
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"step": 10, "loss": 1.234568, "rate": 2.0}, {"step": 20, "loss": 1.0}]
    assert len(list((tmp_path / "events").iterdir())) == 1


def test_steps_that_will_be_made_again_are_forgotten(tmp_path):
    log = MetricsLog(tmp_path)
    for step in (10, 20, 30):
        log.write(step, {"loss": 0.0})
    log.cut_after(20)
    assert [line["step"] for line in read_lines(log.path)] == [10, 20]


def test_a_line_that_a_crash_cut_off_is_left_out(tmp_path):
    log = MetricsLog(tmp_path)
    log.write(10, {"loss": 0.0})
    with open(log.path, "a") as file:
        file.write('{"step": 20, "lo')
    log.cut_after(20)
    log.write(20, {"loss": 1.0})
    assert [line["step"] for line in read_lines(log.path)] == [10, 20]


def test_a_log_that_was_closed_goes_on_with_new_events(tmp_path):
    log = MetricsLog(tmp_path)
    for step in (10, 20):
        log.write(step, {"loss": 0.0})
        log.close()
    assert [line["step"] for line in read_lines(log.path)] == [10, 20]
    assert len(list((tmp_path / "events").iterdir())) == 2
