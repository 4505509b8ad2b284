"""The aggregated posterior as a prior."""

from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import BuildContext, Concatenated, Context, Prior, Summed, UserError, code_log_probabilities
from tfdgm_priors.categorical_mixture import CategoricalMixture
from tfdgm_priors.gaussian_mixture import GaussianMixture


class AggregatedPosterior(Prior):
    """p(z) = (1/M) sum_m q(z|u_m), the prior that minimises the ELBO's marginal KL (Hoffman and Johnson 2016).

    With components="pseudo_inputs" the u_m are learned (VampPrior, Tomczak and Welling 2018), start at training
    examples, and are clipped to the data's range. With "subset" they are M fixed training examples. With "exact" the
    sum is over all n training examples: a memory holds the parameters of every q(z|x_n), refreshed by each batch and so
    at most one epoch old; before its first refresh an example has the component N(0, I), or uniform codes.

    The components are diagonal Gaussians or products of categoricals, like the posterior; pseudo-inputs and subsets
    support any other posterior too. Under vector quantisation each q(c|u) is a point mass, so the mixture would give
    other grids no mass; the prior is then the smoothed running frequency of every code at each position
    ("frequencies").

    Under a condition y the sum is over all examples, whatever their y, so p(z) does not depend on y; a pseudo-input
    keeps the condition of the example at which it starts.

    Args:
      components: "pseudo_inputs", "subset", "exact" or "frequencies"; None is "frequencies" under vector quantisation,
        else "pseudo_inputs".
      num_components: M, for pseudo-inputs and subsets.
      leave_one_out: for "exact", whether to omit the example's own component in training; the exact prior overfits,
        since the components include q(z|x) of the example itself.
      decay: for "frequencies", decay of the moving average of the counts.
      smoothing: for "frequencies", added to every count of a batch (Laplace), so that no code has probability 0.
    """

    over = "latent"
    needs_posterior = True

    def __init__(
        self,
        *,
        components: Literal["pseudo_inputs", "subset", "exact", "frequencies"] | None = None,
        num_components: int = 200,
        leave_one_out: bool = False,
        decay: float = 0.99,
        smoothing: float = 0.1,
    ) -> None:
        self.require(num_components >= 1, f"num_components must be at least 1, got {num_components}")
        self.require(components == "exact" or not leave_one_out, 'leave_one_out requires components = "exact"')
        self.require(0 < decay < 1, f"decay must be between 0 and 1, got {decay}")
        self.require_positive("smoothing", smoothing)
        self.components = components
        self.num_components = num_components
        self.leave_one_out = leave_one_out
        self.decay = decay
        self.smoothing = smoothing

    def build(self, context: BuildContext) -> None:
        latent = context.latent
        self.latent = latent
        self.data_shape = context.data.shape
        self.kind = self.components or ("frequencies" if latent.deterministic else "pseudo_inputs")
        self.require(
            latent.deterministic == (self.kind == "frequencies"),
            f'components = "{self.kind}" does not support this posterior: "frequencies" is for vector quantisation, '
            "the other kinds are for posteriors with a density",
        )
        if self.kind == "frequencies":
            shape = [*latent.event_shape, latent.categories]
            self.counts = keras.Variable(tf.ones(shape), trainable=False, name="counts")
        elif self.kind == "exact":
            self.memory = {
                name: keras.Variable(tf.repeat(row[None], context.num_train, axis=0), trainable=False, name=name)
                for name, row in _unrefreshed(latent).items()
            }
        else:
            self._choose_inputs(context)

    def _choose_inputs(self, context: BuildContext) -> None:
        self.require(
            self.num_components <= context.num_train,
            f"num_components must be at most {context.num_train}, the size of the training split, got "
            f"{self.num_components}",
        )
        self.range = (context.data.low, context.data.high)
        random = np.random.RandomState(context.seed_for("inputs"))
        chosen = random.permutation(context.num_train)[: self.num_components]
        rows = context.train_rows(chosen)
        self.conditions: Any = None
        if context.train_conditions is not None:
            y = context.train_conditions(chosen)
            self.conditions = keras.Variable(y, trainable=False, dtype=str(y.dtype), name="conditions")
        self.inputs = keras.Variable(rows, trainable=self.kind == "pseudo_inputs", name="inputs")

    def distribution(self, context: Context) -> tfd.Distribution:
        """Return p(z), event shape `[d]`, or p(c) over grids of codes, event shape `positions`."""
        assert context.infer is not None
        batch_given = context.training and context.x is not None and context.index is not None
        if self.kind == "frequencies":
            if batch_given:
                codes = context.infer(context.x).distribution.loc
                counts = tf.reduce_sum(tf.one_hot(codes, self.latent.categories), axis=0)
                context.collect(self, counts=Summed(counts))
            logits = tf.math.log(self.counts.value)
            return tfd.Independent(tfd.Categorical(logits=logits), len(self.latent.event_shape))
        if self.kind == "exact":
            if not batch_given:  # refuses a posterior of another family before training
                one = None if context.y is None else context.y[:1]
                self._parameters(context.infer(tf.zeros([1, *self.data_shape]), one), "exact")
            else:
                rows = self._parameters(context.infer(context.x), "exact")
                rows["index"] = context.index
                context.collect(self, **{name: Concatenated(row) for name, row in rows.items()})
            exclude = context.index if self.leave_one_out and context.training else None
            memory = {name: variable.value for name, variable in self.memory.items()}
            return self._mixture(memory, learned=False, exclude=exclude)
        y = None if self.conditions is None else self.conditions.value
        components = context.infer(self.inputs.value, y)
        parameters = _parameters(components, self.latent.categories)
        if parameters is None:
            weights = tfd.Categorical(logits=tf.zeros([self.num_components]))
            return tfd.MixtureSameFamily(weights, components)
        return self._mixture(parameters, learned=True)

    def _parameters(self, posterior: Any, kind: str) -> dict[str, tf.Tensor]:
        parameters = _parameters(posterior, self.latent.categories)
        if parameters is None:
            raise UserError(
                f'{self.display_name()}: components = "{kind}" requires diagonal Gaussians or independent '
                f"categoricals, but the posterior is {type(posterior).__name__}; use another kind of components"
            )
        return parameters

    @staticmethod
    def _mixture(parameters: dict[str, tf.Tensor], *, learned: bool, exclude: Any = None) -> tfd.Distribution:
        if "mean" in parameters:
            return GaussianMixture(parameters["mean"], parameters["scale"], learned=learned, exclude=exclude)
        return CategoricalMixture(parameters["log_probabilities"], exclude=exclude)

    def update_statistics(self, totals: dict[str, tf.Tensor], context: Context) -> None:
        """Write this step's posterior parameters into the memory, or its counts into the moving average."""
        if self.kind == "frequencies":
            counts = totals["counts"] + self.smoothing
            self.counts.value.assign(self.decay * self.counts.value + (1 - self.decay) * counts)
            return
        rows = totals["index"][:, None]
        for name, variable in self.memory.items():
            variable.value.assign(tf.tensor_scatter_nd_update(variable.value, rows, totals[name]))

    def project(self) -> None:
        """Clip pseudo-inputs to the data's range."""
        if self.kind == "pseudo_inputs":
            self.inputs.value.assign(tf.clip_by_value(self.inputs.value, *self.range))


def _unrefreshed(latent: Any) -> dict[str, tf.Tensor]:
    """Return the component of an example whose posterior has not been computed yet: N(0, I), or uniform codes."""
    if not latent.discrete:
        return {"mean": tf.zeros([latent.size]), "scale": tf.ones([latent.size])}
    uniform = tf.fill([*latent.event_shape, latent.categories], 1.0 / latent.categories)
    return {"log_probabilities": tf.math.log(uniform)}


def _parameters(posterior: Any, categories: int | None) -> dict[str, tf.Tensor] | None:
    """Return the parameters of the components by name; None for a posterior of neither family."""
    base = posterior.distribution if isinstance(posterior, tfd.Independent) else None
    if isinstance(base, tfd.Normal):
        return {"mean": base.loc, "scale": tf.broadcast_to(base.scale, tf.shape(base.loc))}
    if isinstance(base, tfd.Categorical) and categories is not None:
        return {"log_probabilities": code_log_probabilities(posterior, categories)}
    return None
