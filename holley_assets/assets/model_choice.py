"""Which model scores: the one just trained, the champion, or the newest that was delivered."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import dagster as dg

from holley_assets.core.asset_keys import CHAMPION_MODEL, DELIVERED_TABLE, TRAINED_CHECKPOINT
from holley_assets.core.event_log import (
    materializations,
    run_lineage,
)
from holley_assets.core.metadata_keys import MODEL_VERSION
from holley_assets.core.time_windows import SAMPLE_SOURCE, source_of
from holley_assets.resources.storage.artifacts import Reference
from holley_assets.resources.tracking.mlflow_store import TrackingError
from holley_assets.resources.tracking.model_registry import open_model_registry
from holley_assets.settings import Settings

# Trainings and deliveries that are searched, newest first: a year of either.
_SEARCHED = 200


@dataclasses.dataclass(frozen=True)
class ChosenModel:
    """A checkpoint, its version, and why it was chosen, in words."""

    reference: Reference
    model_version: str
    reason: str


def reference_metadata(reference: Reference) -> dict[str, str | int]:
    """A reference as it stands on a materialization."""
    return {f"artifact_{name}": value for name, value in dataclasses.asdict(reference).items()}


def choose_checkpoint(instance: dg.DagsterInstance, run: dg.DagsterRun, settings: Settings) -> ChosenModel:
    """The model that ``run`` trained, else the champion, else the newest that made a delivered table.

    A table is delivered only when every blocking check passed, so that a model of a failed run is never
    chosen by another. While the registry does not answer, the champion is the one that the event log knows.

    Raises:
        dg.Failure: there is no such model yet.
    """
    for values in _trained_by(instance, run):
        return ChosenModel(_reference(values), str(values[MODEL_VERSION]), "trained in this run")
    champion, why_not = _champion(instance, settings)
    if champion is not None:
        return champion
    delivered = _delivered_versions(instance)
    for _, values in _metadata(instance, TRAINED_CHECKPOINT):
        if values[MODEL_VERSION] in delivered and _may_serve(values, settings):
            return ChosenModel(
                _reference(values), str(values[MODEL_VERSION]), f"the newest that was delivered: {why_not}"
            )
    raise dg.Failure(
        f"No model that may serve the customers of {source_of(settings.run)} was promoted or delivered yet: run "
        "weekly_retrain first",
        allow_retries=False,
    )


def is_first_delivery(instance: dg.DagsterInstance, run: dg.DagsterRun, model_version: str) -> bool:
    """Whether ``run`` trained this model, or no table was ever delivered with it."""
    trained_here = any(values[MODEL_VERSION] == model_version for values in _trained_by(instance, run))
    return trained_here or model_version not in _delivered_versions(instance)


def _trained_by(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[Mapping[str, object]]:
    lineage = set(run_lineage(run))
    return (values for run_id, values in _metadata(instance, TRAINED_CHECKPOINT) if run_id in lineage)


def _delivered_versions(instance: dg.DagsterInstance) -> set[object]:
    return {values.get(MODEL_VERSION) for _, values in _metadata(instance, DELIVERED_TABLE)}


def _champion(instance: dg.DagsterInstance, settings: Settings) -> tuple[ChosenModel | None, str]:
    """The champion; without one, why there is none."""
    try:
        model = open_model_registry(settings).champion()
    except TrackingError as error:
        for _, values in _metadata(instance, CHAMPION_MODEL):
            if not _may_serve(values, settings):
                break
            reason = f"the champion by the event log, version {values['registered_version']}: {error}"
            return ChosenModel(_reference(values), str(values[MODEL_VERSION]), reason), ""
        return None, f"no champion is known, and the registry does not answer: {error}"
    if model is None:
        return None, "no model was ever promoted"
    reason = f"the champion, version {model.version}, promoted by {model.promoted_by}"
    return ChosenModel(model.reference, model.model_version, reason), ""


def _may_serve(values: Mapping[str, object], settings: Settings) -> bool:
    """What learnt from a sample serves no real customers; who noted no source learnt before one was noted."""
    return source_of(settings.run) == SAMPLE_SOURCE or values.get("source") != SAMPLE_SOURCE


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
    for made in materializations(instance, asset, limit=_SEARCHED):
        yield made.run_id, made.metadata
