"""Base class of objectives with a critic: the samples it compares, unrolling, and the balance with the ELBO."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import keras
import tensorflow as tf

from tfdgm import BuildContext, Context, Forward, Loss, Network, Objective, Schedule, embed_one_hot, straight_through
from tfdgm_objectives.critic import Critic, Score, mean_by_sample, score_and_slope, unrolled

Space = Literal["data", "latent"]
Fakes = Literal["prior", "reconstructions", "both"]

#: Upper bound of the adaptive weight and offset of its denominator (Esser et al. 2021, equation 7, and their code).
_LARGEST_WEIGHT, _SMALLEST_NORM = 1e4, 1e-4


class Adversarial(Objective):
    """A loss given by a critic f that distinguishes real from fake samples.

    In data space, x is real and samples of the model are fake: generated from the prior, reconstructed, or both. In
    latent space, draws from the prior are real and draws from q(z|x) are fake; both depend on the model.

    Attributes:
      default_unrolling_rate: learning rate of the virtual steps, if `unrolling_rate` is None.
      penalty_on_slopes: name of the setting that penalises |df/dx| at each sample, or "".
    """

    adversarial = True
    default_unrolling_rate = 0.1
    penalty_on_slopes: str = ""

    units: ClassVar[Mapping[str, str]] = {
        f"{prefix}{name}": f"scores per unit of {space}"
        for prefix, space in (("", "x"), ("latent_", "z"))
        for name in ("critic_slope", "critic_lipschitz")
    }

    def __init__(
        self,
        *,
        network: Network | None,
        optimizer: keras.optimizers.Optimizer | None,
        critic_steps: int,
        space: Space,
        fakes: Fakes | None,
        weight: float,
        adaptive_weight: bool,
        packing: int,
        unrolling: int,
        unrolling_rate: float | None,
        spectral_normalization: bool,
    ) -> None:
        self.require(critic_steps >= 1, f"moves must be at least 1, got {critic_steps}")
        self.require_positive("weight", weight)
        self.require(packing >= 1, f"packing must be at least 1, got {packing}")
        self.require(unrolling >= 0, f"unrolling must not be negative, got {unrolling}")
        if unrolling_rate is not None:
            self.require_positive("unrolling_rate", unrolling_rate)
            self.require(unrolling > 0, "unrolling_rate has no effect with unrolling = 0")
        self.require(
            space == "data" or fakes is None,
            "fakes has no effect in latent space, where the fake samples are draws from q(z|x)",
        )
        self.critic = Critic(network, packing, spectral_normalization)
        self.optimizer = optimizer or keras.optimizers.Adam(1e-3, beta_1=0.0, beta_2=0.99)
        self.critic_steps = critic_steps
        self.space = space
        self.fakes = fakes
        self.weight = weight
        self.adaptive_weight = adaptive_weight
        self.packing = packing
        self.unrolling = unrolling
        self.unrolling_rate = unrolling_rate
        for needs_posterior, setting in (
            (space == "latent", "space = 'latent'"),
            (fakes in ("reconstructions", "both"), f"fakes = {fakes!r}"),
            (adaptive_weight, "adaptive_weight"),
        ):
            if needs_posterior:
                self.needs_posterior, self.needs_posterior_for = True, setting
        self.balanced_for = "adaptive_weight" if adaptive_weight else ""
        self.trains_decoder = space == "data"
        self.trains_encoder = space == "latent" or fakes != "prior"

    def require_stable_unrolling(self, **penalties: Schedule) -> None:
        """Refuse a learning rate at which the virtual steps diverge.

        A penalty of weight w on the critic's slope has a curvature of about w; a step of rate r multiplies by 1 - r w.
        """
        steepest = max([1.0, *(weight for weight in penalties.values() if isinstance(weight, (int, float)))])
        rate = self.default_unrolling_rate if self.unrolling_rate is None else self.unrolling_rate
        beside = " and ".join(f"{name} = {weight:g}" for name, weight in penalties.items() if weight == steepest)
        self.require(
            not self.unrolling or rate * steepest <= 1,
            f"unrolling_rate must be at most {1 / steepest:g}{f' with {beside}' if beside else ''}, got {rate:g}",
        )

    def build(self, context: BuildContext) -> None:
        latent = self.space == "latent"
        if self.penalty_on_slopes:
            self._check_examples_apart(context)
        self.critic.build(context.latent.decoder_input_shape if latent else context.data.shape, context)
        if self.unrolling:
            self.critic.variables()  # raises for variables that cannot be replaced

    def _check_examples_apart(self, context: BuildContext) -> None:
        """Refuse a critic whose score of one sample depends on other samples: no slope belongs to one sample alone."""
        network = self.critic.given or context.like_decoder()
        like_decoder = "" if self.critic.given else " (built like experiment.decoder)"
        self.require(
            not network.mixes_examples,
            f"{self.penalty_on_slopes} penalises the critic's slope at each sample, but batch normalisation in "
            f"{network.display_name()}{like_decoder} makes the score of one sample depend on the others (Gulrajani et "
            "al. 2017, section 4); set network to one without it",
        )

    def sides(self, forward: Forward) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the real samples, and one or two batches of fake samples, each `[batch, *shape]`."""
        if self.space == "latent":
            return forward.drawn, [compared(forward)]
        fakes = self.fakes or ("prior" if forward.model.posterior is None else "both")
        chosen = []
        if fakes in ("prior", "both"):
            chosen.append(forward.generated)
        if fakes in ("reconstructions", "both"):
            chosen.append(forward.reconstructed)
        return forward.x, chosen

    def adversary_loss(self, forward: Forward, context: Context) -> Loss:
        real, fakes = self.sides(forward)
        real, *fakes = self._all_prepared([real, *fakes], context)
        real, fakes = tf.stop_gradient(real), [tf.stop_gradient(x) for x in fakes]
        return self._by_sample(self.critic_loss(self.critic.at(context.within("critic")), real, fakes, context))

    def model_loss(self, forward: Forward, context: Context) -> Loss:
        real, fakes = self.sides(forward)
        loss = self._loss_against(forward, real, fakes, context)
        metrics = {"generator_loss": loss}
        if self.adaptive_weight:
            balance = self._balance(forward, context)
            loss, metrics["adaptive_weight"] = balance * loss, balance
        return self._by_sample(Loss(loss, metrics))

    def _loss_against(self, forward: Forward, real: tf.Tensor, fakes: list[tf.Tensor], context: Context) -> tf.Tensor:
        """Return the model's loss on these samples, `[batch / packing]`."""
        real, *fakes = self._all_prepared([real, *fakes], context)
        inner, values = context.within("critic"), None
        if self.unrolling:

            def virtual_loss(score: Score) -> tf.Tensor:
                return tf.reduce_mean(self.critic_loss(score, real, fakes, context).value)

            rate = self.default_unrolling_rate if self.unrolling_rate is None else self.unrolling_rate
            values = unrolled(self.critic, inner, virtual_loss, self.unrolling, rate)
        return self.generator_loss(self.critic.at(inner, values), real, fakes)

    def _balance(self, forward: Forward, context: Context) -> tf.Tensor:
        """Return |d(-log p(x|z))/do| / |d(this loss)/do|, the weight that equalises both gradient norms, a scalar.

        o is the decoder's output, or z in latent space. (Esser et al. 2021 use the weights of the decoder's last layer,
        which is unknown for an arbitrary decoder.)
        """
        if self.space == "latent":
            return self._balance_at_latent(forward, context)
        likelihood, example = forward.model.likelihood, forward.model.example
        generated = self.fakes == "prior"
        compared_outputs = forward.generated_outputs if generated else forward.outputs
        purpose = forward.context.within("generated" if generated else "reconstructed")
        real, fakes = self.sides(forward)
        fixed = [tf.stop_gradient(fake) for fake in fakes[:-1]]  # for "both", samples from the prior come first

        def adversarial(outputs: tf.Tensor) -> tf.Tensor:
            fake = example(likelihood.distribution(outputs), purpose)
            return self._loss_against(forward, real, [*fixed, fake], context)

        distortion = gradient_norm(lambda o: -likelihood.distribution(o).log_prob(forward.x), forward.outputs)
        return _ratio(distortion, gradient_norm(adversarial, compared_outputs))

    def _balance_at_latent(self, forward: Forward, context: Context) -> tf.Tensor:
        real, (fake,) = self.sides(forward)
        real = tf.stop_gradient(real)
        distortion = gradient_norm(
            lambda z: -forward.model.decode(z, forward.context).log_prob(forward.x), forward.latent.z
        )
        return _ratio(distortion, gradient_norm(lambda z: self._loss_against(forward, real, [z], context), fake))

    def scores(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        """Return f(x) `[batch]`, without noise on x."""
        if self.packing > 1:
            raise NotImplementedError(f"{self.display_name()}: a packed sample has no score of its own")
        return self.critic.at(context.within("critic"))(x)

    def prepared(self, x: tf.Tensor, context: Context, which: str) -> tf.Tensor:
        """Return the samples as the critic sees them: packed."""
        return self.critic.pack(x)

    def _all_prepared(self, samples: list[tf.Tensor], context: Context) -> list[tf.Tensor]:
        return [self.prepared(x, context, str(number)) for number, x in enumerate(samples)]

    @abstractmethod
    def critic_loss(self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor], context: Context) -> Loss:
        """Return the critic's loss, `[batch / packing]`."""

    @abstractmethod
    def generator_loss(self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor]) -> tf.Tensor:
        """Return the model's loss, `[batch / packing]`."""

    def estimates(self, forward: Forward, context: Context) -> dict[str, tf.Tensor]:
        """Return the result of `estimate`, and the mean and the largest slope |df/dx|.

        Examples of an incomplete pack are dropped; without a complete pack the result is empty.
        """
        real, fakes = self.sides(forward)
        kept = real.shape[0] // self.packing * self.packing
        if not kept:
            return {}
        real, *fakes = self._all_prepared([x[:kept] for x in (real, *fakes)], context)
        name, estimate, slopes = self.estimate(self.critic.at(context.within("critic")), real, fakes, context)
        prefix = "latent_" if self.space == "latent" else ""
        return {
            f"{prefix}{name}": estimate,
            f"{prefix}critic_slope": tf.reduce_mean(slopes),
            f"{prefix}critic_lipschitz": tf.reduce_max(slopes),
        }

    @abstractmethod
    def estimate(
        self, score: Score, real: tf.Tensor, fakes: list[tf.Tensor], context: Context
    ) -> tuple[str, tf.Tensor, tf.Tensor]:
        """Return the name and value of the estimate from prepared samples, and the observed slopes |df/dx|."""

    def _by_sample(self, loss: Loss) -> Loss:
        return Loss(mean_by_sample(loss.value, self.packing), loss.metrics)


