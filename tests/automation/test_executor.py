"""Steps as pods: what each asks of Kubernetes, as the real executor and client read it."""

from __future__ import annotations

import builtins
import importlib.util
import os
import subprocess
import sys
from typing import Any

import dagster as dg
import pytest
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import (
    DagsterK8sJobConfig,
    UserDefinedDagsterK8sConfig,
    construct_dagster_k8s_job,
    get_user_defined_k8s_config,
)

from holley_assets.automation.executor import (
    PRELOADED_IN_PRODUCTION,
    PRELOADED_MODULES,
    build_executor,
)
from holley_assets.definitions import definitions
from holley_assets.resources.step_resources import KUBERNETES_TAG, heavy_step
from holley_assets.settings import ComputeSettings, SettingsError

HEAVY = {
    "trained_checkpoint": ("8", "32Gi", "1"),
    "embeddings": ("16", "32Gi", None),
    "layer_embeddings": ("16", "32Gi", None),
    "history": ("16", "32Gi", None),
    "recommendations": ("16", "32Gi", None),
    "sql_recommendations": ("16", "32Gi", None),
    "graphs": ("4", "16Gi", None),
}
OTHERS = ("2", "8Gi", None)


@pytest.fixture(scope="module")
def pods() -> dg.ExecutorDefinition:
    return build_executor(ComputeSettings(executor="k8s", steps_at_once=3))


def executor_config(executor: dg.ExecutorDefinition) -> dict[str, Any]:
    """Config as the executor is given it at the start of a run, checked by its own schema."""
    resolved = executor.apply_config_mapping({"config": {}})
    assert resolved.success and resolved.value is not None, resolved.errors
    return dict(resolved.value["config"])


def container_of(executor: dg.ExecutorDefinition, tags: dict[str, str]) -> Any:
    """The container that Kubernetes is asked for, merged from executor and step as the executor does it."""
    of_executor = UserDefinedDagsterK8sConfig.from_dict(executor_config(executor)["step_k8s_config"])
    merged = K8sContainerContext(run_k8s_config=of_executor).merge(
        K8sContainerContext(run_k8s_config=get_user_defined_k8s_config(tags))
    )
    job = construct_dagster_k8s_job(
        DagsterK8sJobConfig(job_image="holley-assets:test", dagster_home="/opt/dagster/home"),
        args=["dagster", "api", "execute_step"],
        job_name="step",
        pod_name="step",
        component="step_worker",
        user_defined_k8s_config=merged.run_k8s_config,
    )
    return job.spec.template.spec.containers[0]


@pytest.mark.parametrize("job", ["weekly_retrain", "daily_score"])
def test_every_step_asks_for_what_it_needs(pods: dg.ExecutorDefinition, job: str) -> None:
    steps = {node.name: dict(node.tags) for node in definitions.resolve_job_def(job).all_node_defs}
    assert {name for name, tags in steps.items() if KUBERNETES_TAG in tags} == HEAVY.keys() & steps.keys()
    for name, tags in steps.items():
        container = container_of(pods, tags)
        cpus, memory, gpus = HEAVY.get(name, OTHERS)
        assert container.resources.requests == {"cpu": cpus, "memory": memory}, name
        limits = {"memory": memory} if gpus is None else {"memory": memory, "nvidia.com/gpu": gpus}
        assert container.resources.limits == limits, name
        threads = [entry.value for entry in container.env if entry.name == "OMP_NUM_THREADS"]
        assert threads == ([cpus] if name in HEAVY else []), name


def test_a_cluster_without_gpus_is_asked_for_none(
    monkeypatch: pytest.MonkeyPatch, pods: dg.ExecutorDefinition
) -> None:
    monkeypatch.setenv("HOLLEY_COMPUTE_TRAIN_GPUS", "0")
    monkeypatch.setenv("HOLLEY_COMPUTE_TRAIN_MEMORY_GIB", "12")

    @dg.op(tags=heavy_step("train"))
    def train() -> None: ...

    resources = container_of(pods, dict(train.tags)).resources
    assert resources.requests == {"cpu": "8", "memory": "12Gi"}
    assert resources.limits == {"memory": "12Gi"}


def test_pods_run_side_by_side_as_set(pods: dg.ExecutorDefinition) -> None:
    assert pods.name == "k8s"
    assert executor_config(pods)["max_concurrent"] == 3


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def no_dagster_k8s(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "dagster_k8s":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "dagster_k8s", raising=False)
    monkeypatch.setattr(builtins, "__import__", no_dagster_k8s)
    with pytest.raises(SettingsError, match=r"dagster-k8s.*\.\[production\]") as raised:
        build_executor(ComputeSettings(executor="k8s"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("env", "more"), [("local", []), ("prod", PRELOADED_IN_PRODUCTION)])
def test_steps_fork_from_what_they_all_import(
    monkeypatch: pytest.MonkeyPatch, env: str, more: list[str]
) -> None:
    monkeypatch.setenv("HOLLEY_ENV", env)
    start = executor_config(build_executor(ComputeSettings()))["start_method"]["forkserver"]
    assert start["preload_modules"] == [*PRELOADED_MODULES, *more]
    # One that is not there is passed over without a word.
    assert [name for name in start["preload_modules"] if importlib.util.find_spec(name) is None] == []


def test_torch_is_preloaded_before_it_starts_a_thread() -> None:
    """A fork has none of the threads of its parent, so that a pool that was started before it waits for ever."""
    script = (
        "import psutil, torch, holley_assets.gnn.graph\n"
        "before = psutil.Process().num_threads()\n"
        "torch.ones(1000, 1000) @ torch.ones(1000, 1000)\n"
        "assert psutil.Process().num_threads() > before, 'the pool was there before the first computation'"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)


def test_a_wrong_resource_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_COMPUTE_TRAIN_CPUS", "many")
    with pytest.raises(SettingsError, match="HOLLEY_COMPUTE_TRAIN_CPUS=many is not allowed"):
        heavy_step("train")
