"""A run that is extended goes on under another schedule; on other data only where that is accepted."""

import dataclasses

import keras
import numpy as np
import pytest
from small import Points, assert_same_tensors, gan_experiment, normal_rows, points_experiment, silent

from tfdgm import UserError
from tfdgm.runs.checkpoint_files import path_of, read, write
from tfdgm.training.trainer import Trainer

#: A constant rate is one of the optimizer's variables, a schedule is not.
CONFIG = "experiment.steps = {}\n\nkeras.optimizers.Adam.learning_rate = {}\n"


def train(workdir, steps, rate=1e-2, make=points_experiment, optimizer=keras.optimizers.Adam, **options):
    shown = rate if isinstance(rate, float) else "@keras.optimizers.schedules.CosineDecay()"
    changes = {name: options.pop(name) for name in ("data", "validate_every") if name in options}
    built = make(steps=steps, optimizer=optimizer(rate), **changes).build()
    trainer = Trainer(built, workdir, silent, CONFIG.format(steps, shown), **options)
    trainer.train()
    return built.state.read(), trainer


def cosine():
    return keras.optimizers.schedules.CosineDecay(1e-2, 60)


@pytest.fixture(scope="module")
def thirty(tmp_path_factory):
    """A run of 30 steps with a constant rate: its last checkpoint."""
    workdir = tmp_path_factory.mktemp("thirty")
    train(workdir, 30)
    return read(path_of(workdir / "checkpoints", 30))


@pytest.fixture
def workdir(thirty, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    write(path_of(tmp_path / "checkpoints", 30), thirty)
    return tmp_path


def test_an_extended_run_is_the_longer_run_bit_for_bit_if_only_the_number_of_steps_differs(workdir, tmp_path):
    straight, _ = train(tmp_path / "straight", 60)
    state, trainer = train(workdir, 60, extending=True)
    assert_same_tensors(state, straight)
    assert read(trainer.checkpoints.path(60)).config == CONFIG.format(60, 1e-2)


def test_other_steps_without_the_flag_are_refused_with_the_difference(workdir):
    with pytest.raises(
        UserError, match=r"step 30 is of a run of another configuration; .*--extend(.|\n)*-.*= 30(.|\n)*= 60"
    ):
        train(workdir, 60)


def test_the_checkpoint_is_written_again_under_the_new_configuration_before_the_first_step(workdir, thirty):
    _, trainer = train(workdir, 30, 5e-3, extending=True)
    again = read(trainer.checkpoints.path(30))
    assert again.config == CONFIG.format(30, 5e-3)
    rate = [name for name in again.tensors if not np.array_equal(again.tensors[name], thirty.tensors[name])]
    assert rate == ["players/model/optimizer/1"]
    train(workdir, 30, 5e-3)  # which resumes without the flag
    with pytest.raises(UserError, match="another configuration"):
        train(workdir, 30)


def test_a_constant_rate_is_that_of_the_new_configuration(workdir, thirty):
    state, _ = train(workdir, 40, 0.0, extending=True)
    for name, value in thirty.tensors.items():
        if name.startswith("model/"):
            np.testing.assert_array_equal(state[name], value, err_msg=name)
    assert state["players/model/optimizer/1"] == 0 and state["players/model/optimizer/0"] == 40


@pytest.mark.parametrize("first", ["constant", "schedule"])
def test_a_constant_rate_may_become_a_schedule_and_a_schedule_constant(thirty, workdir, tmp_path, first):
    if first == "schedule":
        workdir = tmp_path / "schedule"
        _, trainer = train(workdir, 30, cosine())
        thirty = read(trainer.checkpoints.path(30))
    rate = 2e-3 if first == "schedule" else cosine()
    trainer = train(workdir, 30, rate, extending=True)[1]
    again, saved = read(trainer.checkpoints.path(30)).tensors, thirty.tensors
    moments = [name for name in again if name.startswith("players/model/optimizer/")]
    # iteration, the rate where it is constant, two moments for each of the model's variables
    assert len(moments) == len([name for name in saved if name.startswith("players/")]) + (
        1 if first == "schedule" else -1
    )
    last = sorted(int(name.rpartition("/")[2]) for name in moments)[-1]
    shift = -1 if first == "schedule" else 1
    np.testing.assert_array_equal(
        again[f"players/model/optimizer/{last}"], saved[f"players/model/optimizer/{last + shift}"]
    )
    assert [float(player.optimizer.learning_rate) for player in trainer.built.players] == [
        pytest.approx(2e-3 if first == "schedule" else float(cosine()(30)), rel=1e-6)  # float32
    ]


def test_another_kind_of_optimizer_is_refused(workdir):
    with pytest.raises(UserError, match=r"--extend: SGD, the optimizer of the player 'model', keeps other variables"):
        train(workdir, 60, extending=True, optimizer=keras.optimizers.SGD)


def test_fewer_steps_than_have_been_made_are_refused(workdir):
    with pytest.raises(UserError, match=r"--extend: experiment\.steps is 20, but the run has made 30 steps"):
        train(workdir, 20, extending=True)


@pytest.mark.slow
def test_the_critics_optimizer_goes_on(tmp_path):
    train(tmp_path / "game", 10, make=gan_experiment)
    state, trainer = train(tmp_path / "game", 20, make=gan_experiment, extending=True)
    straight, _ = train(tmp_path / "straight", 20, make=gan_experiment)
    assert_same_tensors(state, straight)
    assert [int(player.optimizer.iterations) for player in trainer.built.players] == [60, 20]


def test_resuming_on_other_data_is_refused_with_the_difference(workdir):
    rows = normal_rows()
    rows[7] += 1
    with pytest.raises(UserError, match=r"the data is not that of the run(.|\n)*split 'train': content"):
        train(workdir, 30, data=Points(rows=rows))


def test_other_data_that_is_accepted_is_the_data_of_the_checkpoints_that_follow(workdir):
    other = Points(rows=normal_rows(seed=1))
    _, trainer = train(workdir, 30, data=other, other_data=True)
    assert len(trainer.data_changes) == 2
    _, trainer = train(workdir, 30, data=other)
    assert trainer.data_changes == []
    with pytest.raises(UserError, match="not that of the run"):
        train(workdir, 30)


def test_a_checkpoint_of_a_version_without_fingerprints_is_resumed(workdir, thirty):
    write(path_of(workdir / "checkpoints", 30), dataclasses.replace(thirty, data=None))
    state, _ = train(workdir, 30)
    assert_same_tensors(state, thirty.tensors)
