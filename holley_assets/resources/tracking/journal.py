"""What MLflow has not taken yet is written down first, so that a server that is away loses nothing.

A record becomes a file in the store before it is sent, and the file goes once MLflow has it. Every later run
sends what is left, oldest first. Sending is repeatable: what arrived before a connection broke is found again.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from pydantic import ValidationError

from holley_assets.resources.storage.artifacts import ArtifactError, ArtifactStore, Reference
from holley_assets.resources.storage.interface import FileStore, StorageError, publish_text
from holley_assets.resources.storage.side_files import DamagedFileError, read_sealed, sealed, set_aside
from holley_assets.resources.tracking.mlflow_store import TrackingError, TrackingRefusedError
from holley_assets.resources.tracking.model_registry import ModelRegistry, open_model_registry
from holley_assets.resources.tracking.records import (
    AnyRecord,
    DeliveryRecord,
    ReadoutRecord,
    TrainingRecord,
    read_record,
)
from holley_assets.resources.tracking.tracking import Tracker
from holley_assets.settings import Settings
from holley_assets.texts import for_log

PENDING = "tracking/pending/"
REFUSED = "tracking/refused/"


@dataclasses.dataclass(frozen=True)
class Receipt:
    """What became of records that were to be sent.

    Attributes:
        mlflow_run: MLflow run of the last training or evaluation that was sent.
        version: its version in the model registry.
        waiting: records that MLflow does not have yet.
        problems: why, a line each.
    """

    mlflow_run: str | None = None
    version: int | None = None
    waiting: int = 0
    problems: tuple[str, ...] = ()

    @property
    def metadata(self) -> dict[str, str | int]:
        """What an asset shows of it."""
        found = {
            "mlflow_run": self.mlflow_run,
            "registered_version": self.version,
            "tracking_waiting": self.waiting,
            "tracking_problem": "; ".join(self.problems) or None,
        }
        return {name: value for name, value in found.items() if value is not None}

    @property
    def warning(self) -> str | None:
        """One line for the log; ``None`` where everything arrived."""
        if not self.problems:
            return None
        kept = (
            f"{self.waiting} records wait and are sent by the next run" if self.waiting else "nothing waits"
        )
        return f"Tracking is incomplete, {kept}: {'; '.join(self.problems)}"


class TrackingJournal:
    """Records on their way to MLflow.

    Args:
        settings: the run's; they name the server.
        store: where records wait, and where the files are that go with them.
    """

    def __init__(self, settings: Settings, store: FileStore) -> None:
        self._settings = settings
        self._store = store

    def record(self, record: AnyRecord) -> Receipt:
        """Write ``record`` down, then send it and everything that still waits.

        Never fails, neither for MLflow's sake nor for that of the files: what a run has published is on record whether
        or not MLflow hears of it.
        """
        try:
            self._keep(record)
        except (StorageError, OSError) as error:
            return _with_problem(Receipt(), f"a record of kind {record.kind} is lost: {for_log(str(error))}")
        return self.send()

    def _keep(self, record: AnyRecord) -> None:
        name = f"{record.dagster_run_id}-{record.kind}.json"
        for earlier in self._store.keys(PENDING):
            # A step that is tried again replaces what it had to say.
            if earlier.endswith(name):
                self._store.delete(earlier)
        self._write(f"{PENDING}{record.written_at:%Y%m%dT%H%M%S%f}-{name}", record)

    def send(self) -> Receipt:
        """Send what waits, oldest first, until MLflow does not answer. A damaged record is set aside. Never fails."""
        try:
            return self._send()
        except (StorageError, OSError) as error:
            return _with_problem(Receipt(), f"records that wait cannot be read: {for_log(str(error))}")

    def _send(self) -> Receipt:
        receipt = Receipt()
        waiting = sorted(self._store.keys(PENDING))
        connection = _Connection(self._settings, self._store)
        for sent, key in enumerate(waiting):
            try:
                record = read_record(json.dumps(read_sealed(self._store.local_path(key))))
            except FileNotFoundError:
                # Another step of the run sends what waits, too, and was quicker.
                continue
            except (DamagedFileError, ValidationError) as error:
                # A validation error quotes the record; its kind is enough.
                reason = error if isinstance(error, DamagedFileError) else "it is no record"
                receipt = _with_problem(receipt, set_aside(self._store, key, reason))
                continue
            try:
                mlflow_run, version = connection.send(record)
            except TrackingRefusedError as error:
                self._write(key.replace(PENDING, REFUSED), record)
                receipt = _with_problem(receipt, f"{error} (kept as {key.replace(PENDING, REFUSED)})")
            except TrackingError as error:
                return dataclasses.replace(_with_problem(receipt, str(error)), waiting=len(waiting) - sent)
            else:
                receipt = dataclasses.replace(
                    receipt,
                    mlflow_run=mlflow_run or receipt.mlflow_run,
                    version=version or receipt.version,
                )
            self._store.delete(key)
        return receipt

    def _write(self, key: str, record: AnyRecord) -> None:
        publish_text(self._store, key, sealed(json.loads(record.model_dump_json())))


class _Connection:
    """Tracker and registry, opened with the first record that needs them."""

    def __init__(self, settings: Settings, store: FileStore) -> None:
        self._settings = settings
        self._artifacts = ArtifactStore(store, run_id="")
        self._tracker: Tracker | None = None
        self._registry: ModelRegistry | None = None

    def send(self, record: AnyRecord) -> tuple[str | None, int | None]:
        """MLflow run and registered version that ``record`` went to; a readout is of no version.

        Raises:
            TrackingRefusedError: it can never be sent.
            TrackingError: it cannot be sent now.
        """
        self._tracker = self._tracker or Tracker(self._settings)
        if isinstance(record, ReadoutRecord):
            files = [self._locate(reference) for reference in record.artifacts]
            return self._tracker.record_readout(record, files), None
        self._registry = self._registry or open_model_registry(self._settings)
        if isinstance(record, TrainingRecord):
            trained = self._tracker.record_training(record, self._locate(record.checkpoint))
            model = self._registry.register(
                mlflow_run=trained,
                dagster_run_id=record.dagster_run_id,
                model_version=record.model_version,
                reference=record.checkpoint,
                as_of=record.as_of,
                metrics=record.statistics,
                started_from=record.started_from,
                learnt_from=record.learnt_from,
            )
            return trained, model.version
        found = self._registry.by_model_version(record.model_version)
        if found is None:
            raise TrackingRefusedError(f"MLflow: no version of the registry is model {record.model_version}")
        if isinstance(record, DeliveryRecord):
            return None, self._registry.mark_challenger(found.version).version
        mlflow_run = self._tracker.record_evaluation(
            record, [self._locate(reference) for reference in record.artifacts]
        )
        self._registry.record_evaluation(
            found.version, metrics=record.headline, outcome=record.outcome, gates=record.gates
        )
        return mlflow_run, found.version

    def _locate(self, reference: Reference) -> Path:
        try:
            return self._artifacts.locate(reference)
        except ArtifactError as error:
            raise TrackingRefusedError(f"MLflow has no use for a record without its file: {error}") from error
        except StorageError as error:
            raise TrackingError(f"a file for MLflow: {error}") from error


def _with_problem(receipt: Receipt, problem: str) -> Receipt:
    return dataclasses.replace(receipt, problems=(*receipt.problems, problem))
