"""A plugin at work: in a tiny experiment, with what its calls return for given seeds."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfdgm.contracts.component import Variable, named_variables, raw, trainable
from tfdgm.contracts.condition import ConditionSpec
from tfdgm.contracts.context import Context
from tfdgm.contracts.data import evenly
from tfdgm.contracts.made_variables import Made, variables_made
from tfdgm.contracts.specs import BuildContext, DataSpec
from tfdgm.errors import UserError
from tfdgm.model.forward_pass import ForwardPass
from tfdgm.numerics.randomness import root_seed
from tfdgm.parallel.devices import Devices
from tfdgm.runs.experiment import Built
from tfdgm.runs.settings import experiment
from tfdgm.testing import partners
from tfdgm.testing.checks import NotApplicable, Subject

#: Number of examples in a batch: odd, and larger than 1.
BATCH = 3
_PLANE = DataSpec(shape=(2,))
_IMAGE = DataSpec(shape=(4, 4, 1), low=0.0, high=1.0, image_shape=(4, 4))
#: What a likelihood may be for, the commonest first. Some accept grey values in [0, 1] as probabilities of a 1.
DATA_SPECS = {
    "real": _PLANE,
    "binary": DataSpec(shape=(2,), low=0.0, high=1.0, levels=2),
    "grey levels": DataSpec(shape=(2,), low=0.0, high=1.0, levels=4),
    "bounded": DataSpec(shape=(2,), low=0.0, high=1.0),
    "counts": DataSpec(shape=(2,), low=0.0, high=400.0, counts=True),
}
#: Tried only if a plugin accepts no other.
SPARE_WORLDS = ("bounded", "counts")


def stream(seed: int = 0) -> tf.Tensor:
    """Return the root of a stream of seeds."""
    return root_seed(seed, "conformance")


def normal(*shape: int, seed: int = 0) -> tf.Tensor:
    """Return fixed standard normal numbers."""
    return tf.constant(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))


class Trial(ABC):
    """One plugin in an experiment.

    Attributes:
      world: name of the kind of data or latent that it is tried with.
      plugin: the instance, built.
      random: names of the outputs that another seed must change.
      made: the variables made while the experiment was built.
    """

    made: list[Made]

    random: tuple[str, ...] = ()

    def __init__(self, world: str, plugin: Any, devices: Callable[[], Devices] = Devices, **settings: Any) -> None:
        self.world = world
        self.plugin = plugin
        self.built: Built = experiment_of(**settings).build(devices())
        self.model = self.built.model

    def context(self, seed: tf.Tensor | int = 0, *, training: bool = False, collector: Any = None) -> Context:
        """Return a context on the first rows of the training split, as a training step or evaluation passes it."""
        step = tf.constant(0, tf.int64)
        root = stream(seed) if isinstance(seed, int) else seed
        x, y = self.examples(BATCH)
        if not training:
            return self.model.with_inference(Context(root, step, x=x, y=y))
        index = tf.range(BATCH)
        context = Context(root, step, training=True, x=x, y=y, index=index, collector=collector)
        return self.model.with_inference(context)

    def batch(self, count: int = BATCH) -> tf.Tensor:
        """Return the first rows of the training split, as the model sees them."""
        return self.examples(count)[0]

    def examples(self, count: int) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Return the first rows of the training split, as the model sees them, and their conditions, if any."""
        rows = self.built.experiment.train.gather(np.arange(count))
        x, context = self.model.observe(tf.constant(rows), Context(stream(), tf.constant(0, tf.int64)))
        return x, context.y

    def forward(self, context: Context) -> ForwardPass:
        assert context.x is not None
        return ForwardPass(self.model, context.x, dataclasses.replace(context, infer=None))

    def variables(self) -> dict[str, Variable]:
        """Return the plugin's variables by name."""
        return named_variables(self.plugin)

    def values(self) -> dict[str, np.ndarray]:
        """Return copies of the plugin's variables."""
        return {name: np.array(raw(variable).numpy()) for name, variable in self.variables().items()}

    @abstractmethod
    def outputs(self, context: Context) -> dict[str, tf.Tensor]:
        """Return the tensors that the plugin's calls return."""

    def loss(self, context: Context) -> tf.Tensor:
        """Return a loss of a model with this plugin, a scalar: the negative ELBO and the losses of the posterior."""
        forward = self.forward(context)
        return tf.reduce_mean(forward.rate - forward.reconstruction + sum(forward.latent.losses.values()))

    def trained(self) -> dict[str, Variable]:
        """Return the variables that `loss` trains."""
        return trainable(self.variables())


