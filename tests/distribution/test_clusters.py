"""A process finds its place in a cluster; the API of Kubernetes is played by a stand-in, SLURM by its variables."""

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
    """Installs the package `kubernetes` whose API answers with these lists of pods in turn, the last one for ever."""

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
        monkeypatch.setattr(clusters, "_APART", 0.0)
        return clusters.resolver("kubernetes", "job-name=mine", pods)

    return install


WORKERS = '"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}'


@pytest.mark.parametrize(
    "told, reason",
    [
        ("{", "Expecting property name"),
        ("{}", "it names no worker"),
        (f"{{{WORKERS}}}", "no task of it"),
        (f'{{{WORKERS}, "task": {{"type": "worker", "index": 2}}}}', "No task with index 2"),
        (f'{{{WORKERS}, "task": {{"type": "evaluator", "index": 0}}}}', "this process is evaluator of it"),
        (
            '{"cluster": {"worker": ["here", "there:1"]}, "task": {"type": "worker", "index": 0}}',
            "'here' is not HOST:PORT",
        ),
    ],
)
def test_a_description_that_is_wrong_is_refused_before_a_port_is_opened(told, reason, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", told)
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lambda **named: pytest.fail("opened"))
    with pytest.raises(UserError, match=f"not described rightly: .*{reason}"):
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


def test_a_task_of_slurm_is_the_worker_at_its_node_and_keeps_its_gpus(monkeypatch):
    found = slurm(monkeypatch, STEP)  # in the order of their names, which is not that of ranks
    assert found.cluster_spec().as_dict() == {"worker": ["node10:8888", "node10:8889", "node9:8888"]}
    assert (found.task_type, found.task_id) == ("worker", 1)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,5"


def test_outside_of_srun_and_on_a_node_of_another_name_it_is_refused(monkeypatch):
    with pytest.raises(UserError, match="not started by srun"):
        slurm(monkeypatch, {})
    with pytest.raises(UserError, match="would be elsewhere:8889, which is not among node10:8888, "):
        slurm(monkeypatch, STEP, node="elsewhere")


def test_a_pod_is_the_worker_whose_node_is_this_machine(kubernetes):
    found = kubernetes([pod("b", "127.0.0.1"), pod("a", "198.51.100.1")])
    assert found.cluster_spec().as_dict() == {"worker": ["198.51.100.1:8470", "127.0.0.1:8470"]}
    assert (found.task_type, found.task_id) == ("worker", 1)


def test_pods_that_do_not_run_yet_or_are_not_there_yet_are_waited_for(kubernetes):
    here, there = pod("a", "127.0.0.1"), pod("b", "198.51.100.1")
    found = kubernetes([here], [here, pod("b", None, "Pending")], [here, there])
    assert len(found.cluster_spec().job_tasks("worker")) == 2 and found.task_id == 0


@pytest.mark.parametrize(
    "pods, told",
    [
        ([pod("a", "127.0.0.1"), pod("b", None, "Pending")], '"b" is not running; phase: "Pending"'),
        ([pod("a", "127.0.0.1")], r"1 pod\(s\) run, and experiment.kubernetes_pods = 2"),
        ([], r"0 pod\(s\) run"),
        (
            [pod("a", "198.51.100.1"), pod("b", "198.51.100.2")],
            "0 of the pods .*, are at addresses of this",
        ),
        ([pod("a", "127.0.0.1"), pod("b", "127.0.0.1")], "2 of the pods.*a node of its own"),
        (ApiException(), "does not tell the pods of 'job-name=mine': Forbidden"),
        (HTTPError("refused"), "does not answer: refused"),
    ],
)
def test_pods_that_cannot_be_workers_are_refused_with_the_reason(kubernetes, monkeypatch, pods, told):
    monkeypatch.setattr(clusters, "_ASKED", 3)
    with pytest.raises(UserError, match=told):
        kubernetes(pods)


def test_outside_of_a_pod_and_without_the_package_it_is_refused(kubernetes, monkeypatch):
    with pytest.raises(UserError, match="runs in no pod: no service host"):
        kubernetes([], inside=False)
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(UserError, match="pip install kubernetes"):
        clusters.resolver("kubernetes", "job-name=mine", 2)
    with pytest.raises(UserError, match=r"needs experiment\.kubernetes_pods"):
        clusters.resolver("kubernetes", "job-name=mine", None)


@pytest.mark.parametrize("name", ["replicas", "kubernetes_pods"])
def test_a_number_of_devices_or_pods_below_1_is_refused(name):
    with pytest.raises(UserError, match=f"experiment.{name} must be at least 1, got -1"):
        points_experiment(**{name: -1})
