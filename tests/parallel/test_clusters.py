"""A process finds its role in a cluster; a stub replaces the API of Kubernetes, variables replace SLURM."""

import os
import sys
from types import ModuleType, SimpleNamespace

import pytest
import tensorflow as tf
from small import points_experiment
from urllib3.exceptions import HTTPError

from tfdgm import UserError
from tfdgm.parallel import clusters
from tfdgm.parallel.strategies import Placement


class ConfigException(Exception):
    pass


class ApiException(Exception):
    reason = "Forbidden"


def pod(name, address, phase="Running"):
    return SimpleNamespace(metadata=SimpleNamespace(name=name), status=SimpleNamespace(host_ip=address, phase=phase))


@pytest.fixture
def kubernetes(monkeypatch):
    """Install a stub of `kubernetes` whose API returns these lists of pods in turn, and repeats the last one."""

    def install(*answers, pods=2, inside=True):
        answers = list(answers)

        class CoreV1Api:
            def list_pod_for_all_namespaces(self, label_selector, field_selector):
                assert label_selector == "job-name=mine"
                assert field_selector == "status.phase!=Succeeded,status.phase!=Failed"
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if isinstance(answer, Exception):
                    raise answer
                return SimpleNamespace(items=answer)

        def load_incluster_config():
            if not inside:
                raise ConfigException("no service host")

        package = ModuleType("kubernetes")
        package.client = SimpleNamespace(CoreV1Api=CoreV1Api, ApiException=ApiException)
        package.config = SimpleNamespace(load_incluster_config=load_incluster_config, ConfigException=ConfigException)
        monkeypatch.setitem(sys.modules, "kubernetes", package)
        monkeypatch.setattr(clusters, "_SECONDS_BETWEEN", 0.0)
        return clusters.resolver("kubernetes", "job-name=mine", pods)

    return install


WORKERS = '"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}'


@pytest.mark.parametrize(
    "specification, reason",
    [
        ("{", "Expecting property name"),
        ("{}", "it lists no worker"),
        (f"{{{WORKERS}}}", "this process has no role in the cluster"),
        (f'{{{WORKERS}, "task": {{"type": "worker", "index": 2}}}}', "No task with index 2"),
        (f'{{{WORKERS}, "task": {{"type": "evaluator", "index": 0}}}}', "this process has the role 'evaluator'"),
        (
            '{"cluster": {"worker": ["here", "there:1"]}, "task": {"type": "worker", "index": 0}}',
            "'here' is not HOST:PORT",
        ),
    ],
)
def test_an_invalid_specification_is_refused_before_a_port_is_opened(specification, reason, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", specification)
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda **named: pytest.fail("opened"))
    with pytest.raises(UserError, match=f"invalid cluster specification: .*{reason}"):
        Placement(strategy="multi_worker").devices()


STEP = {"STEP_NUM_TASKS": 3, "STEP_TASKS_PER_NODE": "1,2", "STEP_NODELIST": "node[9-10]", "PROCID": 2, "LOCALID": 1}


def slurm(monkeypatch, variables, node="node10"):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURMD_NODENAME", node)
    for name in STEP:
        monkeypatch.delenv(f"SLURM_{name}", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_{name}", str(value))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    return clusters.resolver("slurm", "", None)


def test_a_slurm_task_is_the_worker_at_its_node_and_keeps_its_gpus(monkeypatch):
    found = slurm(monkeypatch, STEP)  # sorted by name, not by rank
    assert found.cluster_spec().as_dict() == {"worker": ["node10:8888", "node10:8889", "node9:8888"]}
    assert (found.task_type, found.task_id) == ("worker", 1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,5"


def test_a_process_outside_srun_or_on_an_unlisted_node_is_refused(monkeypatch):
    with pytest.raises(UserError, match="requires a process started by srun"):
        slurm(monkeypatch, {})
    with pytest.raises(UserError, match="is elsewhere:8889, which is not among the tasks of the step: node10:8888, "):
        slurm(monkeypatch, STEP, node="elsewhere")


def test_a_pod_is_the_worker_whose_node_is_this_machine(kubernetes):
    found = kubernetes([pod("b", "127.0.0.1"), pod("a", "198.51.100.1")])
    assert found.cluster_spec().as_dict() == {"worker": ["198.51.100.1:8470", "127.0.0.1:8470"]}
    assert (found.task_type, found.task_id) == ("worker", 1)


def test_pods_that_are_missing_or_pending_are_awaited(kubernetes):
    here, there = pod("a", "127.0.0.1"), pod("b", "198.51.100.1")
    found = kubernetes([here], [here, pod("b", None, "Pending")], [here, there])
    assert len(found.cluster_spec().job_tasks("worker")) == 2 and found.task_id == 0


@pytest.mark.parametrize(
    "pods, reason",
    [
        ([pod("a", "127.0.0.1"), pod("b", None, "Pending")], '"b" is not running; phase: "Pending"'),
        ([pod("a", "127.0.0.1")], r"1 pod\(s\) run, but experiment.kubernetes_pods = 2"),
        ([], r"0 pod\(s\) run"),
        (
            [pod("a", "198.51.100.1"), pod("b", "198.51.100.2")],
            "0 of the pods .*, have an address of this machine",
        ),
        ([pod("a", "127.0.0.1"), pod("b", "127.0.0.1")], "2 of the pods.*a separate node"),
        (ApiException(), "refused to list the pods of 'job-name=mine': Forbidden"),
        (HTTPError("refused"), "does not answer: refused"),
    ],
)
def test_pods_that_cannot_be_workers_are_refused_with_the_reason(kubernetes, monkeypatch, pods, reason):
    monkeypatch.setattr(clusters, "_REQUESTS", 3)
    with pytest.raises(UserError, match=reason):
        kubernetes(pods)


def test_a_process_outside_a_pod_or_without_the_package_is_refused(kubernetes, monkeypatch):
    with pytest.raises(UserError, match="does not run in a pod: no service host"):
        kubernetes([], inside=False)
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(UserError, match="requires an extra package: pip install kubernetes"):
        clusters.resolver("kubernetes", "job-name=mine", 2)
    with pytest.raises(UserError, match=r"requires experiment\.kubernetes_pods"):
        clusters.resolver("kubernetes", "job-name=mine", None)


@pytest.mark.parametrize("name", ["replicas", "kubernetes_pods"])
def test_a_number_of_devices_or_pods_below_1_is_refused(name):
    with pytest.raises(UserError, match=f"experiment.{name} must be at least 1, got -1"):
        points_experiment(**{name: -1})
