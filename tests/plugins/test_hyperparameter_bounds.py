"""Bounds of hyperparameters: at them a step of training is finite, and beyond them the value is refused."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import Points, context, gan_experiment, points_experiment
from tensorflow_probability import distributions as tfd
from tfdgm_data.banana import Banana
from tfdgm_data.digits import Digits
from tfdgm_data.grid import Grid
from tfdgm_data.moons import Moons
from tfdgm_data.parallel_lines import ParallelLines
from tfdgm_data.ring import Ring
from tfdgm_data.swiss_roll import SwissRoll
from tfdgm_likelihoods.discretized_logistic import DiscretizedLogistic
from tfdgm_likelihoods.gaussian import Gaussian as GaussianLikelihood
from tfdgm_likelihoods.heterogeneous import Heterogeneous
from tfdgm_likelihoods.negative_binomial import NegativeBinomial
from tfdgm_likelihoods.student_t import StudentT
from tfdgm_networks.mlp import MLP
from tfdgm_objectives.elbo import ELBO
from tfdgm_objectives.fgan import FGAN
from tfdgm_objectives.hinge import Hinge
from tfdgm_objectives.iwae import IWAE
from tfdgm_objectives.jsd import JSD
from tfdgm_objectives.mmd import MMD
from tfdgm_objectives.wasserstein import Wasserstein
from tfdgm_posteriors.categorical import Categorical
from tfdgm_posteriors.gaussian import Gaussian as GaussianPosterior
from tfdgm_posteriors.iaf import IAF
from tfdgm_posteriors.residual_vq import ResidualVQ
from tfdgm_posteriors.vq import VQ
from tfdgm_priors.aggregated_posterior import AggregatedPosterior

from tfdgm import Component, DataSpec, Prior, Schedule, UserError
from tfdgm.numerics.seeds import Seed
from tfdgm.parallel.devices import Devices, Draw
from tfdgm.training.step import training_step


def assert_a_finite_step(experiment):
    """Assert that losses, gradients and weights are finite after one uncompiled update of every player."""
    built = experiment.build()
    positions = np.arange(20)
    rows = tf.constant(experiment.train.gather(positions))
    draws = [Draw(tf.constant(positions, tf.int32), rows)] * sum(player.updates for player in built.players)
    wrong = []

    def probe(player, what, tensor):
        trained = what.startswith(("the loss", "the gradient")) or what.endswith("after the update")
        if trained and not np.isfinite(tf.cast(tensor, tf.float32)).all():
            wrong.append((player, what))

    training_step(
        built.model, built.players, draws, tf.constant(0, tf.int64),
        devices=Devices(), seed=Seed(tf.constant([1, 2])), shards=1, clip_norm=None, probe=probe,
    )  # fmt: skip
    assert not wrong


class Counts(Points):
    """Poisson counts."""

    def __init__(self):
        super().__init__(rows=np.random.RandomState(0).poisson(3.0, (100, 3)))
        self.spec = DataSpec((3,), low=0.0, counts=True)


def elbo(**settings):
    return points_experiment(objectives=[ELBO(**settings)])


def gan(objective):
    return gan_experiment(objectives=[objective], decoder=MLP(hidden=(4,)))


def logistic(**settings):
    return points_experiment(data=Digits(binarization="none"), likelihood=DiscretizedLogistic(**settings))


def codes(**settings):
    return points_experiment(posterior=Categorical(positions=(2,), num_categories=3, **settings))


def quantised(prior=None, **settings):
    changes = {} if prior is None else {"prior": prior}
    return points_experiment(posterior=VQ(positions=(2,), num_codes=4, **settings), **changes)


#: What has the parameter, by name: a run of that value, its lowest and its highest.
BOUNDS = {
    "elbo.beta": (lambda value: elbo(beta=value), 0.0, 1e6),
    "elbo.weight": (lambda value: elbo(weight=value), 1e-6, 1e6),
    "iwae.weight": (lambda value: points_experiment(objectives=[IWAE(weight=value)]), 1e-6, 1e6),
    "iwae.weight, doubly": (
        lambda value: points_experiment(objectives=[IWAE(weight=value, doubly_reparameterized=True)]), 1e-6, 1e6,
    ),
    "mmd.weight": (lambda value: points_experiment(objectives=[ELBO(), MMD(weight=value)]), 1e-6, 1e6),
    "mmd.scales": (lambda value: points_experiment(objectives=[ELBO(), MMD(scales=(1.0, value))]), 1e-6, 1e6),
    "mmd.scales, gaussian": (
        lambda value: points_experiment(objectives=[ELBO(), MMD(kernel="gaussian", scales=(value,))]), 1e-6, 1e6,
    ),
    "hinge.weight": (lambda value: gan(Hinge(weight=value)), 1e-6, 1e6),
    "hinge.unrolling_rate": (lambda value: gan(Hinge(unrolling=5, unrolling_rate=value)), 1e-6, 1.0),
    "fgan.weight": (lambda value: gan(FGAN(weight=value)), 1e-6, 1e6),
    "fgan.unrolling_rate": (lambda value: gan(FGAN(unrolling=5, unrolling_rate=value)), 1e-6, 1.0),
    "jsd.weight": (lambda value: gan(JSD(weight=value)), 1e-6, 1e6),
    "jsd.r1": (lambda value: gan(JSD(r1=value)), 0.0, 1e6),
    "jsd.r2": (lambda value: gan(JSD(r2=value)), 0.0, 1e6),
    "jsd.instance_noise": (lambda value: gan(JSD(instance_noise=value)), 0.0, 1e6),
    "jsd.unrolling_rate": (lambda value: gan(JSD(unrolling=5, unrolling_rate=value)), 1e-6, 1.0),
    "jsd.unrolling_rate, r1": (lambda value: gan(JSD(unrolling=5, unrolling_rate=value, r1=10.0)), 1e-6, 0.1),
    "wasserstein.unrolling_rate": (lambda value: gan(Wasserstein(unrolling=5, unrolling_rate=value)), 1e-6, 0.1),
    "spectral.unrolling_rate": (
        lambda value: gan(Wasserstein(unrolling=5, unrolling_rate=value, lipschitz="spectral_normalization")),
        1e-6,
        1.0,
    ),
    "wasserstein.penalty": (lambda value: gan(Wasserstein(penalty=value)), 1e-6, 1e6),
    "wasserstein.penalty, unrolled": (lambda value: gan(Wasserstein(penalty=value, unrolling=5)), 0.1, 1e6),
    "wasserstein.clip": (lambda value: gan(Wasserstein(lipschitz="clipping", clip=value)), 1e-6, 1e6),
    "categorical.temperature": (lambda value: codes(temperature=value), 1e-6, 1e6),
    "categorical.temperature, hard": (lambda value: codes(temperature=value, straight_through=True), 1e-6, 1e6),
    "vq.commitment": (lambda value: quantised(commitment=value), 0.0, 1e6),
    "residual_vq.commitment": (
        lambda value: points_experiment(posterior=ResidualVQ(positions=(2,), num_codes=4, commitment=value)), 0.0, 1e6,
    ),
    "posterior.min_scale": (lambda value: points_experiment(posterior=GaussianPosterior(min_scale=value)), 1e-6, 1e6),
    "posterior.min_scale, full": (
        lambda value: points_experiment(posterior=GaussianPosterior(min_scale=value, covariance="full")), 1e-6, 1e6,
    ),
    "iaf.min_scale": (lambda value: points_experiment(posterior=IAF(min_scale=value)), 1e-6, 1e6),
    "iaf.gate_bound": (lambda value: points_experiment(posterior=IAF(gate_bound=value)), 0.01, 10.0),
    "likelihood.scale": (lambda value: points_experiment(likelihood=GaussianLikelihood(scale=value)), 1e-6, 1e6),
    "likelihood.scale, learned": (
        lambda value: points_experiment(likelihood=GaussianLikelihood(scale=value, learned_scale=True)), 1e-6, 1e6,
    ),
    "student_t.df": (lambda value: points_experiment(likelihood=StudentT(df=value, learned_df=True)), 1.01, 1e6),
    "student_t.scale": (
        lambda value: points_experiment(likelihood=StudentT(scale=value, learned_scale=True)), 1e-6, 1e6,
    ),
    "heterogeneous.df": (
        lambda value: points_experiment(likelihood=Heterogeneous(numeric="student_t", df=value)), 1.01, 1e6,
    ),
    "heterogeneous.smallest_scale": (
        lambda value: points_experiment(likelihood=Heterogeneous(smallest_scale=value)), 1e-6, 1.0,
    ),
    "negative_binomial.inverse_dispersion": (
        lambda value: points_experiment(data=Counts(), likelihood=NegativeBinomial(inverse_dispersion=value)),
        1e-6,
        1e6,
    ),
    "logistic.scale": (lambda value: logistic(scale=value), 1e-6, 1e6),
    "logistic.scale, decoder": (lambda value: logistic(scale=value, scale_from="decoder"), 1e-6, 1e6),
    "aggregated_posterior.smoothing": (
        lambda value: quantised(prior=AggregatedPosterior(smoothing=value)), 1e-6, 1e6,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name, end", itertools.product(BOUNDS, ("lowest", "highest")))
def test_at_its_bounds_a_step_is_finite(name, end):
    run, low, high = BOUNDS[name]
    assert_a_finite_step(run(low if end == "lowest" else high))


@pytest.mark.parametrize("name", BOUNDS)
def test_beyond_its_bounds_a_value_is_refused(name):
    run, low, high = BOUNDS[name]
    below = [-1.0, -1e-38] + ([low * 0.99, 1e-38, 0.0] if low else [])
    parameter = name.partition(".")[2].partition(",")[0]
    if name == "wasserstein.penalty, unrolled":
        parameter = "(penalty|unrolling_rate)"  # the default rate, 0.1 / penalty, is above 1 first
    for value in [*below, high * 1.01, 1e39, math.nan, math.inf, -math.inf]:
        with pytest.raises(UserError, match=rf"\b{parameter} must be|\b{parameter} must not be negative"):
            run(value)


class Box(Prior):
    """Uniform on [-0.1, 0.1]^d: no density at most of the draws from q(z|x)."""

    def build(self, context):
        self.size = context.latent.size

    def distribution(self, context):
        return tfd.Independent(tfd.Uniform(tf.fill([self.size], -0.1), 0.1), 1)


def test_without_the_rate_in_the_loss_a_prior_of_bounded_support_has_a_finite_step():
    assert_a_finite_step(points_experiment(prior=Box(), objectives=[ELBO(beta=0.0)]))
    with pytest.raises(AssertionError):
        assert_a_finite_step(points_experiment(prior=Box(), objectives=[ELBO()]))


class Bounded(Component):
    def __init__(self, *, scale: Schedule = 1.0, weight: Schedule = 0.0) -> None:
        self.require_positive("scale", scale, low=0.5, high=2.0)
        self.require_not_negative("weight", weight)
        self.scale, self.weight = scale, weight

    def build(self, steps):
        self.require_positive("scale", self.scale, low=0.5, high=2.0, steps=steps)
        self.require_not_negative("weight", self.weight, steps=steps)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"scale": -1}, "Bounded: scale must be positive, got -1"),
        ({"scale": 0.25}, "Bounded: scale must be at least 0.5, got 0.25"),
        ({"scale": 3.0}, "Bounded: scale must be at most 2, got 3.0"),
        (
            {"scale": math.nan},
            "Bounded.scale must be float or LearningRateSchedule, got nan (float), which is not finite",
        ),
        ({"weight": -0.5}, "Bounded: weight must not be negative, got -0.5"),
        ({"weight": 2e6}, "Bounded: weight must be at most 1e+06, got 2000000.0"),
    ],
)
def test_the_message_says_which_bound_a_value_breaks(settings, message):
    with pytest.raises(UserError) as raised:
        Bounded(**settings)
    assert message in str(raised.value)


class Broken(keras.optimizers.schedules.LearningRateSchedule):
    """NaN in the middle."""

    def __call__(self, step):
        return tf.where(step == 50, math.nan, 1.0)


@pytest.mark.parametrize(
    "name, schedule, message",
    [
        ("scale", (1.0, 0.0), "scale must be at least 0.5, but its schedule gives 0.49 at step 51"),
        ("scale", (1.0, 5.0), "scale must be at most 2, but its schedule gives 2.04 at step 26"),
        ("weight", (1.0, -1.0), "weight must not be negative, but its schedule gives -0.02 at step 51"),
        ("weight", (0.0, 2e6), "weight must be at most 1e+06, but its schedule gives 1.02e+06 at step 51"),
        ("weight", None, "weight must be finite, but its schedule gives nan at step 50"),
    ],
)
def test_a_schedule_is_checked_over_the_run_when_the_component_is_built(name, schedule, message):
    decay = keras.optimizers.schedules.PolynomialDecay
    component = Bounded(**{name: Broken() if schedule is None else decay(schedule[0], 100, schedule[1])})
    with pytest.raises(UserError) as raised:
        component.build(100)
    assert message in str(raised.value)
    if schedule is not None:
        component.build(1)  # a run that ends before


SCHEDULED = {
    "beta": lambda schedule: elbo(beta=schedule),
    "r1": lambda schedule: gan(JSD(r1=schedule)),
    "r2": lambda schedule: gan(JSD(r2=schedule)),
    "instance_noise": lambda schedule: gan(JSD(instance_noise=schedule)),
    "temperature": lambda schedule: codes(temperature=schedule),
}


@pytest.mark.parametrize("name", SCHEDULED)
def test_every_scheduled_hyperparameter_is_checked_over_the_run(name):
    run = SCHEDULED[name](keras.optimizers.schedules.PolynomialDecay(1.0, 60, -1.0))
    with pytest.raises(UserError, match=rf"{name} must .*, but its schedule gives .* at step \d+"):
        run.build()


LENGTHS = [
    (Ring, "radius", 1e-6), (Ring, "sigma", 1e-6), (Grid, "extent", 1e-6), (Grid, "sigma", 1e-6),
    (SwissRoll, "noise", 0.0), (Moons, "noise", 0.0), (ParallelLines, "theta", 0.0),
]  # fmt: skip


@pytest.mark.parametrize("toy, name, low", LENGTHS)
def test_toys_at_the_bounds_of_their_lengths_are_finite_in_float32(toy, name, low):
    for value in (low, 1e6):
        data = toy(**{name: value}, num_train=50)
        x = data.observe(tf.constant(data.splits()["train"].rows), context())
        assert np.isfinite(x).all()
        if data.density() is not None:
            assert np.isfinite(data.density().log_prob(x)).all()
    for value in [1.01e6, 1e39, math.nan, math.inf] + ([-1.0] if toy is not ParallelLines else [-1.01e6]):
        with pytest.raises(UserError, match=rf"{name}\|? must "):
            toy(**{name: value})


@pytest.mark.parametrize("name", ["num_train", "sample_seed"])
def test_ints_beyond_int64_are_refused(name):
    with pytest.raises(UserError, match="which does not fit into int64"):
        Banana(**{name: 2**63})


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"unrolling_rate": 1.5}, "unrolling_rate must be at most 1, got 1.5"),
        ({"unrolling_rate": 0.5, "r1": 4}, "unrolling_rate must be at most 0.25 with r1 = 4, got 0.5"),
        ({"r1": 20.0, "r2": 20.0}, "unrolling_rate must be at most 0.05 with r1 = 20 and r2 = 20, got 0.1"),
    ],
)
def test_the_refusal_of_diverging_virtual_steps_names_the_penalty(settings, message):
    with pytest.raises(UserError, match=f": {message}$"):
        JSD(unrolling=5, **settings)
    JSD(**{name: value for name, value in settings.items() if name != "unrolling_rate"})
