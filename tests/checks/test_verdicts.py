"""Nobody publishes around the checks: what the event log says about a materialization."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from holley_assets.checks.lineage import blocking_checks_upstream
from holley_assets.checks.verdicts import unproven
from holley_assets.core.event_log import (
    PreviousRows,
    previous_rows,
)

PROMISE = dg.AssetCheckKey(dg.AssetKey("staged"), "promise")
verdicts: list[bool] = []
severities = [dg.AssetCheckSeverity.ERROR]


@dg.asset
def staged() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"source_kind": "parquet", "dagster/row_count": 7})


@dg.asset_check(asset=staged, blocking=True)
def promise() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=verdicts[-1], severity=severities[-1])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def run(instance: dg.DagsterInstance, *definitions: object, passed: bool = True) -> None:
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
    def source() -> dg.MaterializeResult: ...

    @dg.asset(deps=[source], check_specs=[dg.AssetCheckSpec("usual", asset="middle")])
    def middle() -> dg.MaterializeResult: ...

    @dg.asset(deps=[middle], check_specs=[dg.AssetCheckSpec("whole", asset="product", blocking=True)])
    def product() -> dg.MaterializeResult: ...

    @dg.asset(deps=[product], check_specs=[dg.AssetCheckSpec("later", asset="after", blocking=True)])
    def after() -> dg.MaterializeResult: ...

    found = blocking_checks_upstream(dg.AssetKey("product"), [source, middle, product, after], [])
    assert [check.to_user_string() for check in found] == ["product:whole", "source:sound"]
