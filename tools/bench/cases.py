"""What is timed against what: every case, its contenders, and the package that each needs."""

import dataclasses
import importlib.util


@dataclasses.dataclass(frozen=True)
class Contender:
    """One of those that take turns.

    Attributes:
      builder: `module:function` below `contenders`; it returns the `Work`.
      needs: the package without which it is left out.
    """

    builder: str
    needs: str = "tensorflow"

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.needs) is not None


@dataclasses.dataclass(frozen=True)
class Case:
    """One computation.

    Attributes:
      title: for tables.
      unit: what one of them is.
      contenders: by name, tfdgm first.
    """

    title: str
    unit: str
    contenders: dict[str, Contender]


OURS, TENSORFLOW, KERAS, JAX = "tfdgm", "hand-written TensorFlow", "Keras fit", "JAX scan"
EAGER, COMPILED, PYTHAE, TFP = "PyTorch, eager", "PyTorch, compiled", "pythae", "TFP"


def against(ours: str, **others: str) -> dict[str, Contender]:
    """Return tfdgm's contender and others by the short names of their libraries."""
    names = {
        "tensorflow": (TENSORFLOW, "tensorflow"),
        "keras": (KERAS, "keras"),
        "jax": (JAX, "jax"),
        "eager": (EAGER, "torch"),
        "compiled": (COMPILED, "torch"),
        "pythae": (PYTHAE, "pythae"),
        "tfp": (TFP, "tensorflow_probability"),
        "passes": ("full passes", "tensorflow"),
    }
    given = {names[short][0]: Contender(builder, names[short][1]) for short, builder in others.items()}
    return {OURS: Contender(ours)} | given


CASES = {
    "vae": Case(
        "VAE, digits/vae.gin",
        "step",
        against(
            "framework:vae",
            tensorflow="vae_tensorflow:loop",
            keras="vae_keras:fit",
            jax="vae_jax:scan",
            eager="vae_torch:eager",
            compiled="vae_torch:compiled",
            pythae="vae_pythae:trainer",
        ),
    ),
    "gan": Case(
        "GAN on the ring",
        "step",
        against("framework:gan", tensorflow="gan_tensorflow:gan", jax="gan_jax:gan"),
    ),
    "wgan_gp": Case(
        "WGAN-GP on the ring",
        "step",
        against("framework:wgan_gp", tensorflow="gan_tensorflow:wgan_gp", jax="gan_jax:wgan_gp"),
    ),
    "mixture": Case(
        "density of a mixture of 60,000",
        "evaluation",
        against("mixture:framework", tfp="mixture:tfp"),
    ),
    "vqvae": Case(
        "VQ-VAE, photos/vqvae.gin",
        "step",
        against("framework:vqvae", eager="vqvae_torch:eager", compiled="vqvae_torch:compiled"),
    ),
    "plain_vqvae": Case(
        "VQ-VAE without a learned prior",
        "step",
        against("framework:plain_vqvae", pythae="vqvae_pythae:trainer"),
    ),
    "vae_vamp": Case("VampPrior, digits/vae_vamp.gin", "step", against("framework:vae_vamp")),
    "vae_maf": Case("MAF prior, digits/vae_maf.gin", "step", against("framework:vae_maf")),
    "maf_density": Case(
        "MAF, density and gradient",
        "step",
        against("flows:density_of_ours", tfp="flows:density_of_theirs"),
    ),
    "categorical": Case("Gumbel categories, digits/vae_categorical.gin", "step", against("framework:vae_categorical")),
    "nll": Case("importance-weighted NLL, digits/vae.gin", "draw", against("framework:nll")),
    "maf_draws": Case("MAF, draws", "draw", against("flows:draws_of_ours", tfp="flows:draws_of_theirs")),
    "code_draws": Case(
        "autoregressive prior, 64 grids of 8 x 8 codes",
        "position",
        against("codes:by_cache", passes="codes:by_full_passes"),
    ),
}
#: The machine's matrix rate, measured as the cases are.
MATRIX = Case("matrix product", "product", {"TensorFlow": Contender("matmul:product")})
#: Takes longer than the others by so much that it has fewer rounds.
SLOW = ("mixture", "vqvae", "plain_vqvae", "nll")
