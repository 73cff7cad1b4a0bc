"""Production's instance settings on a real PostgreSQL: queue, run monitoring, retries."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster import DagsterRunStatus
from deploy.postgres import PostgresServer
from deploy.stand_in_jobs import FOLDER

PROJECT = Path(__file__).parent.parent.parent
SETTINGS = PROJECT / "holley_assets" / "deploy" / "dagster.yaml"
SECONDS = 180


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Production's settings, with runs as processes in place of pods, and daemons that wait for less long."""
    settings = yaml.safe_load(SETTINGS.read_text())
    settings["run_launcher"] = {"module": "deploy.run_processes", "class": "ProcessRunLauncher"}
    settings["run_coordinator"]["config"] = {"dequeue_interval_seconds": 1}
    settings["run_monitoring"]["poll_interval_seconds"] = 1
    folder = tmp_path_factory.mktemp("home")
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))
    return folder


@pytest.fixture(scope="module")
def runs(
    postgres: PostgresServer, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[dg.DagsterInstance, Sequence[dg.RunRecord], Path]]:
    """Four runs that were queued at once, and what the daemon made of them."""
    folder = tmp_path_factory.mktemp("stand-in")
    environment = {
        **os.environ,
        **postgres.environment,
        "DAGSTER_HOME": str(home),
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "tests")]),
        FOLDER: str(folder),
    }
    log = (folder / "daemon.log").open("w")
    daemon = subprocess.Popen(
        [sys.executable, "-m", "dagster._daemon", "run", "--module-name", "deploy.stand_in_jobs"],
        cwd=folder,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        with pytest.MonkeyPatch.context() as patched:
            for name, value in postgres.environment.items():
                patched.setenv(name, value)
            with dg.DagsterInstance.from_config(str(home)) as instance:
                deadline = time.monotonic() + SECONDS
                while not settled(records := instance.get_run_records(ascending=True)):
                    assert daemon.poll() is None and time.monotonic() < deadline, (
                        folder / "daemon.log"
                    ).read_text()[-6000:]
                    time.sleep(0.5)
                yield instance, records, folder
    finally:
        daemon.terminate()
        daemon.wait(30)
        log.close()


def settled(records: Sequence[dg.RunRecord]) -> bool:
    """Whether the four runs are done, and the second attempt of the one whose process was killed."""
    return len(records) >= 5 and all(record.dagster_run.is_finished for record in records)


def of_job(records: Sequence[dg.RunRecord], job: str) -> list[dg.RunRecord]:
    return [record for record in records if record.dagster_run.job_name == job]


def test_history_is_in_postgres(
    runs: tuple[dg.DagsterInstance, Sequence[dg.RunRecord], Path], home: Path
) -> None:
    instance, records, _ = runs
    assert type(instance.run_storage).__module__.startswith("dagster_postgres")
    assert type(instance.event_log_storage).__module__.startswith("dagster_postgres")
    assert records and not list(home.rglob("*.db"))


def test_runs_queued_at_once_run_one_after_the_other(
    runs: tuple[dg.DagsterInstance, Sequence[dg.RunRecord], Path],
) -> None:
    _, records, _ = runs
    assert [record.dagster_run.status for record in of_job(records, "short")] == [
        DagsterRunStatus.SUCCESS
    ] * 2
    spans = sorted((record.start_time or 0.0, record.end_time or 0.0) for record in records)
    assert all(start > 0 for start, _ in spans)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_a_run_whose_process_is_killed_is_found_and_started_again(
    runs: tuple[dg.DagsterInstance, Sequence[dg.RunRecord], Path],
) -> None:
    instance, records, _ = runs
    first, second = of_job(records, "killed")
    assert first.dagster_run.status == DagsterRunStatus.FAILURE
    assert second.dagster_run.status == DagsterRunStatus.SUCCESS
    assert second.dagster_run.parent_run_id == first.dagster_run.run_id
    messages = [entry.message for entry in instance.all_logs(first.dagster_run.run_id)]
    assert any("Detected run worker status" in message for message in messages), messages


def test_a_failed_gate_starts_nothing_again(
    runs: tuple[dg.DagsterInstance, Sequence[dg.RunRecord], Path],
) -> None:
    # The killed run, which failed later, was started again: the daemon has seen this one too.
    _, records, folder = runs
    (only,) = of_job(records, "gated")
    assert only.dagster_run.status == DagsterRunStatus.FAILURE
    assert not (folder / "published").exists()
