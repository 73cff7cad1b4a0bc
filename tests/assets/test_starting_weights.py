"""A training starts from the champion, and every few weeks from nothing; the run says which."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping

import dagster as dg
import pytest
from small_run import FinishedRun, execute_job

from holley_assets.assets.starting_weights import (
    StartingWeights,
    choose_starting_weights,
)
from holley_assets.core.asset_keys import (
    TRAINED_CHECKPOINT,
)
from holley_assets.core.tags import (
    FULL_REBUILD_TAG,
    STARTED_FROM_TAG,
)
from holley_assets.pipeline.options import training_options
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.artifacts import ArtifactStore
from holley_assets.resources.tracking.model_registry import open_model_registry
from holley_assets.resources.tracking.registered_model import RegisteredModel

RESOURCE = SettingsResource()
DAY = datetime.date(2026, 2, 1)


def promote_the_only_version() -> RegisteredModel:
    return open_model_registry(RESOURCE.load()).promote(
        1, by="ada", reason="a test", forced=True, now=datetime.datetime.now(datetime.UTC)
    )


def choose(
    as_of: datetime.date = DAY, hops: int | None = None, tags: Mapping[str, str] | None = None
) -> StartingWeights:
    settings = RESOURCE.load()
    shape, _ = training_options(settings)
    if hops is not None:
        shape = dataclasses.replace(shape, hops=hops)
    return choose_starting_weights(
        settings, shape, ArtifactStore(RESOURCE.store(), "later"), as_of=as_of, tags=tags or {}
    )


def trained(instance: dg.DagsterInstance) -> dict[str, object]:
    event = instance.get_latest_materialization_event(TRAINED_CHECKPOINT)
    assert event is not None and event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def test_the_next_training_starts_from_the_champion_and_says_so(
    continued_run: tuple[FinishedRun, dg.DagsterInstance],
) -> None:
    _, instance = continued_run
    assert trained(instance)["started_from"] == "nothing"
    champion = promote_the_only_version()
    result = execute_job(instance=instance, only=["trained_checkpoint"])
    assert result.success
    found = trained(instance)
    assert found["started_from"] == f"champion, version 1 ({champion.model_version})"
    assert int(str(found["warm_start_weights"])) > 0
    assert result.dagster_run.run_id in {run.run_id for run in instance.get_runs()}
    run = instance.get_run_by_id(result.run_id)
    assert run is not None and run.tags[STARTED_FROM_TAG] == found["started_from"]
    newest = open_model_registry(RESOURCE.load()).by_model_version(str(found["model_version"]))
    assert newest is not None and newest.started_from == found["started_from"]


def test_a_training_goes_on_without_its_tracking_server(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, instance = continued_run
    monkeypatch.setenv("HOLLEY_MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("HOLLEY_MLFLOW_RETRIES", "0")
    assert execute_job(instance=instance, only=["trained_checkpoint"]).success
    found = trained(instance)
    assert str(found["started_from_reason"]).startswith("the champion cannot be had: MLflow")
    assert found["tracking_waiting"] == 1 and "tracking_problem" in found


def test_why_a_training_starts_from_nothing(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = continued_run
    assert choose().reason == "no model was ever promoted"
    champion = promote_the_only_version()
    assert choose().checkpoint is not None
    reasons = {
        "full rebuild: tag": choose(tags={FULL_REBUILD_TAG: "true"}),
        "full rebuild, every 28 days: the last one was as of 2026-02-01": choose(
            DAY + datetime.timedelta(days=28)
        ),
        "after this run's day": choose(DAY - datetime.timedelta(days=1)),
        "a network of another shape": choose(hops=1),
    }
    checkpoint = run.data_dir / champion.reference.path
    monkeypatch.setenv("HOLLEY_TRAINING_WARM_START", str(checkpoint))
    assert choose(tags={FULL_REBUILD_TAG: "true"}).started_from == "model.pt", (
        "what somebody names comes first"
    )
    monkeypatch.delenv("HOLLEY_TRAINING_WARM_START")
    checkpoint.write_bytes(b"something else")
    reasons["the champion cannot be had"] = choose()
    for words, chosen in reasons.items():
        assert words in chosen.reason
        assert (chosen.checkpoint, chosen.started_from) == (None, None)
