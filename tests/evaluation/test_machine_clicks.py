"""The comparison with and without the clicks of security scanners."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from holley_assets.evaluation.formatting import share
from holley_assets.evaluation.labels import without_users
from holley_assets.evaluation.machine_clicks import machine_clicks_section
from holley_assets.evaluation.report import EvaluationOptions, RunIdentity, build_report
from holley_assets.evaluation.report_page import render
from holley_assets.evaluation.report_sections import headline_numbers, metrics_by_name

RUN = RunIdentity("run-1", datetime.date(2026, 2, 1), datetime.date(2026, 1, 2), "v1")
PEOPLE = [f"p{number}@x.com" for number in range(10)]
SCANNED = [f"s{number}@x.com" for number in range(30)]


def pairs(emails: list[str], sku: str) -> pa.Table:
    return pa.table({"email_lower": emails, "base_sku": pa.array([sku] * len(emails))})


def ranking(system: str, first: dict[str, str]) -> pa.Table:
    """One part a user, at rank 1."""
    return pa.table(
        {
            "email_lower": list(first),
            "system": [system] * len(first),
            "rank": [1] * len(first),
            "base_sku": list(first.values()),
        }
    )


def bursts(rows: list[tuple[str, str, int]]) -> pa.Table:
    visitors, times, clicks = zip(*rows, strict=True) if rows else ((), (), ())
    first = [datetime.datetime.fromisoformat(time).replace(tzinfo=datetime.UTC) for time in times]
    return pa.table(
        {
            "visitor": pa.array(visitors, pa.string()),
            "first_click": pa.array(first, pa.timestamp("us", "UTC")),
            "clicks": pa.array(clicks, pa.int64()),
        }
    )


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    """Of ten people the model hits six and sql three. Scanners open what sql showed: 30 hits, none for the model."""
    gnn = dict.fromkeys(PEOPLE[:6], "A") | dict.fromkeys(PEOPLE[6:] + SCANNED, "X")
    sql = dict.fromkeys(PEOPLE[:3] + SCANNED, "A") | dict.fromkeys(PEOPLE[3:], "X")
    return {
        "labels": pairs(PEOPLE, "A"),
        "users": pa.table({"email_lower": PEOPLE + SCANNED, "engagement_tier": ["cold"] * 40}),
        "rankings": pa.concat_tables([ranking("gnn", gnn), ranking("sql", sql)]),
    }


def section(tables: dict[str, Any], added: pa.Table, found: pa.Table, **options: Any) -> dict[str, Any]:
    made = machine_clicks_section(found, added, **tables, run=RUN, options=EvaluationOptions(**options))
    assert made is not None
    return made


def test_scanned_mailboxes_would_turn_the_lift(tables: dict[str, Any]) -> None:
    found = bursts(
        [(email, "2026-01-02T00:00", 4) for email in SCANNED]
        + [(SCANNED[0], "2026-01-20T10:00", 5), ("stranger", "2026-01-20T10:00", 3)]
        + [("early@x.com", "2026-01-01T23:59:59.999999", 100)]
    )
    made = section(tables, pairs(SCANNED, "A"), found)
    assert (made["bursts"], made["clicks"], made["visitors"]) == (32, 30 * 4 + 5 + 3, 31)
    without, added = made["without"], made["with"]
    assert (without["pairs"], added["pairs"]) == (10, 40)
    assert without["metrics"]["gnn"]["cold"] == {"users": 10, "hit_rate@4": 0.6}
    assert without["metrics"]["sql"]["overall"] == {"users": 10, "hit_rate@4": 0.3}
    assert without["comparison"]["cold"]["hit_rate@4_delta"] == pytest.approx(0.3)
    assert added["metrics"]["gnn"]["cold"] == {"users": 40, "hit_rate@4": 6 / 40}
    assert added["metrics"]["sql"]["cold"] == {"users": 40, "hit_rate@4": 33 / 40}
    assert added["comparison"]["overall"]["hit_rate@4_delta"] == pytest.approx(-27 / 40)
    assert added["metrics"]["gnn"]["hot"] == {"users": 0, "hit_rate@4": None}


def test_a_pair_that_a_person_clicked_too_counts_once(tables: dict[str, Any]) -> None:
    made = section(tables, pairs(PEOPLE[:4], "A"), bursts([(PEOPLE[0], "2026-01-10T10:00", 3)]))
    assert made["with"] == made["without"]


def test_a_machine_without_a_usable_click_changes_nothing(tables: dict[str, Any]) -> None:
    made = section(tables, pairs([], "A"), bursts([("stranger", "2026-01-10T10:00", 3)]))
    assert made["with"] == made["without"]
    assert made["clicks"] == 3


def test_where_clicks_are_no_labels_there_is_nothing_to_compare(tables: dict[str, Any]) -> None:
    options = EvaluationOptions(label_source="interactions")
    assert machine_clicks_section(bursts([]), pairs([], "A"), **tables, run=RUN, options=options) is None


def test_only_users_without_a_label_are_ranked_for_the_comparison() -> None:
    rest = without_users(pairs([PEOPLE[0], SCANNED[0]], "A"), pairs(PEOPLE, "B"))
    assert rest["email_lower"].to_pylist() == [SCANNED[0]]


@pytest.fixture(scope="module")
def reports(world: Any, control_like: Callable[..., pa.Table]) -> dict[str, dict[str, Any]]:
    """The same report without the section, and with one where machines clicked much."""
    made = {}
    emails = world.users["email_lower"].to_pylist()[:50]
    added = pairs(emails, "550-0001")
    section = machine_clicks_section(
        bursts([(email, "2026-01-10T10:00", 3) for email in emails]),
        added,
        labels=world.clicks,
        users=world.users,
        rankings=world.rankings,
        run=world.run,
        options=EvaluationOptions(),
    )
    for name, extras in (("plain", {}), ("scanned", {"machine_clicks": section})):
        made[name] = build_report(
            run=world.run,
            clicks=world.clicks,
            clicks_dropped={"machine click": 150},
            users=world.users,
            rankings=world.rankings,
            rankings_before_rules=world.rankings,
            products=world.products,
            control_rankings=control_like(world, "popularity"),
            extras=extras,
        )
    return made


def test_no_other_number_of_the_report_knows_of_them(reports: dict[str, dict[str, Any]]) -> None:
    plain, scanned = reports["plain"], dict(reports["scanned"])
    made = scanned.pop("machine_clicks")
    assert scanned == plain
    assert made["without"]["comparison"] == plain["comparison"]
    assert made["with"]["comparison"] != plain["comparison"]
    assert metrics_by_name(reports["scanned"]) == metrics_by_name(plain)
    assert headline_numbers(reports["scanned"]) == headline_numbers(plain)


def test_the_page_shows_both_beside_what_was_dropped(reports: dict[str, dict[str, Any]]) -> None:
    page = render(reports["scanned"])
    assert "150 clicks of 50 visitors came in 50 bursts" in page
    assert "Hit Rate@4 without and with the clicks of machines" in page
    half = reports["scanned"]["machine_clicks"]["with"]
    assert f"<td>{share(half['metrics']['gnn']['overall']['hit_rate@4'])}</td>" in page
    assert "Clicks of machines" not in render(reports["plain"])


def test_the_page_says_where_no_click_was_a_machines(reports: dict[str, dict[str, Any]]) -> None:
    quiet = {**reports["scanned"]["machine_clicks"], "clicks": 0, "visitors": 0, "bursts": 0}
    assert "No click of the test window was a machine's." in render(
        {**reports["plain"], "machine_clicks": quiet}
    )
