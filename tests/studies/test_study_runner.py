"""Cells in their own processes: failures are isolated, signals are passed on, reruns resume."""

import csv
import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from tfdgm.studies import runner
from tfdgm.studies.cells import CellSettings
from tfdgm.studies.combinations import MATRIX, MatrixCell
from tfdgm.studies.folder import Folder, Result
from tfdgm.studies.runner import Fixed, Runner
from tfdgm.system import children
from tfdgm.system.processes import environment

FAKE = (sys.executable, str(Path(__file__).with_name("fake_train.py")))


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "matrix", MATRIX)
    with made.held():
        yield made


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch):
    monkeypatch.setattr(children, "_POLL_SECONDS", 0.01)


def run(folder, *priors, jobs=1):
    """Run a cell for each prior; return the signal that stopped it, and (status, reason) by prior."""
    cells = [MatrixCell("q", prior, ("o",), 3) for prior in priors]
    results = folder.results()
    results |= {cell: Result(cell, command=f"tfdgm train {cell.prior}") for cell in cells if cell not in results}
    waiting = [cell for cell in cells if results[cell].status != "done"]
    stopped = Runner(folder, results, CellSettings(["base.gin"]), jobs, FAKE).run(Fixed(waiting))
    return stopped, {cell.prior: (result.status, result.reason) for cell, result in folder.results().items()}


def starts(folder, prior):
    return (folder.workdir(MatrixCell("q", prior, ("o",), 3)) / "starts").read_text().split()


def when(condition, act):
    """Call `act` from another thread as soon as a condition holds."""

    def wait():
        while not condition():
            time.sleep(0.01)
        act()

    threading.Thread(target=wait, daemon=True).start()


def test_a_failed_cell_is_recorded_with_its_reason_and_the_others_continue(folder, capsys):
    stopped, results = run(folder, "crashing", "good", "refusing", "dying", "fine", jobs=2)
    assert stopped is None
    assert results == {
        "crashing": ("failed", "ValueError: it was never tested"),
        "good": ("done", ""),
        "refusing": ("refused", "this pair has no meaning"),
        "dying": ("failed", "killed by SIGKILL: training dying"),
        "fine": ("done", ""),
    }
    rows = {row["prior"]: row for row in csv.DictReader((folder.path / "matrix.csv").open())}
    assert rows["good"]["elbo"] == "-23.5" and rows["dying"]["elbo"] == ""
    cells = json.loads((folder.path / "matrix.json").read_text())["cells"]
    assert all(cell["seconds"] > 0 for cell in cells)  # the table has tenths, and these take less
    log = folder.log(MatrixCell("q", "crashing", ("o",), 3)).read_text()
    assert log.startswith("$ tfdgm train crashing\n") and "\ntraining crashing\n" in log and "Traceback" in log
    output = capsys.readouterr().out
    assert (
        "[5/5]" in output
        and "q good o seed 3: done" in output
        and "elbo -23.50" in output
        and "it was never tested" in output
    )


def test_failed_cells_are_retried_and_finished_cells_are_not(folder):
    run(folder, "good", "crashing")
    run(folder, "good", "crashing")
    assert len(starts(folder, "good")) == 1 and len(starts(folder, "crashing")) == 2


