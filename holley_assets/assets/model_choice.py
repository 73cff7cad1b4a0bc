"""Which model scores: the one just trained, or the newest that was delivered."""

from __future__ import annotations

import dataclasses

import dagster as dg

from holley_assets.resources.artifact_store import Reference
from holley_assets.resources.settings_resource import run_lineage

TRAINED_CHECKPOINT = dg.AssetKey("trained_checkpoint")
DELIVERED_TABLE = dg.AssetKey("recommendations_table")
MODEL_VERSION = "model_version"
# Trainings and deliveries that are searched, newest first: a year of either.
_SEARCHED = 200


@dataclasses.dataclass(frozen=True)
class ChosenModel:
    """A checkpoint and its version."""

    reference: Reference
    model_version: str


def reference_metadata(reference: Reference) -> dict[str, str | int]:
    """A reference as it stands on a materialization."""
    return {f"artifact_{name}": value for name, value in dataclasses.asdict(reference).items()}


def choose_checkpoint(instance: dg.DagsterInstance, run: dg.DagsterRun) -> ChosenModel:
    """The model that ``run`` trained, else the newest that made a delivered table.

    A table is delivered only when every blocking check passed, so that a model of a failed run is never
    chosen by another.

    Raises:
        dg.Failure: there is no such model yet.
    """
    lineage = set(run_lineage(run))
    delivered = {
        version.value
        for record in _materializations(instance, DELIVERED_TABLE)
        if record.asset_materialization
        and (version := record.asset_materialization.metadata.get(MODEL_VERSION)) is not None
    }
    for record in _materializations(instance, TRAINED_CHECKPOINT):
        if record.asset_materialization is None:
            continue
        metadata = record.asset_materialization.metadata
        version = str(metadata[MODEL_VERSION].value)
        if record.run_id in lineage or version in delivered:
            values = {
                field.name: metadata[f"artifact_{field.name}"].value
                for field in dataclasses.fields(Reference)
            }
            return ChosenModel(Reference(**values), version)
    raise dg.Failure("No model has been delivered yet: run weekly_retrain first", allow_retries=False)


def _materializations(instance: dg.DagsterInstance, asset: dg.AssetKey) -> list[dg.EventLogRecord]:
    return list(
        instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=asset), limit=_SEARCHED).records
    )
