"""For every check of tfdgm.testing a plugin with one fault, most of them a partner changed in one place."""

import dataclasses
import random
import threading
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from tfdgm import (
    ArraySource,
    Callback,
    ConditionSpec,
    CustomDistribution,
    DataSpec,
    Latent,
    Loss,
    Modes,
    Quantity,
    Score,
    Source,
)
from tfdgm.testing.partners import (
    PartnerData,
    PartnerLikelihood,
    PartnerNetwork,
    PartnerObjective,
    PartnerPosterior,
    PartnerPrior,
)

#: Check -> (kind, factory, words of the message).
BROKEN: dict[str, tuple[str, Any, str]] = {}


def breaks(check, kind, words, factory=None):
    """Register a class, or its factory, as the plugin that a check catches."""

    def register(cls):
        BROKEN[check] = (kind, cls if factory is None else factory, words)
        return cls

    return register


def scalar(name="offset", value=0.5, **settings):
    return keras.Variable(tf.constant(value), name=name, **settings)


# The class.

ONE_INSTANCE = PartnerPrior()
breaks("factory_gives_fresh_instances", "prior", "one object twice", lambda: ONE_INSTANCE)(None)


@breaks("parameters_are_annotated", "prior", "size has no annotation")
class Unannotated(PartnerPrior):
    def __init__(self, *, size=3):
        pass


@breaks("defaults_fit_their_annotations", "prior", "the default of size is None")
class WrongDefault(PartnerPrior):
    def __init__(self, *, size: int = None):  # noqa: RUF013
        pass


@breaks("plugin_api_is_this_version", "prior", "it is 1")
class OldPlugin(PartnerPrior):
    plugin_api = 1


@breaks("no_attribute_is_misspelt", "prior", "'needs_posterior'")
class Misspelt(PartnerPrior):
    need_posterior = True


@breaks("attributes_have_the_contracts_types", "prior", "'vectors' or 'codes' or 'latent'")
class UnknownOver(PartnerPrior):
    over = "vector"


@breaks("constructor_makes_no_variables", "prior", "broken.py, line")
class EarlyVariable(PartnerPrior):
    def __init__(self):
        self.offset = scalar()


# Variables.


class Hidden:
    """No component, so that variables below it are not found."""


class Shifted(PartnerPrior):
    """N(offset, I)."""

    def build(self, context):
        super().build(context)
        self.offset = scalar()

    def distribution(self, context):
        return tfd.Independent(tfd.Normal(tf.fill([self.size], self.offset.value), 1.0), 1)


@breaks("variables_are_in_the_tree", "prior", "broken.py, line")
class LostVariable(Shifted):
    def build(self, context):
        super().build(context)
        self.hidden = Hidden()
        self.hidden.offset = scalar()


@breaks("calls_make_no_variables", "prior", "broken.py, line")
class VariableInCall(PartnerPrior):
    def distribution(self, context):
        self.late = scalar()
        return super().distribution(context)


@breaks("calls_assign_no_variables", "prior", "prior/offset")
class AssignsInCall(Shifted):
    def distribution(self, context):
        self.offset.assign(self.offset + 1.0)
        return super().distribution(context)


@breaks("gradients_reach_the_variables", "prior", "no gradient of the loss reaches it")
class Frozen(Shifted):
    def distribution(self, context):
        return tfd.Independent(tfd.Normal(tf.fill([self.size], tf.stop_gradient(self.offset.value)), 1.0), 1)


@breaks("steps_move_the_variables", "prior", "3 steps do not move offset")
class Unmoved(Shifted):
    def distribution(self, context):
        return tfd.Independent(tfd.Normal(tf.fill([self.size], 0.0 * self.offset.value), 1.0), 1)


@breaks("checkpoints_restore_the_outputs", "prior", "differs after a checkpoint is read")
class ForgottenConstant(PartnerPrior):
    def build(self, context):
        super().build(context)
        self.centre = np.random.RandomState(context.seed_for("centre")).randn(self.size).astype(np.float32)

    def distribution(self, context):
        return tfd.Independent(tfd.Normal(self.centre, 1.0), 1)


# Calls.


@breaks("calls_repeat", "prior", "two equal calls differ")
class Counts(PartnerPrior):
    calls = 0

    def distribution(self, context):
        self.calls += 1
        return tfd.Independent(tfd.Normal(tf.fill([self.size], float(self.calls)), 1.0), 1)


