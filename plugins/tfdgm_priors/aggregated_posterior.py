"""The aggregated posterior as a prior."""

from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Concatenated, Context, Prior, UserError
from tfdgm_priors.mixture import GaussianMixture


class AggregatedPosterior(Prior):
    """p(z) = (1/M) sum_m q(z|u_m), the prior that the ELBO's marginal KL asks for (Hoffman and Johnson 2016).

    With components="pseudo_inputs" the u_m are learned (VampPrior, Tomczak and Welling 2018), start at training
    examples, and are kept in the data's range. With "subset" they are M training examples, fixed. With "exact" the
    sum is over all n training examples: a memory holds the parameters of every q(z|x_n) and is refreshed as batches
    pass, so it is at most one epoch old; before its first refresh an example counts as N(0, I).

    The posterior must be a diagonal Gaussian.

    Args:
      components: "pseudo_inputs", "subset" or "exact".
      num_components: M; has no use for "exact", where it is n.
      leave_one_out: for "exact", leaves the example's own component out in training: the exact prior overfits, since
        each z then finds itself among the components.
    """

    needs_posterior = True

    def __init__(
        self,
        *,
        components: Literal["pseudo_inputs", "subset", "exact"] = "pseudo_inputs",
        num_components: int = 200,
        leave_one_out: bool = False,
    ) -> None:
        self.require(num_components >= 1, f"num_components must be at least 1, got {num_components}")
        self.require(components == "exact" or not leave_one_out, 'leave_one_out goes with components = "exact" alone')
        self.components = components
        self.num_components = num_components
        self.leave_one_out = leave_one_out

    def build(self, context: BuildContext) -> None:
        if self.components == "exact":
            shape = [context.num_train, context.latent.size]
            self.mean = keras.Variable(tf.zeros(shape), trainable=False, name="mean")
            self.scale = keras.Variable(tf.ones(shape), trainable=False, name="scale")
            return
        self.require(
            self.num_components <= context.num_train,
            f"num_components {self.num_components} is larger than the training split ({context.num_train})",
        )
        self.range = (context.data.low, context.data.high)
        random = np.random.RandomState(context.seed_for("inputs"))
        rows = context.train_rows(random.permutation(context.num_train)[: self.num_components])
        self.inputs = keras.Variable(rows, trainable=self.components == "pseudo_inputs", name="inputs")

    def distribution(self, context: Context) -> tfd.Distribution:
        """A mixture with event shape `[d]`."""
        if self.components != "exact":
            mean, scale = self._parameters(self._infer(context, self.inputs.value))
            return GaussianMixture(mean, scale, learned=True)
        if context.training and context.x is not None and context.index is not None:
            mean, scale = self._parameters(self._infer(context, context.x))
            context.collect(self, index=Concatenated(context.index), mean=Concatenated(mean), scale=Concatenated(scale))
        exclude = context.index if self.leave_one_out and context.training else None
        return GaussianMixture(self.mean.value, self.scale.value, learned=False, exclude=exclude)

    def absorb(self, totals: dict[str, tf.Tensor], context: Context) -> None:
        """Writes this step's posterior parameters into the memory."""
        where = totals["index"][:, None]
        for variable, rows in ((self.mean, totals["mean"]), (self.scale, totals["scale"])):
            variable.value.assign(tf.tensor_scatter_nd_update(variable.value, where, rows))

    def project(self) -> None:
        """Clips pseudo-inputs to the data's range."""
        if self.components == "pseudo_inputs":
            self.inputs.value.assign(tf.clip_by_value(self.inputs.value, *self.range))

    @staticmethod
    def _infer(context: Context, x: tf.Tensor) -> Any:
        assert context.infer is not None
        return context.infer(x)

    def _parameters(self, posterior: Any) -> tuple[tf.Tensor, tf.Tensor]:
        base = getattr(posterior, "distribution", None)
        if not isinstance(base, tfd.Normal):
            raise UserError(f"{self.spoken_name()} needs a diagonal Gaussian posterior, got {type(posterior).__name__}")
        return base.loc, tf.broadcast_to(base.scale, tf.shape(base.loc))
