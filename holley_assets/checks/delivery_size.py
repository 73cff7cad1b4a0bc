"""How many customers get recommendations, against the last good delivery, in both directions."""

from __future__ import annotations

import math

import dagster as dg

from holley_assets.checks.violations import threshold_verdict
from holley_assets.core.event_log import PreviousRows

LIKE_BEFORE = "rows_are_as_many_as_in_the_last_good_delivery"


def delivery_size_spec(asset: str) -> dg.AssetCheckSpec:
    """The promise on the number of a staged table's rows; it blocks."""
    return dg.AssetCheckSpec(
        LIKE_BEFORE,
        asset=asset,
        additional_deps=["time_windows"],
        blocking=True,
        description="At least HOLLEY_CHECK_MINIMUM_ROWS_SHARE of the rows that the newest successful run on the same "
        "kind of source had; with more than before by as much a person should look, for that run may have lost some.",
    )


def check_delivery_size(
    asset: str, rows: int, previous: PreviousRows | None, minimum_share: float
) -> dg.AssetCheckResult:
    """Compare with the last good delivery: fewer rows stop the run, more are a warning.

    Args:
        asset: the staged table.
        rows: that it has.
        previous: rows to compare with, ``None`` for the first run. A failed run is none.
        minimum_share: share of ``previous`` below which the table is refused; above its reciprocal it warns.
    """
    if previous is None:
        low, high = 0.0, math.inf
        words = f"{rows:,} rows; no earlier successful run on this kind of source to compare with"
    else:
        low = minimum_share * previous.rows
        high = previous.rows / minimum_share if minimum_share else math.inf
        expected = f"from {low:,.0f} to {high:,.0f} expected"
        words = f"{rows:,} rows, {previous.rows:,} in run {previous.run_id[:8]}; {expected}"
        if rows < low:
            words += ". Where that is right, set HOLLEY_CHECK_MINIMUM_ROWS_SHARE=0 for one run"
    return threshold_verdict(
        asset=asset,
        check=LIKE_BEFORE,
        value=rows,
        low=low,
        high=high,
        description=words,
        # What a bad run delivered is no reason to keep a repaired one back.
        severity=dg.AssetCheckSeverity.ERROR if rows < low else dg.AssetCheckSeverity.WARN,
    )
