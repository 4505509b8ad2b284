"""f-divergences estimated by their variational bound: f-GAN (Nowozin et al. 2016)."""

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal, NamedTuple

import keras
import tensorflow as tf

from tfdgm import Context, Loss, Network
from tfdgm_objectives.adversarial import Adversarial, Fakes, Space, scores_of
from tfdgm_objectives.critic import Score

Divergence = Literal["pearson", "kl", "reverse_kl", "squared_hellinger"]


class Bound(NamedTuple):
    """The two functions of the critic's output v that bound an f-divergence.

    Attributes:
      activation: g(v), which maps the real line into the domain of the conjugate f*.
      conjugate: f*(g(v)), composed and simplified.
      unit: of the divergence.
    """

    activation: Callable[[tf.Tensor], tf.Tensor]
    conjugate: Callable[[tf.Tensor], tf.Tensor]
    unit: str


#: Nowozin et al. 2016, table 2. With u = p/q: (u - 1)^2, u log u, -log u and (sqrt(u) - 1)^2.
BOUNDS: dict[str, Bound] = {
    "pearson": Bound(lambda v: v, lambda v: tf.square(v) / 4 + v, "dimensionless"),
    "kl": Bound(lambda v: v, lambda v: tf.exp(v - 1), "nats"),
    "reverse_kl": Bound(lambda v: -tf.exp(-v), lambda v: v - 1, "nats"),
    "squared_hellinger": Bound(lambda v: 1 - tf.exp(-v), lambda v: tf.exp(v) - 1, "at most 2"),
}


class FGAN(Adversarial):
    """min over the model, max over f of F = E g(f(x)) - E f*(g(f(x'))), x real and x' fake.

    For any critic f, F is at most the divergence D(p||q) = int q(x) f(p(x)/q(x)) dx of the real law p from the fake law
    q, and equal to it for the best one (Nowozin et al. 2016, equations 4 and 6), logged as `fgan_DIVERGENCE_bound`:

        pearson             int (p - q)^2 / q
        kl                  int p log(p/q)
        reverse_kl          int q log(q/p)
        squared_hellinger   int (sqrt(p) - sqrt(q))^2

    The exponentials of f in the last three make the critic's gradient grow without bound; small steps, or
    `spectral_normalization`, keep it finite.

    Args:
      divergence: D.
      network: the critic f, from a sample to a scalar; None is a copy of the decoder's architecture.
      optimizer: the critic's Keras optimizer; None is Adam with learning rate 1e-3 and betas 0 and 0.99.
      moves: number of critic steps per model step.
      space: "data" compares x with samples of the model; "latent" compares draws from the prior with draws from q(z|x).
      fakes: the fake samples in data space: from the "prior", "reconstructions", each paired with its x, or "both";
        None is "both" if there is a posterior, else "prior".
      generator: the model's loss: "non_saturating" -g(f(x')) (Nowozin et al. 2016, section 3.2), or "saturating"
        -f*(g(f(x'))), the model's part of F.
      unrolling: number of virtual critic steps that the model's loss is unrolled through (Metz et al. 2017).
      unrolling_rate: learning rate of the virtual steps, at most 1; None is 0.1. Requires unrolling.
      spectral_normalization: whether to divide the critic's kernels by their spectral norms (Miyato et al. 2018).
      packing: m, number of samples that the critic scores together (Lin et al. 2018). The bound and the estimate are
        then of the distributions of m independent samples, whose divergence is at least that of one.
      weight: weight of this objective in the sum of all.
      adaptive_weight: whether to multiply the loss, per shard, by the ratio of the gradient norms of -log p(x|z) and of
        this loss at the decoder's output (Esser et al. 2021, equation 7). Requires an objective that minimises
        -log p(x|z), such as the ELBO.
    """

    units: ClassVar[Mapping[str, str]] = {
        **Adversarial.units,
        **{
            name: bound.unit
            for divergence, bound in BOUNDS.items()
            for name in (
                f"fgan_{divergence}_estimate",
                f"latent_fgan_{divergence}_estimate",
                f"fgan_{divergence}_bound",
            )
        },
    }

    def __init__(
        self,
        *,
        divergence: Divergence = "pearson",
        network: Network | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        moves: int = 1,
        space: Space = "data",
        fakes: Fakes | None = None,
        generator: Literal["non_saturating", "saturating"] = "non_saturating",
        unrolling: int = 0,
        unrolling_rate: float | None = None,
        spectral_normalization: bool = False,
        packing: int = 1,
        weight: float = 1.0,
        adaptive_weight: bool = False,
    ) -> None:
        super().__init__(
            network=network,
            optimizer=optimizer,
            critic_steps=moves,
            space=space,
            fakes=fakes,
            weight=weight,
            adaptive_weight=adaptive_weight,
            packing=packing,
            unrolling=unrolling,
            unrolling_rate=unrolling_rate,
            spectral_normalization=spectral_normalization,
        )
        self.require_stable_unrolling()
        self.divergence = divergence
        self.generator = generator
        self.bound = BOUNDS[divergence]

    def critic_loss(self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor], context: Context) -> Loss:
        real_scores, fake_scores, _ = scores_of(score, real, fakes)
        value = variational_bound(self.bound, real_scores, fake_scores)
        metrics = {"score_real": real_scores, "score_fake": fake_scores, f"fgan_{self.divergence}_bound": value}
        return Loss(-value, metrics)

    def generator_loss(self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor]) -> tf.Tensor:
        of_fake = self.bound.conjugate if self.generator == "saturating" else self.bound.activation
        loss = -tf.reduce_mean(of_fake(tf.stack([score(fake) for fake in fakes])), axis=0)
        if self.space == "latent":  # real samples depend on the model too
            loss += self.bound.activation(score(real))
        return loss

    def estimate(
        self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor], context: Context
    ) -> tuple[str, tf.Tensor, tf.Tensor]:
        real_scores, fake_scores, squared = scores_of(score, real, fakes, slopes=True)
        value = tf.reduce_mean(variational_bound(self.bound, real_scores, fake_scores))
        return f"fgan_{self.divergence}_estimate", value, tf.sqrt(squared)


def variational_bound(bound: Bound, real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Return g(f(x)) - f*(g(f(x'))), `[batch]`.

    Args:
      bound: of the divergence.
      real: scores `[batch]`.
      fake: scores `[blocks, batch]`; the result is averaged over the blocks.
    """
    return bound.activation(real) - tf.reduce_mean(bound.conjugate(fake), axis=0)
