"""The Wasserstein distance, by its Kantorovich-Rubinstein dual (Arjovsky et al. 2017)."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import keras
import tensorflow as tf

from tfdgm import Context, Loss, Network
from tfdgm_objectives.adversarial import Adversarial, Fakes, Space, scores_of, slopes_between
from tfdgm_objectives.critic import Score


class Wasserstein(Adversarial):
    """min over the model, max over 1-Lipschitz f of E f(x) - E f(x'), x real and x' fake.

    The maximum is W_1, the Wasserstein distance under the Euclidean metric, in the units of x. A critic that is not
    exactly 1-Lipschitz has its dual value divided by the largest slope seen of it, for `wasserstein_estimate`. The
    metric `lipschitz` is the mean, over shards and steps, of the largest slope in each.

    Args:
      network: the critic f, from a sample to a scalar; None is a network like the decoder.
      optimizer: the critic's Keras optimizer; None is Adam with learning rate 1e-3 and betas 0 and 0.99.
      moves: the critic's moves for each of the model's.
      space: "data" compares x with the model's samples of it; "latent" draws from the prior with draws of q(z|x)
        (Tolstikhin et al. 2018).
      fakes: in data space, samples from the "prior", "reconstructions", each paired with its own x, or "both"; None is
        both where there is a posterior.
      lipschitz: how f is kept Lipschitz: "gradient_penalty" on the slope at random points between real and fake samples
        (Gulrajani et al. 2017); "clipping" of its weights (Arjovsky et al. 2017), which bounds the slope by an unknown
        number; "spectral_normalization" of its kernels (Miyato et al. 2018), which bounds the slope by 1 for dense
        layers with 1-Lipschitz activations; convolutions and residual blocks may exceed it.
      penalty: lambda, weight of the gradient penalty; None is 10. Not with another lipschitz.
      two_sided: whether slopes below 1 are penalised too: (|df/dx| - 1)^2, else max(0, |df/dx| - 1)^2; None is True.
        Not with another lipschitz than the gradient penalty.
      clip: c; every weight of the critic is kept in [-c, c]; None is 0.01. Not with another lipschitz.
      unrolling: number of virtual gradient steps of the critic that the model's loss looks ahead (Metz et al. 2017);
        not with clipping, which has no gradient.
      unrolling_rate: learning rate of the virtual steps, at most 1 and 1 / penalty; None is 0.1, and 0.1 / penalty
        under the gradient penalty. They diverge unless it is below 2 over the largest curvature of the critic's loss,
        which the penalty raises. Not without unrolling.
      packing: m, samples that the critic judges together (Lin et al. 2018). All estimates are then of packs: distances
        between the laws of m independent samples, in R^(m d), and slopes there.
      weight: of this term among the objectives.
      adaptive_weight: multiplies the term by the ratio of gradient norms, at the decoder's output, of -log p(x|z) and
        of this loss (Esser et al. 2021, equation 7), for each shard its own. Only beside a term that minimises
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
            moves=moves,
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
                f"{name} has no use with lipschitz = {lipschitz!r}; it belongs to lipschitz = {used_by!r}",
            )
        self.require(
            not (unrolling and lipschitz == "clipping"),
            "unrolling differentiates through the critic's moves, and clipping has no gradient; set another lipschitz",
        )
        self.lipschitz = lipschitz
        self.penalty = 10.0 if penalty is None else penalty
        self.two_sided = two_sided is None or two_sided
        self.clip = 0.01 if clip is None else clip
        if lipschitz == "gradient_penalty":  # whose curvature grows with its weight
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
        return loss + score(real) if self.space == "latent" else loss  # the real side is the model's too

    def estimate(
        self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor], context: Context
    ) -> tuple[str, tf.Tensor, tf.Tensor]:
        real_scores, fake_scores, squared = scores_of(score, real, fakes, slopes=True)
        dual = tf.reduce_mean(real_scores) - tf.reduce_mean(fake_scores)
        slopes = tf.concat([tf.sqrt(squared), self._slopes_between(score, real, fakes, context)], axis=0)
        return "wasserstein_estimate", dual / tf.maximum(tf.reduce_max(slopes), 1e-12), slopes

    def _slopes_between(self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor], context: Context) -> tf.Tensor:
        """|df/dx| between the real and each batch of fake samples, `[1 or 2, batch]`."""
        seeds = [context.seed_for(f"between {number}") for number in range(len(fakes))]
        return tf.stack([slopes_between(score, real, fake, seed) for fake, seed in zip(fakes, seeds, strict=True)])

    def project(self) -> None:
        """Clips the critic's weights."""
        if self.lipschitz == "clipping":
            for variable in self.critic.network.trainable_variables():
                variable.assign(tf.clip_by_value(tf.convert_to_tensor(variable), -self.clip, self.clip))
