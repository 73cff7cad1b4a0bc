"""Verdicts at, below and above each limit."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.checks.recommendation_checks import check_recommendations
from holley_assets.checks.source_watch import ROWS_WHEN_WHOLE, judge_presence
from holley_assets.checks.standing import judge_age
from holley_assets.checks.violations import threshold_verdict
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.source_looks import Look
from holley_assets.resources.warehouse.source_tables import TableDescription

NOW = datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC)
CHECK = dg.AssetCheckKey(dg.AssetKey("asset"), "check")


@pytest.mark.parametrize(
    ("value", "passes"),
    [
        (0.5, True),
        (0.49, False),
        (0.51, True),
        (0.9, True),
        (0.91, False),
        (math.nan, False),
        (math.inf, False),
    ],
)
def test_a_value_at_either_bound_passes(value: float, passes: bool) -> None:
    found = threshold_verdict(asset="a", check="c", value=value, low=0.5, high=0.9, description="")
    assert found.passed == passes
    assert {name: found.metadata[name].value for name in ("low", "high")} == {"low": 0.5, "high": 0.9}
    alone = threshold_verdict(asset="a", check="c", value=value, low=0.5, description="")
    assert "high" not in alone.metadata and alone.passed == (math.isfinite(value) and value >= 0.5)


@pytest.mark.parametrize(("seconds", "fresh"), [(-1, True), (0, True), (1, False)])
def test_exactly_at_its_limit_a_table_is_fresh(seconds: int, fresh: bool) -> None:
    """Two and a half days are allowed."""
    changed = NOW - datetime.timedelta(days=2.5, seconds=seconds)
    words = "{:.1f} days old".format
    found = judge_age(CHECK, changed, 2.5, NOW, words=words, setting="output_days")
    assert (found.passed, found.reason) == (fresh, "fresh" if fresh else "stale")
    assert found.description.startswith("2.5 days old") and ("are allowed" in found.description) == (
        not fresh
    )
    assert found.metadata == {"age_days": pytest.approx(2.5, abs=1e-3), "limit_days": 2.5}


def look(rows: int) -> Look:
    return Look(TableDescription("here", {}, rows, NOW))


@pytest.mark.parametrize(
    ("rows", "when_whole", "delivered", "passes", "following"),
    [
        (100, None, None, True, 100),
        (50, 100, None, True, 100),
        (49, 100, None, False, 100),
        (51, 100, None, True, 100),
        (101, 100, None, True, 101),
        # The rows to compare with sink only to what a delivery has read.
        (60, 100, 80, True, 80),
        (90, 100, 80, True, 90),
        (60, 100, 120, True, 100),
        (0, 0, None, True, 0),
    ],
)
def test_a_table_may_lose_half_of_its_rows_and_not_more(
    rows: int, when_whole: int | None, delivered: int | None, passes: bool, following: int
) -> None:
    found = judge_presence("table", look(rows), when_whole, delivered, minimum_share=0.5)
    assert found is not None and found.passed == passes
    assert found.metadata == {"rows": rows, ROWS_WHEN_WHOLE: following}


def test_a_table_that_is_missing_is_not_one_that_nobody_can_tell_of() -> None:
    gone = judge_presence("table", Look(problem="no such table", missing=True), 7, None, 0.5)
    assert gone is not None and not gone.passed and gone.metadata == {ROWS_WHEN_WHOLE: 7}
    assert judge_presence("table", Look(problem="silence"), 7, None, 0.5) is None


class _Counts:
    """A warehouse whose every query counts so many users."""

    def __init__(self, delivered: int, possible: int) -> None:
        self.row = {
            "users": 100,
            "users_with_enough_parts": possible,
            "users_with_recommendations": delivered,
        }

    def query_to_parquet(self, name: str, parameters: object, path: Path) -> SimpleNamespace:
        pq.write_table(pa.Table.from_pylist([self.row]), path)
        return SimpleNamespace(path=path)


@pytest.mark.parametrize(
    ("env", "delivered", "possible", "passes"),
    [
        # Local: nine tenths of those who can get any, and at least one user.
        ("local", 18, 20, True),
        ("local", 17, 20, False),
        ("local", 19, 20, True),
        ("local", 1, 0, True),
        ("local", 0, 0, False),
        # Production: so many, whoever could.
        ("prod", 30, 20, True),
        ("prod", 29, 20, False),
        ("prod", 31, 20, True),
    ],
)
def test_enough_users_get_recommendations(
    run_settings: Path, tmp_path: Path, env: str, delivered: int, possible: int, passes: bool
) -> None:
    loaded = SettingsResource().load()
    settings = loaded.model_copy(
        update={
            "run": loaded.run.model_copy(update={"env": env}),
            "checks": loaded.checks.model_copy(update={"minimum_users": 30, "minimum_users_share": 0.9}),
        }
    )
    warehouse = cast(Any, _Counts(delivered, possible))
    (found,) = check_recommendations(warehouse, {}, settings, tmp_path, rules=())
    assert found.passed == passes
    assert found.metadata["value"].value == delivered
