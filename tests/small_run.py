"""Small runs: through the command line, or in the process of a test."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

PROJECT = Path(__file__).parent.parent
AS_OF = "2026-02-01"
# Big enough that every table has rows, small enough for seconds; two epochs and a few steps of the optimiser show that
# training goes on.
SMALL_RUN = {
    "HOLLEY_AS_OF": AS_OF,
    "HOLLEY_SAMPLE_USERS": "2000",
    "HOLLEY_TRAINING_EPOCHS": "2",
    "HOLLEY_TRAINING_FIT_STEPS": "5",
    "OMP_NUM_THREADS": "1",
}

# From the weights to the delivered table. The tables that they are made of stay as ``weekly_retrain`` judged them.
TRAINING = [
    "trained_checkpoint",
    "user_embeddings",
    "product_embeddings",
    "history_weights",
    "held_out_visits",
    "held_out_scores",
    "history_scores",
    "mixture_weights",
    "recommendations",
    "recommendations_table",
]


@dataclass(frozen=True)
class FinishedRun:
    """What a run left behind, and where its events are."""

    data_dir: Path
    home: Path
    output: str

    @property
    def source_dir(self) -> Path:
        """Folder of the generated source tables."""
        (folder,) = (self.data_dir / "sample").iterdir()
        return folder

    def table(self, asset: str) -> pa.Table:
        """A tabular asset."""
        return read_asset(self.data_dir, asset)

    def run_folder(self, run_id: str) -> Path:
        """Folder of a run's artifacts."""
        return self.data_dir / "runs" / run_id


def read_asset(data_dir: Path, asset: str) -> pa.Table:
    """A tabular asset under a data folder."""
    from holley_assets.resources.io_manager import read_parquet

    return read_parquet(data_dir / "assets" / f"{asset}.parquet")


def set_environment(environment: pytest.MonkeyPatch, data_dir: Path) -> None:
    """That of a small run in this process."""
    for name in list(os.environ):
        if name.startswith("HOLLEY_"):
            environment.delenv(name)
    for name, value in {**SMALL_RUN, "HOLLEY_DATA_DIR": str(data_dir)}.items():
        environment.setenv(name, value)


@contextlib.contextmanager
def copied(run: FinishedRun, data_dir: Path) -> Iterator[tuple[FinishedRun, dg.DagsterInstance]]:
    """A copy of a run with its event log beside ``data_dir``, for what happens in the runs after it."""
    home = data_dir.parent / "home"
    shutil.copytree(run.data_dir, data_dir)
    shutil.copytree(run.home, home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield FinishedRun(data_dir, home, ""), instance


def execute_cli(job: str, home: Path, settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a job as a person does: ``dagster job execute`` with ``DAGSTER_HOME`` set, a process a step."""
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROJECT / "dagster.yaml", home)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLLEY_")}
    return subprocess.run(
        [sys.executable, "-m", "dagster", "job", "execute", "-m", "holley_assets.definitions", "-j", job],
        cwd=PROJECT,
        env={**environment, **settings, "DAGSTER_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )


def execute_job(
    job: str = "weekly_retrain",
    *,
    instance: dg.DagsterInstance | None = None,
    only: list[str] | None = None,
    config: Mapping[str, object] | None = None,
    run_id: str | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a job, or some of its assets, in this process; ``config`` is that of its steps, by name."""
    import torch

    from holley_assets.definitions import definitions

    # As many as OMP_NUM_THREADS gives the steps of the command line: the order of sums depends on it.
    torch.set_num_threads(int(SMALL_RUN["OMP_NUM_THREADS"]))

    return definitions.resolve_job_def(job).execute_in_process(
        instance=instance or dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
        asset_selection=[dg.AssetKey(asset) for asset in only] if only else None,
        run_config={"ops": {step: {"config": values} for step, values in (config or {}).items()}},
        run_id=run_id,
    )


def all_before(*assets: str) -> list[str]:
    """``assets`` and all that ``weekly_retrain`` makes before them."""
    from holley_assets.definitions import definitions

    wanted = dg.AssetSelection.assets(*assets).upstream().required_multi_asset_neighbors().upstream()
    made = definitions.resolve_job_def("weekly_retrain").asset_layer.selected_asset_keys
    return sorted(key.to_user_string() for key in wanted.resolve(definitions.resolve_asset_graph()) & made)


def failure_of(result: dg.ExecuteInProcessResult, step: str) -> str:
    """What a person reads of a failed step."""
    (failure,) = [event for event in result.all_events if event.is_step_failure and event.step_key == step]
    data = failure.step_failure_data
    if data.user_failure_data is not None:
        return str(data.user_failure_data.description)
    return str(data.error.message if data.error else "")
