"""Job `promote`: the challenger becomes the champion, or one line says why not."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from small_run import failure_of
from tracking_world import delivery_of, evaluation_of, training_of

from holley_assets.assets.model_choice import (
    choose_checkpoint,
)
from holley_assets.automation.promotion import promote, restore_champion
from holley_assets.core.asset_keys import (
    CHAMPION_MODEL,
)
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.tracking.journal import TrackingJournal
from holley_assets.resources.tracking.model_registry import open_model_registry
from holley_assets.resources.tracking.registered_model import PromotionRefused

NOW = datetime.datetime(2026, 2, 9, tzinfo=datetime.UTC)
RESOURCE = SettingsResource()


@pytest.fixture
def instance(
    empty_mlflow_database: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dg.DagsterInstance:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    (tmp_path / "mlflow.db").write_bytes(empty_mlflow_database)
    return dg.DagsterInstance.ephemeral()


def train(run: str, day: int, *, passed: bool = True) -> None:
    """A weekly run as the journal sees it."""
    journal = TrackingJournal(RESOURCE.load(), RESOURCE.store())
    training = training_of(run, RESOURCE.store(), day)
    for record in (training, evaluation_of(training, passed=passed), delivery_of(training)):
        assert journal.record(record).problems == ()


def execute(instance: dg.DagsterInstance, **config: object) -> dg.ExecuteInProcessResult:
    who_and_why = {"by": "ada", "reason": "it won", **config}
    return promote.execute_in_process(
        run_config={"ops": {"promote_model": {"config": who_and_why}}},
        resources={"settings": RESOURCE},
        instance=instance,
        raise_on_error=False,
    )


def champion_of(instance: dg.DagsterInstance) -> str:
    """The model that a run without training scores with, and why."""
    chosen = choose_checkpoint(instance, dg.DagsterRun(job_name="daily_score"), RESOURCE.load())
    return f"{chosen.model_version}: {chosen.reason}"


def test_the_challenger_becomes_the_champion_and_scores_from_then_on(instance: dg.DagsterInstance) -> None:
    train("first", 1)
    train("second", 8)
    assert execute(instance).success
    assert champion_of(instance) == "20260208-second: the champion, version 2, promoted by ada"
    event = instance.get_latest_materialization_event(CHAMPION_MODEL)
    assert event is not None and event.asset_materialization is not None
    metadata = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert (metadata["promoted_by"], metadata["reason"]) == ("ada", "it won")
    assert metadata["artifact_path"] == "runs/second/model.pt"


def test_failed_gates_keep_the_champion_unless_forced(instance: dg.DagsterInstance) -> None:
    train("good", 1)
    assert execute(instance, version=1).success
    train("bad", 8, passed=False)
    refused = failure_of(execute(instance), "promote_model")
    assert refused.startswith("The champion stays") and "gates failed: hit_rate_at_4_cold" in refused
    assert "\n" not in refused
    assert champion_of(instance).startswith("20260201-good")
    assert execute(instance, model_version="20260208-bad", force=True, reason="SQL is down").success
    assert champion_of(instance).startswith("20260208-bad")

    store, settings = RESOURCE.store(), RESOURCE.load()
    restored = restore_champion(settings, store, by="grace", reason="complaints", now=NOW)
    assert restored.model_version == "20260201-good"
    assert champion_of(instance).startswith("20260201-good")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "there is no challenger"),
        ({"model_version": "20200101-x"}, "there is no 20200101-x"),
        ({"version": 7}, "version=7) not found"),
        ({"version": 1, "model_version": "x"}, "not both"),
    ],
)
def test_what_is_not_there_is_named(instance: dg.DagsterInstance, config: dict[str, Any], words: str) -> None:
    refused = failure_of(execute(instance, **config), "promote_model")
    assert words in refused and "\n" not in refused


@pytest.mark.parametrize("config", [{"by": ""}, {"reason": " ", "force": True}])
def test_who_and_why_are_required(instance: dg.DagsterInstance, config: dict[str, Any]) -> None:
    train("first", 1)
    assert "say" in failure_of(execute(instance, **config), "promote_model")
    assert open_model_registry(RESOURCE.load()).champion() is None


def test_a_checkpoint_that_is_not_what_was_written_is_never_promoted(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    train("first", 1)
    (tmp_path / "runs" / "first" / "model.pt").write_text("something else")
    for force in (False, True):
        assert "is not the file that run first wrote" in failure_of(
            execute(instance, force=force), "promote_model"
        )
    with pytest.raises(PromotionRefused, match="none before"):
        restore_champion(RESOURCE.load(), RESOURCE.store(), by="ada", reason="x", now=NOW)


def test_a_registry_that_is_away_keeps_the_champion_and_the_daily_run_goes_on(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("first", 1)
    assert execute(instance).success
    monkeypatch.setenv("HOLLEY_MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("HOLLEY_MLFLOW_RETRIES", "0")
    refused = failure_of(execute(instance), "promote_model")
    assert refused.startswith("The champion stays: MLflow") and "\n" not in refused
    assert champion_of(instance).startswith(
        "20260201-first: the champion by the event log, version 1: MLflow"
    )
