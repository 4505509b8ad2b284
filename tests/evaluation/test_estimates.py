"""Estimates of objectives in validation and evaluation."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit
from small import Points, context, gan_experiment, normal_rows, points_experiment
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.elbo import ELBO
from tfdgm_objectives.jsd import JSD
from tfdgm_objectives.mmd import MMD
from tfdgm_objectives.wasserstein import Wasserstein
from tfdgm_scores.estimates import Estimates

from tfdgm import ArraySource, Objective
from tfdgm.contracts.component import raw
from tfdgm.evaluation.estimates import ObjectiveEstimates
from tfdgm.evaluation.evaluate import evaluate
from tfdgm.evaluation.validation import Validation
from tfdgm.model.forward_pass import ForwardPass

NAMES = {
    "jsd": {"jsd_estimate", "critic_slope", "critic_lipschitz"},
    "wasserstein": {"wasserstein_estimate", "critic_slope", "critic_lipschitz"},
}


class ThreeSplits(Points):
    """Points with 20 rows for validation."""

    def splits(self):
        return {**super().splits(), "validation": ArraySource(self.rows[60:80])}


def critic(kind=JSD, **settings):
    return kind(network=MLP(hidden=(6,)), moves=1, **settings)


def built(*objectives, make=gan_experiment, **changes):
    return make(objectives=list(objectives), data=ThreeSplits(rows=normal_rows()), **changes).build()


def prefixed(names, prefix):
    return {prefix + name for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [JSD, Wasserstein])
def test_validation_and_evaluation_have_the_estimates_finite_and_the_same_at_every_call(kind):
    experiment = built(critic(kind))
    names = NAMES[kind.__name__.lower()]
    validation = Validation(experiment)
    scores, evaluated = validation(), evaluate(experiment, names=["estimates"])
    assert set(scores) == prefixed(names, "validation_")
    assert names <= set(evaluated)
    assert np.isfinite([*scores.values(), *(evaluated[name] for name in names)]).all()
    assert validation() == scores
    assert evaluate(experiment, names=["estimates"]) == evaluated
    assert any(scores[f"validation_{name}"] != evaluated[name] for name in names)  # other examples


@pytest.mark.slow
def test_in_latent_space_the_names_say_so_and_the_bound_of_the_elbo_is_there_too():
    experiment = built(ELBO(), critic(space="latent"), make=points_experiment)
    expected = prefixed(NAMES["jsd"], "latent_") | {"elbo", "reconstruction", "rate"}
    assert set(Validation(experiment)()) == prefixed(expected, "validation_")


@pytest.mark.slow
def test_exactly_the_objectives_that_define_estimates_give_them():
    objectives = [ELBO(), MMD(), critic(), critic(Wasserstein, space="latent")]
    experiment = built(*objectives, make=points_experiment)
    found = ObjectiveEstimates(experiment, experiment.experiment.splits["test"], "x")()
    assert set(found) == {"latent_mmd_estimate"} | NAMES["jsd"] | prefixed(NAMES["wasserstein"], "latent_")


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind, settings, others",
    [
        (Wasserstein, {}, {"wasserstein_estimate", "wasserstein/critic_slope", "wasserstein/critic_lipschitz"}),
        (JSD, {"packing": 2}, prefixed(NAMES["jsd"], "jsd_2/")),
    ],
    ids=["another kind", "the same kind"],
)
def test_estimates_of_two_critics_in_one_space_have_different_names(kind, settings, others):
    first, second = (make(network=MLP(hidden=()), moves=1, **more) for make, more in ((JSD, {}), (kind, settings)))
    experiment = built(ELBO(), first, second, make=points_experiment)
    found = ObjectiveEstimates(experiment, experiment.experiment.splits["test"], "x")()
    assert set(found) == NAMES["jsd"] | others
    (another,) = (name for name in others if name.endswith("/critic_slope"))
    for name, objective in (("critic_slope", first), (another, second)):
        slope = np.linalg.norm(objective.critic.kernels()[0].numpy())  # of an affine critic
        assert found[name] == pytest.approx(slope, rel=1e-5)  # float32
        assert Estimates().meaning(name, experiment.experiment).unit == "scores per unit of x"
    assert found["critic_slope"] != pytest.approx(found[another], rel=1e-2)


def test_without_an_objective_that_estimates_or_a_split_there_are_none():
    vae = points_experiment().build()
    assert ObjectiveEstimates(vae, vae.experiment.splits["test"], "x")() == {}
    assert ObjectiveEstimates(built(critic()), None, "x")() == {}
    assert Validation(gan_experiment(objectives=[critic()]).build())() == {}  # these points have no validation


def test_an_objective_that_estimates_nothing_on_this_split_is_no_hindrance():
    class Silent(JSD):
        def estimates(self, forward, context):
            return Objective.estimates(self, forward, context)

    assert Validation(built(critic(Silent)))() == {}


def test_a_small_split_is_seen_as_a_whole_each_example_once():
    experiment = built(critic())
    objective = experiment.experiment.objectives["jsd"]

    def remember(forward, now):
        return {"sum": tf.reduce_sum(forward.x), "count": tf.constant(float(forward.x.shape[0]))}

    source = experiment.experiment.splits["test"]
    objective.estimates = remember
    seen = ObjectiveEstimates(experiment, source, "x")()
    rows = source.gather(np.arange(len(source)))
    assert seen["count"] == len(rows) == 40
    assert seen["sum"] == pytest.approx(rows.sum(), abs=1e-4)  # float32 sums of 120


@pytest.mark.parametrize("size", [0.1, 10.0, 1e4])
def test_the_jsd_estimate_is_at_most_log_2_whatever_the_critic(size):
    experiment = built(critic())
    random = np.random.RandomState(int(size))
    for variable in experiment.experiment.objectives["jsd"].critic.variables():
        variable.assign(size * random.randn(*variable.shape))
    found = Validation(experiment)()
    assert all(np.isfinite(value) for value in found.values())
    assert found["validation_jsd_estimate"] <= np.log(2)


def test_where_model_and_data_are_far_apart_and_the_critic_knows_it_the_estimate_is_log_2():
    experiment = built(JSD(network=MLP(hidden=()), moves=1))
    kernel, bias = experiment.experiment.objectives["jsd"].critic.variables()
    kernel.assign(np.full([3, 1], -10.0))
    bias.assign([500.0])
    layer = experiment.model.decoder.layers[0]
    layer.bias.assign(np.full([3], 100.0))
    # logits of 500 for the data and of -2,500 for the samples
    assert Validation(experiment)()["validation_jsd_estimate"] == pytest.approx(np.log(2), abs=1e-6)  # float32


def test_estimates_differ_with_the_weights_alone_and_follow_the_moving_averages():
    experiment = built(critic(), ema_decay=0.5)
    validation = Validation(experiment)
    first = validation()
    player = experiment.players[-1]
    for path, variable in player.variables.items():
        raw(player.averages[path]).assign(raw(variable))
        raw(variable).assign(3 * raw(variable) + 1)
    assert validation() == first  # the averages are what the weights were
    for path, variable in player.variables.items():
        raw(player.averages[path]).assign(raw(variable))
    assert validation() != first


def test_at_most_2_000_examples_are_taken_spread_evenly_over_the_split():
    rows = np.arange(5_001, dtype=np.float32)[:, None]
    experiment = gan_experiment(objectives=[critic()], data=Points(rows=normal_rows(100, 1))).build()
    objective = experiment.experiment.objectives["jsd"]
    objective.estimates = lambda forward, now: {
        "count": tf.constant(float(forward.x.shape[0])),
        "first": forward.x[0, 0],
        "last": forward.x[-1, 0],
        "mean": tf.reduce_mean(forward.x),
    }
    found = ObjectiveEstimates(experiment, ArraySource(rows), "x")()
    assert (found["count"], found["first"], found["last"]) == (2_000, 0, 5_000)
    assert found["mean"] == pytest.approx(2_500, abs=0.5)  # rounding to whole rows


def test_scheduled_noise_is_that_of_the_step_at_hand():
    fading = keras.optimizers.schedules.PolynomialDecay(5.0, 10, 0.0)
    experiment = built(critic(instance_noise=fading))
    quiet = built(critic())
    for ours, theirs in zip(
        experiment.experiment.objectives["jsd"].critic.variables(),
        quiet.experiment.objectives["jsd"].critic.variables(),
        strict=True,
    ):
        ours.assign(raw(theirs))
    validation, expected = Validation(experiment), Validation(quiet)()
    assert abs(validation()["validation_jsd_estimate"] - expected["validation_jsd_estimate"]) > 1e-3
    experiment.state.step.assign(10)
    for name, value in validation().items():
        assert value == pytest.approx(expected[name], rel=1e-5)  # two programs, in float32


def test_estimates_compare_the_split_with_samples_of_the_model_outside_training():
    """Compare with values computed from the weights; the pass and its draws are outside training."""
    experiment = built(JSD(network=MLP(hidden=()), moves=1))
    objective = experiment.experiment.objectives["jsd"]
    forward = ForwardPass(experiment.model, tf.constant(normal_rows()[60:]), context())
    found = objective.estimates(forward, forward.context)
    slope, offset = (raw(variable).numpy().astype(np.float64) for variable in objective.critic.variables())
    real, fake = (expit(np.asarray(x, np.float64) @ slope + offset) for x in (forward.x, forward.generated))
    expected = (np.log(real).mean() + np.log(1 - fake).mean()) / 2 + np.log(2)
    assert float(found["jsd_estimate"]) == pytest.approx(expected, abs=1e-5)  # float32
