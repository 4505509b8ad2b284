"""Every installed prior and posterior under every objective, adversarial ones alone and beside the ELBO."""

import itertools

import keras
import numpy as np
import pytest
from installed_pairs import discrete, halves, make, plugins
from small import assert_same_tensors, digits_experiment, silent
from small_critics import one_step
from tfdgm_data.digits import Digits
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.elbo import ELBO

from tfdgm import UserError
from tfdgm.contracts import registry
from tfdgm.runs.metrics_file import read_lines
from tfdgm.training.trainer import Trainer

STEPS, MIDDLE = 20, 10
ADVERSARIAL = [plugin for plugin in plugins("objective") if registry.load(plugin).adversarial]


def objectives(plugin, with_elbo, **settings):
    """Plain steps with momentum, which is state to keep, compile fastest."""
    critic = registry.load(plugin)(
        network=MLP(hidden=(8,)), moves=1, optimizer=keras.optimizers.SGD(1e-2, momentum=0.9), **settings
    )
    return [ELBO(), critic] if with_elbo else [critic]


def described(prior, posterior, terms):
    """The experiment of a cell, not built yet; without validation and draws of pixels, which take long to compile."""
    inference = {"posterior": None, "encoder": None}
    if posterior is not None:
        inference = {"posterior": make(posterior), "encoder": MLP(hidden=())}
    experiment = digits_experiment(
        data=Digits(binarization="static"),
        prior=make(prior),
        decoder=MLP(hidden=()),
        objectives=terms,
        optimizer=keras.optimizers.SGD(5e-3, momentum=0.9),
        latent_size=2,
        steps=STEPS,
        keep_checkpoints=10,
        **inference,
    )
    del experiment.splits["validation"]
    return experiment


def reason(prior, posterior, with_elbo):
    """Return why a cell is invalid, or None."""
    if posterior is None and make(prior).needs_posterior:
        return f"{prior.gin_name} needs a posterior, but experiment.posterior is None"
    if posterior is None and with_elbo:
        return f"{ELBO.display_name()} needs a posterior, but experiment.posterior is None"
    if make(prior).over == "codes" and not discrete(posterior):
        return f"{prior.gin_name} is over codes, but the latent is a vector"
    return None


def name(part):
    if isinstance(part, bool):
        return "with elbo" if part else "alone"
    return "none" if part is None else part.name


CELLS = list(itertools.product(ADVERSARIAL, (False, True), plugins("prior"), [None, *plugins("posterior")]))
REFUSED = [cell for cell in CELLS if reason(cell[2], cell[3], cell[1])]
VALID = [cell for cell in CELLS if not reason(cell[2], cell[3], cell[1])]
#: The objectives in turn, alone and beside the ELBO.
TRAINED = [
    cells[number % len(cells)]
    for number, pair in enumerate(halves()[1])
    if (cells := [cell for cell in VALID if cell[2:] == pair])
]
#: The objectives in turn, in latent space.
LATENT = [
    (ADVERSARIAL[number % len(ADVERSARIAL)], *pair)
    for number, pair in enumerate(itertools.product(plugins("prior"), plugins("posterior")))
    if not discrete(pair[1]) and not reason(*pair, True)
]


def test_the_cells_are_all_that_are_installed():
    assert {cell[0] for cell in TRAINED} == {cell[0] for cell in LATENT} == set(ADVERSARIAL)
    names = {(name(a), elbo, name(prior), name(posterior)) for a, elbo, prior, posterior in VALID}
    priors = ("gaussian", "aggregated_posterior", "maf", "real_nvp")
    for objective, prior in itertools.product(("jsd", "wasserstein"), priors):
        assert ((objective, False, prior, "none") in names) == (prior != "aggregated_posterior")
        for elbo, posterior in itertools.product(
            (False, True), ("gaussian", "iaf", "categorical", "vq", "residual_vq", "fsq")
        ):
            assert (objective, elbo, prior, posterior) in names


@pytest.mark.parametrize("plugin, with_elbo, prior, posterior", REFUSED, ids=name)
def test_a_combination_without_meaning_is_refused_with_the_reason(plugin, with_elbo, prior, posterior):
    with pytest.raises(UserError, match=reason(prior, posterior, with_elbo)):
        described(prior, posterior, objectives(plugin, with_elbo))


def trained_whole(experiment, workdir):
    """The trainer of a finished run: finite, compiled as a whole, and everything moved."""
    built = experiment.build()
    before = built.state.read()
    trainer = Trainer(built, workdir, silent)
    assert trainer.train().step == STEPS  # no loss stays None, no metric is NaN
    assert [program._jit_compile for program in trainer.loop._compiled.values()] == [True]
    assert [line["step"] for line in read_lines(workdir / "metrics.jsonl")] == [MIDDLE, STEPS]
    after = built.state.read()
    assert all(np.isfinite(value).all() for value in after.values())
    for player in built.players:
        assert int(player.optimizer.iterations) == STEPS * player.updates
    unmoved = [path for path in trainable_paths(built) if (before[path] == after[path]).all()]
    # a critic whose scores enter as differences does not move its last bias
    excused = [path for path in unmoved if path.startswith("objectives/") and path.endswith("layers/1/1_bias")]
    assert unmoved == excused
    return trainer


