"""Which processes train together, and which of them this one is: told by TF_CONFIG, SLURM or Kubernetes."""

import os
import time
from typing import Any, Literal

import tensorflow as tf

from tfdgm.errors import UserError
from tfdgm.parallel.ports import own_addresses, split

Cluster = Literal["tf_config", "slurm", "kubernetes"]
#: The first port of a node's tasks.
_SLURM_PORT = 8888
#: Pods come one after the other: how often they are asked for, and how many seconds apart.
_ASKED, _APART = 300, 2.0


def resolver(cluster: Cluster, selector: str, pods: int | None) -> tf.distribute.cluster_resolver.ClusterResolver:
    """The description of the cluster, in which this process has its place.

    Raises:
      UserError: there is none.
    """
    if cluster == "slurm":
        return slurm()
    if cluster == "kubernetes":
        if pods is None or pods < 1:
            raise UserError('experiment.cluster = "kubernetes" needs experiment.kubernetes_pods, their number')
        return kubernetes(selector, pods)
    if not os.environ.get("TF_CONFIG"):
        raise UserError(
            'experiment.strategy = "multi_worker" needs TF_CONFIG, which names the workers and says which one this is; '
            "tools/local_cluster sets it for workers on this machine"
        )
    return tf.distribute.cluster_resolver.TFConfigClusterResolver()


def slurm() -> tf.distribute.cluster_resolver.ClusterResolver:
    """The tasks of the job's step, on ports from 8888 on; each has the GPUs that it sees, which SLURM shares out.

    TensorFlow's resolver would set CUDA_VISIBLE_DEVICES anew, needs nvidia-smi, and sorts nodes by name, so that ranks
    are not places in its list.
    """
    needed = ("SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_LOCALID", "SLURMD_NODENAME")
    if any(name not in os.environ for name in needed):
        raise UserError('experiment.cluster = "slurm", and this process was not started by srun')
    asked = tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=_SLURM_PORT,
        gpus_per_node=int(os.environ["SLURM_STEP_NUM_TASKS"]),
        gpus_per_task=1,
        auto_set_gpu=False,
    )
    spec = asked.cluster_spec()
    own = f"{os.environ['SLURMD_NODENAME']}:{_SLURM_PORT + int(os.environ['SLURM_LOCALID'])}"
    nodes = spec.job_tasks("worker")
    if own not in nodes:
        raise UserError(f"this task of SLURM would be {own}, which is not among {', '.join(nodes)}")
    return _settled(spec, nodes.index(own))


def kubernetes(selector: str, pods: int) -> tf.distribute.cluster_resolver.ClusterResolver:
    """The pods that the label selector chooses, by the addresses of their nodes, of which this machine is one."""
    try:
        from kubernetes import client, config
        from urllib3.exceptions import HTTPError
    except ImportError:
        raise UserError('experiment.cluster = "kubernetes" needs a package more: pip install kubernetes') from None
    try:
        config.load_incluster_config()
        asked = tf.distribute.cluster_resolver.KubernetesClusterResolver(
            {"worker": [selector]}, override_client=_Unfinished(client.CoreV1Api())
        )
        spec = _when_all_run(asked, pods)
    except config.ConfigException as error:
        raise UserError(f'experiment.cluster = "kubernetes", and this process runs in no pod: {error}') from None
    except client.ApiException as error:
        raise UserError(f"Kubernetes does not tell the pods of {selector!r}: {error.reason}") from None
    except HTTPError as error:
        raise UserError(f"Kubernetes does not answer: {error}") from None
    nodes = spec.job_tasks("worker")
    here = [index for index, address in enumerate(nodes) if _is_here(split(address)[0])]
    if len(here) != 1:
        raise UserError(
            f"{len(here)} of the pods of {selector!r}, on {', '.join(nodes)}, are at addresses of this one; each needs "
            "hostNetwork: true and a node of its own"
        )
    return _settled(spec, here[0])  # asked again, the API might tell others


class _Unfinished:
    """The API, but for pods that have ended, which keep their labels."""

    def __init__(self, api: Any) -> None:
        self.api = api

    def list_pod_for_all_namespaces(self, label_selector: str) -> Any:
        return self.api.list_pod_for_all_namespaces(
            label_selector=label_selector, field_selector="status.phase!=Succeeded,status.phase!=Failed"
        )


def _when_all_run(asked: tf.distribute.cluster_resolver.ClusterResolver, pods: int) -> tf.train.ClusterSpec:
    for _ in range(_ASKED):
        try:
            spec = asked.cluster_spec()
            count = len(spec.as_dict().get("worker", []))
            if count == pods:
                return spec
            reason = f"{count} pod(s) run, and experiment.kubernetes_pods = {pods}"
        except RuntimeError as error:  # a pod that does not run yet
            reason = str(error)
        time.sleep(_APART)
    raise UserError(reason)


def _is_here(host: str) -> bool:
    try:
        return bool(own_addresses(host))
    except LookupError:
        return False


def _settled(spec: tf.train.ClusterSpec, index: int) -> tf.distribute.cluster_resolver.ClusterResolver:
    return tf.distribute.cluster_resolver.SimpleClusterResolver(
        spec,
        task_type="worker",
        task_id=index,
        rpc_layer="grpc",
        num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
    )
