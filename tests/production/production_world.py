"""Production on loopback: sources in BigQuery, a bucket, an MLflow server, PostgreSQL where it is installed."""

from __future__ import annotations

import contextlib
import datetime
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bigquery_emulator import BigQueryEmulator
from deploy.postgres import postgres_programs, running_postgres
from mlflow.tracking import MlflowClient
from mlflow_server import MlflowServer, running_mlflow
from small_run import execute_job
from storage_emulator import StorageEmulator, running_storage

from holley_assets.definitions import definitions
from holley_assets.resources.storage.bucket import BucketStore
from holley_assets.sample_data import generate_sample

PROJECT = Path(__file__).parent.parent.parent
AS_OF = datetime.date(2026, 2, 1)
OUTPUT = "temp_holley_gnn"
SERVING = "holley_serving"
DATASETS = (OUTPUT, f"{OUTPUT}_work", SERVING)
SECRETS = ("planted-alert-token", "planted-tracking-password")


@dataclass(frozen=True)
class Production:
    """All that a run in production talks to, and what runs printed."""

    folder: Path
    source: Path
    secrets: tuple[str, ...]
    on_postgres: bool
    bigquery: BigQueryEmulator
    storage: StorageEmulator
    mlflow: MlflowServer
    printed: list[str] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """DAGSTER_HOME."""
        return self.folder / "home"

    def execute(self, job: str) -> None:
        """Run a job from the command line, a process a step."""
        finished = subprocess.run(
            [sys.executable, "-m", "dagster", "job", "execute", "-m", "holley_assets.definitions", "-j", job],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        self.printed.append(finished.stdout)
        assert finished.returncode == 0, finished.stdout[-6000:]

    @contextlib.contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's own records of the runs."""
        with dg.DagsterInstance.from_config(str(self.home)) as instance:
            yield instance

    def table(self, dataset: str, table: str) -> pa.Table:
        """A table of BigQuery, in no order."""
        with self.bigquery.client() as client:
            # The emulator's Storage API has an address of its own.
            return client.list_rows(client.get_table(f"{dataset}.{table}")).to_arrow(
                create_bqstorage_client=False
            )

    def served(self) -> pa.Table:
        """What the e-mail system reads, in the order of addresses."""
        return self.table(SERVING, "email_recommendations").sort_by("email_lower")

    def asset(self, name: str) -> pa.Table:
        """The newest file of a tabular asset, from the bucket."""
        return pq.read_table(self.store().local_path(f"assets/{name}.parquet"))

    def do(self, job: str, only: list[str] | None = None, **config: object) -> None:
        """A job, or some of its assets, in this process; it ends well. ``config`` is that of its steps."""
        with self.instance() as instance:
            result = execute_job(job, instance=instance, only=only, config=config)
        assert result.success, [event.step_key for event in result.all_events if event.is_step_failure]

    def promote(self, **which: str) -> None:
        """Make a model the champion; the challenger, where ``which`` names no other."""
        promote = definitions.resolve_job_def("promote")
        decision = {"by": "ada", "reason": "a test", "force": True, **which}
        config = {"ops": {"promote_model": {"config": decision}}}
        with self.instance() as instance:
            assert promote.execute_in_process(instance=instance, run_config=config).success

    def store(self) -> BucketStore:
        """The bucket, from a machine that has nothing of it yet; it verifies every checksum."""
        return BucketStore(self.storage.bucket, "gnn", self.folder / "reader", retry_seconds=5)

    def tracking(self) -> MlflowClient:
        """A client of the MLflow server."""
        return MlflowClient(self.mlflow.url, self.mlflow.url)


@dataclass(frozen=True)
class Weekly:
    """What ``weekly_retrain`` delivered."""

    run_id: str
    model_version: str
    delivered: pa.Table


def rows_by_email(table: pa.Table) -> dict[str, dict[str, object]]:
    """Rows by the address of their user."""
    return {row["email_lower"]: row for row in table.to_pylist()}


@contextlib.contextmanager
def running_production(
    folder: Path, bigquery_emulator: BigQueryEmulator, empty_mlflow_database: bytes
) -> Iterator[Production]:
    """Start what is missing, load the source tables of a small sample, and stop everything at the end.

    The environment of this process is production's until then.
    """
    source, home, tracking = folder / "source", folder / "home", folder / "mlflow"
    for path in (home, tracking):
        path.mkdir()
    generate_sample(
        source,
        users=400,
        kind="segment",
        seed=0,
        as_of=AS_OF,
        intent_start=datetime.date(2025, 9, 1),
        test_days=30,
    )
    bigquery_emulator.load_sources(source)
    with bigquery_emulator.client() as client:
        for dataset in DATASETS:
            client.create_dataset(dataset, exists_ok=True)
    with contextlib.ExitStack() as servers:
        mlflow = servers.enter_context(running_mlflow(tracking, empty_mlflow_database))
        storage = servers.enter_context(running_storage())
        programs = postgres_programs()
        postgres = servers.enter_context(running_postgres(programs)) if programs else None
        settings = PROJECT / ("holley_assets/deploy/dagster.yaml" if postgres else "dagster.yaml")
        shutil.copy(settings, home / "dagster.yaml")
        patched = servers.enter_context(pytest.MonkeyPatch.context())
        for name in [name for name in os.environ if name.startswith("HOLLEY_")]:
            patched.delenv(name)
        variables = {
            "HOLLEY_ENV": "prod",
            "HOLLEY_AS_OF": AS_OF.isoformat(),
            "HOLLEY_DATA_DIR": str(folder / "scratch"),
            "HOLLEY_TRAINING_EPOCHS": "2",
            "HOLLEY_TRAINING_FIT_STEPS": "5",
            "HOLLEY_CHECK_MINIMUM_USERS": "100",
            "HOLLEY_BIGQUERY_PROJECT": bigquery_emulator.project,
            "HOLLEY_BIGQUERY_EMULATOR": bigquery_emulator.url,
            "HOLLEY_STORAGE_BUCKET": storage.bucket,
            "HOLLEY_MLFLOW_TRACKING_URI": mlflow.url,
            "STORAGE_EMULATOR_HOST": storage.url,
            "DAGSTER_HOME": str(home),
            "OMP_NUM_THREADS": "1",
            # Nothing listens there.
            "HOLLEY_ALERT_URLS": f"json://127.0.0.1:9/{SECRETS[0]}",
            "MLFLOW_TRACKING_USERNAME": "holley",
            "MLFLOW_TRACKING_PASSWORD": SECRETS[1],
            **(postgres.environment if postgres else {}),
        }
        for name, value in variables.items():
            patched.setenv(name, value)
        secrets = (*SECRETS, *([postgres.password] if postgres else []))
        yield Production(folder, source, secrets, postgres is not None, bigquery_emulator, storage, mlflow)
