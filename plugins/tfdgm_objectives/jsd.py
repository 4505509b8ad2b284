"""The Jensen-Shannon divergence estimated by a discriminator: GANs (Goodfellow et al. 2014) and variants."""

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

import keras
import tensorflow as tf

from tfdgm import BuildContext, Context, Loss, Network, Schedule, scheduled
from tfdgm_objectives.adversarial import Adversarial, Fakes, Space, scores_of
from tfdgm_objectives.critic import Score


class JSD(Adversarial):
    """min over the model, max over D of V = E log D(x) + E log(1 - D(x')), x real and x' fake, D = sigmoid(f).

    For the optimal D, V = 2 JSD - 2 log 2 (Goodfellow et al. 2014, theorem 1), so for any D the JSD, averaged over
    the kinds of fakes, is at least (V + 2 log 2) / 2, logged as `jsd_bound`, in nats. Losses are computed from logits.

    Args:
      network: the critic f, from a sample to a scalar; None is a copy of the decoder's architecture.
      optimizer: the critic's Keras optimizer; None is Adam with learning rate 1e-3 and betas 0 and 0.99.
      moves: number of critic steps per model step.
      space: "data" compares x with samples of the model; "latent" compares draws from the prior with draws from q(z|x),
        as in the adversarial autoencoder (Makhzani et al. 2015).
      fakes: the fake samples in data space: from the "prior", "reconstructions", each paired with its x, or "both";
        None is "both" if there is a posterior, else "prior".
      generator: the model's loss: "non_saturating" -log D(x'), or "saturating" log(1 - D(x')), the model's part of V.
      relativistic: whether both losses depend on pairs through f(x) - f(x') (Jolicoeur-Martineau 2019; Sun et al.
        2020). V then sums over both orders of each pair, and `jsd_bound` bounds the divergence between them. The
        critic's loss is twice that of these authors, so r1 and r2 have half the effect that they have there.
      label_smoothing: s; the target for real samples is 1 - s (Salimans et al. 2016, section 3.4).
      instance_noise: standard deviation of Gaussian noise added to every sample that the critic sees, in the units of
        x; a number or a schedule of the step (Sonderby et al. 2017; Arjovsky and Bottou 2017).
      r1, r2: weights of (1/2) E |df/dx|^2 at real and at fake samples (Mescheder et al. 2018, equation 9);
        numbers or schedules of the step.
      unrolling: number of virtual critic steps that the model's loss is unrolled through (Metz et al. 2017).
      unrolling_rate: learning rate of the virtual steps, at most 1, 1 / r1 and 1 / r2; None is 0.1. The steps diverge
        unless it is below 2 over the largest curvature of the critic's loss, which r1 and r2 increase. Requires
        unrolling.
      spectral_normalization: whether to divide the critic's kernels by their spectral norms (Miyato et al. 2018).
      packing: m, number of samples that the critic scores together (Lin et al. 2018). `jsd_bound` and `jsd_estimate`
        then bound the divergence between the distributions of m independent samples, which is at least that of one.
      weight: weight of this objective in the sum of all.
      adaptive_weight: whether to multiply the loss, per shard, by the ratio of the gradient norms of -log p(x|z) and of
        this loss at the decoder's output (Esser et al. 2021, equation 7). Requires an objective that minimises
        -log p(x|z), such as the ELBO.
    """

    units: ClassVar[Mapping[str, str]] = {
        **Adversarial.units,
        **dict.fromkeys(("jsd_estimate", "latent_jsd_estimate", "jsd_bound"), "nats"),
        **dict.fromkeys(("discriminator_real", "discriminator_fake"), "probability"),
    }

    def __init__(
        self,
        *,
        network: Network | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        moves: int = 1,
        space: Space = "data",
        fakes: Fakes | None = None,
        generator: Literal["non_saturating", "saturating"] = "non_saturating",
        relativistic: bool = False,
        label_smoothing: float = 0.0,
        instance_noise: Schedule = 0.0,
        r1: Schedule = 0.0,
        r2: Schedule = 0.0,
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
        self.require(0 <= label_smoothing < 0.5, f"label_smoothing must be in [0, 0.5), got {label_smoothing}")
        self.require(not (relativistic and label_smoothing), "label_smoothing is not defined for relativistic pairs")
        self.require(
            not (relativistic and generator == "saturating"),
            "generator = 'saturating' is not defined for relativistic pairs",
        )
        for name, value in (("instance_noise", instance_noise), ("r1", r1), ("r2", r2)):
            self.require_not_negative(name, value)
        self.require_stable_unrolling(r1=r1, r2=r2)
        self.penalty_on_slopes = " and ".join(name for name, weight in (("r1", r1), ("r2", r2)) if weight != 0.0)
        self.generator = generator
        self.relativistic = relativistic
        self.label_smoothing = label_smoothing
        self.instance_noise = instance_noise
        self.r1 = r1
        self.r2 = r2

    def build(self, context: BuildContext) -> None:
        super().build(context)
        for name in ("instance_noise", "r1", "r2"):
            self.require_not_negative(name, getattr(self, name), steps=context.steps)

    def prepared(self, x: tf.Tensor, context: Context, which: str) -> tf.Tensor:
        """Add instance noise to the samples, and pack them."""
        if self.instance_noise != 0.0:
            noise = tf.random.stateless_normal(x.shape, context.seed_for(f"instance noise {which}"))
            x += scheduled(self.instance_noise, context.step) * noise
        return super().prepared(x, context, which)

    def critic_loss(self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor], context: Context) -> Loss:
        penalised = self.r1 != 0.0 or self.r2 != 0.0
        real_scores, fake_scores, slopes = scores_of(score, real, fakes, slopes=penalised)
        value = game_value(real_scores, fake_scores, self.relativistic)
        loss = -value
        if self.label_smoothing:  # s (log D - log(1 - D)) = s f
            loss += self.label_smoothing * real_scores
        metrics = {
            "discriminator_real": tf.sigmoid(real_scores),
            "discriminator_fake": tf.sigmoid(fake_scores),
            "value": value,
            "jsd_bound": value / 2 + math.log(2),
        }
        if penalised:
            at_real, at_fake = slopes[0], tf.reduce_mean(slopes[1:], axis=0)
            loss += scheduled(self.r1, context.step) / 2 * at_real + scheduled(self.r2, context.step) / 2 * at_fake
            metrics |= {"slope_real": tf.sqrt(at_real), "slope_fake": tf.sqrt(at_fake)}
        return Loss(loss, metrics)

    def generator_loss(self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor]) -> tf.Tensor:
        if self.relativistic:
            real_scores, fake_scores, _ = scores_of(score, real, fakes)
            return tf.reduce_mean(tf.nn.softplus(real_scores - fake_scores), axis=0)
        saturating = self.generator == "saturating"
        fake_scores = tf.stack([score(fake) for fake in fakes])
        loss = tf.reduce_mean(-tf.nn.softplus(fake_scores) if saturating else tf.nn.softplus(-fake_scores), axis=0)
        if self.space == "latent":  # real samples depend on the model too
            real_scores = score(real)
            loss += -tf.nn.softplus(-real_scores) if saturating else tf.nn.softplus(real_scores)
        return loss

    def estimate(
        self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor], context: Context
    ) -> tuple[str, tf.Tensor, tf.Tensor]:
        real_scores, fake_scores, squared = scores_of(score, real, fakes, slopes=True)
        bound = game_value(real_scores, fake_scores, self.relativistic) / 2 + math.log(2)
        return "jsd_estimate", tf.reduce_mean(bound), tf.sqrt(squared)


def game_value(real: tf.Tensor, fake: tf.Tensor, relativistic: bool) -> tf.Tensor:
    """Return V from logits: log sigmoid(f(x)) + log(1 - sigmoid(f(x'))), or of pairs 2 log sigmoid(f(x) - f(x')); nats.

    Args:
      real: logits `[batch]`.
      fake: logits `[blocks, batch]`; the result is averaged over the blocks.
      relativistic: whether the value is that of pairs.

    Returns:
      `[batch]`.
    """
    if relativistic:
        return -2 * tf.reduce_mean(tf.nn.softplus(fake - real), axis=0)
    return -tf.nn.softplus(-real) - tf.reduce_mean(tf.nn.softplus(fake), axis=0)
