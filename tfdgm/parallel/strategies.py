"""From `experiment.strategy` to devices. It must come before anything else touches TensorFlow's devices."""

import contextlib
import dataclasses
from typing import Literal

import tensorflow as tf

from tfdgm.errors import UserError
from tfdgm.parallel import clusters
from tfdgm.parallel.devices import Devices
from tfdgm.parallel.ports import answering_at
from tfdgm.parallel.replicas import Replicas

Strategy = Literal["one_device", "mirrored", "multi_worker", "tpu"]


@dataclasses.dataclass(frozen=True)
class Placement:
    """The arguments of `experiment` that say where it runs; see there."""

    strategy: Strategy = "one_device"
    replicas: int | None = None
    cluster: clusters.Cluster = "tf_config"
    kubernetes_selector: str = "job-name=tfdgm"
    kubernetes_pods: int | None = None
    tpu: str = ""

    def devices(self) -> Devices:
        """Opens the devices.

        Raises:
          UserError: there are not so many, or the cluster is not described.
        """
        if self.replicas is not None and self.replicas < 1:
            raise UserError(f"experiment.replicas must be at least 1, got {self.replicas}")
        if self.replicas is not None and self.strategy in ("one_device", "tpu"):
            raise UserError(f'experiment.replicas has no use with experiment.strategy = "{self.strategy}"')
        if self.strategy == "mirrored":
            return mirrored(self.replicas)
        if self.strategy == "multi_worker":
            return multi_worker(self)
        if self.strategy == "tpu":
            return tpu(self.tpu)
        return Devices()


def mirrored(replicas: int | None) -> Devices:
    """All GPUs of this machine, or the first `replicas`; without a GPU, so many logical devices on the CPU."""
    gpus = tf.config.list_logical_devices("GPU") if tf.config.list_physical_devices("GPU") else []
    if gpus:
        if replicas is not None and replicas > len(gpus):
            raise UserError(f"experiment.replicas = {replicas}, and this machine has {len(gpus)} GPU(s)")
        names = [gpu.name for gpu in gpus[:replicas]]
    else:
        names = logical_cpus(replicas or 1)
    if len(names) == 1:
        return Devices()  # what one replica of a strategy computes, without its cost
    operations = None if gpus else tf.distribute.ReductionToOneDevice()
    return Replicas(tf.distribute.MirroredStrategy(names, cross_device_ops=operations))


def logical_cpus(count: int) -> list[str]:
    """Splits the CPU; as many devices may exist already, or more."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    if count > len(tf.config.get_logical_device_configuration(cpu) or [None]):
        with contextlib.suppress(RuntimeError):  # in a process that has used its devices before, they stay
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    found = [device.name for device in tf.config.list_logical_devices("CPU")]
    if len(found) < count:
        raise UserError(f"experiment.replicas = {count}, and this process has {len(found)} logical CPU device(s)")
    return found[:count]


def multi_worker(placement: Placement) -> Devices:
    """One process on each machine, each with all its GPUs or its CPU; they start and stop together.

    Raises:
      UserError: the cluster is not described, or is described wrongly.
    """
    try:
        resolver = clusters.resolver(placement.cluster, placement.kubernetes_selector, placement.kubernetes_pods)
        cluster = resolver.cluster_spec()  # before the task, which SLURM's resolver finds by it
        if not cluster.jobs:
            raise ValueError("it names no worker")
        task, index = resolver.task_type, resolver.task_id
        if task not in ("worker", "chief"):
            raise ValueError(f"this process is {task or 'no task'} of it; workers and a chief train")
        workers = [address for job in cluster.jobs for address in cluster.job_tasks(job) if address]
        with answering_at(cluster.task_address(task, index), workers):
            strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"the cluster is not described rightly: {error}") from None
    if strategy.num_replicas_in_sync == 1:
        return Devices()
    first = "chief" if "chief" in cluster.jobs else "worker"
    return Replicas(strategy, is_chief=task == first and index == 0)


def tpu(address: str) -> Devices:
    """All cores of a TPU. TensorFlow's last build with TPU support is 2.19.1; compiled for XLA here, and not run."""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return Replicas(tf.distribute.TPUStrategy(resolver))
    except (ValueError, OSError, tf.errors.OpError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f'strategy = "tpu": no TPU answers at experiment.tpu = {address!r}: {reason}') from None
