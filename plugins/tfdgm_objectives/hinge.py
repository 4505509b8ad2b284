"""The hinge loss of GANs (Lim and Ye 2017; Miyato et al. 2018), which estimates the total variation distance."""

from collections.abc import Mapping
from typing import ClassVar

import keras
import tensorflow as tf

from tfdgm import Context, Loss, Network
from tfdgm_objectives.adversarial import Adversarial, Fakes, Space, scores_of
from tfdgm_objectives.critic import Score


class Hinge(Adversarial):
    """The critic minimises L = E max(0, 1 - f(x)) + E max(0, 1 + f(x')), x real and x' fake; the model -E f(x').

    (Lim and Ye 2017; Miyato et al. 2018, equations 16 and 17.) At each point the best f is 1 where x
    is more probable and -1 elsewhere, so the least L is 2 - 2 TV, with the total variation distance TV = (1/2) int
    |p - q|. For any f, TV is at least 1 - L / 2, logged as `total_variation_bound`.

    Args:
      network: the critic f, from a sample to a scalar; None is a copy of the decoder's architecture.
      optimizer: the critic's Keras optimizer; None is Adam with learning rate 1e-3 and betas 0 and 0.99.
      moves: number of critic steps per model step.
      space: "data" compares x with samples of the model; "latent" compares draws from the prior with draws from q(z|x).
      fakes: the fake samples in data space: from the "prior", "reconstructions", each paired with its x, or "both";
        None is "both" if there is a posterior, else "prior".
      unrolling: number of virtual critic steps that the model's loss is unrolled through (Metz et al. 2017).
      unrolling_rate: learning rate of the virtual steps, at most 1; None is 0.1. Requires unrolling.
      spectral_normalization: whether to divide the critic's kernels by their spectral norms (Miyato et al. 2018).
      packing: m, number of samples that the critic scores together (Lin et al. 2018). The bound and the estimate are
        then of the distributions of m independent samples, whose distance is at least that of one.
      weight: weight of this objective in the sum of all.
      adaptive_weight: whether to multiply the loss, per shard, by the ratio of the gradient norms of -log p(x|z) and of
        this loss at the decoder's output (Esser et al. 2021, equation 7). Requires an objective that minimises
        -log p(x|z), such as the ELBO.
    """

    units: ClassVar[Mapping[str, str]] = {
        **Adversarial.units,
        **dict.fromkeys(
            ("total_variation_estimate", "latent_total_variation_estimate", "total_variation_bound"), "at most 1"
        ),
    }

    def __init__(
        self,
        *,
        network: Network | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        moves: int = 1,
        space: Space = "data",
        fakes: Fakes | None = None,
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

    def critic_loss(self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor], context: Context) -> Loss:
        real_scores, fake_scores, _ = scores_of(score, real, fakes)
        loss = hinge_loss(real_scores, fake_scores)
        metrics = {"score_real": real_scores, "score_fake": fake_scores, "total_variation_bound": 1 - loss / 2}
        return Loss(loss, metrics)

    def generator_loss(self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor]) -> tf.Tensor:
        loss = -tf.reduce_mean(tf.stack([score(fake) for fake in fakes]), axis=0)
        return loss + score(real) if self.space == "latent" else loss  # real samples depend on the model too

    def estimate(
        self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor], context: Context
    ) -> tuple[str, tf.Tensor, tf.Tensor]:
        real_scores, fake_scores, squared = scores_of(score, real, fakes, slopes=True)
        bound = 1 - tf.reduce_mean(hinge_loss(real_scores, fake_scores)) / 2
        return "total_variation_estimate", bound, tf.sqrt(squared)


def hinge_loss(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Return max(0, 1 - f(x)) + max(0, 1 + f(x')), `[batch]`.

    Args:
      real: scores `[batch]`.
      fake: scores `[blocks, batch]`; the result is averaged over the blocks.
    """
    return tf.nn.relu(1 - real) + tf.reduce_mean(tf.nn.relu(1 + fake), axis=0)
