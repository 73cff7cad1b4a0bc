"""Versions, challenger, champion: what may be promoted, what may not, and the way back."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from holley_assets.resources.storage.artifacts import Reference
from holley_assets.resources.tracking.model_registry import ModelRegistry
from holley_assets.resources.tracking.registered_model import PromotionRefused, RegisteredModel
from holley_assets.settings import TrackingSettings

NOW = datetime.datetime(2026, 2, 2, 9, 30, tzinfo=datetime.UTC)
GATES = {"hit_rate_at_4_cold": True, "mrr_cold": True}


@pytest.fixture
def registry(empty_mlflow_database: bytes, tmp_path: Path) -> ModelRegistry:
    path = tmp_path / "mlflow.db"
    path.write_bytes(empty_mlflow_database)
    return ModelRegistry(f"sqlite:///{path}", TrackingSettings(), "sample")


def reference(run: str, digest: str = "0" * 64) -> Reference:
    return Reference(run, f"runs/{run}/model.pt", digest, 7)


def trained(
    registry: ModelRegistry,
    run: str,
    day: int = 1,
    digest: str = "0" * 64,
    learnt_from: dict[str, str] | None = None,
) -> RegisteredModel:
    return registry.register(
        mlflow_run="m" * 32,
        dagster_run_id=run,
        model_version=f"weights-of-{run}",
        reference=reference(run, digest),
        as_of=datetime.date(2026, 2, day),
        metrics={"best_validation_mrr": 0.25, "nodes.user": 1000},
        learnt_from=learnt_from,
    )


def passed(registry: ModelRegistry, run: str, day: int = 1) -> RegisteredModel:
    version = trained(registry, run, day).version
    registry.record_evaluation(version, metrics={"lift": 0.1}, outcome="clear_win", gates=GATES)
    return registry.mark_challenger(version)


def promote(
    registry: ModelRegistry, version: int, *, reason: str = "it won", forced: bool = False
) -> RegisteredModel:
    return registry.promote(version, by="ada", reason=reason, forced=forced, now=NOW)


def test_a_training_is_one_version_however_often_its_step_runs(registry: ModelRegistry) -> None:
    first = trained(registry, "run-1")
    again = trained(registry, "run-1", digest="1" * 64)
    assert (first.version, again.version) == (1, 1)
    assert again.reference == reference("run-1", "1" * 64), "what is loaded is what was written last"
    assert trained(registry, "run-2").version == 2
    assert registry.by_model_version("weights-of-run-1") == again
    assert registry.by_model_version("weights-of-run-2") == registry.get(2)
    assert registry.by_model_version("weights-of-nobody") is None


def test_a_version_is_known_once_it_is_evaluated_and_passed_its_checks(registry: ModelRegistry) -> None:
    version = trained(registry, "run-1").version
    assert (registry.get(version).outcome, registry.get(version).gates_passed) == (None, None)
    gates = {**GATES, "mrr_overall": False}
    registry.record_evaluation(version, metrics={"hit_rate@4": 0.3}, outcome="marginal", gates=gates)
    found = registry.mark_challenger(version)
    assert found == registry.challenger()
    assert (found.outcome, found.gates_passed, found.checks_passed) == ("marginal", False, True)
    assert found.failed_gates == ("mrr_overall",)
    assert registry.champion() is None


def test_the_challenger_is_the_newest_that_passed_however_late_an_older_one_is_noted(
    registry: ModelRegistry,
) -> None:
    old, new = trained(registry, "old", day=1), trained(registry, "new", day=8)
    backfilled = trained(registry, "backfill", day=2)
    for model in (old, new, backfilled):
        registry.mark_challenger(model.version)
    challenger = registry.challenger()
    assert challenger is not None and challenger.version == new.version
    assert registry.get(backfilled.version).checks_passed


def test_promotion_notes_who_when_and_why(registry: ModelRegistry) -> None:
    version = passed(registry, "run-1").version
    promoted = promote(registry, version)
    assert promoted == registry.champion()
    assert (promoted.promoted_by, promoted.promoted_at, promoted.promotion_reason) == ("ada", NOW, "it won")
    assert promote(registry, version, reason="again") == promoted, "a second try changes nothing"


def test_what_speaks_against_a_model_is_said_in_one_line(registry: ModelRegistry) -> None:
    champion = passed(registry, "champion", day=8)
    promote(registry, champion.version)
    failed = trained(registry, "failed", day=9).version
    registry.record_evaluation(failed, metrics={}, outcome="worse", gates={**GATES, "mrr_cold": False})
    registry.mark_challenger(failed)
    expected = {
        trained(registry, "raw", day=9).version: ["checks did not all pass", "never evaluated"],
        failed: ["gates failed: mrr_cold", "worse"],
        passed(registry, "backfill", day=2).version: ["older than the champion, version 1"],
    }
    for version, words in expected.items():
        with pytest.raises(PromotionRefused) as refused:
            promote(registry, version)
        assert all(word in str(refused.value) for word in words), str(refused.value)
        assert "\n" not in str(refused.value)
    assert registry.champion() == registry.get(champion.version)


@pytest.mark.parametrize(("by", "reason"), [("ada", " "), ("", "it won")])
def test_nobody_promotes_without_a_name_and_a_reason(registry: ModelRegistry, by: str, reason: str) -> None:
    version = trained(registry, "run-1").version
    with pytest.raises(PromotionRefused, match="say"):
        registry.promote(version, by=by, reason=reason, forced=True, now=NOW)
    assert registry.champion() is None


def test_force_overrules_and_is_kept(registry: ModelRegistry) -> None:
    version = trained(registry, "run-1").version
    promoted = promote(registry, version, reason="the SQL pipeline is down", forced=True)
    assert promoted == registry.champion()
    tags = registry._client.get_model_version("holley-gnn", str(version)).tags
    assert "never evaluated" in tags["overruled"]
    assert tags["promotion_reason"] == "the SQL pipeline is down"


def test_the_way_back_goes_through_every_champion_there_was(registry: ModelRegistry) -> None:
    versions = [passed(registry, f"run-{day}", day).version for day in (1, 2, 3)]
    for version in versions:
        promote(registry, version)
    # Forced back to an older one, which is a promotion like any other.
    promote(registry, versions[1], forced=True, reason="complaints")
    went_back = []
    for _ in range(2):
        restored = registry.restore_previous_champion(by="grace", reason="worse mail", now=NOW)
        assert restored == registry.champion() and restored.promoted_by == "grace"
        went_back.append(restored.version)
    assert went_back == [versions[2], versions[0]], "what was rolled back once is passed over"
    with pytest.raises(PromotionRefused, match="there was none before"):
        registry.restore_previous_champion(by="grace", reason="worse mail", now=NOW)
    tags = registry._client.get_model_version("holley-gnn", str(versions[2])).tags
    assert tags["withdrawal_reason"] == "worse mail"
    with pytest.raises(PromotionRefused, match="grace rolled it back: worse mail"):
        promote(registry, versions[2])
    again = promote(registry, versions[2], forced=True, reason="it was the mail")
    assert again == registry.champion() and again.withdrawn_by is None


@pytest.mark.parametrize("outcome", ["marginal", "neutral", "worse", "inconclusive"])
def test_without_force_only_a_clear_win_is_promoted(registry: ModelRegistry, outcome: str) -> None:
    version = trained(registry, "run-1").version
    registry.record_evaluation(version, metrics={}, outcome=outcome, gates=GATES)
    registry.mark_challenger(version)
    with pytest.raises(
        PromotionRefused, match=f"its outcome is {outcome}, and without force only a clear_win"
    ):
        promote(registry, version)
    assert registry.champion() is None
    forced = promote(registry, version, forced=True, reason="we know why")
    tags = registry._client.get_model_version("holley-gnn", str(forced.version)).tags
    assert outcome in tags["overruled"] and tags["promotion_reason"] == "we know why"


@pytest.mark.parametrize("source", ["parquet", "bigquery"])
def test_what_learnt_from_a_sample_never_serves_real_customers(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    learnt_from = {
        "source": "sample",
        "source_kind": "sample segment-2000-users",
        "window": "from x to before y",
    }
    model = trained(registry, "sampled", learnt_from=learnt_from)
    assert (model.source, model.source_kind, model.window) == tuple(learnt_from.values())
    promote(registry, model.version, forced=True, reason="a demonstration")
    assert registry.champion() is not None, "it serves customers of a sample"
    monkeypatch.setattr(registry, "_source", source)
    for forced in (False, True):
        with pytest.raises(PromotionRefused, match=r"learnt from a sample \(sample segment-2000-users\)"):
            promote(registry, model.version, forced=forced, reason="trust me")
    assert registry.champion() is None
    real = trained(registry, "real", learnt_from={**learnt_from, "source": source})
    assert promote(registry, real.version, forced=True, reason="ours") == registry.champion()


def test_a_promotion_that_was_cut_off_never_was(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (passed(registry, f"run-{day}", day).version for day in (1, 2, 3))
    promote(registry, first)
    promote(registry, second)
    with monkeypatch.context() as killed:
        killed.setattr(type(registry._client), "set_registered_model_alias", _die)
        with pytest.raises(KeyboardInterrupt):
            promote(registry, third)
        champion = registry.champion()
        assert champion is not None and champion.version == second
        with pytest.raises(KeyboardInterrupt):
            registry.restore_previous_champion(by="grace", reason="worse", now=NOW)
    champion = registry.champion()
    assert champion is not None and champion.version == first, "a rollback counts from its decision on"
    restored = registry.restore_previous_champion(by="grace", reason="worse", now=NOW)
    assert restored.version == first


def _die(*_: object) -> None:
    raise KeyboardInterrupt
