"""MLflow: one run a training and one a readout, found again by the Dagster run that it belongs to.

Everything about a training is written after it, in a few calls, so that a slow tracking server cannot slow
down an epoch.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from holley_assets.core.time_windows import SAMPLE_SOURCE
from holley_assets.resources.tracking.mlflow_store import (
    ARTIFACT_FOLDER,
    as_tracking_errors,
    open_client,
    store_uri,
)
from holley_assets.resources.tracking.records import (
    TRAINING_SECONDS,
    EvaluationRecord,
    ReadoutRecord,
    TrainingRecord,
)
from holley_assets.settings import Settings
from holley_assets.texts import for_mlflow_key, mask_addresses

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param

DAGSTER_RUN_TAG = "dagster_run_id"
MODEL_VERSION_TAG = "model_version"
EXPERIMENT_TAG = "experiment"
# MLflow shows it as the run's description.
_NOTE_TAG = "mlflow.note.content"
# Otherwise MLflow opens the experiment in a view for language models.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}
# Limits of MLflow's log_batch, with room to spare.
_METRICS_A_CALL = 900
_PARAMETERS_A_CALL = 90
_LONGEST_PARAMETER = 5000


class Tracker:
    """Writes trainings to one MLflow experiment. Writing a record again changes nothing.

    Args:
        settings: the run's; they name the server and the experiment, which is created when it does not exist.

    Raises:
        TrackingError: from every method, where the store cannot be written.
    """

    def __init__(self, settings: Settings) -> None:
        with as_tracking_errors():
            self._client = open_client(store_uri(settings), settings.tracking)
            name = settings.tracking.experiment
            found = self._client.get_experiment_by_name(name)
            self._experiment_id = (
                found.experiment_id
                if found
                else self._client.create_experiment(name, _artifacts(settings), _EXPERIMENT_TAGS)
            )

    @as_tracking_errors()
    def record_training(self, record: TrainingRecord, checkpoint: Path) -> str:
        """Write the MLflow run of a training and return its id.

        A run that was begun before the connection broke is gone on with: what has the same name, step, time
        and value is one metric to MLflow.
        """
        run_id = self._find(record.dagster_run_id, record.model_version)
        if run_id is None:
            made = self._client.create_run(
                self._experiment_id,
                tags={
                    DAGSTER_RUN_TAG: record.dagster_run_id,
                    MODEL_VERSION_TAG: record.model_version,
                    "as_of": record.as_of.isoformat(),
                    **record.learnt_from,
                    _NOTE_TAG: _note(record),
                },
                run_name=f"training-{record.dagster_run_id[:8]}",
                # MLflow shows the run's duration: that of the training, and not of writing this down.
                start_time=_milliseconds(record.written_at) - _length(record),
            )
            run_id = str(made.info.run_id)
        self._log_parameters(run_id, record.parameters)
        metrics = _metrics(record.statistics, record.written_at, step=0)
        for row in record.curves:
            values = {f"epoch/{name}": value for name, value in row.items() if name != "epoch"}
            metrics += _metrics(values, record.written_at, step=int(row["epoch"] or 0))
        self._log_metrics(run_id, metrics)
        self._client.log_artifact(run_id, str(checkpoint))
        self._client.set_terminated(run_id, "FINISHED", _milliseconds(record.written_at))
        return run_id

    @as_tracking_errors()
    def record_evaluation(self, record: EvaluationRecord, artifacts: Iterable[Path]) -> str | None:
        """Add an evaluation to the MLflow run of its training; ``None`` where there is no such run."""
        run_id = self._find(record.dagster_run_id, record.model_version)
        if run_id is None:
            return None
        self._log_metrics(run_id, _metrics(record.metrics, record.written_at, step=0))
        self._client.set_tag(run_id, "decision", record.outcome)
        for path in artifacts:
            self._client.log_artifact(run_id, str(path))
        return run_id

    @as_tracking_errors()
    def record_readout(self, record: ReadoutRecord, artifacts: Iterable[Path]) -> str:
        """Write the MLflow run of an experiment's readout and return its id."""
        run_id = self._find(record.dagster_run_id, record.experiment, EXPERIMENT_TAG)
        if run_id is None:
            tags = {DAGSTER_RUN_TAG: record.dagster_run_id, EXPERIMENT_TAG: record.experiment}
            name = f"readout-{record.experiment}-{record.as_of}"
            made = self._client.create_run(self._experiment_id, tags=tags, run_name=name)
            run_id = str(made.info.run_id)
        self._log_metrics(run_id, _metrics(record.metrics, record.written_at, step=0))
        self._client.set_tag(run_id, "decision", record.outcome)
        self._client.set_tag(run_id, "as_of", record.as_of.isoformat())
        for path in artifacts:
            self._client.log_artifact(run_id, str(path))
        self._client.set_terminated(run_id, "FINISHED")
        return run_id

    def _find(self, dagster_run_id: str, value: str, tag: str = MODEL_VERSION_TAG) -> str | None:
        runs = self._client.search_runs(
            [self._experiment_id],
            filter_string=f"tags.{DAGSTER_RUN_TAG} = '{dagster_run_id}' AND tags.{tag} = '{value}'",
            order_by=["attributes.start_time ASC"],
            max_results=1,
        )
        return str(runs[0].info.run_id) if runs else None

    def _log_parameters(self, run_id: str, parameters: Mapping[str, object]) -> None:
        from mlflow.entities import Param

        entities: list[Param] = [
            Param(for_mlflow_key(name), mask_addresses(str(value))[0][:_LONGEST_PARAMETER])
            for name, value in sorted(parameters.items())
        ]
        for start in range(0, len(entities), _PARAMETERS_A_CALL):
            self._client.log_batch(run_id, params=entities[start : start + _PARAMETERS_A_CALL])

    def _log_metrics(self, run_id: str, metrics: list[Metric]) -> None:
        for start in range(0, len(metrics), _METRICS_A_CALL):
            self._client.log_batch(run_id, metrics=metrics[start : start + _METRICS_A_CALL])


def _note(record: TrainingRecord) -> str:
    """What a person reads above the charts."""
    source = record.learnt_from.get("source", "a source that was not noted")
    learnt = f"Trained as of {record.as_of}, on {record.learnt_from.get('source_kind', source)}."
    if source == SAMPLE_SOURCE:
        return f"**Generated sample**: customers, clicks and orders are invented. {learnt}"
    return learnt


def _artifacts(settings: Settings) -> str | None:
    """Where a new experiment keeps its artifacts: beside a SQLite store; a server knows by itself."""
    if settings.tracking.tracking_uri:
        return None
    return (settings.run.data_dir / ARTIFACT_FOLDER).as_uri()


def _milliseconds(when: datetime.datetime) -> int:
    """Times as MLflow keeps them."""
    return int(when.timestamp() * 1000)


def _length(record: TrainingRecord) -> int:
    """Milliseconds that the training took; 0 where it does not say."""
    seconds = record.statistics.get(TRAINING_SECONDS) or 0.0
    return int(1000 * seconds)


def _metrics(
    values: Mapping[str, float | int | None], written_at: datetime.datetime, step: int
) -> list[Metric]:
    """Finite values as MLflow metrics. A name may not hold ``@``: ``hit_rate@4`` is ``hit_rate_at_4``."""
    from mlflow.entities import Metric

    milliseconds = _milliseconds(written_at)
    return [
        Metric(for_mlflow_key(name), float(value), milliseconds, step)
        for name, value in sorted(values.items())
        if value is not None and math.isfinite(value)
    ]
