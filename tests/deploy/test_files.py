"""Dockerfile, Helm values and instance settings: everything about them that needs no cluster."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from dagster._cli.api import grpc_command
from dagster._cli.dev import dev_command
from dagster._core.instance.ref import InstanceRef
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import DagsterK8sJobConfig, UserDefinedDagsterK8sConfig, construct_dagster_k8s_job
from dagster_webserver.cli import dagster_webserver
from mlflow.cli import cli as mlflow

from holley_assets.automation.executor import build_executor
from holley_assets.automation.jobs import RUN_TAGS, daily_score, weekly_retrain
from holley_assets.resources.step_resources import container_resources
from holley_assets.settings import ComputeSettings, known_variables, load_settings

PROJECT = Path(__file__).parent.parent.parent
DEPLOY = PROJECT / "holley_assets" / "deploy"
RESOURCES = PROJECT / "holley_assets" / "resources"
README = (PROJECT / "README.md").read_text() + (DEPLOY / "README.md").read_text()
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())
POSTGRES = {
    "DAGSTER_PG_HOST": "127.0.0.1",
    "DAGSTER_PG_PORT": "5432",
    "DAGSTER_PG_DB": "dagster",
    "DAGSTER_PG_USERNAME": "dagster",
    "DAGSTER_PG_PASSWORD": "not-in-any-file",
}
# What of values.yaml the chart (1.13) knows, by path: its values.schema.json refuses other keys at these places.
CHART_KEYS = {
    "": {
        "global",
        "generatePostgresqlPasswordSecret",
        "postgresql",
        "serviceAccount",
        "dagster-user-deployments",
        "runLauncher",
        "computeLogManager",
        "dagsterDaemon",
        "dagsterWebserver",
        "ingress",
        "retention",
        "telemetry",
    },
    "postgresql": {
        "enabled",
        "postgresqlHost",
        "postgresqlUsername",
        "postgresqlDatabase",
        "postgresqlScheme",
    },
    "runLauncher": {"type", "config"},
    "dagsterDaemon": {"enabled", "runCoordinator", "runMonitoring", "runRetries"},
    "dagsterDaemon.runCoordinator": {"enabled", "type", "config"},
    "dagsterDaemon.runCoordinator.config.queuedRunCoordinator": {"maxConcurrentRuns"},
    "computeLogManager": {"type", "config"},
    "dagsterWebserver": {"replicaCount", "service"},
}


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "values.yaml").read_text()))


@pytest.fixture(scope="module")
def instance_settings() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "dagster.yaml").read_text()))


@pytest.fixture(scope="module")
def deployment(values: dict[str, Any]) -> dict[str, Any]:
    (only,) = values["dagster-user-deployments"]["deployments"]
    return dict(only)


def at(tree: dict[str, Any], path: str) -> Any:
    for part in filter(None, path.split(".")):
        tree = tree[part]
    return tree


def test_dagster_takes_the_instance_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read by Dagster's own schema; nothing connects, so that no PostgreSQL is needed."""
    for name, value in POSTGRES.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
    settings = InstanceRef.from_dir(str(tmp_path))
    assert settings.storage_data is not None
    assert settings.storage_data.class_name == "DagsterPostgresStorage"
    assert settings.run_coordinator_data is not None
    assert settings.run_coordinator_data.class_name == "QueuedRunCoordinator"
    read: Mapping[str, Any] = settings.settings
    assert read["concurrency"]["runs"]["max_concurrent_runs"] == 1
    assert read["run_retries"]["retry_on_asset_or_op_failure"] is False
    assert read["telemetry"] == {"enabled": False}


def test_no_job_starts_again_for_a_failed_gate_whatever_the_instance_says() -> None:
    for job in (weekly_retrain, daily_score):
        assert RUN_TAGS.items() <= (job.tags or {}).items(), job.name
    assert RUN_TAGS["dagster/retry_on_asset_or_op_failure"] == "false"


def test_values_have_keys_that_the_chart_knows(values: dict[str, Any]) -> None:
    for path, known in CHART_KEYS.items():
        assert set(at(values, path)) <= known, path


def test_chart_and_instance_settings_say_the_same(
    values: dict[str, Any], instance_settings: dict[str, Any]
) -> None:
    daemon = values["dagsterDaemon"]
    queue = daemon["runCoordinator"]["config"]["queuedRunCoordinator"]
    monitoring = instance_settings["run_monitoring"]
    assert queue["maxConcurrentRuns"] == instance_settings["concurrency"]["runs"]["max_concurrent_runs"]
    assert daemon["runRetries"]["maxRetries"] == instance_settings["run_retries"]["max_retries"]
    assert daemon["runMonitoring"] == {
        "enabled": monitoring["enabled"],
        "pollIntervalSeconds": monitoring["poll_interval_seconds"],
        "startTimeoutSeconds": monitoring["start_timeout_seconds"],
        "cancelTimeoutSeconds": monitoring["cancel_timeout_seconds"],
        "maxResumeRunAttempts": monitoring["max_resume_run_attempts"],
    }
    assert RUN_TAGS["dagster/max_runtime"] == str(monitoring["max_runtime_seconds"])
    assert values["telemetry"] == instance_settings["telemetry"]
    storage = instance_settings["storage"]["postgres"]["postgres_db"]
    assert values["postgresql"]["postgresqlScheme"] == storage["scheme"]