def trainable_paths(built):
    """Return the names in the state of the variables that players update."""
    moved = {id(variable) for player in built.players for variable in player.variables.values()}
    paths = [path for path, variable in built.state.variables.items() if id(variable) in moved]
    assert len(paths) == len(moved)
    return paths


def assert_goes_on(trainer, workdir):
    """From the checkpoint in the middle, bit for bit; the programs are there already, which saves a compilation.

    What a checkpoint lacked would keep its value from the end of the run.
    """
    after, loop = trainer.built.state.read(), trainer.loop
    trainer = Trainer(trainer.built, workdir, silent)
    trainer.loop = loop
    assert any(path.startswith("players/") and "optimizer" in path for path in after)
    assert any(path.startswith("objectives/") for path in after)
    for step in trainer.checkpoints.steps():
        if step > MIDDLE:
            trainer.checkpoints.path(step).unlink()
    assert trainer.restore() == MIDDLE
    middle = trainer.built.state.read()
    assert middle["step"] == MIDDLE
    assert any((middle[path] != after[path]).any() for path in after if path.startswith("objectives/"))
    assert trainer.train().step == STEPS
    assert_same_tensors(trainer.built.state.read(), after)


@pytest.mark.slow
@pytest.mark.parametrize("plugin, with_elbo, prior, posterior", TRAINED, ids=name)
def test_a_combination_trains_and_goes_on_from_a_checkpoint(tmp_path, plugin, with_elbo, prior, posterior, own_process):
    own_process(check_combination, tmp_path, plugin, with_elbo, prior, posterior)


def check_combination(tmp_path, plugin, with_elbo, prior, posterior):
    assert_goes_on(trained_whole(described(prior, posterior, objectives(plugin, with_elbo)), tmp_path), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("plugin, prior, posterior", LATENT, ids=name)
def test_a_vector_latent_trains_in_latent_space_and_goes_on_from_a_checkpoint(
    tmp_path, plugin, prior, posterior, own_process
):
    own_process(check_latent_space, tmp_path, plugin, prior, posterior)


def check_latent_space(tmp_path, plugin, prior, posterior):
    experiment = described(prior, posterior, objectives(plugin, True, space="latent"))
    assert_goes_on(trained_whole(experiment, tmp_path), tmp_path)


@pytest.mark.parametrize("prior, posterior", [pair for half in halves() for pair in half if pair[1]], ids=name)
def test_every_pair_takes_a_finite_step_of_the_objectives_without_an_adversary(prior, posterior):
    """All of them together, uncompiled; tests/parallel compiles them."""
    terms = [registry.load(plugin)() for plugin in plugins("objective") if plugin not in ADVERSARIAL]
    built = described(prior, posterior, terms).build()
    before = built.state.read()
    assert all(np.isfinite(metric) for metric in one_step(built).values())
    after = built.state.read()
    assert [path for path in trainable_paths(built) if (before[path] == after[path]).all()] == []


def gan(plugin, **settings):
    """A GAN whose critic moves twice, not built yet."""
    critic = registry.load(plugin)(network=MLP(hidden=(8,)), moves=2, **settings)
    prior = next(prior for prior in plugins("prior") if prior.name == "gaussian")
    return described(prior, None, [critic])


@pytest.mark.slow
@pytest.mark.parametrize(
    "plugin, settings",
    [
        ("jsd", {"spectral_normalization": True, "instance_noise": 0.1, "r1": 0.1, "packing": 2}),
        ("jsd", {"relativistic": True, "unrolling": 2}),
        ("wasserstein", {}),
        ("wasserstein", {"lipschitz": "clipping"}),
    ],
    ids=str,
)
def test_a_fresh_build_goes_on_bit_for_bit_whatever_the_critic_keeps(tmp_path, plugin, settings, own_process):
    own_process(check_fresh_build, tmp_path, plugin, settings)


def check_fresh_build(tmp_path, plugin, settings):
    (plugin,) = (found for found in ADVERSARIAL if found.name == plugin)
    trainer = trained_whole(gan(plugin, **settings), tmp_path)
    after = trainer.built.state.read()
    trainer.checkpoints.path(STEPS).unlink()
    again = Trainer(gan(plugin, **settings).build(), tmp_path, silent)
    assert again.restore() == MIDDLE
    assert int(again.built.players[0].optimizer.iterations) == 2 * MIDDLE
    again.train()
    assert_same_tensors(again.built.state.read(), after)
