"""The one configurable function: a whole run follows from its arguments."""

import dataclasses
import inspect
from typing import Any, Literal

import keras

from tfdgm.contracts.callback import Callback
from tfdgm.contracts.component import check_type
from tfdgm.contracts.data import Data
from tfdgm.contracts.likelihood import Likelihood
from tfdgm.contracts.network import Network
from tfdgm.contracts.objective import Objective
from tfdgm.contracts.posterior import Posterior
from tfdgm.contracts.prior import Prior
from tfdgm.errors import UserError
from tfdgm.parallel.clusters import Cluster
from tfdgm.parallel.strategies import Placement, Strategy
from tfdgm.runs.experiment import Experiment, Side

#: The arguments of `experiment` that say where it runs, and change nothing in what it computes.
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
    seed: int = 0,
    steps: int = 10_000,
    batch_size: int = 128,
    optimizer: keras.optimizers.Optimizer | None = None,
    clip_norm: float | None = None,
    ema_decay: float | None = None,
    precision: Literal["float32", "bfloat16"] = "float32",
    shards: int | None = None,
    steps_per_loop: int = 100,
    validate_every: int = 1_000,
    checkpoint_seconds: float = 30.0,
    keep_checkpoints: int = 3,
    keep_best: str | None = None,
    best_is: Side = "largest",
    grace_seconds: float = 0.0,
    recoveries: int = 0,
    resident_bytes: int = 1 << 30,
    callbacks: list[Callback] | None = None,
    strategy: Strategy = "one_device",
    replicas: int | None = None,
    cluster: Cluster = "tf_config",
    kubernetes_selector: str = "job-name=tfdgm",
    kubernetes_pods: int | None = None,
    tpu: str = "",
) -> Experiment:
    """Describes a whole run.

    Args:
      data: pi(x).
      prior: p(z).
      likelihood: p(x|z) given the decoder's output.
      decoder: network from z to what the likelihood wants.
      objectives: terms whose weighted sum the model minimises.
      posterior: q(z|x); None for a model without inference (a GAN).
      encoder: network from x to what the posterior wants; None exactly where the posterior is.
      latent_size: d, dimension of z; for discrete latents that of a code's embedding.
      samples: what the model takes for a sample of x, in adversarial objectives, in `sample` and in scores: "draws" of
        p(x|z), or its "mean", which makes the decoder a generator x = g(z); None is "draws" with a posterior and "mean"
        without.
      seed: every draw of the run is a function of it.
      steps: number of model moves.
      batch_size: examples in the global batch.
      optimizer: the model's Keras optimizer; None is Adam with learning rate 1e-3 decayed to 0 by a cosine.
      clip_norm: bound on the global norm of the gradient averaged over the global batch; None does not clip.
      ema_decay: decay of an exponential moving average of the weights, which evaluation then uses; None keeps none.
      precision: in which networks compute; "bfloat16" is faster on accelerators that have it. Weights, densities and
        losses are float32 in any case.
      shards: parts of the global batch, each with draws of its own; the devices share them evenly, and one device
        processes its part one after the other (gradient accumulation). The result depends on their number and not on
        that of the devices. None is one for each device that the run is begun on.
      steps_per_loop: steps in one compiled loop; metrics, checkpoints and signals are served between loops.
      validate_every: steps between validations.
      checkpoint_seconds: seconds between checkpoints; a crash loses at most this much work.
      keep_checkpoints: how many of the newest checkpoints to keep.
      keep_best: name of a validation score, as metrics.jsonl has it; the checkpoint at its best is kept besides.
      best_is: which values of it are the best.
      grace_seconds: how long training goes on after SIGTERM before it saves and ends, for machines that are taken away
        with notice; 0 ends at the end of the loop.
      recoveries: how often a run that becomes non-finite goes back to its newest checkpoint, with half the learning
        rates, before it ends; 0 ends at once.
      resident_bytes: training data up to this size lives on the device; larger data is streamed.
      callbacks: what else happens between loops, such as early stopping; none of it changes what a step computes.
      strategy: "one_device"; "mirrored", several devices of this machine; "multi_worker", a process on each of several
        machines; "tpu".
      replicas: for "mirrored", the number of devices: of GPUs, None for all, or else logical devices on the CPU.
      cluster: for "multi_worker", who says which processes take part: the variable TF_CONFIG, SLURM or Kubernetes.
      kubernetes_selector: the label selector of this job's pods.
      kubernetes_pods: how many they are, which are waited for.
      tpu: for "tpu", its name or address.

    Raises:
      UserError: a value has the wrong type or range, or parts do not go together.
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
    if clip_norm is not None and not 1e-6 <= clip_norm <= 1e12:  # float32 bears its ratio to a norm
        raise UserError(f"experiment.clip_norm must be between 1e-6 and 1e12, got {clip_norm}")
    if ema_decay is not None and not 0 < ema_decay < 1:
        raise UserError(f"experiment.ema_decay must be between 0 and 1, got {ema_decay}")
    for name in ("checkpoint_seconds", "resident_bytes", "grace_seconds", "recoveries"):
        if given[name] < 0:
            raise UserError(f"experiment.{name} must not be negative, got {given[name]}")
    if shards is not None and batch_size % shards:
        raise UserError(f"experiment.batch_size {batch_size} is not divisible by experiment.shards {shards}")
    _check_parts(prior, posterior, encoder, objectives, latent_size, data)
    splits = data.splits()
    if "train" not in splits:
        raise UserError(f"{data.display_name()} has no split named 'train'")
    if batch_size > len(splits["train"]):
        raise UserError(
            f"experiment.batch_size {batch_size} is larger than the training split of {data.display_name()}, "
            f"which has {len(splits['train'])} examples"
        )
    optimizer = optimizer or keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps))
    _check_optimizer("experiment.optimizer", optimizer)
    return Experiment(
        **{name: given[name] for name in given if name not in ("objectives", "optimizer", "callbacks", *PLACEMENT)},
        placement=Placement(**{name: given[name] for name in PLACEMENT}),
        objectives=_name_objectives(objectives),
        optimizer=optimizer,
        callbacks=list(callbacks or []),
        splits=splits,
    )


def _check_parts(
    prior: Prior,
    posterior: Posterior | None,
    encoder: Network | None,
    objectives: list[Objective],
    latent_size: int,
    data: Data,
) -> None:
    """Refuses pairs that have no meaning, with the reason."""
    if not objectives:
        raise UserError("experiment.objectives is empty: nothing would be trained")
    if posterior is not None and encoder is None:
        raise UserError("experiment.posterior needs experiment.encoder: q(z|x) is read off the encoder's features")
    if posterior is None and encoder is not None:
        raise UserError("experiment.encoder has no use without experiment.posterior: set it to None")
    if posterior is None:
        if prior.needs_posterior:
            raise UserError(f"{prior.display_name()} needs a posterior, and experiment.posterior is None")
        for objective in objectives:
            if objective.needs_posterior:
                setting = f" for {objective.needs_posterior_for}" if objective.needs_posterior_for else ""
                raise UserError(
                    f"{objective.display_name()} needs a posterior{setting}, and experiment.posterior is None"
                )
    reconstructs = any(objective.trains_decoder and not objective.critic_steps for objective in objectives)
    for objective in objectives:
        if objective.balanced_for and not reconstructs:
            raise UserError(
                f"{objective.display_name()}: {objective.balanced_for} weighs the term against one that minimises "
                "-log p(x|z), and experiment.objectives has none"
            )
    discrete = posterior is not None and posterior.latent_spec(latent_size, data.spec).discrete
    if prior.over == "codes" and not discrete:
        raise UserError(
            f"{prior.display_name()} is over codes, but the latent is a vector: choose a posterior of codes"
        )
    untrained = [] if any(objective.trains_decoder for objective in objectives) else ["decoder"]
    if encoder is not None and not any(objective.trains_encoder for objective in objectives):
        untrained.append("encoder")
    if untrained:
        raise UserError(f"no objective trains the {' and the '.join(untrained)}: add one that does")


def _check_optimizer(what: str, optimizer: Any) -> None:
    """Keras clips before gradients are averaged, and its averaging needs a step that only its own fit makes."""
    for attribute, instead in (
        ("clipnorm", "experiment.clip_norm"),
        ("global_clipnorm", "experiment.clip_norm"),
        ("clipvalue", "experiment.clip_norm"),
        ("use_ema", "experiment.ema_decay"),
        ("gradient_accumulation_steps", "experiment.shards"),
        ("loss_scale_factor", "float32 or bfloat16, which need no scaled losses"),
    ):
        if getattr(optimizer, attribute, None):
            raise UserError(f"{what}: {attribute} is not supported; use {instead}")


def _name_objectives(objectives: list[Objective]) -> dict[str, Objective]:
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
