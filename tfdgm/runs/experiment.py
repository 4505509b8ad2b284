"""A run before and after its variables are created."""

import copy
import dataclasses
import json
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from tfdgm.contracts.callback import Callback
from tfdgm.contracts.component import name_layers, named_variables, raw, trainable
from tfdgm.contracts.context import Context
from tfdgm.contracts.data import Data, Source
from tfdgm.contracts.likelihood import Likelihood
from tfdgm.contracts.made_variables import variables_made
from tfdgm.contracts.network import Network
from tfdgm.contracts.objective import Objective
from tfdgm.contracts.posterior import Posterior
from tfdgm.contracts.prior import Prior
from tfdgm.contracts.score import Score
from tfdgm.contracts.specs import BuildContext
from tfdgm.errors import PluginFault
from tfdgm.model.model import Model
from tfdgm.model.packing import Conditioned
from tfdgm.numerics.randomness import root_seed
from tfdgm.parallel.devices import Devices
from tfdgm.parallel.strategies import Placement
from tfdgm.runs.data_identity import DataIdentity
from tfdgm.runs.players import Player, make_players
from tfdgm.runs.state import State

#: The side of a score's range that is best.
Side = Literal["largest", "smallest"]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A checked run without variables; see `experiment` for the attributes.

    Attributes:
      other_data: in what the data differs from that of the checkpoint that is scored; empty for the same data.
    """

    data: Data
    prior: Prior
    likelihood: Likelihood
    decoder: Network
    objectives: dict[str, Objective]
    posterior: Posterior | None
    encoder: Network | None
    latent_size: int
    samples: Literal["mean", "draws"] | None
    seed: int
    steps: int
    batch_size: int
    optimizer: Any
    clip_norm: float | None
    ema_decay: float | None
    precision: Literal["float32", "bfloat16"]
    shards: int | None
    steps_per_loop: int
    validate_every: int
    checkpoint_seconds: float
    keep_checkpoints: int
    keep_best: str | None
    best_is: Side
    grace_seconds: float
    recoveries: int
    resident_bytes: int
    callbacks: list[Callback]
    scores: list[Score]
    initial: str | None
    initial_parts: list[str] | None
    placement: Placement
    splits: dict[str, Source]
    other_data: tuple[str, ...] = ()

    @property
    def train(self) -> Source:
        return self.splits["train"]

    @property
    def resident(self) -> bool:
        """Whether the training data is kept on the device; larger data is streamed."""
        return self.train.nbytes <= self.resident_bytes

    def data_identity(self) -> DataIdentity:
        """Return what checkpoints record about the data.

        Raises:
          PluginFault: its fingerprint is not made of JSON values.
        """
        found = self.data.fingerprint(self.splits)
        try:
            splits = {name: {"examples": len(source), **found.get(name, {})} for name, source in self.splits.items()}
            return DataIdentity.parsed(_plain({"spec": dataclasses.asdict(self.data.spec), "splits": splits}))
        except (TypeError, ValueError, AttributeError) as error:
            raise PluginFault(
                f"{self.data.display_name()}: fingerprint must return a dict of JSON values for each split: {error}"
            ) from None

    def build(self, devices: Devices | None = None) -> "Built":
        """Create the variables and the players, for one device or within `devices.scope()`.

        Raises:
          PluginFault: a plugin keeps a variable where it is not found, so that it would be neither trained nor saved.
        """
        with variables_made() as made:
            built = self._build(devices or Devices())
        found = {id(raw(variable)) for variable in built.state.variables.values()}
        lost = [str(each) for each in made if id(each.variable) not in found]
        if lost:
            raise PluginFault(
                f"{lost[0]} is not found below the component that made it, so it would be neither trained nor saved"
                f"{f'; neither are {len(lost) - 1} others' if len(lost) > 1 else ''}: keep it as an attribute of the "
                "component, in a list or dict of attributes, or in a Keras layer"
            )
        return built

    def _build(self, devices: Devices) -> "Built":
        model = Model(
            prior=self.prior,
            likelihood=self.likelihood,
            decoder=self.decoder,
            posterior=self.posterior,
            encoder=self.encoder,
            data=self.data,
            latent_size=self.latent_size,
            samples=self.samples,
            packing=self.train.packing if isinstance(self.train, Conditioned) else None,
        )

        @tf.function(jit_compile=True, autograph=False)
        def observed(rows: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
            return model.observe(rows, Context(seed, tf.constant(0, tf.int64)))[0]

        def train_rows(indices: np.ndarray) -> np.ndarray:
            return observed(tf.constant(self.train.gather(indices)), root_seed(self.seed, "build")).numpy()

        context = BuildContext(
            self.data.spec,
            model.latent,
            len(self.train),
            train_rows,
            self.seed,
            self.steps,
            precision=self.precision,
            condition=model.condition,
            train_conditions=None if model.condition is None else self.train.conditions,
        )
        blank = copy.deepcopy(self.decoder)
        model.build(context.within("model"))
        context = dataclasses.replace(context, like_decoder=lambda: copy.deepcopy(blank))
        y = None if model.condition is None else tf.constant(self.train.conditions(np.arange(1)))
        trial = Context(root_seed(self.seed, "build"), tf.constant(0, tf.int64), y=y)
        model.prior_distribution(model.with_inference(trial))
        for name, objective in self.objectives.items():
            objective.build(context.within(name))
        players = make_players(model, self.objectives, self.optimizer, self.ema_decay)
        scale = tf.Variable(1.0, trainable=False, name="learning_rate_scale") if self.recoveries else None
        for player in players:
            player.build(scale)
        optimizers = {player.name: player.optimizer for player in players}
        name_layers({"model": model, **self.objectives, "optimizers": optimizers})
        devices.use([*named_variables(model).values(), *named_variables(self.objectives).values()])
        return Built(self, model, players, State(model, self.objectives, players, scale), devices)


@dataclasses.dataclass(frozen=True)
class Built:
    """An experiment with its variables."""

    experiment: Experiment
    model: Model
    players: list[Player]
    state: State
    devices: Devices

    def parameters(self) -> dict[str, Any]:
        """Return the model's trainable variables by name."""
        return trainable(named_variables(self.model, "model"))


def _plain(value: Any) -> Any:
    """Return JSON values as they are when read back."""
    return json.loads(json.dumps(value, default=lambda number: number.item()))  # NumPy's numbers have one
