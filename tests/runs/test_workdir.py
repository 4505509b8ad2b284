"""The valid parts of a workdir's files are read, however damaged they are."""

import json
import os
from contextlib import ExitStack

import numpy as np
import pytest

from tfdgm import UserError
from tfdgm.runs.checkpoint_files import Checkpoint
from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.metrics_file import cut_after, last_step, line_of, read_lines
from tfdgm.runs.record import checked_record
from tfdgm.runs.workdir import Workdir, new_folder
from tfdgm.system import strict_json


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def workdir(tmp_path, warnings):
    made = Workdir(tmp_path / "run", warnings.append)
    made.make()
    return made


def save(workdir, step, config, **changes):
    Checkpoints(workdir.checkpoints).save(Checkpoint(step, {"w": np.full(3, step)}, config=config, **changes))


def test_json_has_strings_for_non_finite_floats_and_they_are_read_back(workdir):
    scores = {"elbo": -np.inf, "rate": float("inf"), "mmd": float("nan"), "modes": 3, "remark": "text", "nll": 1.5}
    workdir.write_json("eval.json", scores)
    raw = json.loads((workdir.path / "eval.json").read_text(), parse_constant=pytest.fail)
    assert raw == {**scores, "elbo": "-Infinity", "rate": "Infinity", "mmd": "NaN"}
    read = workdir.scores()
    assert np.isnan(read.pop("mmd")) and read == {name: value for name, value in scores.items() if name != "mmd"}
    line = strict_json.loads(line_of(3, {"rate": np.inf, "loss": 1.23456789}))
    assert line == {"step": 3, "rate": "Infinity", "loss": 1.234568}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[1]", b"null", b"[" * 100_000, b"NaN", b'{"a": 1}\x00'],
    ids=lambda c: repr(c[:8]),
)
def test_damaged_json_counts_as_missing_with_a_warning(workdir, warnings, content):
    (workdir.path / "run.json").write_bytes(content)
    assert workdir.run_record() == {} and workdir.scores() == {}
    assert len(warnings) == 1 and "run.json is damaged" in warnings[0]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_folder_or_pipe_in_place_of_a_file_is_reported_without_blocking(workdir, warnings, make):
    for name in ("run.json", "metrics.jsonl"):
        make(workdir.path / name)
    assert workdir.run_record() == {} and workdir.metrics() == []
    assert len(warnings) == 2
    make(workdir.path / "config.gin")
    with pytest.raises(UserError, match=r"config\.gin cannot be read"):
        workdir.saved_config()


RECORD = {
    "argv": ["tfdgm", "train"], "started": "2026", "git_commit": None, "seed": 3, "data": {"a": 1}, "python": "3",
    "platform": "p", "versions": {"tfdgm": "1", "x": None},
    "plugins": {"prior.a": {"distribution": "d", "version": "1"}},
    "starts": [{"argv": ["tfdgm"], "started": "2026", "git_commit": None}],
}  # fmt: skip


def test_a_valid_record_is_kept_unchanged(warnings):
    assert checked_record(RECORD, warnings.append) == RECORD and warnings == []


@pytest.mark.parametrize(
    "changes, kept",
    [
        ({"starts": 5}, {"starts": []}),
        ({"starts": ["a", {"argv": 3}, *RECORD["starts"]]}, {"starts": RECORD["starts"]}),
        ({"versions": ["a"]}, {"versions": {}}),
        ({"versions": {"a": 1, "b": "2"}}, {"versions": {"b": "2"}}),
        ({"plugins": {"prior.a": "x", "prior.b": {"distribution": 1, "version": "1"}}}, {"plugins": {}}),
        ({"seed": True, "started": 3}, {}),
    ],
)
def test_the_valid_parts_of_a_damaged_record_are_kept_with_a_warning(changes, kept, warnings):
    expected = {name: value for name, value in {**RECORD, **kept}.items() if name in kept or name not in changes}
    assert checked_record({**RECORD, **changes}, warnings.append) == expected and warnings


LINES = b'{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n{"step": 3, "loss": 0.5}\n'


