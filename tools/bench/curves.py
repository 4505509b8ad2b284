"""What grows: a config, the setting that is varied, and its values."""

import dataclasses
from collections.abc import Callable

CODES = 'posterior.vq.initialization = "normal"\n'


@dataclasses.dataclass(frozen=True)
class Curve:
    """One setting of one config.

    Attributes:
      title: what the setting is.
      config: which file.
      values: of the setting; only the first in a quick run.
      binding: the gin statement of a value.
    """

    title: str
    config: str
    values: tuple[int, ...]
    binding: Callable[[int], str]


CURVES = {
    "batch": Curve("examples in a batch", "digits/vae.gin", (32, 128, 512, 1024), "experiment.batch_size = {}".format),
    "latent": Curve("latent size", "digits/vae.gin", (2, 8, 32, 128, 512), "experiment.latent_size = {}".format),
    "depth": Curve("hidden layers", "digits/vae.gin", (1, 2, 4, 8, 16), lambda n: f"network.mlp.hidden = {(256,) * n}"),
    "codebook": Curve(
        "codes in the codebook",
        "digits/vqvae.gin",
        (32, 128, 512, 2048),
        lambda n: f"{CODES}posterior.vq.num_codes = {n}",
    ),
    "positions": Curve(
        "autoregressive positions",
        "digits/vqvae.gin",
        (2, 8, 32, 64),
        lambda n: f"{CODES}posterior.vq.positions = ({n},)",
    ),
    "components": Curve(
        "mixture components",
        "digits/vae_vamp.gin",
        (10, 50, 200, 800),
        "prior.aggregated_posterior.num_components = {}".format,
    ),
    "bijectors": Curve(
        "bijectors of the MAF", "digits/vae_maf.gin", (1, 2, 4, 8, 16, 32), "prior.maf.num_bijectors = {}".format
    ),
}
