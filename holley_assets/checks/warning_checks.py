"""What a person should know and no run should stop for."""

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.checks.violations import threshold_verdict
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.evaluation.labels import LABEL_UNITS, ground_truth
from holley_assets.resources.io_manager import asset_file, read_parquet
from holley_assets.resources.settings_resource import SettingsResource

ENOUGH_CLICKS = "test_set_can_decide"
RECENT_EVENTS = "events_reach_the_test_window"
USUAL_COLD_SHARE = "share_of_cold_users_is_usual"


@dg.asset_check(
    name=ENOUGH_CLICKS,
    asset="test_clicks",
    additional_ins={"test_interactions": dg.AssetIn()},
    description="At least HOLLEY_EVALUATION_MINIMUM_CLICKS labels of the kind that HOLLEY_EVALUATION_LABELS "
    "names; with fewer nothing is decided.",
)
def test_set_can_decide(
    context: dg.AssetCheckExecutionContext,
    settings: SettingsResource,
    test_clicks: pa.Table,
    test_interactions: pa.Table,
) -> dg.AssetCheckResult:
    chosen = settings.of_run(context.run).evaluation
    labels = ground_truth(chosen.labels, test_clicks, test_interactions).num_rows
    return threshold_verdict(
        asset="test_clicks",
        check=ENOUGH_CLICKS,
        value=labels,
        low=chosen.minimum_clicks,
        description=f"{labels:,} test {LABEL_UNITS[chosen.labels]}; at least {chosen.minimum_clicks:,} decide",
        severity=dg.AssetCheckSeverity.WARN,
    )


@dg.asset_check(
    name=RECENT_EVENTS,
    asset="interaction_events",
    additional_ins={"time_windows": dg.AssetIn()},
    description="The newest event is not before the cutoff; an older one means a late upstream table, or a "
    "day in HOLLEY_AS_OF that the data does not reach.",
)
def events_reach_the_test_window(settings: SettingsResource, time_windows: pa.Table) -> dg.AssetCheckResult:
    path = settings.store().local_path(asset_file(dg.AssetKey("interaction_events")))
    newest = pc.max(read_parquet(path, columns=["event_date"])["event_date"]).as_py()
    windows = TimeWindows.from_table(time_windows)
    found = (
        f"the newest event is of {newest}" if newest else f"there is no event since {windows.intent_start}"
    )
    return dg.AssetCheckResult(
        passed=newest is not None and newest >= windows.cutoff,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{found}; the run's day is {windows.as_of}, the cutoff {windows.cutoff}",
        metadata={"newest_event": str(newest)},
    )


@dg.asset_check(
    name=USUAL_COLD_SHARE,
    asset="user_nodes",
    description="The share of users without any interaction lies between HOLLEY_CHECK_COLD_SHARE_LOW and "
    "HOLLEY_CHECK_COLD_SHARE_HIGH; outside, events may be missing or doubled.",
)
def share_of_cold_users_is_usual(
    context: dg.AssetCheckExecutionContext, settings: SettingsResource, user_nodes: pa.Table
) -> dg.AssetCheckResult:
    chosen = settings.of_run(context.run).checks
    cold = pc.sum(pc.equal(user_nodes["engagement_tier"].cast(pa.string()), "cold")).as_py() or 0
    share = cold / user_nodes.num_rows if user_nodes.num_rows else float("nan")
    return threshold_verdict(
        asset="user_nodes",
        check=USUAL_COLD_SHARE,
        value=share,
        low=chosen.cold_share_low,
        high=chosen.cold_share_high,
        description=f"{share:.1%} of {user_nodes.num_rows:,} users are cold as of the cutoff; "
        f"{chosen.cold_share_low:.1%} to {chosen.cold_share_high:.1%} is usual",
        severity=dg.AssetCheckSeverity.WARN,
    )
