"""One autoencoder under four priors, for the labs on the ELBO, and the styles of the priors in figures."""

from tfdgm.evaluation.bounds import Draws
from tfdgm.evaluation.surgery import AggregatedPosterior, elbo_surgery
from tfdgm.labs.figures import BLUE, GREEN, ORANGE, RED
from tfdgm.labs.lab import LabSettings, Row
from tfdgm.labs.trainings import Run, build

GAUSSIAN, EXACT, PSEUDO, MAF = "Gaussian", "exact q_agg", "pseudo-inputs", "MAF"
FILES = {GAUSSIAN: "vae.gin", EXACT: "vae_exact.gin", PSEUDO: "vae_pseudo_inputs.gin", MAF: "vae_maf.gin"}
COLOURS = {GAUSSIAN: BLUE, EXACT: RED, PSEUDO: GREEN, MAF: ORANGE}
STYLES = {GAUSSIAN: "o-", EXACT: "s--", PSEUDO: "^-.", MAF: "D:"}
#: Draws of z per example: of the training split at every frame, of the test split at the end.
_PER_EXAMPLE = {"train": 2, "test": 20}


_cache: dict[tuple[int, tuple[str, ...]], list[Row]] = {}


def study(settings: LabSettings) -> list[Row]:
    """Return the terms of the ELBO under every prior: on training examples at every frame, on test examples at the end.

    The result is cached, since two labs use it.
    """
    key = (settings.seed, tuple(settings.bindings))
    if key not in _cache:
        _cache[key] = _train_all(settings)
    return _cache[key]


def _train_all(settings: LabSettings) -> list[Row]:
    rows: list[Row] = []
    for prior, file in FILES.items():
        training = Run(settings, build(settings, file), prior)
        training.train()
        draws, mixture = _posterior_draws(training, "train")
        for step in training.frames():
            terms = elbo_surgery(draws, _PER_EXAMPLE["train"], mixture)
            rows.append({"prior": prior, "split": "train", "step": step, "examples": len(draws.source), **terms})
        draws, mixture = _posterior_draws(training, "test")
        terms = elbo_surgery(draws, _PER_EXAMPLE["test"], mixture)
        rows.append({"prior": prior, "split": "test", "step": step, "examples": len(draws.source), **terms})
    return rows


def _posterior_draws(training: Run, split: str) -> tuple[Draws, AggregatedPosterior]:
    draws = Draws(training.built, training.built.experiment.splits[split])
    return draws, AggregatedPosterior(draws)
