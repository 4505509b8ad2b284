"""Checks of likelihoods."""

import dataclasses
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.errors import UserError
from tfdgm.testing import partners
from tfdgm.testing.checks import Subject, check
from tfdgm.testing.quadrature import Grid, chi_squared, mass_and_moments, standard_scores
from tfdgm.testing.trials import DATA_SPECS, SPARE_WORLDS, LikelihoodTrial, trials

_DRAWS = 4_000
_MOST_ERRORS = 5.0  # standard errors; see prior_checks


@check("likelihood", cure="Keep all leading axes of the outputs as batch axes, and make x the event.")
def likelihood_has_the_datas_shapes(subject: Subject) -> None:
    """Outputs `[..., *output_shape]` give batch shape `[...]` and the event shape of x, also without examples."""
    for trial in trials(subject):
        assert isinstance(trial, LikelihoodTrial)
        event = trial.model.data.spec.shape
        for leading in ((1,), (3,), (0,), (2, 3)):
            p = trial.plugin.distribution(trial.decoded(*leading))
            batch = tuple(p.batch_shape)
            subject.require(
                batch == leading, "distribution", f"batch shape {batch} for {leading} outputs", f"{leading}"
            )
            came = f"event shape {tuple(p.event_shape)}"
            subject.require(tuple(p.event_shape) == event, "distribution", came, f"{event}, the shape of x")
            x = p.sample(seed=trial.context().seed_for("x"))
            for name, value in (("sample", x), ("mean", p.mean())):
                good = tuple(value.shape) == leading + event and value.dtype == tf.float32
                came = f"{tuple(value.shape)} {value.dtype.name}"
                subject.require(good, name, came, f"{leading + event} float32")
            value = p.log_prob(x)
            subject.require(tuple(value.shape) == leading, "log_prob", f"shape {tuple(value.shape)}", f"{leading}")
            subject.require(np.all(np.isfinite(value)), "log_prob", "not finite at its own draws", "finite numbers")


@check("likelihood", cure="Add the normalising constant to log_prob, and let check() refuse data outside the support.")
def likelihood_is_normalised(subject: Subject) -> None:
    """The probabilities of one element of x sum to 1 over its levels, or its density integrates to 1."""
    for trial in _of_one_element(subject):
        spec = trial.model.data.spec
        p = trial.plugin.distribution(trial.decoded())
        if _on_levels(trial):
            total = np.exp(_log_probs(p, _levels(spec))).sum(axis=0)
            subject.require(np.allclose(total, 1, atol=1e-3), "log_prob", f"the levels sum to {total}", "1")
        else:
            draws = p.sample(_DRAWS, seed=trial.context().seed_for("many")).numpy()
            for row in range(draws.shape[1]):
                one = trial.plugin.distribution(trial.decoded()[row : row + 1])
                mass, _ = mass_and_moments(Grid(draws[:, row]), partial(_density, one))
                subject.require(abs(mass - 1) < 0.01, "log_prob", f"it integrates to {mass:.4g}", "1")


@check("likelihood", cure="Sample from, and average over, the distribution whose log_prob you return.")
def draws_and_mean_have_the_density(subject: Subject) -> None:
    """Draws of one element of x, and `mean()`, agree with log_prob."""
    for trial in _of_one_element(subject):
        spec = trial.model.data.spec
        p = trial.plugin.distribution(trial.decoded()[:1])
        draws = p.sample(_DRAWS, seed=trial.context().seed_for("many")).numpy()[:, 0]
        if _on_levels(trial):
            levels = _levels(spec)
            probabilities = np.exp(_log_probs(p, levels)[:, 0]).astype(float)
            nearest = np.argmin(np.abs(draws - levels[:, 0]), axis=1)
            statistic, bound = chi_squared(np.bincount(nearest, minlength=len(levels)), probabilities)
            subject.require(statistic < bound, "sample", f"chi-squared {statistic:.1f}", f"below {bound:.1f}")
            mean = float(probabilities @ levels[:, 0])
            close = abs(mean - float(p.mean()[0, 0])) < 1e-3
            subject.require(close, "mean", f"{float(p.mean()[0, 0]):.5g}", f"{mean:.5g}, by log_prob")
        else:
            grid = Grid(draws[: _DRAWS // 2])
            _, moments = mass_and_moments(grid, partial(_density, p))
            worst = float(np.max(np.abs(standard_scores(grid, moments, draws[_DRAWS // 2 :]))))
            came = f"means over draws differ from those of log_prob by {worst:.1f} standard errors"
            subject.require(worst < _MOST_ERRORS, "sample", came, f"less than {_MOST_ERRORS:g}")


@check("likelihood", cure="Compute log_prob from the outputs by operations that have a gradient.")
def likelihood_has_a_gradient(subject: Subject) -> None:
    """The gradient of log_prob reaches the decoder's outputs and is finite, also for outputs of 30."""
    for trial in trials(subject):
        assert isinstance(trial, LikelihoodTrial)
        for scale in (1.0, 100.0):
            outputs = scale * trial.decoded()
            with tf.GradientTape() as tape:
                tape.watch(outputs)
                loss = -tf.reduce_sum(trial.plugin.distribution(outputs).log_prob(trial.batch()))
            gradient = tape.gradient(loss, outputs)
            subject.require(gradient is not None, "distribution", "no gradient reaches the outputs", "a gradient")
            finite = np.all(np.isfinite(gradient))
            size = f"outputs of {0.3 * scale:g}"
            subject.require(finite, "distribution", f"the gradient is not finite for {size}", "finite numbers")


def _on_levels(trial: LikelihoodTrial) -> bool:
    """Return whether x is discrete and so are the draws; densities on reals accept grey levels too."""
    spec = trial.model.data.spec
    if spec.levels is None and not spec.counts:
        return False
    draws = trial.plugin.distribution(trial.decoded()).sample(16, seed=trial.context().seed_for("few")).numpy()
    return bool(np.all(np.min(np.abs(draws.reshape(-1, 1) - _levels(spec).T), axis=1) < 1e-4))


def _levels(spec: Any) -> np.ndarray:
    """Return all values of one element, `[levels, 1]`."""
    levels = int(spec.high) + 1 if spec.counts else spec.levels
    return np.linspace(spec.low, spec.high, levels, dtype=np.float32)[:, None]


def _log_probs(p: object, x: np.ndarray) -> np.ndarray:
    """Return log p at every x `[n, 1]` for every row of a batch, `[n, batch]`."""
    return p.log_prob(tf.constant(x, tf.float32)[:, None]).numpy()  # type: ignore[attr-defined]


def _density(p: object, x: np.ndarray) -> np.ndarray:
    """Return exp log p at every x `[n, 1]` for the first row of a batch, `[n]`."""
    return np.exp(_log_probs(p, x)[:, 0])


def _of_one_element(subject: Subject) -> list[LikelihoodTrial]:
    """Return the likelihood of x with one element, in every world that it accepts."""
    found: list[LikelihoodTrial] = []
    for world, spec in DATA_SPECS.items():
        if world in SPARE_WORLDS and found:
            continue
        plugin = subject.make()
        data = partners.PartnerData(spec=dataclasses.replace(spec, shape=(1,)))
        try:
            found.append(LikelihoodTrial(world, plugin, likelihood=plugin, data=data))
        except UserError:
            continue
    return found or [trial for trial in trials(subject) if isinstance(trial, LikelihoodTrial)]
