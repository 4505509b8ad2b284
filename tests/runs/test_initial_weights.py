"""A new run starts from the weights of another: by name, all or a part, with checked shapes."""

import keras
import numpy as np
import pytest
from small import assert_same_tensors, gan_experiment, points_experiment, silent
from tfdgm_likelihoods.gaussian import Gaussian
from tfdgm_networks.mlp import MLP
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.uniform import Uniform

from tfdgm import UserError
from tfdgm.runs.checkpoint_files import Checkpoint
from tfdgm.runs.checkpoints import Checkpoints
from tfdgm.runs.initial_weights import take_initial_weights
from tfdgm.training.trainer import Trainer


def save(workdir, tensors, step=7):
    Checkpoints(workdir / "checkpoints").save(Checkpoint(step, tensors))


def shifted(built):
    """The state of an experiment, with other values, as if it had been trained."""
    return {name: value + 1 if value.dtype == np.float32 else value for name, value in built.state.read().items()}


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The workdir of another run of the same model, and its state."""
    workdir = tmp_path_factory.mktemp("other")
    state = shifted(points_experiment(seed=1).build())
    save(workdir, state)
    return workdir, state


def test_all_weights_are_taken_and_optimizers_start_anew(other):
    workdir, state = other
    built = points_experiment().build()
    before = built.state.read()
    found = take_initial_weights(built.state, str(workdir), None)
    after = built.state.read()
    model = [name for name in after if name.startswith(("model/encoder/", "model/decoder/"))]
    assert found.taken == model and found.kept == found.unused == [] and found.step == 7
    assert_same_tensors({name: after[name] for name in model}, {name: state[name] for name in model})
    rest = [name for name in after if name not in model]
    assert_same_tensors({name: after[name] for name in rest}, {name: before[name] for name in rest})


def test_a_part_is_taken_and_the_rest_is_listed(other):
    built = points_experiment(decoder=MLP(hidden=(4,))).build()  # of other shapes, which do not matter
    before = built.state.read()
    found = take_initial_weights(built.state, str(other[0]), ["encoder"])
    assert found.taken and all(name.startswith("model/encoder/") for name in found.taken)
    assert found.kept and all(name.startswith("model/decoder/") for name in found.kept)
    after = built.state.read()
    assert [name for name in before if not np.array_equal(before[name], after[name])] == found.taken
    assert found.lines()[0].endswith(f"at step 7: encoder ({len(found.taken)}) variables")
    assert "not taken, as they are initialised here: decoder" in found.lines()[1]


def test_shapes_that_differ_are_refused_with_both(other):
    built = points_experiment(latent_size=3).build()
    with pytest.raises(UserError, match=r"do not fit: model/\S+ has shape \(.*\) there and \(.*\) here.*initial_parts"):
        take_initial_weights(built.state, str(other[0]), None)


def test_variables_without_a_counterpart_are_listed(other, tmp_path):
    _, state = other
    names = [name for name in state if name.startswith(("model/encoder/", "model/decoder/"))]
    added = "model/decoder/layers/7/kernel"
    save(tmp_path, {**{name: state[name] for name in names[1:]}, added: np.zeros(3)})
    built = points_experiment().build()
    found = take_initial_weights(built.state, str(tmp_path), None)
    assert found.kept == names[:1] and found.taken == names[1:]
    assert found.unused == [added] and "this run has no such variables" in found.lines()[-1]


def test_statistics_are_taken_and_settings_are_not(tmp_path):
    """The codebook is learned by moving averages; the scale of the likelihood is a setting of the new run."""
    parts = {"posterior": VQ(num_codes=4, positions=(2,)), "prior": Uniform(), "encoder": MLP(hidden=())}
    save(tmp_path, shifted(points_experiment(**parts).build()))
    built = points_experiment(**parts, likelihood=Gaussian(scale=0.1)).build()
    before = built.state.read()
    found = take_initial_weights(built.state, str(tmp_path), None)
    assert any(name.startswith("model/posterior/") for name in found.taken)
    name = "model/likelihood/log_scale"
    assert name not in found.taken and built.state.read()[name] == before[name]


def test_a_critic_can_be_taken_by_the_name_of_its_objective(tmp_path):
    built = gan_experiment().build()
    save(tmp_path, shifted(built))
    found = take_initial_weights(built.state, str(tmp_path), ["meangame"])
    assert found.taken and all(name.startswith("objectives/meangame/") for name in found.taken)


def test_moving_averages_are_taken_and_started_from(tmp_path):
    built = points_experiment(ema_decay=0.9).build()
    state = {name: value + (2 if "/average/" in name else 1) for name, value in built.state.read().items()}
    save(tmp_path, state)
    found = take_initial_weights(built.state, str(tmp_path), None)
    after = built.state.read()
    for name in found.taken:
        average = name.replace("model/", "players/model/average/", 1)
        np.testing.assert_array_equal(after[name], state[average])
        np.testing.assert_array_equal(after[average], after[name])


def test_what_cannot_be_taken_is_refused(other, tmp_path):
    built = points_experiment().build()
    with pytest.raises(UserError, match="there is no checkpoint in"):
        take_initial_weights(built.state, str(tmp_path), None)
    with pytest.raises(UserError, match=r"no part 'encodr' with variables\. Did you mean 'encoder'"):
        take_initial_weights(built.state, str(other[0]), ["encodr"])
    save(tmp_path, {"model/prior/extra": np.zeros(3)})
    with pytest.raises(UserError, match="has no variables of the parts decoder, encoder"):
        take_initial_weights(built.state, str(tmp_path), None)


@pytest.mark.parametrize("parts, initial", [((), "w"), (("encoder",), None)])
def test_parts_need_a_run_and_at_least_one_name(parts, initial):
    with pytest.raises(UserError, match="initial_parts"):
        points_experiment(initial=initial, initial_parts=list(parts))


def test_the_other_run_is_read_once(other, tmp_path):
    source = tmp_path / "source"
    save(source, other[1])
    settings = {"initial": str(source), "steps": 10, "optimizer": keras.optimizers.Adam(0.0)}
    trainer = Trainer(points_experiment(**settings).build(), tmp_path / "run", silent)
    trainer.train()
    assert trainer.initial is not None and trainer.initial.taken
    tensors = trainer.checkpoints.at(10).tensors
    for name in trainer.initial.taken:  # at a learning rate of 0
        np.testing.assert_array_equal(tensors[name], other[1][name], err_msg=name)
    (source / "checkpoints" / "step-0000000007.npz").unlink()
    again = Trainer(points_experiment(**settings).build(), tmp_path / "run", silent)
    again.train()
    assert again.initial is None