def test_as_many_cells_run_in_parallel_as_there_are_jobs(folder):
    seen = []

    def both_run():
        paths = [folder.workdir(MatrixCell("q", prior, ("o",), 3)) for prior in ("long", "stubborn")]
        if all((path / "starts").exists() for path in paths):
            seen.extend(paths)
        return bool(seen)

    when(both_run, lambda: [(path / "saved").touch() for path in seen])
    assert run(folder, "long", "stubborn", jobs=2)[1] == {"long": ("done", ""), "stubborn": ("done", "")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_the_same_command_resumes(folder, number):
    started = folder.workdir(MatrixCell("q", "long", ("o",), 3)) / "checkpoints" / "step-0.npz"
    when(started.exists, lambda: os.kill(os.getpid(), number))
    stopped, results = run(folder, "long", "good")
    assert stopped == number
    assert results == {"long": ("unfinished", f"stopped by {number.name}"), "good": ("unfinished", "")}
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
    assert run(folder, "long", "good") == (None, {"long": ("done", ""), "good": ("done", "")})
    assert len(starts(folder, "long")) == 2


def test_a_second_signal_kills_cells_that_do_not_stop(folder):
    started = folder.workdir(MatrixCell("q", "stubborn", ("o",), 3)) / "checkpoints" / "step-0.npz"

    def interrupt_twice():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    when(started.exists, interrupt_twice)
    assert run(folder, "stubborn") == (signal.SIGINT, {"stubborn": ("unfinished", "stopped by SIGKILL")})


def test_a_cell_locked_by_another_process_waits_while_others_run(folder, capsys):
    workdir = folder.workdir(MatrixCell("q", "held", ("o",), 3))
    workdir.mkdir()
    lock = open(workdir / ".lock", "w")  # noqa: SIM115  (let go of by the other thread)
    fcntl.flock(lock, fcntl.LOCK_EX)
    done = folder.workdir(MatrixCell("q", "good", ("o",), 3)) / "report.html"
    when(done.exists, lock.close)
    assert run(folder, "held", "good")[1] == {"held": ("done", ""), "good": ("done", "")}
    output = capsys.readouterr().out
    assert (
        output.index("waiting for another process")
        < output.index("good o seed 3: done")
        < output.index("held o seed 3: done")
    )


def test_a_cell_that_another_process_locks_first_is_retried(folder, monkeypatch):
    workdir = folder.workdir(MatrixCell("q", "good", ("o",), 3))
    workdir.mkdir()
    lock = open(workdir / ".lock", "w")  # noqa: SIM115  (let go of by the other thread)
    fcntl.flock(lock, fcntl.LOCK_EX)
    free, looks = Runner._free, []

    def mistaken_once(self, cell):
        looks.append(cell)
        return len(looks) == 1 or free(self, cell)

    monkeypatch.setattr(Runner, "_free", mistaken_once)
    when(lambda: len(looks) > 1, lock.close)
    assert run(folder, "good")[1] == {"good": ("done", "")}
    assert len(starts(folder, "good")) == 2


def test_a_full_disk_stops_the_matrix_and_its_processes(folder, monkeypatch):
    from tfdgm import UserError

    path = folder.workdir(MatrixCell("q", "long", ("o",), 3)) / "starts"

    def full(*arguments):
        for _ in range(1_000):
            if path.exists():  # the process runs
                break
            time.sleep(0.01)
        raise UserError("no space left")

    monkeypatch.setattr(runner, "write_reports", full)
    with pytest.raises(UserError, match="no space left"):
        run(folder, "long", "good", jobs=2)
    for process in path.read_text().split():
        with pytest.raises(ProcessLookupError):
            os.kill(int(process), 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_the_processes_of_a_killed_matrix_save_and_end(folder, tmp_path):
    driver = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from test_study_runner import run
        from tfdgm.studies.combinations import MATRIX
        from tfdgm.studies.folder import Folder
        run(Folder(Path({str(folder.path)!r}), MATRIX), "good", "long")
    """)
    process = subprocess.Popen([sys.executable, "-c", driver], stdout=subprocess.DEVNULL)
    workdir = folder.workdir(MatrixCell("q", "long", ("o",), 3))
    deadline = time.monotonic() + 30
    while not (workdir / "checkpoints" / "step-0.npz").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    while not (workdir / "saved").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    cells = json.loads((folder.path / "matrix.json").read_text())["cells"]
    assert [(entry["prior"], entry["status"]) for entry in cells] == [("good", "done"), ("long", "unfinished")]
    assert run(folder, "good", "long")[1] == {"good": ("done", ""), "long": ("done", "")}
    assert len(starts(folder, "good")) == 1


def test_processes_share_the_cores_unless_the_user_sets_the_numbers_of_threads(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert environment(3)["TF_NUM_INTRAOP_THREADS"] == "2" and environment(9)["TF_NUM_INTRAOP_THREADS"] == "1"
    assert environment(3)["OMP_NUM_THREADS"] == "7"
    assert "TF_NUM_INTRAOP_THREADS" not in environment(1)
