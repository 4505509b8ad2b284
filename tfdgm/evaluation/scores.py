"""What the scores, and what training logs, are measured in."""

from typing import Any

#: Units of the scores that are not nats per example.
_UNITS = {
    "code_perplexity": "codes",
    "code_usage": "share of the codes",
    "code_bits": "bits per code",
    "jsd_estimate": "nats",
    "latent_jsd_estimate": "nats",
    "wasserstein_estimate": "units of x",
    "latent_wasserstein_estimate": "units of z",
    "critic_slope": "scores per unit of x",
    "critic_lipschitz": "scores per unit of x",
    "latent_critic_slope": "scores per unit of z",
    "latent_critic_lipschitz": "scores per unit of z",
    "modes": "modes",
    "high_quality": "share of the samples",
    "reverse_kl": "nats",
    "precision": "share of the samples",
    "recall": "share of the data",
    "density": "of the data's own",
    "coverage": "share of the data",
    "frechet_distance": "squared units of the features",
    "mmd": "squared, at most 2",
    "wasserstein": "units of x",
    "sliced_wasserstein": "units of x",
}


#: Of what training logs besides; a loss has the unit of its terms, which the configuration chooses.
_LOGGED = {
    "elbo": "nats per example",
    "reconstruction": "nats per example",
    "rate": "nats per example",
    "jsd_bound": "nats",
    "discriminator_real": "probability",
    "discriminator_fake": "probability",
}


def unit(name: str, value: Any) -> str:
    """The unit of a score; counts and names have none. That of `OBJECTIVE/NAME` is that of `NAME`."""
    return _UNITS.get(name.rsplit("/", 1)[-1], "nats per example" if isinstance(value, float) else "")


def logged_unit(name: str) -> str:
    """The unit of a metric in `metrics.jsonl`; nothing where it has none, or where that is not known."""
    last = name.rsplit("/", 1)[-1]
    return _LOGGED.get(last, _UNITS.get(last, ""))
