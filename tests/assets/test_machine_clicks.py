"""Scanned mailboxes: the test set stays as it is, and the report shows what their clicks would have done."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_run import FinishedRun, execute_job

SCANNED = 40
# What reads clicks or views of the test window, up to the report.
STEPS = [
    "time_windows",
    "machine_bursts",
    "interaction_events",
    "test_clicks",
    "machine_clicks",
    "machine_click_rankings",
    "eval_report",
]
OPENED = datetime.datetime(2026, 1, 20, 10, tzinfo=datetime.UTC)


def append(source: Path, table: str, rows: list[dict[str, Any]]) -> None:
    path = source / f"{table}.parquet"
    present = pq.read_table(path)
    pq.write_table(pa.concat_tables([present, pa.Table.from_pylist(rows, schema=present.schema)]), path)


def plant_scanners(run: FinishedRun) -> list[tuple[str, str]]:
    """Three clicks in two seconds, and a view, for users who clicked nothing; returns user and part."""
    clicking = set(run.table("test_clicks")["email_lower"].to_pylist())
    nodes = run.table("user_nodes").select(["email_lower", "make", "model"]).to_pylist()
    accounts = run.table("user_accounts")
    id_of = dict(zip(accounts["email_lower"].to_pylist(), accounts["user_id"].to_pylist(), strict=True))
    best: dict[tuple[str, str], str] = {}
    for row in run.table("popularity").sort_by([("sql_score", "descending")]).to_pylist():
        best.setdefault((row["make"], row["model"]), row["base_sku"])
    chosen = [
        (row["email_lower"], best[row["make"], row["model"]])
        for row in nodes
        if row["email_lower"] not in clicking and (row["make"], row["model"]) in best
    ][:SCANNED]
    clicks, views = [], []
    for number, (email, sku) in enumerate(chosen):
        clicks += [
            {
                "user_id": id_of[email],
                "treatment_id": 1,
                "treatment_tracking_id": f"scan-{number}-{second}",
                "interaction_type": "CLICKED",
                "interaction_timestamp_micros": OPENED + datetime.timedelta(seconds=second),
            }
            for second in range(3)
        ]
        views.append(
            {
                "user_id": id_of[email],
                "event_name": "Viewed Product",
                "client_event_timestamp": OPENED + datetime.timedelta(seconds=3),
                "event_properties": [{"property_name": "ProductId", "string_value": sku}],
            }
        )
    append(run.source_dir, "treatment_interaction", clicks)
    append(run.source_dir, "ingestion_unified_schema_incremental", views)
    return chosen


def report_of(run: FinishedRun) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((run.data_dir / "latest_eval_report.json").read_text())
    return report


@pytest.fixture
def scanned_run(
    continued_run: tuple[FinishedRun, dg.DagsterInstance],
) -> tuple[FinishedRun, dg.ExecuteInProcessResult, dict[str, Any], list[tuple[str, str]]]:
    """The small run again with scanned mailboxes; beside it the report before, and what was planted."""
    run, instance = continued_run
    before = report_of(run)
    planted = plant_scanners(run)
    return run, execute_job(instance=instance, only=STEPS), before, planted


def test_scanners_move_no_number_and_are_shown_apart(
    weekly_run: FinishedRun, scanned_run: tuple[FinishedRun, Any, dict[str, Any], list[tuple[str, str]]]
) -> None:
    run, result, before, planted = scanned_run
    assert result.success
    assert len(planted) == SCANNED
    for table in ("test_clicks", "interaction_events"):
        assert run.table(table).equals(weekly_run.table(table)), table
    clicked = run.table("machine_clicks")
    assert sorted(
        zip(clicked["email_lower"].to_pylist(), clicked["base_sku"].to_pylist(), strict=True)
    ) == sorted(planted)
    ranked = run.table("machine_click_rankings")
    assert set(ranked["email_lower"].to_pylist()) <= {email for email, _ in planted}
    assert set(ranked["system"].to_pylist()) == set(run.table("evaluation_rankings")["system"].to_pylist())

    report = report_of(run)
    for section in ("metrics", "metrics_before_rules", "comparison", "gates", "decision", "control"):
        assert report[section] == before[section], section
    assert report["test_set"]["clicks"] == before["test_set"]["clicks"]
    assert report["test_set"]["clicks_dropped"]["machine click"] == 3 * SCANNED
    machines = report["machine_clicks"]
    without, added = machines["without"], machines["with"]
    assert (machines["clicks"], machines["visitors"], machines["bursts"]) == (3 * SCANNED, SCANNED, SCANNED)
    assert before["machine_clicks"]["clicks"] == 0
    assert without["comparison"] == report["comparison"]
    assert added["pairs"] == without["pairs"] + SCANNED
    users = {
        name: half["metrics"]["sql"]["overall"]["users"]
        for name, half in (("without", without), ("with", added))
    }
    assert users["with"] == users["without"] + SCANNED
    # Scanners opened what sql shows first, where the rules allow it.
    hits = {name: machines[name]["metrics"]["sql"]["overall"]["hit_rate@4"] * users[name] for name in users}
    assert hits["with"] >= hits["without"]
