"""Which processes train together, and which of them this one is: told by TF_CONFIG, SLURM or Kubernetes."""

import os
import shutil
import time
from typing import Literal

import tensorflow as tf

from tfdgm.distribution.ports import own_addresses, split
from tfdgm.errors import UserError

Cluster = Literal["tf_config", "slurm", "kubernetes"]
#: Pods come one after the other: how often they are asked for, and how many seconds apart.
_ASKED, _APART = 300, 2.0


def resolver(cluster: Cluster, kubernetes_selector: str) -> tf.distribute.cluster_resolver.ClusterResolver:
    """The description of the cluster, in which this process has its place.

    Raises:
      UserError: there is none.
    """
    if cluster == "slurm":
        if "SLURM_JOB_ID" not in os.environ:
            raise UserError('experiment.cluster = "slurm", and this process was not started by srun')
        return slurm()
    if cluster == "kubernetes":
        return kubernetes(kubernetes_selector)
    if not os.environ.get("TF_CONFIG"):
        raise UserError(
            'experiment.strategy = "multi_worker" needs TF_CONFIG, which names the workers and says which one this is; '
            "tools/local_cluster sets it for workers on this machine"
        )
    return tf.distribute.cluster_resolver.TFConfigClusterResolver()


def slurm() -> tf.distribute.cluster_resolver.ClusterResolver:
    """The tasks of the job's step, on ports from 8888 on; the GPUs of a node are shared evenly by its tasks."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", shutil.which("nvidia-smi")):
        return tf.distribute.cluster_resolver.SlurmClusterResolver()
    # it cannot do without GPUs, of which it tells no worker here
    asked = tf.distribute.cluster_resolver.SlurmClusterResolver(
        gpus_per_node=int(os.environ["SLURM_STEP_NUM_TASKS"]), gpus_per_task=1, auto_set_gpu=False
    )
    spec = asked.cluster_spec()
    return _settled(spec, asked.task_id)


def kubernetes(selector: str) -> tf.distribute.cluster_resolver.ClusterResolver:
    """The pods that the label selector chooses, by the addresses of their nodes, of which this machine is one."""
    try:
        from kubernetes import client, config
    except ImportError:
        raise UserError('experiment.cluster = "kubernetes" needs a package more: pip install kubernetes') from None
    try:
        config.load_incluster_config()
        asked = tf.distribute.cluster_resolver.KubernetesClusterResolver(
            {"worker": [selector]}, override_client=client.CoreV1Api()
        )
        spec = _when_all_run(asked)
    except config.ConfigException as error:
        raise UserError(f'experiment.cluster = "kubernetes", and this process runs in no pod: {error}') from None
    except client.ApiException as error:
        raise UserError(f"Kubernetes does not tell the pods of {selector!r}: {error.reason}") from None
    nodes = spec.as_dict().get("worker", [])
    here = [index for index, address in enumerate(nodes) if own_addresses(split(address)[0], [])]
    if len(here) != 1:
        raise UserError(
            f"{len(here)} of the pods of {selector!r}, on {', '.join(nodes) or 'no node'}, are at addresses of this "
            "one; each needs hostNetwork: true and a node of its own"
        )
    return _settled(spec, here[0])  # asked again, the API might tell others


def _settled(spec: tf.train.ClusterSpec, index: int) -> tf.distribute.cluster_resolver.ClusterResolver:
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        spec,
        task_type="worker",
        task_id=index,
        rpc_layer="grpc",
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
    )


def _when_all_run(asked: tf.distribute.cluster_resolver.ClusterResolver) -> tf.train.ClusterSpec:
    for _ in range(_ASKED):
        try:
            return asked.cluster_spec()
        except RuntimeError as error:  # a pod that does not run yet
            reason = str(error)
            time.sleep(_APART)
    raise UserError(reason)