def experiment_of(**changes: Any) -> Any:
    """Return a VAE made of partners, with latents in R^2."""
    settings: dict[str, Any] = {
        "data": partners.PartnerData(spec=_PLANE),
        "prior": partners.PartnerPrior(),
        "likelihood": partners.PartnerLikelihood(),
        "posterior": partners.PartnerPosterior(),
        "encoder": partners.PartnerNetwork(),
        "decoder": partners.PartnerNetwork(),
        "objectives": [partners.PartnerObjective()],
        "latent_size": 2,
        "steps": 100,
        "batch_size": BATCH,
        "optimizer": keras.optimizers.Adam(1e-2),
    }
    return experiment(**{**settings, **changes})


class PriorTrial(Trial):
    random = ("a sample",)

    def outputs(self, context: Context) -> dict[str, tf.Tensor]:
        prior = self.plugin.distribution(context.within("prior"))
        return {
            "a sample": prior.sample(BATCH, seed=context.seed_for("sample")),
            "log_prob": prior.log_prob(self.values_of_z()),
        }

    def values_of_z(self, count: int = BATCH) -> tf.Tensor:
        """Return fixed points at which to evaluate log p(z)."""
        latent = self.model.latent
        if self.plugin.over == "vectors" or not latent.discrete:
            return normal(count, latent.size)
        size = count * int(np.prod(latent.event_shape))
        return tf.reshape(tf.range(size) % latent.categories, [count, *latent.event_shape])


class PosteriorTrial(Trial):
    @property
    def random(self) -> tuple[str, ...]:  # type: ignore[override]
        return () if self.model.latent.deterministic else ("Latent.value",)

    def features(self, count: int = BATCH) -> tf.Tensor:
        return normal(count, *self.plugin.feature_shape(self.model.latent))

    def outputs(self, context: Context) -> dict[str, tf.Tensor]:
        features = self.features()
        latent = self.plugin(features, context.within("posterior"))
        q = self.plugin.distribution(features, context.within("posterior"))
        value = tf.zeros([BATCH, *self.model.latent.event_shape], latent.value.dtype)
        outputs = {"Latent.value": latent.value, "Latent.z": latent.z, "log q(z|x)": q.log_prob(value)}
        outputs |= {f"Latent.losses[{name!r}]": loss for name, loss in latent.losses.items()}
        return outputs | {f"Latent.metrics[{name!r}]": metric for name, metric in latent.metrics.items()}


class LikelihoodTrial(Trial):
    random = ("a sample",)

    def outputs(self, context: Context) -> dict[str, tf.Tensor]:
        p = self.plugin.distribution(self.decoded())
        outputs = {"a sample": p.sample(16, seed=context.seed_for("x")), "log_prob": p.log_prob(self.batch())}
        return outputs | {"mean": p.mean()}

    def decoded(self, *leading: int) -> tf.Tensor:
        """Return fixed outputs of a decoder."""
        return 0.3 * normal(*(leading or (BATCH,)), *self.plugin.output_shape(self.model.data.spec))


class NetworkTrial(Trial):
    def outputs(self, context: Context) -> dict[str, tf.Tensor]:
        assert context.x is not None
        return {"the output": self.plugin(context.x, context.within("encoder"))}


class ObjectiveTrial(Trial):
    """The plugin beside a negative ELBO, without which some would be refused."""

    def outputs(self, context: Context) -> dict[str, tf.Tensor]:
        forward = self.forward(context)
        loss = self.plugin.model_loss(forward, forward.context.within("term"))
        outputs = {"Loss.value": loss.value} | {f"metric {name}": value for name, value in loss.metrics.items()}
        if self.plugin.critic_steps:
            outputs["the adversary's Loss.value"] = self.plugin.adversary_loss(forward, forward.context).value
        return outputs

    def loss(self, context: Context) -> tf.Tensor:
        forward = self.forward(context)
        if self.plugin.critic_steps:
            return tf.reduce_mean(self.plugin.adversary_loss(forward, forward.context).value)
        return tf.reduce_mean(self.plugin.model_loss(forward, forward.context.within("term")).value)