def test_the_values_settings_are_all_that_production_needs(
    deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {entry["name"]: entry["value"] for entry in deployment["env"]}
    assert (
        sorted(name for name in given if name.startswith("HOLLEY_") and name not in known_variables()) == []
    )
    for name in list(os.environ):
        if name.startswith("HOLLEY_"):
            monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.run.env, settings.compute.executor) == ("prod", "k8s")


def test_a_step_s_pod_is_what_kubernetes_accepts(values: dict[str, Any], deployment: dict[str, Any]) -> None:
    """Code server, launcher and executor merged as they are for a step; unknown Kubernetes keys raise."""
    launcher = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    names = {
        "podSpecConfig": "pod_spec_config",
        "containerConfig": "container_config",
        "jobSpecConfig": "job_spec_config",
    }
    of_launcher = K8sContainerContext(
        run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(
            {names[key]: config for key, config in launcher.items()}
        )
    )
    of_server = K8sContainerContext.create_from_config(
        {
            "k8s": {
                "env_secrets": [secret["name"] for secret in deployment["envSecrets"]],
                "env": deployment["env"],
                "volumes": deployment["volumes"],
                "volume_mounts": deployment["volumeMounts"],
                "resources": deployment["resources"],
                "service_account_name": values["dagster-user-deployments"]["serviceAccount"]["name"],
            }
        }
    )
    executor = build_executor(ComputeSettings(executor="k8s")).apply_config_mapping({"config": {}})
    assert executor.value is not None
    step = UserDefinedDagsterK8sConfig.from_dict(executor.value["config"]["step_k8s_config"])
    merged = of_launcher.merge(of_server).merge(K8sContainerContext(run_k8s_config=step))
    template = construct_dagster_k8s_job(
        DagsterK8sJobConfig(job_image="holley-assets:test", dagster_home="/opt/dagster/dagster_home"),
        args=["dagster"],
        job_name="step",
        pod_name="step",
        component="step_worker",
        user_defined_k8s_config=merged.run_k8s_config,
    ).spec.template
    (container,) = template.spec.containers
    # Not the code server's: the step has its own, also where they are less.
    assert container.resources.requests == container_resources(2, 8)["resources"]["requests"]
    assert container.resources.limits == {"memory": "8Gi"}
    assert template.spec.security_context.run_as_non_root is True
    assert template.spec.service_account_name == "holley-assets"
    assert {entry.name for entry in container.env} >= {"HOLLEY_ENV", "HOLLEY_DATA_DIR"}


def test_the_image_is_built_from_files_that_exist() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, flags=re.M)
        for source in line.split()[:-1]
    ]
    assert copied
    assert [source for source in copied if not (PROJECT / source).exists()] == []
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert [source for source in copied if f"!{source.split('/')[0]}" not in allowed] == []


def test_the_image_has_the_project_s_torch_and_a_python_it_allows() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    (torch,) = re.findall(r'"(torch==[^"]+)"', dockerfile)
    assert torch in PYPROJECT["project"]["dependencies"]
    assert "[production]" in dockerfile and "production" in PYPROJECT["project"]["optional-dependencies"]
    pythons = set(re.findall(r"^FROM python:3\.(\d+)-slim", dockerfile, flags=re.M))
    assert pythons == {"11"}, "both stages have one Python, at least requires-python"
    assert PYPROJECT["project"]["requires-python"].startswith(">=3.11")


def test_what_has_no_login_listens_on_loopback(values: dict[str, Any]) -> None:
    """Nothing of ours names another address, and these are the commands' own."""
    servers = {
        "code server": grpc_command,
        "mlflow": mlflow.commands["server"],
        "web server": dagster_webserver,
    }
    hosts = {
        name: option.default
        for name, server in servers.items()
        for option in server.params
        if option.name == "host"
    }
    assert hosts == {"code server": "localhost", "mlflow": "127.0.0.1", "web server": "127.0.0.1"}
    # `dagster dev` hands on what it is told and nothing else.
    assert dev_command.make_context("dev", []).params["host"] is None
    for text in ((DEPLOY / "Dockerfile").read_text(), README, json.dumps(values)):
        assert not re.search(r"0\.0\.0\.0|--host\b|\s-h\s", text)
    assert values["dagsterWebserver"]["service"]["type"] == "ClusterIP"
    assert values["ingress"]["enabled"] is False


def test_the_web_server_s_bucket_is_not_that_of_customers(
    values: dict[str, Any], deployment: dict[str, Any]
) -> None:
    logs = values["computeLogManager"]["config"]["gcsComputeLogManager"]["bucket"]
    given = {entry["name"]: entry["value"] for entry in deployment["env"]}
    assert logs != given["HOLLEY_STORAGE_BUCKET"]


def test_the_readme_grants_roles_to_the_accounts_of_the_values(values: dict[str, Any]) -> None:
    accounts = {
        values["serviceAccount"]["name"],
        values["dagster-user-deployments"]["serviceAccount"]["name"],
    }
    granted = re.findall(r"^\| (?:`([\w-]+)`|both)? ?\| `(roles/[\w.]+)` \|", README, flags=re.M)
    assert {account for account, _ in granted if account} == accounts
    advised = re.findall(r"grant (roles/[\w.]+)", (RESOURCES / "storage" / "bucket.py").read_text())
    assert advised and set(advised) <= {role for _, role in granted}


def test_nobody_is_root_and_nothing_is_secret(values: dict[str, Any]) -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    assert re.findall(r"^USER (.+)$", dockerfile, flags=re.M) == ["1000"]
    for text in (dockerfile, json.dumps(values)):
        assert re.findall(r"(?i)(?:password|token|secret_?key|api_?key)[\"']?\s*[=:]\s*[\"']?\w", text) == []