@breaks("draws_depend_on_the_seed", "posterior", "the same for eight seeds")
class OneSeed(PartnerPosterior):
    def __call__(self, features, context):
        posterior = self.distribution(features, context)
        z = posterior.sample(seed=tf.constant([1, 2]))
        return Latent(posterior, value=z, z=z)


@breaks("compiled_calls_agree", "network", "compiled")
class OtherWhenTraced(PartnerNetwork):
    def __call__(self, x, context):
        return super().__call__(x, context) * (1.0 if tf.executing_eagerly() else 2.0)


@breaks("calls_are_traced_once", "network", "the second eager call traces")
class FunctionInCall(PartnerNetwork):
    def __call__(self, x, context):
        return tf.function(lambda x: 2.0 * x)(super().__call__(x, context))


@breaks("global_generators_are_not_used", "network", "Python's")
class PythonsGenerator(PartnerNetwork):
    def build(self, input_shape, output_shape, context):
        super().build(input_shape, output_shape, context)
        self.biases[0].assign(tf.fill(self.biases[0].shape, random.random()))


# Devices.


@breaks("variables_are_of_keras", "prior", "offset is a tf.Variable")
class PlainVariable(PartnerPrior):
    def build(self, context):
        super().build(context)
        self.offset = tf.Variable(0.5)

    def distribution(self, context):
        return tfd.Independent(tfd.Normal(tf.fill([self.size], tf.convert_to_tensor(self.offset)), 1.0), 1)


@breaks("two_devices_agree", "prior", "on two devices")
class LooksAtReplicas(Shifted):
    def distribution(self, context):
        factor = float(tf.distribute.get_strategy().num_replicas_in_sync)
        return tfd.Independent(tfd.Normal(tf.fill([self.size], factor * self.offset.value), 1.0), 1)


# Priors.


@breaks("prior_has_the_latents_shapes", "prior", "batch shape (1,)")
class OneRow(PartnerPrior):
    def distribution(self, context):
        return tfd.Independent(tfd.Normal(tf.zeros([1, self.size]), 1.0), 1)


class Changed(CustomDistribution):
    """A distribution over vectors with a factor on the density and on the draws."""

    def __init__(self, base, factor=1.0, stretch=1.0):
        super().__init__(dict(locals()), dtype=tf.float32, event_shape=base.event_shape)
        self._changed, self._factor, self._stretch = base, factor, stretch

    def _log_prob(self, z):
        return self._changed.log_prob(z) + tf.math.log(self._factor)

    def _sample_n(self, n, seed):
        return self._stretch * self._changed.sample(n, seed=seed)


@breaks("density_integrates_to_one", "prior", "integrates to 1.1")
class Unnormalised(PartnerPrior):
    def distribution(self, context):
        return Changed(super().distribution(context), factor=1.1)


@breaks("samples_have_the_density", "prior", "standard errors")
class WideDraws(PartnerPrior):
    def distribution(self, context):
        return Changed(super().distribution(context), stretch=1.2)


@breaks("codes_have_their_probabilities", "prior", "chi-squared")
class OtherCodes(PartnerPrior):
    over = "codes"

    def build(self, context):
        self.latent = context.latent

    def distribution(self, context):
        logits = tf.tile(tf.constant([[0.0, 0.3, 0.0]]), [*self.latent.positions, 1])
        fair = tfd.Independent(tfd.Categorical(logits=0.0 * logits), 1)
        return OtherDraws(tfd.Independent(tfd.Categorical(logits=logits), 1), fair)


class OtherDraws(CustomDistribution):
    """The probabilities of one distribution with the draws of another."""

    def __init__(self, base, drawn):
        super().__init__(dict(locals()), dtype=base.dtype, event_shape=base.event_shape)
        self._changed, self._drawn = base, drawn

    def _log_prob(self, value):
        return self._changed.log_prob(value)

    def _sample_n(self, n, seed):
        return self._drawn.sample(n, seed=seed)


# Posteriors.


@breaks("posterior_has_the_latents_shapes", "posterior", "Latent.losses")
class ScalarLoss(PartnerPosterior):
    def __call__(self, features, context):
        made = super().__call__(features, context)
        return Latent(made.distribution, made.value, made.z, losses={"size": tf.reduce_mean(made.z**2)})


def wide(posterior, factor):
    base = posterior.distribution
    return tfd.Independent(tfd.Normal(base.loc, factor * base.scale), 1)


