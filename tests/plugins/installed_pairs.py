"""The installed priors and posteriors, made small, and the pairs of them that are valid."""

import inspect

from small import digits_experiment

from tfdgm.contracts import registry

#: Small values of hyperparameters, for every plugin that has one of the name.
SMALL = {
    "positions": (4,),
    "num_categories": 8,
    "num_codes": 8,
    "codebooks": 2,
    "levels": (4, 3),
    "num_components": 20,
    "num_bijectors": 2,
    "num_couplings": 2,
    "context_size": 4,
    "hidden": (16,),
    "width": 16,
    "layers": 1,
    "heads": 2,
}


def plugins(kind):
    return [plugin for plugin in registry.find() if plugin.kind == kind]


def make(plugin):
    """Return a small instance of a plugin."""
    loaded = registry.load(plugin)
    accepted = inspect.signature(loaded).parameters
    return loaded(**{name: value for name, value in SMALL.items() if name in accepted})


def discrete(posterior):
    """Return whether the latent is a grid of codes."""
    return posterior is not None and make(posterior).latent_spec(2, digits_experiment().data.spec).discrete


def halves():
    """Return the valid pairs of prior and posterior, which may be None, in two halves like the squares of a chessboard.

    test_combinations.py trains the first half by the ELBO, test_objective_combinations.py the second; `tfdgm matrix`
    runs all.
    """
    black, white = [], []
    for row, prior in enumerate(plugins("prior")):
        for column, posterior in enumerate([None, *plugins("posterior")]):
            needed = posterior is None and make(prior).needs_posterior
            if not needed and (discrete(posterior) or make(prior).over != "codes"):
                (white if (row + column) % 2 else black).append((prior, posterior))
    return [(prior, posterior) for prior, posterior in black if posterior is not None], white
