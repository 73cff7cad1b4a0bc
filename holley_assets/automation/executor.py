"""How steps run: processes of one machine, or Kubernetes pods."""

from __future__ import annotations

import dagster as dg

from holley_assets.automation.leased_executor import leased
from holley_assets.resources.step_resources import container_resources
from holley_assets.settings import ComputeSettings, SettingsError, is_production

# Each step starts as a fork of a server that has imported what steps need, which saves each a second or more.
# Torch starts its threads with the first computation, not with the import, so that steps may start theirs.
PRELOADED_MODULES = [
    "holley_assets.definitions",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "duckdb",
    # DuckDB and PyArrow import it with the first table that they hand over.
    "pandas",
    "sqlglot.generators.bigquery",
    "sqlglot.generators.duckdb",
    "sqlglot.optimizer.annotate_types",
    "sqlglot.parsers.bigquery",
    # Torch and PyTorch Geometric: seven steps use them.
    "holley_assets.gnn.graph",
    # Every step opens Dagster's storage and its compute logs: SQLAlchemy, Alembic, UPath.
    "dagster._cli",
    "dagster._core.storage.sqlite_storage",
    "upath.implementations.local",
]
# A laptop has no use for Google's clients.
PRELOADED_IN_PRODUCTION = [
    "holley_assets.resources.warehouse.bigquery.warehouse",
    "google.cloud.storage",
    "dagster_postgres",
]


def build_executor(compute: ComputeSettings) -> dg.ExecutorDefinition:
    """The executor that ``HOLLEY_COMPUTE_EXECUTOR`` names, under the lease of the run.

    Raises:
        SettingsError: it is ``k8s`` and dagster-k8s is not installed; one line.
    """
    if compute.executor == "k8s":
        return leased(_pods(compute))
    modules = [*PRELOADED_MODULES, *(PRELOADED_IN_PRODUCTION if is_production() else [])]
    start = {"forkserver": {"preload_modules": modules}}
    return leased(
        dg.multiprocess_executor.configured({"max_concurrent": compute.steps_at_once, "start_method": start})
    )


def _pods(compute: ComputeSettings) -> dg.ExecutorDefinition:
    """A pod a step. Image, service account and secrets are those that the run launcher gives the run."""
    try:
        from dagster_k8s import k8s_job_executor
    except ImportError:
        raise SettingsError(
            "HOLLEY_COMPUTE_EXECUTOR=k8s needs dagster-k8s, which is not installed here; "
            "install it with: pip install '.[production]'"
        ) from None
    return k8s_job_executor.configured(
        {
            "max_concurrent": compute.steps_at_once,
            # For the steps without tags of their own.
            "step_k8s_config": {
                "container_config": container_resources(compute.step_cpus, compute.step_memory_gib)
            },
            # A run that is deleted takes the pods of its steps along.
            "enable_owner_references": True,
        }
    )
