"""Nobody publishes around the checks: what the event log says about a materialization."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from holley_assets.checks.lineage import blocking_checks_upstream
from holley_assets.checks.provenance import other_day, other_rules
from holley_assets.checks.staged_table import STAGED_FINGERPRINT, STAGED_TABLE, judged_table
from holley_assets.checks.verdicts import unproven
from holley_assets.core.event_log import (
    PreviousRows,
    newest_evaluation,
    newest_materialization,
    previous_rows,
)
from holley_assets.core.materialized import Materialized
from holley_assets.settings import Settings, load_settings

PROMISE = dg.AssetCheckKey(dg.AssetKey("staged"), "promise")
verdicts: list[bool] = []
severities = [dg.AssetCheckSeverity.ERROR]


@dg.asset
def staged() -> Materialized:
    return dg.MaterializeResult(
        metadata={"source_kind": "parquet", "dagster/row_count": 7, "as_of": "2026-02-01"}
    )


@dg.asset_check(asset=staged, blocking=True)
def promise() -> dg.AssetCheckResult:
    metadata = {"as_of": "2026-02-01", STAGED_TABLE: "staged_abc", STAGED_FINGERPRINT: "7 rows, 12"}
    return dg.AssetCheckResult(passed=verdicts[-1], severity=severities[-1], metadata=metadata)


@dg.asset
def settings_are_right() -> None:
    raise dg.Failure("a dataset does not exist")


@dg.asset(key="staged", deps=[settings_are_right])
def staged_by_a_whole_job() -> None: ...


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def run(
    instance: dg.DagsterInstance,
    *definitions: dg.AssetsDefinition | dg.AssetChecksDefinition,
    passed: bool = True,
) -> None:
    verdicts.append(passed)
    dg.materialize(list(definitions), instance=instance, raise_on_error=False)


def test_what_was_never_made_or_never_checked_is_unproven(instance: dg.DagsterInstance) -> None:
    assert unproven(instance, [PROMISE]) == [
        "staged: promise has nothing to judge: the asset was never materialized"
    ]
    run(instance, staged)
    assert unproven(instance, [PROMISE]) == ["staged: promise has not run"]


def test_a_verdict_holds_for_the_data_that_it_judged(instance: dg.DagsterInstance) -> None:
    run(instance, staged, promise)
    assert unproven(instance, [PROMISE]) == []
    run(instance, staged)
    assert unproven(instance, [PROMISE]) == ["staged: promise has not run on the newest data"]


def test_a_run_that_ends_before_it_judges_anything_hides_no_verdict(instance: dg.DagsterInstance) -> None:
    run(instance, staged, promise)
    judged = instance.get_latest_asset_check_evaluation_record(PROMISE)
    run(instance, settings_are_right, staged_by_a_whole_job, promise, passed=False)
    planned = instance.get_latest_asset_check_evaluation_record(PROMISE)
    assert judged is not None and planned is not None and planned.run_id != judged.run_id
    assert not isinstance(planned.evaluation, dg.AssetCheckEvaluation), "the second run planned the check"
    # What it had said of the same rows holds: of what run, of what day, by what settings, of what table.
    assert unproven(instance, [PROMISE]) == []
    newest = newest_evaluation(instance, PROMISE)
    assert newest is not None and newest.run_id == judged.run_id and newest.evaluation.passed
    made = newest_materialization(instance, PROMISE.asset_key)
    assert made is not None
    assert other_day(instance, [PROMISE], made, "2026-02-01") == []
    assert len(other_day(instance, [PROMISE], made, "2026-02-02")) == 2
    table = judged_table(instance, [PROMISE])
    assert table is not None and (table.name, table.fingerprint) == ("staged_abc", "7 rows, 12")
    asked: list[str] = []

    def frozen(of: dg.DagsterRun) -> Settings:
        asked.append(of.run_id)
        return load_settings()

    assert other_rules(instance, [PROMISE], frozen, load_settings()) == []
    assert asked == [judged.run_id]
    # Nor does it hide a verdict that refuses, nor that rows were never judged.
    run(instance, staged, promise, passed=False)
    run(instance, settings_are_right, staged_by_a_whole_job, promise)
    assert unproven(instance, [PROMISE]) == ["staged: promise failed"]
    run(instance, staged)
    run(instance, settings_are_right, staged_by_a_whole_job, promise)
    assert unproven(instance, [PROMISE]) == ["staged: promise has not run on the newest data"]


def test_a_failed_check_is_named_until_it_passes(instance: dg.DagsterInstance) -> None:
    run(instance, staged, promise, passed=False)
    assert unproven(instance, [PROMISE]) == ["staged: promise failed"]
    run(instance, staged, promise)
    assert unproven(instance, [PROMISE]) == []


def test_a_warning_keeps_nothing_back(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.severities", [dg.AssetCheckSeverity.WARN])
    run(instance, staged, promise, passed=False)
    assert unproven(instance, [PROMISE]) == []


def test_rows_are_compared_with_successful_runs_on_the_same_kind_of_source(
    instance: dg.DagsterInstance,
) -> None:
    assert previous_rows(instance, "staged", "parquet") is None
    run(instance, staged, promise, passed=False)
    assert previous_rows(instance, "staged", "parquet") is None, "a failed run is no yardstick"
    run(instance, staged, promise)
    found = previous_rows(instance, "staged", "parquet")
    assert isinstance(found, PreviousRows) and found.rows == 7
    assert previous_rows(instance, "staged", "sample segment-300-users") is None


def test_checks_upstream_are_those_that_block_on_the_way() -> None:
    @dg.asset(check_specs=[dg.AssetCheckSpec("sound", asset="source", blocking=True)])
    def source() -> Materialized:
        return dg.MaterializeResult()

    @dg.asset(deps=[source], check_specs=[dg.AssetCheckSpec("usual", asset="middle")])
    def middle() -> Materialized:
        return dg.MaterializeResult()

    @dg.asset(deps=[middle], check_specs=[dg.AssetCheckSpec("whole", asset="product", blocking=True)])
    def product() -> Materialized:
        return dg.MaterializeResult()

    @dg.asset(deps=[product], check_specs=[dg.AssetCheckSpec("later", asset="after", blocking=True)])
    def after() -> Materialized:
        return dg.MaterializeResult()

    found = blocking_checks_upstream(dg.AssetKey("product"), [source, middle, product, after], [])
    assert [check.to_user_string() for check in found] == ["product:whole", "source:sound"]