def compared(forward: Forward) -> tf.Tensor:
    """Return draws from q(z|x) for comparison with draws from the prior, `[batch, *shape]`.

    Relaxed draws are replaced by the exact codes, with the relaxed gradient: a critic would distinguish points between
    codes from codes, no matter how close q and p are.
    """
    latent = forward.latent
    if latent.relaxed is None:
        return latent.z
    assert forward.model.posterior is not None
    one_hot = tf.one_hot(latent.value, latent.relaxed.shape[-1])
    codebook = forward.model.posterior.codebook() if latent.codebook is None else latent.codebook
    return embed_one_hot(straight_through(one_hot, latent.relaxed), codebook)


def scores_of(
    score: Score, real: tf.Tensor, fakes: list[tf.Tensor], slopes: bool = False
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return scores of real samples `[batch]` and of fake samples `[1 or 2, batch]`, from one call of the critic.

    The third result is |df/dx|^2 `[2 or 3, batch]` at the real and fake samples if `slopes`, else zeros.
    """
    samples, blocks = tf.concat([real, *fakes], axis=0), [len(fakes) + 1, -1]
    scores, squared = score_and_slope(score, samples) if slopes else (score(samples), None)
    scores = tf.reshape(scores, blocks)
    return scores[0], scores[1:], tf.zeros_like(scores) if squared is None else tf.reshape(squared, blocks)


def gradient_norm(loss: Callable[[tf.Tensor], tf.Tensor], point: tf.Tensor) -> tf.Tensor:
    """Return the norm of d(mean loss)/d(point) over the whole batch."""
    point = tf.stop_gradient(point)
    with tf.GradientTape() as tape:
        tape.watch(point)
        value = tf.reduce_mean(loss(point))
    return tf.norm(tape.gradient(value, point))


def _ratio(distortion: tf.Tensor, adversarial: tf.Tensor) -> tf.Tensor:
    return tf.stop_gradient(tf.clip_by_value(distortion / (adversarial + _SMALLEST_NORM), 0.0, _LARGEST_WEIGHT))


def slopes_between(score: Score, real: tf.Tensor, fake: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return |df/dx| `[batch]` at random points on the lines from real to fake samples (Gulrajani et al. 2017)."""
    share = tf.random.stateless_uniform([real.shape[0], *[1] * (real.shape.rank - 1)], seed)
    squared = score_and_slope(score, fake + share * (real - fake))[1]
    return tf.sqrt(squared + 1e-12)  # the gradient of the root is infinite at 0
