"""Find the processes that train together and the role of this one, from TF_CONFIG, SLURM or Kubernetes."""

import os
import time
from typing import Any, Literal

import tensorflow as tf

from tfdgm.errors import UserError
from tfdgm.parallel.ports import own_addresses, split

Cluster = Literal["tf_config", "slurm", "kubernetes"]
#: The first port of a node's tasks.
_SLURM_PORT = 8888
#: Pods start one after the other: the number of requests for them, and the seconds between two.
_REQUESTS, _SECONDS_BETWEEN = 300, 2.0


def resolver(cluster: Cluster, selector: str, pods: int | None) -> tf.distribute.cluster_resolver.ClusterResolver:
    """Return the cluster's specification and the role of this process in it.

    Raises:
      UserError: the environment does not specify a cluster.
    """
    if cluster == "slurm":
        return slurm()
    if cluster == "kubernetes":
        if pods is None or pods < 1:
            raise UserError('experiment.cluster = "kubernetes" requires experiment.kubernetes_pods, the number of pods')
        return kubernetes(selector, pods)
    if not os.environ.get("TF_CONFIG"):
        raise UserError(
            'experiment.strategy = "multi_worker" requires TF_CONFIG, which lists the workers and identifies this one; '
            "tools/local_cluster sets it for workers on this machine"
        )
    return tf.distribute.cluster_resolver.TFConfigClusterResolver()


def slurm() -> tf.distribute.cluster_resolver.ClusterResolver:
    """Return the tasks of the SLURM step, on ports from 8888; each uses the GPUs that SLURM made visible to it.

    TensorFlow's resolver alone does not work: it overwrites CUDA_VISIBLE_DEVICES, needs nvidia-smi, and sorts nodes by
    name, so that a task's rank is not its index in the list.

    Raises:
      UserError: srun did not start this process, or the step does not list it.
    """
    needed = ("SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_LOCALID", "SLURMD_NODENAME")
    if any(name not in os.environ for name in needed):
        raise UserError('experiment.cluster = "slurm" requires a process started by srun; this one was not')
    tasks = tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=_SLURM_PORT,
        gpus_per_node=int(os.environ["SLURM_STEP_NUM_TASKS"]),
        gpus_per_task=1,
        auto_set_gpu=False,
    )
    spec = tasks.cluster_spec()
    own = f"{os.environ['SLURMD_NODENAME']}:{_SLURM_PORT + int(os.environ['SLURM_LOCALID'])}"
    nodes = spec.job_tasks("worker")
    if own not in nodes:
        raise UserError(f"this SLURM task is {own}, which is not among the tasks of the step: {', '.join(nodes)}")
    return _fixed(spec, nodes.index(own))


def kubernetes(selector: str, pods: int) -> tf.distribute.cluster_resolver.ClusterResolver:
    """Return the pods with a label, by the addresses of their nodes; this machine must be one of these nodes.

    Raises:
      UserError: the package `kubernetes` is missing, this process is not in a pod, the API fails, or the pods do not
        run on separate nodes.
    """
    try:
        from kubernetes import client, config
        from urllib3.exceptions import HTTPError
    except ImportError:
        raise UserError('experiment.cluster = "kubernetes" requires an extra package: pip install kubernetes') from None
    try:
        config.load_incluster_config()
        running = tf.distribute.cluster_resolver.KubernetesClusterResolver(
            {"worker": [selector]}, override_client=_Unfinished(client.CoreV1Api())
        )
        spec = _when_all_run(running, pods)
    except config.ConfigException as error:
        raise UserError(f'experiment.cluster = "kubernetes", but this process does not run in a pod: {error}') from None
    except client.ApiException as error:
        raise UserError(f"the Kubernetes API refused to list the pods of {selector!r}: {error.reason}") from None
    except HTTPError as error:
        raise UserError(f"the Kubernetes API does not answer: {error}") from None
    nodes = spec.job_tasks("worker")
    here = [index for index, address in enumerate(nodes) if _is_here(split(address)[0])]
    if len(here) != 1:
        raise UserError(
            f"{len(here)} of the pods of {selector!r}, on {', '.join(nodes)}, have an address of this machine, instead "
            "of 1; each pod needs hostNetwork: true and a separate node"
        )
    return _fixed(spec, here[0])  # a second request to the API could return other pods


class _Unfinished:
    """The Kubernetes API without pods that have ended, which keep their labels."""

    def __init__(self, api: Any) -> None:
        self.api = api

    def list_pod_for_all_namespaces(self, label_selector: str) -> Any:
        return self.api.list_pod_for_all_namespaces(
            label_selector=label_selector, field_selector="status.phase!=Succeeded,status.phase!=Failed"
        )


def _when_all_run(pods_api: tf.distribute.cluster_resolver.ClusterResolver, pods: int) -> tf.train.ClusterSpec:
    """Wait until the expected number of pods run, and return their addresses."""
    for _ in range(_REQUESTS):
        try:
            spec = pods_api.cluster_spec()
            count = len(spec.as_dict().get("worker", []))
            if count == pods:
                return spec
            reason = f"{count} pod(s) run, but experiment.kubernetes_pods = {pods}"
        except RuntimeError as error:  # a pod does not run yet
            reason = str(error)
        time.sleep(_SECONDS_BETWEEN)
    raise UserError(reason)


def _is_here(host: str) -> bool:
    """Return whether a host is this machine."""
    try:
        return bool(own_addresses(host))
    except LookupError:
        return False


def _fixed(spec: tf.train.ClusterSpec, index: int) -> tf.distribute.cluster_resolver.ClusterResolver:
    """Return a resolver that always gives these workers, of which this process is number `index`."""
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        spec,
        task_type="worker",
        task_id=index,
        rpc_layer="grpc",
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
    )
