"""The model p(x, z) = p(z) p(x | z), with inference by q(z | x)."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm.contracts.component import Component
from tfdgm.contracts.condition import ConditionSpec
from tfdgm.contracts.context import Context
from tfdgm.contracts.data import Data
from tfdgm.contracts.likelihood import Likelihood
from tfdgm.contracts.network import Network
from tfdgm.contracts.posterior import Posterior
from tfdgm.contracts.prior import Prior
from tfdgm.contracts.specs import BuildContext, LatentSpec
from tfdgm.errors import PluginFault, UserError
from tfdgm.model.code_densities import differentiable_codes, restrict
from tfdgm.model.fitting_likelihoods import check_likelihood
from tfdgm.model.packing import Packing
from tfdgm.numerics.embeddings import embed_one_hot
from tfdgm.numerics.gradients import straight_through
from tfdgm.numerics.randomness import root_seed


class Model(Component):
    """A prior, a likelihood and a decoder; for inference also a posterior and an encoder.

    With `packing`, every part may read a condition y, which the rows carry: p(z|y) p(x|z, y) and q(z|x, y).
    """

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
        packing: Packing | None = None,
    ) -> None:
        self.prior = prior
        self.likelihood = likelihood
        self.decoder = decoder
        self.posterior = posterior
        self.encoder = encoder
        self.data = data
        self.packing = packing
        self.samples = samples or ("mean" if posterior is None else "draws")
        self.latent = (
            posterior.latent_spec(latent_size, data.spec) if posterior is not None else LatentSpec(size=latent_size)
        )

    @property
    def condition(self) -> ConditionSpec | None:
        """Specification of y; None if the model has no condition."""
        return None if self.packing is None else self.packing.condition

    def observe(self, rows: tf.Tensor, context: Context) -> tuple[tf.Tensor, Context]:
        """Return x of rows of a source, and the context with their condition y."""
        if self.packing is not None:
            rows, y = self.packing.unpack(rows)
            context = dataclasses.replace(context, y=y)
        return self.data.observe(rows, context.within("observe")), context

    def build(self, context: BuildContext) -> None:
        """Create the variables of all components, each with separate seeds."""
        check_likelihood(self.likelihood, self.data)
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
        def features(x: tf.Tensor, y: tf.Tensor | None, seed: tf.Tensor) -> tf.Tensor:
            return self.features(x, Context(seed, tf.constant(0, tf.int64), y=y))

        seed = root_seed(context.seed, "features")

        def of_examples(indices: np.ndarray) -> np.ndarray:
            y = None if context.train_conditions is None else tf.constant(context.train_conditions(indices))
            return features(tf.constant(context.train_rows(indices)), y, seed).numpy()

        return of_examples

    def prior_distribution(self, context: Context, codebook: tf.Tensor | None = None) -> Any:
        """Return p(z) as a tfd.Distribution over latents; a density on vectors is restricted to a discrete codebook.

        Raises:
          UserError: the prior's event shape does not match the latent.
        """
        prior = self.prior.distribution(context.within("prior"))
        restricted = self.latent.discrete and self.prior.over == "vectors"
        event, expected = tuple(prior.event_shape), (self.latent.size,) if restricted else self.latent.event_shape
        if prior.batch_shape.rank and not (self.prior.conditional and context.y is not None):
            raise PluginFault(
                f"{self.prior.display_name()}: the distribution has batch shape {tuple(prior.batch_shape)}, but only a "
                "prior with conditional = True may have one, in a run with experiment.condition"
            )
        if prior.batch_shape.rank and restricted:
            raise UserError(
                f"{self.prior.display_name()} is a density on vectors for each condition, which is not restricted to "
                "codes; choose a prior over codes, or a posterior over vectors"
            )
        if event != expected:
            raise UserError(
                f"{self.prior.display_name()} has event shape {event}, but the latent has {expected}: "
                f"it is {self.latent}"
            )
        if not restricted:
            return prior
        assert self.posterior is not None
        return restrict(prior, self.posterior.codebook() if codebook is None else codebook, self.latent.event_shape)

    def features(self, x: tf.Tensor, context: Context) -> tf.Tensor:
        """Return the encoder's output for x."""
        assert self.encoder is not None and self.posterior is not None
        features = self.encoder(x, context.within("encoder"))
        check_output("encoder", self.encoder, features, self.posterior.feature_shape(self.latent))
        return features

    def infer(self, x: tf.Tensor, context: Context) -> Any:
        """Return q(z|x) as a tfd.Distribution with batch shape `[batch]`."""
        assert self.posterior is not None
        posterior = self.posterior.distribution(self.features(x, context), context.within("posterior"))
        check_shapes(self.posterior, posterior, (x.shape[0],), self.latent.event_shape, "the latent")
        return posterior

    def embed(self, value: tf.Tensor) -> tf.Tensor:
        """Return the decoder's input for a value of z."""
        return value if self.posterior is None else self.posterior.embed(value)

    def outputs(self, z: tf.Tensor, context: Context) -> tf.Tensor:
        """Return the decoder's output for its input `[..., *decoder_input_shape]`, with the same leading dimensions.

        The last of them is that of the conditions, if there are any.
        """
        leading = tf.shape(z)[: -len(self.latent.decoder_input_shape)]
        if self.condition is not None and context.y is not None:
            every = tf.broadcast_to(context.y, tf.concat([leading, tf.shape(context.y)[1:]], axis=0))
            context = dataclasses.replace(context, y=tf.reshape(every, [-1, *self.condition.shape]))
        flat = tf.reshape(z, [-1, *self.latent.decoder_input_shape])
        outputs = self.decoder(flat, context.within("decoder"))
        check_output("decoder", self.decoder, outputs, self.likelihood.output_shape(self.data.spec))
        return tf.reshape(outputs, tf.concat([leading, tf.shape(outputs)[1:]], axis=0))

    def decode(self, z: tf.Tensor, context: Context) -> Any:
        """Return p(x|z) as a tfd.Distribution; `z` is the decoder's input `[..., *decoder_input_shape]`."""
        return self.observation(self.outputs(z, context))

    def observation(self, outputs: tf.Tensor) -> Any:
        """Return p(x|z) as a tfd.Distribution, given the decoder's output `[..., *output_shape]`."""
        likelihood = self.likelihood.distribution(outputs)
        batch = outputs.shape[: len(outputs.shape) - len(self.likelihood.output_shape(self.data.spec))]
        check_shapes(self.likelihood, likelihood, tuple(batch), self.data.spec.shape, "x")
        return likelihood

    def example(self, likelihood: Any, context: Context) -> tf.Tensor:
        """Return a sample of x given p(x|z): a draw, or the mean if `samples` is "mean".

        Gradients reach the decoder through the draw if p(x|z) is reparameterised, else straight through to the mean.
        """
        if self.samples == "mean":
            return likelihood.mean()
        drawn = likelihood.sample(seed=context.seed_for("x"))
        if likelihood.reparameterization_type == tfd.FULLY_REPARAMETERIZED:
            return drawn
        return straight_through(drawn, likelihood.mean())

    def draw_inputs(self, prior: Any, number: int, context: Context) -> tf.Tensor:
        """Return the decoder's input at `number` draws from the prior, with gradients, straight through for codes."""
        seed = context.seed_for("generate")
        if self.latent.categories is None:
            return sample_prior(prior, number, seed)
        assert self.posterior is not None
        one_hot = differentiable_codes(prior, number, seed, self.latent.categories)
        return embed_one_hot(one_hot, self.posterior.codebook())

    def generate(self, number: int, context: Context) -> tuple[tf.Tensor, Any]:
        """Return `number` draws of z from the prior, and p(x|z) at each."""
        context = self.with_inference(context)
        value = sample_prior(self.prior_distribution(context), number, context.seed_for("generate"))
        return value, self.decode(self.embed(value), context)

    def with_inference(self, context: Context) -> Context:
        """Return the context with `infer`, for priors computed from the posterior."""
        if self.posterior is None:
            return context

        def infer(x: tf.Tensor, y: tf.Tensor | None = None) -> Any:
            inner = context.within("infer")
            return self.infer(x, inner if y is None else dataclasses.replace(inner, y=y))

        return dataclasses.replace(context, infer=infer)


