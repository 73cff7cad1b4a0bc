"""Which model scores: the one just trained, or the newest that was delivered."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

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
    delivered = {values.get(MODEL_VERSION) for _, values in _metadata(instance, DELIVERED_TABLE)}
    for run_id, values in _metadata(instance, TRAINED_CHECKPOINT):
        if run_id in lineage or values[MODEL_VERSION] in delivered:
            return ChosenModel(_reference(values), str(values[MODEL_VERSION]))
    raise dg.Failure("No model has been delivered yet: run weekly_retrain first", allow_retries=False)


def _reference(values: Mapping[str, object]) -> Reference:
    """Inverse of :func:`reference_metadata`."""
    return Reference(
        run_id=str(values["artifact_run_id"]),
        path=str(values["artifact_path"]),
        sha256=str(values["artifact_sha256"]),
        bytes=int(str(values["artifact_bytes"])),
    )


def _metadata(instance: dg.DagsterInstance, asset: dg.AssetKey) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Run and metadata of the newest materializations of an asset, newest first."""
    result = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=asset), limit=_SEARCHED)
    for record in result.records:
        if record.asset_materialization is not None:
            metadata = record.asset_materialization.metadata
            yield record.run_id, {name: value.value for name, value in metadata.items()}
