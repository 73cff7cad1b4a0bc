"""Rows against the last good delivery: at each limit, and on both sides of it."""

from __future__ import annotations

import dagster as dg
import pytest

from holley_assets.checks.delivery_size import check_delivery_size, delivery_size_spec
from holley_assets.core.event_log import PreviousRows

BEFORE = PreviousRows("0123456789", 1000)


@pytest.mark.parametrize(
    ("rows", "previous", "share", "passed", "stops"),
    [
        (1000, BEFORE, 0.8, True, False),
        (800, BEFORE, 0.8, True, False),
        (799, BEFORE, 0.8, False, True),
        (0, BEFORE, 0.8, False, True),
        (1250, BEFORE, 0.8, True, False),
        # The run before was the bad one: the repaired delivery goes out, and says so.
        (1251, BEFORE, 0.8, False, False),
        (0, BEFORE, 0.0, True, False),
        (10**9, BEFORE, 0.0, True, False),
        (5, None, 0.8, True, False),
    ],
)
def test_fewer_rows_stop_and_more_rows_warn(
    rows: int, previous: PreviousRows | None, share: float, passed: bool, stops: bool
) -> None:
    result = check_delivery_size("recommendations", rows, previous, share)
    assert result.passed == passed
    assert (not passed and result.severity is dg.AssetCheckSeverity.ERROR) == stops
    assert ("HOLLEY_CHECK_MINIMUM_ROWS_SHARE=0" in str(result.description)) == stops
    assert f"{rows:,} rows" in str(result.description)


def test_it_names_the_run_and_what_it_expects() -> None:
    words = str(check_delivery_size("recommendations", 10, BEFORE, 0.8).description)
    assert words.startswith("10 rows, 1,000 in run 01234567; from 800 to 1,250 expected. Where")
    assert delivery_size_spec("recommendations").blocking
