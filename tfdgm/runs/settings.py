"""The one configurable function: its arguments describe a whole run."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import keras

from tfdgm.contracts.callback import Callback
from tfdgm.contracts.component import check_type
from tfdgm.contracts.data import Data, Source
from tfdgm.contracts.fingerprint import FilePath
from tfdgm.contracts.likelihood import Likelihood
from tfdgm.contracts.network import Network
from tfdgm.contracts.objective import Objective
from tfdgm.contracts.posterior import Posterior
from tfdgm.contracts.prior import Prior
from tfdgm.contracts.score import Score
from tfdgm.contracts.spelling import misspelt
from tfdgm.errors import PluginFault, UserError
from tfdgm.model.packing import Conditioned
from tfdgm.parallel.clusters import Cluster
from tfdgm.parallel.strategies import Placement, Strategy
from tfdgm.runs.experiment import Experiment, Side

_T = TypeVar("_T")
#: Marks the arguments of `experiment` that a resumed run may change: they do not affect its results.
Free: TypeAlias = Annotated[_T, "free to change on resuming"]
#: Marks the arguments that a run may change when it is extended: they affect its further steps only.
Extendable: TypeAlias = Annotated[_T, "free to change on extending"]

#: The arguments of `experiment` that choose its devices.
PLACEMENT = tuple(field.name for field in dataclasses.fields(Placement))


def experiment(
    *,
    data: Data,
    prior: Prior,
    likelihood: Likelihood,
    decoder: Network,
    objectives: list[Objective],
    posterior: Posterior | None = None,
    encoder: Network | None = None,
    latent_size: int = 8,
    samples: Literal["mean", "draws"] | None = None,
    condition: bool = False,
    seed: int = 0,
    steps: Extendable[int] = 10_000,
    batch_size: int = 128,
    optimizer: Extendable[keras.optimizers.Optimizer | None] = None,
    clip_norm: float | None = None,
    ema_decay: float | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    shards: int | None = None,
    steps_per_loop: Extendable[int] = 100,
    validate_every: Extendable[int] = 1_000,
    checkpoint_seconds: Free[float] = 30.0,
    keep_checkpoints: Free[int] = 3,
    keep_best: Free[str | None] = None,
    best_is: Free[Side] = "largest",
    grace_seconds: Free[float] = 0.0,
    recoveries: int = 0,
    resident_bytes: int = 1 << 30,
    callbacks: Free[list[Callback] | None] = None,
    scores: Free[list[Score] | None] = None,
    initial: FilePath | None = None,
    initial_parts: list[str] | None = None,
    strategy: Free[Strategy] = "one_device",
    replicas: Free[int | None] = None,
    cluster: Free[Cluster] = "tf_config",
    kubernetes_selector: Free[str] = "job-name=tfdgm",
    kubernetes_pods: Free[int | None] = None,
    tpu: Free[str] = "",
) -> Experiment:
    """Describe a whole run. A resumed run may change the arguments marked `Free`, an extended one also `Extendable`.

    Args:
      data: the data distribution pi(x).
      prior: p(z).
      likelihood: p(x|z), given the decoder's output.
      decoder: network from z to the parameters of the likelihood.
      objectives: terms whose weighted sum the model minimises.
      posterior: q(z|x); None for a model without inference (a GAN).
      encoder: network from x to the parameters of the posterior; None if and only if the posterior is None.
      latent_size: d, the dimension of z; for discrete latents the dimension of a code's embedding.
      samples: how the model samples x given z, in adversarial objectives, in `sample` and in scores: "draws" from
        p(x|z), or its "mean", which makes the decoder a generator x = g(z). None stands for "draws" with a posterior
        and "mean" without one.
      condition: whether the model is p(x, z | y), given the label or condition vector y of each example: networks and
        priors that can read y then do.
      seed: determines every random draw of the run.
      steps: number of updates of the model.
      batch_size: number of examples in the global batch.
      optimizer: the model's Keras optimizer; None stands for Adam with a cosine decay of the learning rate from 1e-3
        to 0.
      clip_norm: bound on the global norm of the gradient, averaged over the global batch; None disables clipping.
      ema_decay: decay of an exponential moving average of the weights, which evaluation then uses; None disables it.
      precision: precision in which networks compute; "bfloat16" is faster on accelerators that support it. Weights,
        densities and losses are always float32.
      shards: number of parts of the global batch, each with independent draws. The devices share them evenly, and each
        device processes its shards one after the other (gradient accumulation). The result depends on the number of
        shards and not on the number of devices. None stands for one shard for each device on which the run begins.
      steps_per_loop: steps in one compiled loop; metrics, checkpoints and signals are handled between loops.
      validate_every: steps between validations.
      checkpoint_seconds: seconds between checkpoints; a crash loses at most this much work.
      keep_checkpoints: number of the newest checkpoints to keep.
      keep_best: name of a validation score, as in metrics.jsonl; the checkpoint with its best value is kept as well.
      best_is: whether the "largest" or the "smallest" value of that score is the best.
      grace_seconds: seconds for which training continues after SIGTERM, for machines that are preempted with notice;
        0 stops at the end of the loop.
      recoveries: number of times that a run that becomes non-finite returns to its newest checkpoint and halves the
        learning rates; 0 ends the run instead.
      resident_bytes: training data up to this size is kept on the device; larger data is streamed.
      callbacks: further actions between loops, such as early stopping; they do not affect the steps.
      scores: scores with other settings than their defaults; each replaces the installed one of its class. All other
        installed scores are computed with their defaults.
      initial: workdir of another run, from whose newest checkpoint a new run takes the weights that have the same name.
      initial_parts: parts whose weights to take, such as "encoder", "decoder", "prior", or an objective with an
        adversary; None takes every part.
      strategy: "one_device"; "mirrored", several devices of this machine; "multi_worker", one process on each of
        several machines; "tpu".
      replicas: for "mirrored", the number of GPUs, None for all; without a GPU, the number of logical CPU devices.
      cluster: for "multi_worker", where to find the other processes: the variable TF_CONFIG, SLURM or Kubernetes.
      kubernetes_selector: label selector of the job's pods.
      kubernetes_pods: number of pods to wait for.
      tpu: for "tpu", its name or address.

    Raises:
      UserError: a value has the wrong type or range, or two settings are incompatible.
    """
    given = dict(locals())
    for name, hint in inspect.get_annotations(experiment, eval_str=True).items():
        if name in given:
            check_type(f"experiment.{name}", given[name], hint)
    positive = (
        "latent_size", "steps", "batch_size", "shards", "steps_per_loop", "validate_every", "keep_checkpoints",
        "replicas", "kubernetes_pods",
    )  # fmt: skip
    for name in positive:
        if given[name] is not None and given[name] < 1:
            raise UserError(f"experiment.{name} must be at least 1, got {given[name]}")
    if not 0 <= seed < 2**31:
        raise UserError(f"experiment.seed must be in [0, 2^31), got {seed}")
    if clip_norm is not None and not 1e-6 <= clip_norm <= 1e12:  # its ratio to a norm stays finite in float32
        raise UserError(f"experiment.clip_norm must be between 1e-6 and 1e12, got {clip_norm}")
    if ema_decay is not None and not 0 < ema_decay < 1:
        raise UserError(f"experiment.ema_decay must be between 0 and 1, got {ema_decay}")
    for name in ("checkpoint_seconds", "resident_bytes", "grace_seconds", "recoveries"):
        if given[name] < 0:
            raise UserError(f"experiment.{name} must not be negative, got {given[name]}")
    if shards is not None and batch_size % shards:
        raise UserError(f"experiment.batch_size {batch_size} is not divisible by experiment.shards {shards}")
    if initial_parts is not None and (initial is None or not initial_parts):
        given_parts = "is empty" if initial is not None else "has no effect without experiment.initial"
        raise UserError(f"experiment.initial_parts {given_parts}; None takes every part")
    _check_names(given)
    _check_parts(prior, posterior, encoder, objectives, latent_size, data)
    for score in scores or []:
        if sum(type(score) is type(other) for other in scores or []) > 1:
            raise UserError(f"experiment.scores lists {score.display_name()} more than once; its numbers have one key")
    splits = data.splits()
    if "train" not in splits:
        raise UserError(f"{data.display_name()} has no split named 'train'")
    for name, source in splits.items():
        if not isinstance(source, Source):
            raise PluginFault(
                f"{data.display_name()}: the split {name!r} is a {type(source).__name__}, not a tfdgm.Source; "
                "ArraySource(rows) makes one of an array"
            )
    if batch_size > len(splits["train"]):
        raise UserError(
            f"experiment.batch_size {batch_size} is larger than the training split of {data.display_name()}, "
            f"which has {len(splits['train'])} examples"
        )
    if condition:
        splits = _conditioned(data, splits, prior, decoder)
    optimizer = optimizer or keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps))
    _check_optimizer("experiment.optimizer", optimizer)
    changed = ("objectives", "optimizer", "callbacks", "scores", "condition", *PLACEMENT)
    return Experiment(
        **{name: given[name] for name in given if name not in changed},
        placement=Placement(**{name: given[name] for name in PLACEMENT}),
        objectives=_name_objectives(objectives),
        optimizer=optimizer,
        callbacks=list(callbacks or []),
        scores=list(scores or []),
        splits=splits,
    )


def _conditioned(data: Data, splits: dict[str, Source], prior: Prior, decoder: Network) -> dict[str, Source]:
    """Return the splits with their conditions.

    Raises:
      UserError: the data has no conditions, or no part of the model reads them.
    """
    spec = data.spec.condition
    if spec is None:
        raise UserError(
            f"experiment.condition: {data.display_name()} has no labels or condition vectors (an image folder has them "
            "if every image lies in one of several subfolders, a .npz file if it has train_labels)"
        )
    if not (decoder.conditional or prior.conditional):
        raise UserError(
            f"experiment.condition has no effect: neither the decoder {decoder.display_name()} nor "
            f"{prior.display_name()} reads a condition"
        )
    return {name: Conditioned(source, spec) for name, source in splits.items()}


def _check_names(given: Mapping[str, Any]) -> None:
    """Refuse components that misspell a name of their contract; see `misspelt`."""
    contracts = {
        "prior": Prior, "posterior": Posterior, "likelihood": Likelihood, "encoder": Network, "decoder": Network,
        "data": Data, "objectives": Objective, "scores": Score, "callbacks": Callback,
    }  # fmt: skip
    for name, contract in contracts.items():
        for part in given[name] if isinstance(given[name], (list, tuple)) else [given[name]]:
            found = None if part is None else misspelt(type(part), contract)
            if found is not None:
                raise PluginFault(
                    f"{part.display_name()} defines {found[0]!r}, which tfdgm.{contract.__name__} does not have; did "
                    f"you mean {found[1]!r}? If not, choose a name that is less like it"
                )


def _check_parts(
    prior: Prior,
    posterior: Posterior | None,
    encoder: Network | None,
    objectives: list[Objective],
    latent_size: int,
    data: Data,
) -> None:
    """Raise `UserError` for incompatible components."""
    if not objectives:
        raise UserError("experiment.objectives is empty: nothing would be trained")
    if posterior is not None and encoder is None:
        raise UserError("experiment.posterior needs experiment.encoder, from whose output q(z|x) is computed")
    if posterior is None and encoder is not None:
        raise UserError("experiment.encoder has no effect without experiment.posterior: set it to None")
    if posterior is None:
        if prior.needs_posterior:
            raise UserError(f"{prior.display_name()} needs a posterior, but experiment.posterior is None")
        for objective in objectives:
            if objective.needs_posterior:
                setting = f" for {objective.needs_posterior_for}" if objective.needs_posterior_for else ""
                raise UserError(
                    f"{objective.display_name()} needs a posterior{setting}, but experiment.posterior is None"
                )
    reconstructs = any(objective.trains_decoder and not objective.critic_steps for objective in objectives)
    for objective in objectives:
        if objective.critic_steps and objective.optimizer is None:
            raise UserError(
                f"{objective.display_name()} has an adversary (critic_steps = {objective.critic_steps}), but no "
                "optimizer that trains it"
            )
        if objective.balanced_for and not reconstructs:
            raise UserError(
                f"{objective.display_name()}: {objective.balanced_for} weighs the term against one that minimises "
                "-log p(x|z), but experiment.objectives has none"
            )
    discrete = posterior is not None and posterior.latent_spec(latent_size, data.spec).discrete
    if prior.over == "codes" and not discrete:
        raise UserError(
            f"{prior.display_name()} is over codes, but the latent is a vector: choose a posterior over codes"
        )
    untrained = [] if any(objective.trains_decoder for objective in objectives) else ["decoder"]
    if encoder is not None and not any(objective.trains_encoder for objective in objectives):
        untrained.append("encoder")
    if untrained:
        raise UserError(f"no objective trains the {' and the '.join(untrained)}: add one that does")


def _check_optimizer(name: str, optimizer: Any) -> None:
    """Refuse Keras's own clipping, which precedes the averaging of gradients, and averages that only `fit` finishes."""
    for attribute, instead in (
        ("clipnorm", "experiment.clip_norm"),
        ("global_clipnorm", "experiment.clip_norm"),
        ("clipvalue", "experiment.clip_norm"),
        ("use_ema", "experiment.ema_decay"),
        ("gradient_accumulation_steps", "experiment.shards"),
        ("loss_scale_factor", "float32 or bfloat16, which need no loss scaling"),
    ):
        if getattr(optimizer, attribute, None):
            raise UserError(f"{name}: {attribute} is not supported; use {instead}")


def _name_objectives(objectives: list[Objective]) -> dict[str, Objective]:
    """Return the objectives by the lower-case name of their class, numbered from the second of a class."""
    named: dict[str, Objective] = {}
    for objective in objectives:
        base = type(objective).__name__.lower()
        name, number = base, 1
        while name in named:
            number += 1
            name = f"{base}_{number}"
        if objective.critic_steps:
            _check_optimizer(f"the optimizer of {base}", objective.optimizer)
        named[name] = objective
    return named
