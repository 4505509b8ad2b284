"""Searches by Optuna, with made-up runs whose score has its maximum at x = 3."""

import sys
from pathlib import Path

import optuna
import pytest

from tfdgm import UserError
from tfdgm.studies.cells import CellSettings
from tfdgm.studies.folder import Folder, Result
from tfdgm.studies.goals import Goal
from tfdgm.studies.runner import Runner
from tfdgm.studies.search import STORAGE, Method, Search
from tfdgm.studies.summary import best_lines
from tfdgm.studies.sweep_cells import SWEEP
from tfdgm.studies.varied import read_varied
from tfdgm.system import children

FAKE = (sys.executable, str(Path(__file__).with_name("fake_trial.py")))
GOAL = Goal("validation_elbo", "largest")


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "sweep", SWEEP)
    with made.held():
        yield made


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch):
    monkeypatch.setattr(children, "_POLL_SECONDS", 0.01)


def run(folder, text, trials, *, seeds=(0,), goal=GOAL, sampler="random", pruner="none", most=None):
    """Search the macro x; return the search and the results."""
    results = folder.results()

    def plan(cells):
        for cell in cells:
            results.setdefault(cell, Result(cell, command=f"tfdgm train {cell}"))
        return {cell: results[cell] for cell in cells}

    settings = CellSettings(["digits/vae.gin"])
    search = Search(folder, read_varied([text]), settings, goal, seeds, Method(trials, sampler, pruner), plan)
    if most is not None:  # the study ends before its search does
        search.method = Method(most, sampler, pruner)
    assert Runner(folder, results, settings, 1, FAKE).run(search) is None
    return search, results


def starts(folder):
    return {path.parent.name: len(path.read_text()) for path in folder.path.glob("cells/*/starts")}


def test_the_value_of_a_combination_is_the_mean_over_its_seeds(folder):
    search, results = run(folder, "x = 2, 5", 12, seeds=(0, 1))
    assert {key: round(value, 6) for key, value in search.values().items()} == {
        ("2",): round(-1 - 10 / 3, 6),
        ("5",): round(-4 - 10 / 3, 6),
    }
    assert {cell.name for cell in results} == {"x=2-0", "x=2-1", "x=5-0", "x=5-1"}
    assert set(starts(folder).values()) == {1}  # a combination that is drawn again is not trained again
    assert next(best_lines(folder, GOAL)) == "best of 2: x 2: validation_elbo -4.33 ± 0.00 over 2 seeds"


def test_tpe_approaches_the_maximum_of_a_continuous_setting(folder):
    search, _ = run(folder, "x = linear(0, 5)", 25, sampler="tpe")
    assert search.total == 0 or len(search.values()) == 25
    (best,) = GOAL.best(search.values())
    assert abs(float(best) - 3) < 0.2  # 25 uniform draws have a nearest one within 0.1 on average


def test_an_interrupted_search_goes_on_with_its_trials(folder):
    run(folder, "x = integers(0, 4)", 6, most=2)
    before = starts(folder)
    storage = optuna.load_study(study_name=None, storage=f"sqlite:///{folder.path / STORAGE}")
    storage.ask()  # as if the process had been killed while it proposed
    search, _ = run(folder, "x = integers(0, 4)", 6)
    trials = [trial for trial in search.study.trials if "texts" in trial.user_attrs]
    assert len(trials) == 6 and all(trial.state.is_finished() for trial in search.study.trials)
    assert all(starts(folder)[name] == 1 for name in before)


def test_a_failed_run_does_not_stop_the_search_and_has_no_value(folder):
    search, results = run(folder, "x = 2, 9", 6)
    assert {cell.texts: result.status for cell, result in results.items()} == {("2",): "done", ("9",): "failed"}
    assert list(search.values()) == [("2",)]


@pytest.mark.slow
def test_a_hopeless_run_is_stopped_and_its_other_seeds_are_not_trained(folder):
    search, results = run(folder, "x = linear(0, 7)", 12, seeds=(0, 1), pruner="median")
    pruned = {cell.texts[0] for cell, result in results.items() if result.status == "pruned"}
    assert pruned and all(float(text) > 5 for text in pruned)
    reasons = {result.reason for result in results.values() if result.status == "pruned"}
    assert any("at step 1 is worse than that of other runs" in reason for reason in reasons)
    assert "the run of seed 0 was stopped" in reasons
    assert not any(f"x={text}-1" in starts(folder) for text in pruned)
    assert {trial.state.name for trial in search.study.trials} == {"COMPLETE", "PRUNED"}
    assert ",pruned," in (folder.path / "sweep.csv").read_text()


def test_a_goal_that_no_run_has_stops_the_search(folder):
    with pytest.raises(UserError, match=r"has no number 'validation_elb'\. Did you mean 'validation_elbo'"):
        run(folder, "x = 2", 1, goal=Goal("validation_elb", "largest"))


def test_a_pruner_needs_a_goal_that_training_reports(folder):
    with pytest.raises(UserError, match="training does not report elbo"):
        run(folder, "x = 2", 1, goal=Goal("elbo", "largest"), pruner="median")


def test_a_folder_of_another_search_is_refused_with_what_differs(folder):
    run(folder, "x = 2", 1)
    with pytest.raises(UserError, match=r"holds another search(.|\n)*-x = 2\n  \+x = 2, 3"):
        run(folder, "x = 2, 3", 1)


def test_a_locked_or_damaged_storage_is_one_message(folder):
    (folder.path / STORAGE).write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match=r"Optuna cannot use .*optuna\.db: .*not a database"):
        run(folder, "x = 2", 1)


@pytest.mark.parametrize("text", ["", "elbo", "elbo largets", "elbo largest now"])
def test_a_goal_is_a_name_and_a_direction(text):
    with pytest.raises(UserError, match="--goal must be 'NAME largest' or 'NAME smallest'"):
        Goal.read(text)
