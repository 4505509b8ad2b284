"""Checks of priors."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import tensorflow as tf

from tfdgm.errors import UserError
from tfdgm.testing.checks import NotApplicable, Subject, check
from tfdgm.testing.quadrature import Grid, chi_squared, mass_and_moments, standard_scores
from tfdgm.testing.trials import PriorTrial, Trial, trials

_DRAWS = 4_000
#: Standard errors of 4,000 draws; five functions of a standard normal error exceed 5 with probability 3e-6.
_MOST_ERRORS = 5.0
_MASS_TOLERANCE = 0.01


class _OfOneCondition:
    """p(z|y) of one y as a distribution without batch shape."""

    def __init__(self, p: Any) -> None:
        self._p = p
        self.batch_shape, self.event_shape = tuple(p.batch_shape)[1:], p.event_shape

    def sample(self, count: int, seed: tf.Tensor) -> tf.Tensor:
        return self._p.sample(count, seed=seed)[:, 0]

    def log_prob(self, z: tf.Tensor) -> tf.Tensor:
        return self._p.log_prob(z)


def _density(trial: Trial) -> Any:
    context = trial.context()
    if context.y is None:
        return trial.plugin.distribution(context)
    return _OfOneCondition(trial.plugin.distribution(dataclasses.replace(context, y=context.y[:1])))


@check("prior", cure="Return event shape [size] for densities on vectors, latent.event_shape for the other kinds.")
def prior_has_the_latents_shapes(subject: Subject) -> None:
    """The distribution has empty batch shape and the latent's event shape; draws and log_prob fit, for any number."""
    for trial in trials(subject):
        assert isinstance(trial, PriorTrial)
        latent = trial.model.latent
        codes = latent.discrete and trial.plugin.over != "vectors"
        event = latent.event_shape if codes else (latent.size,)
        p = _density(trial)
        method = "distribution"
        subject.require(tuple(p.batch_shape) == (), method, f"batch shape {tuple(p.batch_shape)}", "an empty one")
        subject.require(tuple(p.event_shape) == event, method, f"event shape {tuple(p.event_shape)}", f"{event}")
        for count in (1, 3):
            z = p.sample(count, seed=trial.context().seed_for("sample"))
            subject.require(tuple(z.shape) == (count, *event), method, f"draws {tuple(z.shape)}", f"{(count, *event)}")
            dtype = tf.int32 if codes else tf.float32
            subject.require(z.dtype == dtype, method, f"draws are {z.dtype.name}", dtype.name)
        for count in (0, 1, 3):
            value = p.log_prob(trial.values_of_z(count))
            subject.require(tuple(value.shape) == (count,), "log_prob", f"shape {tuple(value.shape)}", f"({count},)")
            subject.require(value.dtype == tf.float32, "log_prob", value.dtype.name, "float32")
            subject.require(np.all(np.isfinite(value)), "log_prob", "not finite at its argument", "finite numbers")


@check("prior", cure="Correct the normalising constant or the Jacobian in log_prob.")
def density_integrates_to_one(subject: Subject) -> None:
    """A density on vectors integrates to 1 in one and two dimensions, by quadrature."""
    for trial in _on_vectors(subject):
        draws = _draws(trial)
        mass, _ = mass_and_moments(Grid(draws), _exp_log_prob(trial))
        good = abs(mass - 1) < _MASS_TOLERANCE
        subject.require(good, "log_prob", f"its exponential integrates to {mass:.4g} over R^{draws.shape[1]}", "1")


@check("prior", cure="Sample from the distribution whose log_prob you return.")
def samples_have_the_density(subject: Subject) -> None:
    """Means of bounded functions over draws equal those under exp(log_prob), in one and two dimensions."""
    for trial in _on_vectors(subject):
        draws = _draws(trial)
        grid = Grid(draws[: _DRAWS // 2])
        _, moments = mass_and_moments(grid, _exp_log_prob(trial))
        worst = float(np.max(np.abs(standard_scores(grid, moments, draws[_DRAWS // 2 :]))))
        came = f"means over draws differ from those of log_prob by {worst:.1f} standard errors"
        subject.require(worst < _MOST_ERRORS, "sample", came, f"less than {_MOST_ERRORS:g}")


@check("prior", cure="Draw codes with the probabilities that log_prob gives, which sum to 1 over all grids.")
def codes_have_their_probabilities(subject: Subject) -> None:
    """The probabilities of all grids of codes sum to 1, and draws pass a chi-squared test against them."""
    tried = [trial for trial in trials(subject) if trial.model.latent.discrete and trial.plugin.over != "vectors"]
    if not tried:
        raise NotApplicable("it is a density on vectors")
    for trial in tried:
        latent = trial.model.latent
        p = _density(trial)
        cells = list(itertools.product(range(latent.categories), repeat=int(np.prod(latent.event_shape))))
        grids = tf.reshape(tf.constant(cells, tf.int32), [len(cells), *latent.event_shape])
        probabilities = np.exp(p.log_prob(grids).numpy().astype(float))
        total = probabilities.sum()
        subject.require(abs(total - 1) < 1e-3, "log_prob", f"probabilities sum to {total:.4g}", "1")
        draws = p.sample(_DRAWS, seed=trial.context().seed_for("many")).numpy().reshape(_DRAWS, -1)
        inside = np.all((draws >= 0) & (draws < latent.categories))
        subject.require(inside, "sample", "codes outside 0..K-1", "codes in 0..K-1")
        numbers = draws @ latent.categories ** np.arange(draws.shape[1])[::-1]
        statistic, bound = chi_squared(np.bincount(numbers, minlength=len(cells)), probabilities)
        subject.require(
            statistic < bound, "sample", f"chi-squared of {_DRAWS} draws {statistic:.1f}", f"below {bound:.1f}"
        )


def _on_vectors(subject: Subject) -> list[PriorTrial]:
    """Return the prior over latents in R^1 and R^2, as far as it accepts them."""
    if subject.make().over == "codes":
        raise NotApplicable("it is a distribution over codes")
    found: list[PriorTrial] = []
    refused: UserError | None = None
    for size in (1, 2):
        try:
            tried = trials(subject, latent_size=size)
            found += [each for each in tried if isinstance(each, PriorTrial) and not each.model.latent.discrete]
        except UserError as error:
            refused = error
    if refused is not None and not found:
        raise refused
    return found


def _draws(trial: PriorTrial) -> np.ndarray:
    return _density(trial).sample(_DRAWS, seed=trial.context().seed_for("many")).numpy()


def _exp_log_prob(trial: PriorTrial) -> Any:
    p = _density(trial)
    return lambda z: np.exp(p.log_prob(tf.constant(z, tf.float32)).numpy())