def check_output(role: str, network: Network, outputs: tf.Tensor, shape: tuple[int, ...]) -> None:
    """Raise `PluginFault` if a network's output does not have this shape after the batch, where its shape is known."""
    if not outputs.shape.is_compatible_with([None, *shape]):
        raise PluginFault(
            f"{network.display_name()}: the {role}'s output has shape {tuple(outputs.shape)}, not (batch, "
            f"{', '.join(map(str, shape))})"
        )


def check_shapes(
    part: Component, distribution: Any, batch: tuple[int | None, ...], event: tuple[int, ...], of: str
) -> None:
    """Check the shapes of a part's distribution, where they are known, and that it computes in float32 or int32.

    Raises:
      PluginFault: they are others.
    """
    found = distribution.batch_shape, distribution.event_shape
    for name, shape, wanted in (("event", found[1], event), ("batch", found[0], batch)):
        if not tf.TensorShape(shape).is_compatible_with(wanted):
            hint = "; wrap it in tfd.Independent" if name == "event" and not tuple(found[1]) else ""
            raise PluginFault(
                f"{part.display_name()}: the distribution has {name} shape {tuple(shape)}, but "
                f"{of if name == 'event' else 'the batch'} has {wanted}{hint}"
            )
    if distribution.dtype not in (tf.float32, tf.int32):
        raise PluginFault(f"{part.display_name()}: the distribution computes in {distribution.dtype}, not in float32")


def sample_prior(prior: Any, number: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return `number` draws of z `[number, *event]`: of p(z), or one for each of the `number` conditions of p(z|y)."""
    return prior.sample(seed=seed) if prior.batch_shape.rank else prior.sample(number, seed=seed)
