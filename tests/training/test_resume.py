"""An interrupted run ends with the same weights as an uninterrupted one."""

import errno
import signal

import numpy as np
import pytest
from small import SignalAt, assert_same_tensors, digits_experiment, gan_experiment, points_experiment, silent

from tfdgm import UserError
from tfdgm.runs.metrics_file import read_lines
from tfdgm.training.trainer import Trainer


def run(workdir, make=points_experiment, **changes):
    """Train to the end; return the final state and the trainer."""
    built = make(**changes).build()
    trainer = Trainer(built, workdir, silent)
    outcome = trainer.train()
    assert outcome.step == built.experiment.steps and outcome.signal is None
    return built.state.read(), trainer


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """60 steps without interruption, and their workdir."""
    workdir = tmp_path_factory.mktemp("whole")
    return run(workdir)[0], workdir


def test_training_twice_from_the_start_is_the_same_bit_for_bit(whole, tmp_path):
    assert_same_tensors(whole[0], run(tmp_path)[0])


def test_thirty_steps_and_thirty_more_are_sixty_bit_for_bit(whole, tmp_path):
    run(tmp_path, steps=30)
    state, _ = run(tmp_path)
    assert_same_tensors(state, whole[0])
    assert state["step"] == 60


@pytest.mark.slow
def test_a_run_stopped_inside_a_loop_continues_to_the_same_boundaries(whole, tmp_path):
    run(tmp_path, steps=24)
    state, _ = run(tmp_path)
    # Loops of 4 and 6 steps are different programs, in which XLA may round differently; weights are of size 1.
    assert_same_tensors(state, whole[0], atol=1e-5)
    assert [line["step"] for line in read_lines(tmp_path / "metrics.jsonl")] == [10, 20, 24, 30, 40, 50, 60]


def test_the_final_checkpoint_is_the_final_state(whole):
    state, workdir = whole
    trainer = Trainer(points_experiment().build(), workdir, silent)
    assert trainer.restore() == 60
    assert_same_tensors(trainer.built.state.read(), state)


@pytest.mark.slow
def test_rerunning_a_finished_run_changes_nothing(whole, tmp_path):
    run(tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()}
    state, _ = run(tmp_path)
    assert_same_tensors(state, whole[0])
    assert {path.name: path.read_bytes() for path in (tmp_path / "checkpoints").iterdir()} == before


@pytest.mark.slow
def test_steps_lost_with_a_damaged_newest_checkpoint_are_repeated(whole, tmp_path):
    _, trainer = run(tmp_path, steps=40)
    newest = trainer.checkpoints.path(40)
    newest.write_bytes(newest.read_bytes()[:100])
    state, _ = run(tmp_path)
    assert_same_tensors(state, whole[0])
    assert [line["step"] for line in read_lines(tmp_path / "metrics.jsonl")] == [10, 20, 30, 40, 50, 60]


@pytest.mark.slow
def test_streamed_data_gives_the_weights_of_resident_data(whole, tmp_path):
    state, trainer = run(tmp_path, resident_bytes=0)
    assert not trainer.experiment.resident
    # The same rows in another program, which XLA may fuse and round differently; weights are of size 1.
    assert_same_tensors(state, whole[0], atol=1e-6)


@pytest.mark.slow
def test_streamed_data_resumes_bit_for_bit(tmp_path):
    straight, _ = run(tmp_path / "straight", resident_bytes=0, steps=40)
    run(tmp_path / "broken", resident_bytes=0, steps=20)
    state, _ = run(tmp_path / "broken", resident_bytes=0, steps=40)
    assert_same_tensors(state, straight)


@pytest.mark.slow
def test_a_run_with_shards_resumes_bit_for_bit(tmp_path):
    straight, _ = run(tmp_path / "straight", shards=2, steps=40)
    run(tmp_path / "broken", shards=2, steps=20)
    state, _ = run(tmp_path / "broken", shards=2, steps=40)
    assert_same_tensors(state, straight)


@pytest.mark.slow
def test_a_game_with_its_critics_optimizer_and_moving_averages_resumes_bit_for_bit(tmp_path):
    straight, trainer = run(tmp_path / "straight", gan_experiment, ema_decay=0.9, steps=20)
    run(tmp_path / "broken", gan_experiment, ema_decay=0.9, steps=10)
    state, _ = run(tmp_path / "broken", gan_experiment, ema_decay=0.9, steps=20)
    assert_same_tensors(state, straight)
    assert [int(player.optimizer.iterations) for player in trainer.built.players] == [60, 20]
    assert any(name.startswith("players/model/average") for name in state)
    assert any(name.startswith("players/meangame/optimizer") for name in state)


@pytest.mark.slow
def test_the_digits_vae_with_dynamic_binarisation_resumes_bit_for_bit(tmp_path):
    straight, _ = run(tmp_path / "straight", digits_experiment, steps=20)
    run(tmp_path / "broken", digits_experiment, steps=10)
    state, _ = run(tmp_path / "broken", digits_experiment, steps=20)
    assert_same_tensors(state, straight)


@pytest.mark.slow
def test_another_seed_gives_other_weights(whole, tmp_path):
    state, _ = run(tmp_path, seed=1, steps=10)
    assert (state["model/decoder/layers/0/0_kernel"] != whole[0]["model/decoder/layers/0/0_kernel"]).any()


@pytest.mark.slow
def test_a_signal_stops_at_the_end_of_a_loop_with_a_checkpoint_from_which_the_run_resumes(whole, tmp_path):
    trainer = Trainer(points_experiment().build(), tmp_path, silent, callbacks=[SignalAt(30)])
    before = signal.getsignal(signal.SIGTERM)
    outcome = trainer.train()
    assert (outcome.step, outcome.signal, outcome.reason) == (30, signal.SIGTERM, None)
    assert signal.getsignal(signal.SIGTERM) is before
    assert trainer.checkpoints.steps()[-1] == 30
    assert_same_tensors(run(tmp_path)[0], whole[0])


@pytest.mark.slow
def test_a_full_disk_ends_the_run_with_the_reason_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    run(tmp_path, steps=20)
    trainer = Trainer(points_experiment().build(), tmp_path, silent)

    def full(*arguments, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(UserError, match=r"step 30 could not be written.*No space left.*step 20 is kept"):
        trainer.train()
    monkeypatch.undo()
    assert trainer.checkpoints.steps()[-1] == 20


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"latent_size": 3}, "has shape"),
        ({"ema_decay": 0.9}, "is missing"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(whole, change, reason):
    trainer = Trainer(points_experiment(**change).build(), whole[1], silent)
    with pytest.raises(UserError, match=f"does not fit this experiment.*{reason}"):
        trainer.restore()


def test_a_checkpoint_with_an_unknown_tensor_is_refused(whole):
    built = points_experiment().build()
    with pytest.raises(UserError, match="unknown is not part of this run"):
        built.state.assign({**whole[0], "unknown": np.zeros(1)})
