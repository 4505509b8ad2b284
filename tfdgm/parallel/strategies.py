"""Open the devices of `experiment.strategy`, before anything else initialises TensorFlow's devices."""

import contextlib
import dataclasses
from typing import Literal

import tensorflow as tf

from tfdgm.errors import UserError
from tfdgm.parallel import clusters
from tfdgm.parallel.devices import Devices
from tfdgm.parallel.ports import restricted_to
from tfdgm.parallel.replicas import Replicas

Strategy = Literal["one_device", "mirrored", "multi_worker", "tpu"]


@dataclasses.dataclass(frozen=True)
class Placement:
    """The settings of `experiment` that choose its devices, documented there."""

    strategy: Strategy = "one_device"
    replicas: int | None = None
    cluster: clusters.Cluster = "tf_config"
    kubernetes_selector: str = "job-name=tfdgm"
    kubernetes_pods: int | None = None
    tpu: str = ""

    def devices(self) -> Devices:
        """Open the devices.

        Raises:
          UserError: there are fewer devices than requested, or the specification of the cluster is missing or invalid.
        """
        if self.replicas is not None and self.replicas < 1:
            raise UserError(f"experiment.replicas must be at least 1, got {self.replicas}")
        if self.replicas is not None and self.strategy in ("one_device", "tpu"):
            raise UserError(f'experiment.replicas has no effect with experiment.strategy = "{self.strategy}"')
        if self.strategy == "mirrored":
            return mirrored(self.replicas)
        if self.strategy == "multi_worker":
            return multi_worker(self)
        if self.strategy == "tpu":
            return tpu(self.tpu)
        return Devices()


def mirrored(replicas: int | None) -> Devices:
    """Return all GPUs of this machine, or the first `replicas`; without a GPU, `replicas` logical CPU devices."""
    gpus = tf.config.list_logical_devices("GPU") if tf.config.list_physical_devices("GPU") else []
    if gpus:
        if replicas is not None and replicas > len(gpus):
            raise UserError(f"experiment.replicas = {replicas}, but this machine has {len(gpus)} GPU(s)")
        names = [gpu.name for gpu in gpus[:replicas]]
    else:
        names = logical_cpus(replicas or 1)
    if len(names) == 1:
        return Devices()  # the same results as one replica, without the cost of a strategy
    operations = None if gpus else tf.distribute.ReductionToOneDevice()
    return Replicas(tf.distribute.MirroredStrategy(names, cross_device_ops=operations))


def logical_cpus(count: int) -> list[str]:
    """Split the CPU into logical devices, unless enough exist already, and return their names."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    if count > len(tf.config.get_logical_device_configuration(cpu) or [None]):
        with contextlib.suppress(RuntimeError):  # devices that are in use cannot be split again
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    found = [device.name for device in tf.config.list_logical_devices("CPU")]
    if len(found) < count:
        raise UserError(f"experiment.replicas = {count}, but this process has {len(found)} logical CPU device(s)")
    return found[:count]


def multi_worker(placement: Placement) -> Devices:
    """Return the devices of one process on each machine, with all its GPUs or its CPU; all start and stop together.

    Raises:
      UserError: the specification of the cluster is missing or invalid.
    """
    try:
        resolver = clusters.resolver(placement.cluster, placement.kubernetes_selector, placement.kubernetes_pods)
        cluster = resolver.cluster_spec()  # before the task: SLURM's resolver derives it from the specification
        if not cluster.jobs:
            raise ValueError("it lists no worker")
        task, index = resolver.task_type, resolver.task_id
        if task not in ("worker", "chief"):
            role = f"has the role {task!r}" if task else "has no role"
            raise ValueError(f"this process {role} in the cluster; only workers and a chief train")
        workers = [address for job in cluster.jobs for address in cluster.job_tasks(job) if address]
        with restricted_to(cluster.task_address(task, index), workers):
            strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"invalid cluster specification: {error}") from None
    if strategy.num_replicas_in_sync == 1:
        return Devices()
    first = "chief" if "chief" in cluster.jobs else "worker"
    return Replicas(strategy, is_chief=task == first and index == 0)


def tpu(address: str) -> Devices:
    """Return all cores of a TPU; never run on one, since TensorFlow's last build with TPU support is 2.19.1."""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return Replicas(tf.distribute.TPUStrategy(resolver))
    except (ValueError, OSError, tf.errors.OpError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(f'strategy = "tpu": no TPU answers at experiment.tpu = {address!r}: {reason}') from None
