"""The page of what queries cost: hand-worked bytes and dollars, how often a job asks, and that the page is current."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.console.query_costs import (
    SIZES_FILE,
    MeasuredRun,
    QueryCost,
    current_page,
    measure_run,
    page,
    query_cost,
    read_sizes,
    times_in_jobs,
    write_sizes,
)
from holley_assets.core.time_windows import TimeWindows
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.resources.warehouse.sql_files import query_names
from holley_assets.resources.warehouse.table_sizes import TableSize, day_number
from holley_assets.settings import BigQuerySettings, ScheduleSettings, load_settings

MIB = 1 << 20
DAYS = {
    "as_of": datetime.date(2026, 2, 1),
    "cutoff": datetime.date(2026, 1, 2),
    "intent_start": datetime.date(2025, 9, 1),
}
# Half of the clicks are in the test window, a quarter before the events begin, a quarter after today.
CLICKS = TableSize(
    400,
    {
        "user_id": 40 * MIB,
        "treatment_id": 999 * MIB,
        "treatment_tracking_id": 20 * MIB,
        "interaction_type": 12 * MIB,
        "interaction_timestamp_micros": 8 * MIB,
    },
    {
        day_number(DAYS["intent_start"]) - 1: 100,
        day_number(DAYS["cutoff"]): 200,
        day_number(DAYS["as_of"]): 100,
    },
)
RUN = MeasuredRun(
    "a shop",
    DAYS,
    {
        "user_nodes": TableSize(
            9, {"email_lower": 30 * MIB, "make": 7 * MIB, "model": MIB, "year": 500 * MIB}
        ),
        "owns_edges": TableSize(9, {}),
        "treatment_interaction": CLICKS,
        "user_accounts": TableSize(9, {"user_id": 3 * MIB, "email_lower": 20 * MIB, "reason": 77 * MIB}),
        "machine_bursts": TableSize(9, {}),
    },
)


def test_a_query_costs_the_columns_that_it_reads() -> None:
    assert query_cost("owns_edges", RUN) == QueryCost(
        "owns_edges", ["user_nodes"], 38 * MIB, 38 * MIB, 38 * MIB
    )


def test_days_outside_of_the_window_cost_nothing_where_the_table_is_partitioned() -> None:
    """80 MiB of clicks, half of them in the window, and 23 MiB of accounts."""
    assert query_cost("machine_bursts", RUN) == QueryCost(
        "machine_bursts",
        ["treatment_interaction", "user_accounts"],
        40 * MIB + 23 * MIB,
        80 * MIB + 23 * MIB,
        40 * MIB + 23 * MIB,
    )


def test_a_query_over_a_table_of_unknown_size_has_no_cost() -> None:
    assert query_cost("fits_edges", RUN) is None


def test_a_month_is_its_runs_at_their_price() -> None:
    """A weekly run reads 101 MiB, one of every third day 76 MiB, and a MiB costs half a dollar."""
    sizes = {name: RUN.sizes.get(name, TableSize(1, {}, {})) for name in [*RUN.sizes, *SOURCE_TABLES]}
    counts = dict.fromkeys(query_names(), 0)
    times = {
        "weekly_retrain": {**counts, "owns_edges": 1, "machine_bursts": 1},
        "daily_score": {**counts, "owns_edges": 2},
    }
    prices = BigQuerySettings(dollars_per_tib=MIB / 2, month_budget_dollars=6_051.0)
    text = page(MeasuredRun("a shop", DAYS, sizes), times, prices, ScheduleSettings(score_every_days=3))
    assert "| `weekly_retrain` | 0.10 | 50.5000 | 4.3 | 219.58 |" in text
    assert "| `daily_score` | 0.07 | 38.0000 | 10.1 | 385.54 |" in text
    assert "| sum | | | | 605.13 |" in text
    assert (
        "The budget of a month is $6,051.00 (`HOLLEY_BIGQUERY_MONTH_BUDGET_DOLLARS`), 10 times that." in text
    )
    assert "| `owns_edges` | user_nodes | 38.0 | 38.0 | 38.0 | 19.00000 | 1 | 2 |" in text
    assert "| `treatment_interaction` | 400 | 1,079.0 | interaction_timestamp_micros | 50% |" in text
    assert "`fits_edges`" in text.partition("Not measured")[2]


def test_a_run_is_measured_as_its_queries_read_it(tmp_path: Path) -> None:
    data, sources = tmp_path / "data", tmp_path / "january"
    (data / "assets").mkdir(parents=True)
    sources.mkdir()
    windows = TimeWindows(
        DAYS["as_of"], DAYS["cutoff"], DAYS["intent_start"], source="parquet", source_location=str(sources)
    )
    pq.write_table(windows.to_table(), data / "assets" / "time_windows.parquet")
    pq.write_table(
        pa.table({"email_lower": ["a@x.com"], "make": ["FORD"]}), data / "assets" / "user_nodes.parquet"
    )
    pq.write_table(pa.table({"slot": [1, 2]}), data / "assets" / "delivered_parts.parquet")
    pq.write_table(pa.table({"loss": [0.5]}), data / "assets" / "training_losses.parquet")
    for table, source in SOURCE_TABLES.items():
        pq.write_table(
            pa.table({name: pa.array([], pa.string()) for name in source.columns}),
            sources / f"{table}.parquet",
        )
    moments = [datetime.datetime(2025, month, 15, tzinfo=datetime.UTC) for month in (7, 8, 9, 10, 11)]
    pq.write_table(
        pa.table({"Interaction_Type": ["CLICKED"] * 5, "interaction_timestamp_micros": moments}),
        sources / "treatment_interaction.parquet",
    )
    run = measure_run(data, None, load_settings())
    assert (run.source, run.days) == ("january", DAYS)
    assert run.sizes.keys() == {*SOURCE_TABLES, "user_nodes", "delivered_parts"}
    assert run.sizes["user_nodes"] == TableSize(1, {"email_lower": 9, "make": 6})
    first = day_number(DAYS["intent_start"])
    assert run.sizes["treatment_interaction"] == TableSize(
        5, {"interaction_type": 45, "interaction_timestamp_micros": 40}, {first - 1: 2, first: 3}
    )
    write_sizes(run, tmp_path / "sizes.json")
    assert read_sizes(tmp_path / "sizes.json") == run


@pytest.fixture(scope="module")
def times() -> dict[str, dict[str, int]]:
    return times_in_jobs()


@pytest.mark.parametrize(
    ("query", "weekly", "daily"),
    [
        ("fitment", 1, 1),
        ("test_clicks", 1, 0),
        # Both staged tables, that of the graph and the mixed one, are judged.
        ("no_service_item", 2, 2),
        ("delivered_parts", 2, 2),
        ("staged_fingerprint", 4, 4),
        ("every_user_is_in_the_right_arm", 1, 1),
        ("experiment_outcomes", 0, 0),
    ],
)
def test_jobs_ask_each_query_so_often(
    times: dict[str, dict[str, int]], query: str, weekly: int, daily: int
) -> None:
    assert (times["weekly_retrain"][query], times["daily_score"][query]) == (weekly, daily)


def test_the_page_is_that_of_the_queries() -> None:
    written = (SIZES_FILE.parent / "COSTS.md").read_text(encoding="utf-8")
    assert written == current_page(), (
        "renew it: python -m holley_assets.console.query_costs > holley_assets/deploy/COSTS.md"
    )
