"""Records as a run writes them, in miniature."""

from __future__ import annotations

import datetime
import math

from holley_assets.evaluation.run_settings import flat
from holley_assets.resources.storage.artifacts import ArtifactStore
from holley_assets.resources.storage.interface import FileStore
from holley_assets.resources.tracking.records import (
    DeliveryRecord,
    EvaluationRecord,
    ReadoutRecord,
    TrainingRecord,
)

WRITTEN_AT = datetime.datetime(2026, 2, 1, 3, 30, tzinfo=datetime.UTC)


def training_of(run: str, store: FileStore, day: int = 1) -> TrainingRecord:
    """Training by ``run`` on data of February ``day``, with its checkpoint in ``store``."""
    return TrainingRecord(
        written_at=WRITTEN_AT,
        dagster_run_id=run,
        model_version=f"2026020{day}-{run}",
        as_of=datetime.date(2026, 2, day),
        checkpoint=ArtifactStore(store, run).publish_text(f"weights of {run}", "model.pt"),
        parameters=flat({"training": {"seed": 0, "epochs": 2}}),
        statistics={"nodes/user": 10, "density": math.nan},
        curves=[{"epoch": 1, "loss": 0.5, "mrr": None}, {"epoch": 2, "loss": 0.25, "mrr": 0.1}],
        started_from=None,
    )


def evaluation_of(training: TrainingRecord, *, passed: bool = True) -> EvaluationRecord:
    """Report on ``training``."""
    return EvaluationRecord(
        written_at=training.written_at + datetime.timedelta(minutes=1),
        dagster_run_id=training.dagster_run_id,
        model_version=training.model_version,
        outcome="clear_win" if passed else "worse",
        gates={"hit_rate_at_4_cold": passed},
        metrics={"gnn/cold.hit_rate@4": 0.2, "gnn/hot.hit_rate@4": None},
        headline={"cold_hit_rate_at_4_lift": 0.04},
        artifacts=[],
    )


def delivery_of(training: TrainingRecord) -> DeliveryRecord:
    """Delivery with the model of ``training``."""
    return DeliveryRecord(
        written_at=training.written_at + datetime.timedelta(minutes=2),
        dagster_run_id=training.dagster_run_id,
        model_version=training.model_version,
    )


def readout_of(run: str, store: FileStore) -> ReadoutRecord:
    """Readout of an experiment by ``run``, with its page in ``store``."""
    return ReadoutRecord(
        written_at=WRITTEN_AT,
        dagster_run_id=run,
        experiment="spring",
        as_of=datetime.date(2026, 2, 1),
        outcome="keep running",
        metrics={"users.graph": 10, "click_rate.relative": None, "mismatch.p_value": 0.5},
        artifacts=[ArtifactStore(store, run).publish_text("<html>", "experiment_readout.html")],
    )
