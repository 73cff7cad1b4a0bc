"""MLflow: one run a training, found again by the Dagster run that it belongs to.

Everything about a training is written after it, in a few calls, so that a slow tracking server cannot slow
down an epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from holley_assets.resources.mlflow_store import as_tracking_errors, open_client, store_uri
from holley_assets.settings import Settings

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param

DAGSTER_RUN_TAG = "dagster_run_id"
# Limits of MLflow's log_batch, with room to spare.
_METRICS_A_CALL = 900
_PARAMETERS_A_CALL = 90
_LONGEST_PARAMETER = 5000


class Tracker:
    """Writes trainings to one MLflow experiment.

    Args:
        uri: tracking server or store.
        experiment: created when it does not exist.
        artifacts: where a new experiment keeps its artifacts; ``None`` leaves it to the server.

    Raises:
        TrackingError: from every method, where the store cannot be written.
    """

    @as_tracking_errors()
    def __init__(self, uri: str, experiment: str, artifacts: str | None = None) -> None:
        self._client = open_client(uri)
        found = self._client.get_experiment_by_name(experiment)
        self._experiment_id = (
            found.experiment_id if found else self._client.create_experiment(experiment, artifacts)
        )

    @as_tracking_errors()
    def record_training(
        self,
        dagster_run_id: str,
        *,
        parameters: Mapping[str, object],
        statistics: Mapping[str, float | int],
        curves: Sequence[Mapping[str, float | int | None]],
        artifacts: Iterable[Path],
    ) -> str:
        """Create the MLflow run of a training and return its id.

        Args:
            dagster_run_id: becomes tag ``dagster_run_id``.
            parameters: settings that shaped the training.
            statistics: numbers without a step, such as node counts and the best validation MRR.
            curves: one mapping an epoch, with its number as ``epoch``.
            artifacts: files to copy.
        """
        run = self._client.create_run(
            self._experiment_id,
            tags={DAGSTER_RUN_TAG: dagster_run_id},
            run_name=f"training-{dagster_run_id[:8]}",
        )
        run_id = str(run.info.run_id)
        status = "FAILED"
        try:
            self._log_parameters(run_id, parameters)
            metrics = _metrics(statistics, step=0)
            for row in curves:
                values = {name: value for name, value in row.items() if name != "epoch"}
                metrics += _metrics(values, step=int(row["epoch"] or 0))
            self._log_metrics(run_id, metrics)
            for path in artifacts:
                self._client.log_artifact(run_id, str(path))
            status = "FINISHED"
        finally:
            self._client.set_terminated(run_id, status)
        return run_id

    @as_tracking_errors()
    def record_evaluation(
        self,
        dagster_run_id: str,
        *,
        metrics: Mapping[str, float | int],
        tags: Mapping[str, str],
        artifacts: Iterable[Path],
    ) -> str | None:
        """Add an evaluation to the newest MLflow run of a training; ``None`` where there is no such run."""
        runs = self._client.search_runs(
            [self._experiment_id],
            filter_string=f"tags.{DAGSTER_RUN_TAG} = '{dagster_run_id}'",
            order_by=["attributes.start_time DESC"],
            max_results=1,
        )
        if not runs:
            return None
        run_id = str(runs[0].info.run_id)
        self._log_metrics(run_id, _metrics(metrics, step=0))
        for name, value in tags.items():
            self._client.set_tag(run_id, name, value)
        for path in artifacts:
            self._client.log_artifact(run_id, str(path))
        return run_id

    def _log_parameters(self, run_id: str, parameters: Mapping[str, object]) -> None:
        from mlflow.entities import Param

        entities: list[Param] = [
            Param(name, str(value)[:_LONGEST_PARAMETER]) for name, value in sorted(parameters.items())
        ]
        for start in range(0, len(entities), _PARAMETERS_A_CALL):
            self._client.log_batch(run_id, params=entities[start : start + _PARAMETERS_A_CALL])

    def _log_metrics(self, run_id: str, metrics: list[Metric]) -> None:
        for start in range(0, len(metrics), _METRICS_A_CALL):
            self._client.log_batch(run_id, metrics=metrics[start : start + _METRICS_A_CALL])


def open_tracker(settings: Settings) -> Tracker:
    """Tracker of the settings' server, or of a SQLite store under ``HOLLEY_DATA_DIR``."""
    # A new experiment in a SQLite store keeps its artifacts beside it; a server knows where.
    artifacts = None if settings.tracking.tracking_uri else settings.run.data_dir / "mlflow_artifacts"
    return Tracker(
        store_uri(settings), settings.tracking.experiment, artifacts.as_uri() if artifacts else None
    )


def flatten(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested mapping with dotted names: ``{"training": {"seed": 0}}`` → ``{"training.seed": 0}``."""
    flat: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _metrics(values: Mapping[str, float | int | None], step: int) -> list[Metric]:
    """Finite values as MLflow metrics. A name may not hold ``@``: ``hit_rate@4`` is ``hit_rate_at_4``."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [
        Metric(name.replace("@", "_at_"), float(value), now, step)
        for name, value in sorted(values.items())
        if value is not None and math.isfinite(value)
    ]