class DataTrial(Trial):
    """Data needs no experiment: its rows are observed."""

    def __init__(self, world: str, plugin: Any) -> None:
        self.world = world
        self.plugin = plugin
        self.splits = plugin.splits()
        train = self.splits["train"]
        self.rows = tf.constant(train.gather(evenly(len(train), min(len(train), BATCH))))

    def context(self, seed: tf.Tensor | int = 0, *, training: bool = False, collector: Any = None) -> Context:
        root = stream(seed) if isinstance(seed, int) else seed
        return Context(root, tf.constant(0, tf.int64), training=training)

    def outputs(self, context: Context) -> dict[str, tf.Tensor]:
        return {"x": self.plugin.observe(self.rows, context)}


class CallbackTrial(Trial):
    """Events return nothing."""

    def outputs(self, context: Context) -> dict[str, tf.Tensor]:
        return {}


def trials(subject: Subject, **settings: Any) -> list[Trial]:
    """Return the plugin in every world that it accepts, a fresh instance in each.

    A prior, posterior or objective that refuses them all without a condition is tried with labels.

    Args:
      subject: the plugin.
      **settings: arguments of `experiment`, and `devices`, which returns new ones.

    Raises:
      UserError: it accepts none; the message is that of the first refusal.
    """
    made, refused = _accepted(subject, **settings)
    if not made and "condition" not in settings and subject.kind in ("prior", "posterior", "objective"):
        data = partners.PartnerData(spec=dataclasses.replace(_PLANE, condition=ConditionSpec(categories=3)))
        made, _ = _accepted(subject, data=data, condition=True, **settings)
    if not made:
        raise refused[0]
    return made


def _accepted(subject: Subject, **settings: Any) -> tuple[list[Trial], list[UserError]]:
    """Return the plugin in the worlds that it accepts, and its refusals of the others."""
    made: list[Trial] = []
    refused: list[UserError] = []
    for world, try_in in _WORLDS[subject.kind].items():
        if world in SPARE_WORLDS and made:
            continue
        with variables_made() as variables:
            try:
                tried = try_in(world, subject.make(), **settings)
            except _OtherWorld:
                continue
            except UserError as error:
                refused.append(error)
                continue
        tried.made = variables
        made.append(tried)
    return made, refused


def trial(subject: Subject) -> Any:
    """Return the plugin in the first world that it accepts."""
    return trials(subject)[0]


class _OtherWorld(NotApplicable):
    pass


def _prior(over: tuple[str, ...], posterior: type) -> Callable[..., Trial]:
    def tried(world: str, plugin: Any, **settings: Any) -> Trial:
        if plugin.over not in over:
            raise _OtherWorld
        return PriorTrial(world, plugin, prior=plugin, posterior=posterior(), **settings)

    return tried


def _likelihood(spec: DataSpec) -> Callable[..., Trial]:
    def tried(world: str, plugin: Any, **settings: Any) -> Trial:
        data = partners.PartnerData(spec=spec)
        return LikelihoodTrial(world, plugin, likelihood=plugin, data=data, **settings)

    return tried


def _network(spec: DataSpec) -> Callable[..., Trial]:
    def tried(world: str, plugin: Any, **settings: Any) -> Trial:
        return NetworkTrial(world, plugin, encoder=plugin, data=partners.PartnerData(spec=spec), **settings)

    return tried


def _objective(world: str, plugin: Any, **settings: Any) -> Trial:
    objectives = [partners.PartnerObjective(), plugin]
    decoder = partners.PartnerNetwork(hidden=True)  # also the architecture of a default critic
    return ObjectiveTrial(world, plugin, objectives=objectives, decoder=decoder, **settings)


def _posterior(world: str, plugin: Any, **settings: Any) -> Trial:
    return PosteriorTrial(world, plugin, posterior=plugin, **settings)


def _callback(world: str, plugin: Any, **settings: Any) -> Trial:
    return CallbackTrial(world, plugin, callbacks=[plugin], **settings)


_WORLDS: dict[str, dict[str, Callable[..., Trial]]] = {
    "prior": {
        "vectors": _prior(("vectors", "latent"), partners.PartnerPosterior),
        "codes": _prior(("codes", "latent"), partners.PartnerCodes),
    },
    "posterior": {"plane": _posterior},
    "likelihood": {name: _likelihood(spec) for name, spec in DATA_SPECS.items()},
    "network": {"vectors": _network(_PLANE), "images": _network(_IMAGE)},
    "objective": {"plane": _objective},
    "data": {"its own": DataTrial},
    "callback": {"plane": _callback},
}


def build_context(spec: DataSpec, latent: Any) -> BuildContext:
    """Return a context in which a network can be built outside an experiment."""
    rows = partners.PartnerData(spec=spec).rows
    return BuildContext(spec, latent, len(rows), lambda indices: rows[indices], 0, 100)