@pytest.mark.parametrize(
    "line",
    [b"", b"\xff\x00", b"[1]", b"7", b'{"step": "3"}', b'{"loss": 1}', b'{"step": true}', b'{"step": -1}',
     b'{"step": 1e3}', b"{" * 10_000, b'{"step": ' + b"9" * 5_000 + b"}", b'{"step": 18446744073709551616}'],
    ids=lambda line: repr(line[:16]),
)  # fmt: skip
def test_a_damaged_line_of_metrics_is_skipped(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(LINES[:25] + line + b"\n" + LINES[25:])
    assert [row["step"] for row in read_lines(path)] == [1, 2, 3]
    path.write_bytes(LINES + line)
    assert last_step(path) == 3
    cut_after(path, 2)
    assert path.read_bytes() == LINES[:50]


def test_values_other_than_numbers_are_skipped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "a": "x", "b": null, "c": [1], "d": "-Infinity", "e": true, "f": 2}\n')
    assert read_lines(path) == [{"step": 1, "d": -np.inf, "f": 2}]


@pytest.mark.parametrize("step, kept", [(0, 0), (1, 25), (2, 50), (3, 75), (9, 75)])
def test_metrics_are_truncated_after_a_step_across_blocks(tmp_path, monkeypatch, step, kept):
    path = tmp_path / "metrics.jsonl"
    for block in (1, 7, 24, 25, 26, 1_000):
        monkeypatch.setattr("tfdgm.runs.metrics_file._BLOCK", block)
        path.write_bytes(LINES + b'{"step": 4, "lo')
        cut_after(path, step)
        assert path.read_bytes() == LINES[:kept]


def test_a_long_file_of_metrics_is_truncated_by_reading_its_end(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    with open(path, "wb") as file:
        file.writelines(b'{"step": %d}\n' % step for step in range(200_000))
    parsed = []
    monkeypatch.setattr(
        "tfdgm.runs.metrics_file.strict_json.loads", lambda text: parsed.append(text) or json.loads(text)
    )
    cut_after(path, 199_990)
    assert len(parsed) == 10 and last_step(path) == 199_990


def test_a_missing_config_is_restored_from_the_newest_intact_checkpoint(workdir, warnings):
    assert workdir.saved_config() is None
    save(workdir, 1, "experiment.seed = 1\n")
    save(workdir, 2, "experiment.seed = 1\n")
    path = Checkpoints(workdir.checkpoints).path(2)
    path.write_bytes(path.read_bytes()[:-30])
    assert workdir.saved_config() == "experiment.seed = 1\n" and "taken from the checkpoint of step 1" in warnings[0]
    assert workdir.differences("experiment.seed = 2\n") and not workdir.differences("experiment.seed = 1\n")
    with pytest.raises(UserError, match="another configuration"):
        workdir.begin("experiment.seed = 2\n")


def test_a_workdir_is_refused_if_neither_config_nor_checkpoints_describe_the_run(workdir):
    save(workdir, 1, None)
    with pytest.raises(UserError, match=r"config\.gin is missing, and no checkpoint"):
        workdir.begin("experiment.seed = 2\n")


def test_a_config_in_another_encoding_is_damaged(workdir):
    workdir.config.write_bytes("x = 'é'\n".encode("latin-1"))
    with pytest.raises(UserError, match="is damaged"):
        workdir.saved_config()


def test_temporary_files_of_a_killed_process_are_removed_on_resuming(workdir):
    (workdir.path / ".eval.json.0123.tmp").touch()
    workdir.begin("experiment.seed = 2\n")
    assert sorted(path.name for path in workdir.path.iterdir()) == ["config.gin", "samples"]


def test_runs_that_start_in_the_same_second_have_different_folders(tmp_path, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda form: "now")
    with ExitStack() as stack:
        made = [stack.enter_context(new_folder(tmp_path / "runs", "vae")) for _ in range(3)]
        assert [path.name for path in made] == ["vae-now", "vae-now-2", "vae-now-3"]
        (made[1] / "config.gin").touch()
    assert list((tmp_path / "runs").iterdir()) == [made[1]]  # the empty ones are removed
    with new_folder(tmp_path / "other", "vae") as folder:
        assert folder.is_dir()
    assert not (tmp_path / "other").exists()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be created"), new_folder(tmp_path / "file", "vae"):
        pass