@breaks("call_returns_the_distribution", "posterior", "as by `distribution`")
class RelaxedInCall(PartnerPosterior):
    def __call__(self, features, context):
        made = super().__call__(features, context)
        return Latent(wide(made.distribution, 2.0), made.value, made.z)


@breaks("z_is_the_embedded_value", "posterior", "differs from embed(value)")
class NoisyInput(PartnerPosterior):
    def __call__(self, features, context):
        made = super().__call__(features, context)
        return Latent(made.distribution, made.value, made.z + 0.1)


@breaks("gradients_reach_the_features", "posterior", "no gradient reaches the features")
class StoppedDraw(PartnerPosterior):
    def __call__(self, features, context):
        made = super().__call__(features, context)
        return Latent(made.distribution, made.value, tf.stop_gradient(made.z))


class NarrowDraws(PartnerPosterior):
    """Draws at the factor `share` of the scale of q."""

    share = 0.8

    def __call__(self, features, context):
        made = super().__call__(features, context)
        base = made.distribution.distribution
        z = base.loc + self.share * (made.z - base.loc)
        return Latent(made.distribution, value=z, z=z)


breaks("values_have_the_density", "posterior", "standard errors")(NarrowDraws)


class Flattered(PartnerPosterior):
    """log q(z|x) lower than it is, by three nats: rates come out too small."""

    def distribution(self, features, context):
        mean, pre_scale = tf.split(features, 2, axis=-1)
        return FlatteredNormal(mean, tf.nn.softplus(pre_scale) + 1e-4)

    def __call__(self, features, context):
        posterior = self.distribution(features, context)
        z = posterior.exact.sample(seed=context.seed_for("z"))
        return Latent(posterior, value=z, z=z)


class FlatteredNormal(CustomDistribution):
    def __init__(self, mean, scale):
        exact = tfd.Independent(tfd.Normal(mean, scale), 1)
        super().__init__(dict(locals()), dtype=tf.float32, event_shape=mean.shape[-1:], base=exact)
        self.exact = exact

    def _log_prob(self, z):
        return self.exact.log_prob(z) - 3.0

    def _sample_n(self, n, seed):
        return self.exact.sample(n, seed=seed)


breaks("rate_is_not_negative", "posterior", "the mean rate is")(Flattered)


@breaks("bound_is_at_most_the_evidence", "posterior", "the ELBO is")
class NoDraw(NarrowDraws):
    """Decodes the mean, and so gains fit at no rate."""

    share = 0.0

    def distribution(self, features, context):
        return wide(super().distribution(features, context), 0.5)


# Likelihoods.


@breaks("likelihood_has_the_datas_shapes", "likelihood", "batch shape")
class FlatOutputs(PartnerLikelihood):
    def distribution(self, outputs):
        return tfd.Independent(tfd.Normal(tf.reshape(outputs, [-1, *outputs.shape[-1:]]), self.scale), self.event_rank)


class Rescaled(CustomDistribution):
    """Normals with a factor on the density and on the draws."""

    def __init__(self, mean, scale, factor, stretch):
        exact = tfd.Independent(tfd.Normal(mean, scale), 1)
        super().__init__(dict(locals()), dtype=tf.float32, event_shape=mean.shape[-1:], base=exact)
        self._exact = exact
        self._drawn = tfd.Independent(tfd.Normal(mean, stretch * scale), 1)
        self._factor = factor

    def _log_prob(self, x):
        return self._exact.log_prob(x) + tf.math.log(self._factor)

    def _sample_n(self, n, seed):
        return self._drawn.sample(n, seed=seed)

    def _mean(self):
        return self._exact.mean()


@breaks("likelihood_is_normalised", "likelihood", "it integrates to 1.2")
class NoConstant(PartnerLikelihood):
    def distribution(self, outputs):
        return Rescaled(outputs, self.scale, 1.2, 1.0)


@breaks("draws_and_mean_have_the_density", "likelihood", "standard errors")
class NoisyDraws(PartnerLikelihood):
    def distribution(self, outputs):
        return Rescaled(outputs, self.scale, 1.0, 1.5)


@breaks("likelihood_has_a_gradient", "likelihood", "no gradient reaches the outputs")
class Rounded(PartnerLikelihood):
    def distribution(self, outputs):
        return super().distribution(tf.stop_gradient(outputs))


# Networks.


