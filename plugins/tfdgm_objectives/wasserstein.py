"""The Wasserstein distance estimated by its Kantorovich-Rubinstein dual (Arjovsky et al. 2017)."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import keras
import tensorflow as tf

from tfdgm import Context, Loss, Network
from tfdgm_objectives.adversarial import Adversarial, Fakes, Space, scores_of, slopes_between
from tfdgm_objectives.critic import Score


class Wasserstein(Adversarial):
    """min over the model, max over 1-Lipschitz f of E f(x) - E f(x'), x real and x' fake.

    The maximum is W_1, the Wasserstein distance under the Euclidean metric, in the units of x. Since a critic is not
    exactly 1-Lipschitz, `wasserstein_estimate` is its dual value divided by its largest observed slope. The metric
    `lipschitz` is the mean, over shards and steps, of the largest slope in each.

    Args:
      network: the critic f, from a sample to a scalar; None is a copy of the decoder's architecture.
      optimizer: the critic's Keras optimizer; None is Adam with learning rate 1e-3 and betas 0 and 0.99.
      moves: number of critic steps per model step.
      space: "data" compares x with samples of the model; "latent" compares draws from the prior with draws from q(z|x)
        (Tolstikhin et al. 2018).
      fakes: the fake samples in data space: from the "prior", "reconstructions", each paired with its x, or "both";
        None is "both" if there is a posterior, else "prior".
      lipschitz: how to bound the slope of f: "gradient_penalty" on the slope at random points between real and fake
        samples (Gulrajani et al. 2017); "clipping" of the weights (Arjovsky et al. 2017), which bounds the slope by an
        unknown constant; "spectral_normalization" of the kernels (Miyato et al. 2018), which bounds the slope by 1 for
        dense layers with 1-Lipschitz activations, but not for convolutions and residual blocks.
      penalty: lambda, weight of the gradient penalty; None is 10. Only for lipschitz = "gradient_penalty".
      two_sided: whether to penalise slopes below 1 too: (|df/dx| - 1)^2, else max(0, |df/dx| - 1)^2; None is True. Only
        for lipschitz = "gradient_penalty".
      clip: c, the bound [-c, c] of every weight of the critic; None is 0.01. Only for lipschitz = "clipping".
      unrolling: number of virtual critic steps that the model's loss is unrolled through (Metz et al. 2017); not with
        clipping, which has no gradient.
      unrolling_rate: learning rate of the virtual steps, at most 1 and 1 / penalty; None is 0.1, and 0.1 / penalty with
        the gradient penalty. The steps diverge unless it is below 2 over the largest curvature of the critic's loss,
        which the penalty increases. Requires unrolling.
      packing: m, number of samples that the critic scores together (Lin et al. 2018). All estimates are then of
        distances between the distributions of m independent samples, in R^(m d), and of slopes there.
      weight: weight of this objective in the sum of all.
      adaptive_weight: whether to multiply the loss, per shard, by the ratio of the gradient norms of -log p(x|z) and of
        this loss at the decoder's output (Esser et al. 2021, equation 7). Requires an objective that minimises
        -log p(x|z), such as the ELBO.
    """

    units: ClassVar[Mapping[str, str]] = {
        **Adversarial.units,
        "wasserstein_estimate": "units of x",
        "latent_wasserstein_estimate": "units of z",
    }

    def __init__(
        self,
        *,
        network: Network | None = None,
        optimizer: keras.optimizers.Optimizer | None = None,
        moves: int = 5,
        space: Space = "data",
        fakes: Fakes | None = None,
        lipschitz: Literal["gradient_penalty", "clipping", "spectral_normalization"] = "gradient_penalty",
        penalty: float | None = None,
        two_sided: bool | None = None,
        clip: float | None = None,
        unrolling: int = 0,
        unrolling_rate: float | None = None,
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
            spectral_normalization=lipschitz == "spectral_normalization",
        )
        for name, value in (("penalty", penalty), ("clip", clip)):
            if value is not None:
                self.require_positive(name, value)
        for name, value, used_by in (
            ("penalty", penalty, "gradient_penalty"),
            ("two_sided", two_sided, "gradient_penalty"),
            ("clip", clip, "clipping"),
        ):
            self.require(
                value is None or lipschitz == used_by,
                f"{name} has no effect with lipschitz = {lipschitz!r}; it requires lipschitz = {used_by!r}",
            )
        self.require(
            not (unrolling and lipschitz == "clipping"),
            "unrolling differentiates through the critic's steps, but clipping has no gradient; use another lipschitz",
        )
        self.lipschitz = lipschitz
        self.penalty = 10.0 if penalty is None else penalty
        self.two_sided = two_sided is None or two_sided
        self.clip = 0.01 if clip is None else clip
        if lipschitz == "gradient_penalty":  # its curvature grows with its weight
            self.default_unrolling_rate = 0.1 / self.penalty
            self.penalty_on_slopes = "lipschitz = 'gradient_penalty'"
            self.require_stable_unrolling(penalty=self.penalty)
        else:
            self.require_stable_unrolling()

    def critic_loss(self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor], context: Context) -> Loss:
        real_scores, fake_scores, _ = scores_of(score, real, fakes)
        dual = real_scores - tf.reduce_mean(fake_scores, axis=0)
        if self.lipschitz != "gradient_penalty":
            return Loss(-dual, {"dual": dual})
        slopes = self._slopes_between(score, real, fakes, context)
        excess = slopes - 1 if self.two_sided else tf.maximum(slopes - 1, 0.0)
        penalty = self.penalty * tf.reduce_mean(tf.square(excess), axis=0)
        metrics = {"dual": dual, "gradient_penalty": penalty, "slope": slopes, "lipschitz": tf.reduce_max(slopes)}
        return Loss(penalty - dual, metrics)

    def generator_loss(self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor]) -> tf.Tensor:
        loss = -tf.reduce_mean(tf.stack([score(fake) for fake in fakes]), axis=0)
        return loss + score(real) if self.space == "latent" else loss  # real samples depend on the model too

    def estimate(
        self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor], context: Context
    ) -> tuple[str, tf.Tensor, tf.Tensor]:
        real_scores, fake_scores, squared = scores_of(score, real, fakes, slopes=True)
        dual = tf.reduce_mean(real_scores) - tf.reduce_mean(fake_scores)
        slopes = tf.concat([tf.sqrt(squared), self._slopes_between(score, real, fakes, context)], axis=0)
        return "wasserstein_estimate", dual / tf.maximum(tf.reduce_max(slopes), 1e-12), slopes

    def _slopes_between(self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor], context: Context) -> tf.Tensor:
        """Return |df/dx| between the real and each batch of fake samples, `[1 or 2, batch]`."""
        seeds = [context.seed_for(f"between {number}") for number in range(len(fakes))]
        return tf.stack([slopes_between(score, real, fake, seed) for fake, seed in zip(fakes, seeds, strict=True)])

    def project(self) -> None:
        """Clip the critic's weights."""
        if self.lipschitz == "clipping":
            for variable in self.critic.network.trainable_variables():
                variable.assign(tf.clip_by_value(tf.convert_to_tensor(variable), -self.clip, self.clip))
