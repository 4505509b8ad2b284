"""One pass of the model over a batch."""

import dataclasses
from functools import cached_property
from typing import Any

import tensorflow as tf

from tfdgm.contracts.context import Context
from tfdgm.contracts.posterior import Latent
from tfdgm.model.model import Model
from tfdgm.model.rate import rate


class ForwardPass:
    """Computes each quantity of `tfdgm.Forward` once, when it is first read."""

    def __init__(self, model: Model, x: tf.Tensor, context: Context) -> None:
        self.model = model
        self.x = x
        context = dataclasses.replace(context, x=x)
        if model.posterior is not None:
            context = dataclasses.replace(context, infer=self._infer)
        self.context = context

    def _infer(self, x: tf.Tensor, y: tf.Tensor | None = None) -> Any:
        if x is self.x:
            return self.latent.distribution
        context = self.context.within("infer")
        return self.model.infer(x, context if y is None else dataclasses.replace(context, y=y))

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
        return self.model.observation(self.outputs)

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

    def at(self, x: tf.Tensor, context: Context) -> "ForwardPass":
        return ForwardPass(self.model, x, context)

    def repeated(self, times: int, context: Context) -> "ForwardPass":
        def tiled(tensor: tf.Tensor) -> tf.Tensor:
            return tf.tile(tensor, [times, *[1] * (tensor.shape.rank - 1)])

        index, y = (None if tensor is None else tiled(tensor) for tensor in (context.index, context.y))
        many = self.at(tiled(self.x), dataclasses.replace(context, index=index, y=y))
        silent = self.at(many.x, dataclasses.replace(many.context, collector=None))
        silent.features = many.features = tiled(self.features)
        many.latent, many.prior = silent.latent, silent.prior
        return many

    def tensors(self) -> dict[str, tf.Tensor]:
        """Return the tensors computed so far, in order of computation, to search them for the first NaN."""
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