@breaks("network_has_the_output_shape", "network", "as an encoder of vectors")
class Flat(PartnerNetwork):
    def __call__(self, x, context):
        return tf.reshape(super().__call__(x, context), [-1])


@breaks("mixes_examples_is_declared", "network", "depends on the other examples")
class Centred(PartnerNetwork):
    def __call__(self, x, context):
        y = super().__call__(x, context)
        return y - tf.reduce_mean(y, axis=0) if context.training else y


@breaks("weights_depend_on_the_seed_of_the_run", "network", "are equal")
class FixedSeed(PartnerNetwork):
    def build(self, input_shape, output_shape, context):
        super().build(input_shape, output_shape, context)
        for kernel in self.kernels:
            kernel.assign(keras.initializers.GlorotUniform(seed=1)(kernel.shape))


# Objectives.


@breaks("losses_have_one_number_per_example", "objective", "Loss.value is ()")
class MeanLoss(PartnerObjective):
    def model_loss(self, forward, context):
        return Loss(tf.reduce_mean(super().model_loss(forward, context).value))


@breaks("metrics_have_names_of_their_own", "objective", "'loss'")
class ShadowsLoss(PartnerObjective):
    def model_loss(self, forward, context):
        return Loss(forward.rate - forward.reconstruction, {"loss": forward.rate})


@breaks("trained_networks_are_declared", "objective", "does not reach the decoder")
class RateOnly(PartnerObjective):
    def model_loss(self, forward, context):
        return Loss(forward.rate)


@breaks("variables_belong_to_an_adversary", "objective", "nothing trains")
class OwnVariable(PartnerObjective):
    def build(self, context):
        self.factor = scalar()

    def model_loss(self, forward, context):
        return Loss(self.factor.value * super().model_loss(forward, context).value)


@breaks("adversary_learns_a_solvable_game", "objective", "updates change the loss")
class WrongSign(PartnerObjective):
    """A discriminator that ascends its loss."""

    critic_steps = 1

    def __init__(self):
        self.optimizer = keras.optimizers.SGD(-1e-2)

    def build(self, context):
        self.critic = PartnerNetwork(hidden=True)
        self.critic.build(context.data.shape, (), context)

    def adversary_loss(self, forward, context):
        real, fake = self.critic(forward.x, context), self.critic(forward.generated, context)
        return Loss(tf.nn.softplus(-real) + tf.nn.softplus(fake))


# Data.


class OtherSplits(PartnerData):
    def __init__(self, *, spec: DataSpec = DataSpec(shape=(2,))):  # noqa: B008
        super().__init__(spec=spec)


@breaks("splits_are_named", "data", "splits train, valid")
class MisnamedSplit(OtherSplits):
    def splits(self):
        return {"train": ArraySource(self.rows), "valid": ArraySource(self.rows)}


class Noisy(ArraySource):
    def gather(self, indices):
        return super().gather(indices) + np.random.RandomState().randn() * np.float32(1)


class Unsafe(ArraySource):
    """Reads through one shared buffer."""

    def __init__(self, rows):
        super().__init__(rows)
        self.wait = threading.Event()

    def gather(self, indices):
        self.indices = indices
        self.wait.wait(0.002)  # other threads run
        return super().gather(self.indices[: len(indices)])


class GivenSource(OtherSplits):
    source: type[Source]

    def splits(self):
        return {"train": self.source(self.rows)}


@breaks("gathers_are_deterministic", "data", "the rows gathered a second time differ")
class NoisyRows(GivenSource):
    source = Noisy


@breaks("fingerprints_are_deterministic", "data", "other values in another instance")
class Timed(OtherSplits):
    def fingerprint(self, splits):
        return {name: {"read": random.random()} for name in splits}


@breaks("gathers_are_thread_safe", "data", "threads get other rows")
class SharedReader(GivenSource):
    source = Unsafe


@breaks("observations_fit_the_spec", "data", "the declared range")
class OutOfRange(OtherSplits):
    def __init__(self):
        super().__init__()
        self.spec = DataSpec(shape=(2,), low=-1.0, high=1.0)


@breaks("known_properties_fit_the_data", "data", "0..1")
class TooManyModes(OtherSplits):
    def modes(self):
        return Modes(2, lambda x: (np.arange(len(x)), np.ones(len(x), bool)))


@breaks("description_is_json", "data", "JSON")
class Undescribable(OtherSplits):
    def describe(self):
        return {"rows": self.rows}


