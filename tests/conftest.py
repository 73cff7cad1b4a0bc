"""One small weekly run, made once and shared by all tests that look at what a run leaves behind."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from bigquery_emulator import BigQueryEmulator, running_emulator
from filelock import FileLock
from hypothesis import settings
from jaxtyping import install_import_hook
from light_stores import lighten
from mlflow_server import MlflowServer, running_mlflow
from shape_checks import SHAPED
from small_run import SMALL_RUN, FinishedRun, copied, execute_cli, set_environment
from storage_emulator import StorageEmulator, running_storage
from webhook import Webhook, running_webhook
from xdist.scheduler import LoadFileScheduling

# Tests run side by side: more threads would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# An example that takes longer than usual on a busy machine is no fault.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")
# Before any of them is imported. What a test starts as a process of its own runs unchecked, as in production.
install_import_hook(SHAPED, "shape_checks.checked")
lighten()


# Tests that take a minute and more, and folders of such. They come first, so that no worker is left alone with them.
_LONGEST = (
    "test_week.py",
    "ui",
    "production",
    "test_killed_runs.py",
    "test_null_samples.py",
    "test_googlesql.py",
    "test_serving_attacks.py",
    "test_bad_input.py",
    "test_delivered_system.py",
    "test_endurance.py",
    "test_distributed.py",
    "test_report_page.py",
    "automation",
    "deploy",
    "assets",
)


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than processors: the longest tests wait for servers, browsers and processes of their own."""
    return (os.cpu_count() or 1) + 1


# Folders whose tests share servers and runs that take a minute: one worker gets all of their files.
_TOGETHER = ("tests/production/",)


class _FilesOrFolders(LoadFileScheduling):  # type: ignore[misc]  # its package has no types
    """Whole files to a worker, and whole folders where their files share what is slow to make."""

    def _split_scope(self, nodeid: str) -> str:
        return next(
            (folder for folder in _TOGETHER if nodeid.startswith(folder)), super()._split_scope(nodeid)
        )


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Schedules as ``--dist loadfile`` does, but for those folders; any other ``--dist`` is left to xdist."""
    return _FilesOrFolders(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; otherwise the order of collection."""
    ranks = {name: rank for rank, name in enumerate(_LONGEST)}

    def rank(item: pytest.Item) -> int:
        return min(ranks.get(name, len(ranks)) for name in (item.path.name, item.path.parent.name))

    items.sort(key=rank)


@pytest.fixture(scope="session")
def weekly_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """``weekly_retrain`` on a small sample, through the command line; made by the worker that comes first."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    output, data_dir, home = (folder / "weekly" / name for name in ("output.txt", "data", "home"))
    with FileLock(folder / "weekly.lock"):
        if not output.exists():
            finished = execute_cli("weekly_retrain", home, {**SMALL_RUN, "HOLLEY_DATA_DIR": str(data_dir)})
            assert finished.returncode == 0, finished.stdout[-6000:]
            output.write_text(finished.stdout, encoding="utf-8")
    return FinishedRun(data_dir, home, output.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def bigquery_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryEmulator]:
    """One BigQuery emulator for all tests; each test works in datasets of its own."""
    with running_emulator(tmp_path_factory.mktemp("bigquery")) as emulator:
        yield emulator


@pytest.fixture
def run_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Environment of a small run in this process; the value is its data folder."""
    data_dir = tmp_path / "data"
    set_environment(monkeypatch, data_dir)
    return data_dir


@pytest.fixture
def continued_run(
    weekly_run: FinishedRun, run_settings: Path
) -> Iterator[tuple[FinishedRun, dg.DagsterInstance]]:
    """A copy of the small weekly run with its event log, for what happens in the runs after it."""
    with copied(weekly_run, run_settings) as continued:
        yield continued


@pytest.fixture
def source(weekly_run: FinishedRun, run_settings: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the small sample's source tables, which the run reads."""
    folder = run_settings.parent / "source"
    shutil.copytree(weekly_run.source_dir, folder)
    monkeypatch.setenv("HOLLEY_SOURCE_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def storage_emulator() -> Iterator[StorageEmulator]:
    """Cloud Storage on loopback, with one bucket that all tests share: use run ids or folders of your own."""
    with running_storage() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def empty_mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A SQLite store of MLflow with its tables, which take seconds to make."""
    from holley_assets.resources.tracking.mlflow_store import open_client
    from holley_assets.settings import TrackingSettings

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    open_client(f"sqlite:///{path}", TrackingSettings()).search_registered_models()
    return path.read_bytes()


@pytest.fixture(scope="session")
def mlflow_server(
    empty_mlflow_database: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """MLflow on loopback, which all tests share: use experiments and run ids of your own."""
    with running_mlflow(tmp_path_factory.mktemp("mlflow_server"), empty_mlflow_database) as server:
        yield server


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A receiver of alerts on loopback."""
    with running_webhook() as hook:
        yield hook
