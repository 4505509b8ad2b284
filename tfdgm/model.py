"""The one sentence: learn p(x, z) = p(z) p(x | z) with q(z | x)."""

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm.codes import differentiable_codes, restrict
from tfdgm.contracts.component import Component
from tfdgm.contracts.context import Context
from tfdgm.contracts.data import Data
from tfdgm.contracts.likelihood import Likelihood
from tfdgm.contracts.network import Network
from tfdgm.contracts.posterior import Latent, Posterior
from tfdgm.contracts.prior import Prior
from tfdgm.contracts.specs import BuildContext, LatentSpec
from tfdgm.errors import UserError
from tfdgm.gradients import straight_through
from tfdgm.randomness import root_seed
from tfdgm.rate import rate


class Model(Component):
    """Prior, likelihood and decoder, with posterior and encoder where there is inference."""

    def __init__(
        self,
        *,
        prior: Prior,
        likelihood: Likelihood,
        decoder: Network,
        posterior: Posterior | None,
        encoder: Network | None,
        data: Data,
        latent_size: int,
        samples: Literal["mean", "draws"] | None = None,
    ) -> None:
        self.prior = prior
        self.likelihood = likelihood
        self.decoder = decoder
        self.posterior = posterior
        self.encoder = encoder
        self.data = data
        self.samples = samples or ("mean" if posterior is None else "draws")
        self.latent = (
            posterior.latent_spec(latent_size, data.spec) if posterior is not None else LatentSpec(size=latent_size)
        )

    def build(self, context: BuildContext) -> None:
        """Makes all variables, each part with seeds of its own."""
        self.likelihood.check(self.data.spec)
        if self.posterior is not None and self.encoder is not None:
            features = self.posterior.feature_shape(self.latent)
            self.encoder.build(self.data.spec.shape, features, context.within("encoder"))
            context = dataclasses.replace(context, train_features=self._train_features(context))
            self.posterior.build(context.within("posterior"))
        outputs = self.likelihood.output_shape(self.data.spec)
        self.decoder.build(self.latent.decoder_input_shape, outputs, context.within("decoder"))
        self.likelihood.build(context.within("likelihood"))
        self.prior.build(context.within("prior"))

    def _train_features(self, context: BuildContext) -> Callable[[np.ndarray], np.ndarray]:
        @tf.function(jit_compile=True, autograph=False)
        def features(x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
            return self.features(x, Context(seed, tf.constant(0, tf.int64)))

        seed = root_seed(context.seed, "features")
        return lambda indices: features(tf.constant(context.train_rows(indices)), seed).numpy()

    def prior_distribution(self, context: Context, codebook: tf.Tensor | None = None) -> Any:
        """p(z) as a tfd.Distribution whose event is that of the latent; densities are restricted to the codebook."""
        prior = self.prior.distribution(context.within("prior"))
        restricted = self.latent.discrete and self.prior.over == "vectors"
        event, wanted = tuple(prior.event_shape), (self.latent.size,) if restricted else self.latent.event_shape
        if event != wanted:
            raise UserError(
                f"{self.prior.spoken_name()} has event shape {event}, but the latent has {wanted}; "
                f"experiment.latent_size is {self.latent.size}"
            )
        if not restricted:
            return prior
        assert self.posterior is not None and self.latent.positions is not None
        return restrict(prior, self.posterior.codebook() if codebook is None else codebook, self.latent.positions)

    def features(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        """What the encoder computes of x."""
        assert self.encoder is not None
        return self.encoder(x, context.within("encoder"))

    def infer(self, x: tf.Tensor, context: Context) -> Any:
        """q(z|x) as a tfd.Distribution with batch shape `[batch]`."""
        assert self.posterior is not None
        return self.posterior.distribution(self.features(x, context), context.within("posterior"))

    def embed(self, value: tf.Tensor) -> tf.Tensor:
        """The decoder's input for a value of z."""
        return value if self.posterior is None else self.posterior.embed(value)

    def outputs(self, z: tf.Tensor, context: Context) -> tf.Tensor:
        """The decoder's output for its input `[..., *decoder_input_shape]`, with the same leading dimensions."""
        leading = tf.shape(z)[: -len(self.latent.decoder_input_shape)]
        flat = tf.reshape(z, [-1, *self.latent.decoder_input_shape])
        outputs = self.decoder(flat, context.within("decoder"))
        return tf.reshape(outputs, tf.concat([leading, tf.shape(outputs)[1:]], axis=0))

    def decode(self, z: tf.Tensor, context: Context) -> Any:
        """p(x|z) as a tfd.Distribution; `z` is the decoder's input `[..., *decoder_input_shape]`."""
        return self.likelihood.distribution(self.outputs(z, context))

    def example(self, likelihood: Any, context: Context) -> tf.Tensor:
        """What the model takes for a sample of x, given p(x|z): a draw or the mean, as `samples` says.

        Gradients reach the decoder: through the draw where p(x|z) has a reparametrisation, else straight through to the
        mean.
        """
        if self.samples == "mean":
            return likelihood.mean()
        drawn = likelihood.sample(seed=context.seed_for("x"))
        if likelihood.reparameterization_type == tfd.FULLY_REPARAMETERIZED:
            return drawn
        return straight_through(drawn, likelihood.mean())

    def draw_inputs(self, prior: Any, number: int, context: Context) -> tf.Tensor:
        """The decoder's input at `number` draws from the prior. Gradients reach it, straight through codes."""
        seed = context.seed_for("generate")
        if self.latent.categories is None:
            return prior.sample(number, seed=seed)
        assert self.posterior is not None
        one_hot = differentiable_codes(prior, number, seed, self.latent.categories)
        return tf.tensordot(one_hot, self.posterior.codebook(), axes=1)

    def generate(self, number: int, context: Context) -> tuple[tf.Tensor, Any]:
        """`number` draws of z from the prior, and p(x|z) at each."""
        context = self.with_inference(context)
        value = self.prior_distribution(context).sample(number, seed=context.seed_for("generate"))
        return value, self.decode(self.embed(value), context)

    def with_inference(self, context: Context) -> Context:
        """The context with `infer`, for priors made of the posterior."""
        if self.posterior is None:
            return context
        return dataclasses.replace(context, infer=lambda x: self.infer(x, context.within("infer")))


class Forward:
    """One pass of the model over a batch; each quantity is computed when first asked for, and once.

    Attributes:
      x: the batch `[batch, *shape]`.
      latent: q(z|x), a draw, and the decoder's input.
      outputs: the decoder's, at the draw.
      observation: p(x|z) there.
      reconstructed: a sample of x from it, as the model takes one (`Model.example`).
      reconstruction: log p(x|z) `[batch]`, nats.
      rate: KL(q(z|x) || p(z)) `[batch]`, nats.
      drawn: the decoder's input at `batch` draws from the prior.
      generated_outputs: the decoder's, at those.
      generated: a sample of x at each of them.
    """

    def __init__(self, model: Model, x: tf.Tensor, context: Context) -> None:
        self.model = model
        self.x = x
        context = dataclasses.replace(context, x=x)
        if model.posterior is not None:
            context = dataclasses.replace(context, infer=self._infer)
        self.context = context

    def _infer(self, x: tf.Tensor) -> Any:
        if x is self.x:
            return self.latent.distribution
        return self.model.infer(x, self.context.within("infer"))

    @cached_property
    def features(self) -> tf.Tensor:
        return self.model.features(self.x, self.context)

    @cached_property
    def latent(self) -> Latent:
        assert self.model.posterior is not None
        return self.model.posterior(self.features, self.context.within("posterior"))

    @cached_property
    def prior(self) -> Any:
        codebook = self.latent.codebook if self.model.latent.discrete else None
        return self.model.prior_distribution(self.context, codebook)

    @cached_property
    def outputs(self) -> tf.Tensor:
        return self.model.outputs(self.latent.z, self.context)

    @cached_property
    def observation(self) -> Any:
        return self.model.likelihood.distribution(self.outputs)

    @cached_property
    def reconstructed(self) -> tf.Tensor:
        return self.model.example(self.observation, self.context.within("reconstructed"))

    @cached_property
    def reconstruction(self) -> tf.Tensor:
        return self.observation.log_prob(self.x)

    @cached_property
    def rate(self) -> tf.Tensor:
        return rate(self.latent.distribution, self.prior, self.latent.value, self.latent.relaxed)

    @cached_property
    def drawn(self) -> tf.Tensor:
        return self.model.draw_inputs(self.prior, self.x.shape[0], self.context)

    @cached_property
    def generated_outputs(self) -> tf.Tensor:
        return self.model.outputs(self.drawn, self.context.within("generated"))

    @cached_property
    def generated(self) -> tf.Tensor:
        likelihood = self.model.likelihood.distribution(self.generated_outputs)
        return self.model.example(likelihood, self.context.within("generated"))

    def tensors(self) -> dict[str, tf.Tensor]:
        """What was computed so far, in the order of computation; the search for the first NaN reads it."""
        computed = vars(self)
        named = {"x": self.x}
        if "features" in computed:
            named["the encoder's output"] = self.features
        if "latent" in computed:
            named["z ~ q(z|x)"] = tf.cast(self.latent.z, tf.float32)
        for name, title in (
            ("reconstruction", "log p(x|z)"),
            ("rate", "rate KL(q||p)"),
            ("generated", "x generated from the prior"),
            ("reconstructed", "x reconstructed"),
        ):
            if name in computed:
                named[title] = computed[name]
        return named