# Conditions.


@breaks("network_reads_its_condition", "network", "the same for every y")
class IgnoresCondition(PartnerNetwork):
    def __call__(self, x, context):
        return super().__call__(x, dataclasses.replace(context, y=tf.zeros_like(context.y)))


class Located(PartnerPrior):
    """N(m(y), I), with m(y) = W y for the features of y."""

    conditional = True

    def build(self, context):
        super().build(context)
        self.condition = context.condition
        if self.condition is not None:
            shape = [self.condition.width, self.size]
            self.kernel = keras.Variable(tf.zeros(shape), name="kernel")

    def means(self, y):
        return tf.matmul(self.condition.features(y), self.kernel.value)

    def distribution(self, context):
        if self.condition is None:
            return super().distribution(context)
        return tfd.Independent(tfd.Normal(self.means(context.y), 1.0), 1)


@breaks("prior_reads_its_condition", "prior", "a row depends on the y of other rows")
class MixesConditions(Located):
    def means(self, y):
        means = super().means(y)
        return means - tf.reduce_mean(means, axis=0)


@breaks("posterior_accepts_a_condition", "posterior", "with labels")
class LossPerClass(PartnerPosterior):
    def __call__(self, features, context):
        made = super().__call__(features, context)
        if context.y is None or context.y.dtype.is_floating:
            return made
        return dataclasses.replace(made, losses={"labels": tf.one_hot(context.y, 3)})


@breaks("objective_accepts_a_condition", "objective", "not finite with condition vectors")
class DividesByCondition(PartnerObjective):
    def model_loss(self, forward, context):
        loss = super().model_loss(forward, context).value
        if context.y is None or context.y.dtype.is_integer:
            return Loss(loss)
        return Loss(loss / (0.0 * context.y[:, 0]))


@breaks("conditions_fit_the_spec", "data", "labels in 0..2")
class LabelOutOfRange(OtherSplits):
    def __init__(self):
        super().__init__(spec=DataSpec(shape=(2,), condition=ConditionSpec(categories=3)))
        self.spec = DataSpec(shape=(2,), condition=ConditionSpec(categories=2))


# Scores.


class Spread(Score):
    quantities = {"spread": Quantity("units of x", "standard deviation of the samples")}  # noqa: RUF012

    def compute(self, run):
        return {"spread": np.std(run.comparison.generated)}


@breaks("quantities_are_described", "score", "its unit is ''")
class NoUnit(Spread):
    quantities = {"spread": Quantity("", "standard deviation of the samples")}  # noqa: RUF012


@breaks("score_applies_or_says_why_not", "score", "for a GAN")
class NeedsPosterior(Spread):
    def compute(self, run):
        return {"spread": run.surgery["rate"]}


@breaks("numbers_have_a_meaning", "score", "'variance' for a VAE over vectors, which has no meaning")
class UndeclaredNumber(Spread):
    def compute(self, run):
        return {"variance": np.var(run.comparison.generated)}


@breaks("scores_repeat", "score", "spread computed a second time")
class Counting(Spread):
    calls = 0

    def compute(self, run):
        self.calls += 1
        return {"spread": self.calls}


@breaks("score_changes_no_variable", "score", "it assigns model/")
class Adjusts(Spread):
    def compute(self, run):
        variable = next(iter(run.built.parameters().values()))
        variable.assign(variable + 1.0)
        return super().compute(run)


@breaks("score_uses_no_global_generator", "score", "NumPy's")
class Subsample(Spread):
    def compute(self, run):
        return {"spread": np.std(np.random.choice(run.comparison.generated.ravel(), 10))}


# Callbacks.


@breaks("events_can_be_called_in_order", "callback", "it reports validation_extra too")
class UndeclaredReport(Callback):
    def on_start(self, training):
        self.training = training

    def on_loop_end(self, step, metrics):
        self.training.report({"validation_extra": 1.0})


@breaks("state_survives_a_checkpoint", "callback", "the state is")
class Forgetful(Callback):
    steps = 0

    def on_loop_end(self, step, metrics):
        self.steps = step

    def state(self):
        return {"steps": self.steps}


@breaks("callback_changes_no_variable", "callback", "an event assigns model/")
class Meddler(Callback):
    def on_start(self, training):
        variable = next(iter(training.built.parameters().values()))
        variable.assign(variable + 1.0)
