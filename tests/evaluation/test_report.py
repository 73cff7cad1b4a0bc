"""The report: the contract's keys, JSON without surprises, no addresses."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from holley_assets.evaluation.gates import DecisionRule
from holley_assets.evaluation.metrics import METRICS, SCOPES
from holley_assets.evaluation.report import (
    EvaluationOptions,
    build_report,
    plain,
    to_json,
)
from holley_assets.evaluation.report_page import render
from holley_assets.evaluation.report_sections import headline_numbers
from holley_assets.evaluation.systems import SYSTEM_NAMES

CONTRACT_KEYS = {
    "run_id",
    "as_of",
    "cutoff",
    "model_version",
    "test_set",
    "metrics",
    "metrics_before_rules",
    "comparison",
    "gates",
    "decision",
}
COMPARISON_KEYS = {"hit_rate@4_delta", "ci95", "mcnemar_p", "recall@10_relative", "mrr_relative"}


def report_of(world: Any, **changes: Any) -> dict[str, Any]:
    """The report of a world, parts of it replaced."""
    arguments = {
        "run": world.run,
        "clicks": world.clicks,
        "clicks_dropped": {"product unknown": 3},
        "users": world.users,
        "rankings": world.rankings,
        "rankings_before_rules": world.rankings,
        "products": world.products,
    }
    return build_report(**{**arguments, **changes})


def test_contract_keys(world: Any) -> None:
    """Names and nesting that tools rely on."""
    report = report_of(world)
    assert set(report) >= CONTRACT_KEYS
    assert report["as_of"] == "2026-02-01"
    assert report["cutoff"] == "2026-01-02"
    assert report["test_set"] == {"clicks": 400, "users": 400, "clicks_dropped": {"product unknown": 3}}
    for section in ("metrics", "metrics_before_rules"):
        assert set(report[section]) == set(SYSTEM_NAMES)
        for system in SYSTEM_NAMES:
            assert set(report[section][system]) == set(SCOPES)
            assert set(report[section][system]["cold"]) == {"users", *METRICS}
    assert set(report["comparison"]) == set(SCOPES)
    assert all(set(report["comparison"][scope]) == COMPARISON_KEYS for scope in SCOPES)
    assert set(report["decision"]) == {"outcome", "reason"}
    assert set(report["gates"][0]) == {"name", "tier", "metric", "threshold", "value", "passed"}


def test_comparison_agrees_with_the_metrics(world: Any) -> None:
    """The lift is the difference of the two hit rates, and the relative lifts their ratios."""
    report = report_of(world)
    for scope in SCOPES:
        gnn, sql, row = (
            report["metrics"]["gnn"][scope],
            report["metrics"]["sql"][scope],
            report["comparison"][scope],
        )
        assert row["hit_rate@4_delta"] == pytest.approx(gnn["hit_rate@4"] - sql["hit_rate@4"])
        assert row["mrr_relative"] == pytest.approx(gnn["mrr"] / sql["mrr"] - 1)
        assert row["ci95"][0] <= row["hit_rate@4_delta"] <= row["ci95"][1]


def test_what_the_version_is_delivered_as_is_judged(world: Any) -> None:
    """A hybrid that ranks as random does is compared, decided on and named; the graph model is not on trial."""
    poor = pa.concat_tables(
        [
            world.rankings.filter(pc.not_equal(world.rankings["system"], "hybrid")),
            renamed(world.rankings, "random", "hybrid"),
        ]
    )
    run = dataclasses.replace(world.run, model_version="20260201-0123456789ab-hybrid")
    report = report_of(world, rankings=poor, run=run)
    by_gnn = report_of(world, rankings=poor)
    assert (by_gnn["delivered_system"], report["delivered_system"]) == ("gnn", "hybrid")
    hits = {name: report["metrics"][name]["cold"]["hit_rate@4"] for name in ("gnn", "hybrid", "sql")}
    assert hits["hybrid"] < hits["sql"] < hits["gnn"]
    for found, name in ((report, "hybrid"), (by_gnn, "gnn")):
        lift = hits[name] - hits["sql"]
        assert found["comparison"]["cold"]["hit_rate@4_delta"] == pytest.approx(lift)
        assert found["gates"][0]["value"] == pytest.approx(lift)
        headline = headline_numbers(found)
        assert headline["cold_hit_rate_at_4_lift"] == pytest.approx(lift)
        assert headline[f"cold_hit_rate_at_4_{name}"] == hits[name]
    assert not report["gates"][0]["passed"]
    assert "Delivered and judged: <strong>hybrid</strong>" in render(report)
    assert "Hit Rate@4<br>hybrid" in render(report)


def renamed(rankings: pa.Table, system: str, name: str) -> pa.Table:
    """Rankings of one system under another name."""
    rows = rankings.filter(pc.equal(rankings["system"], system))
    place = rows.schema.get_field_index("system")
    return rows.set_column(place, rankings.schema.field("system"), pa.repeat(name, rows.num_rows))


def test_outside_sqls_own_slots_it_has_no_hit(world: Any) -> None:
    """The remaining clicks are exactly those that sql's first four miss."""
    report = report_of(world)
    outside = report["metrics_outside_sql_top4"]
    assert outside["sql"]["overall"]["hit_rate@4"] == 0.0
    assert outside["sql"]["overall"]["users"] == 400 - report["click_bias"]["clicks_on_shown_parts"]
    assert outside["gnn"]["overall"]["hit_rate@4"] > 0.0


def test_the_same_input_gives_the_same_report(world: Any) -> None:
    """Bootstrap included; the order of the rows does not matter."""
    shuffled = world.rankings.take(np.random.default_rng(9).permutation(world.rankings.num_rows))
    assert to_json(report_of(world)) == to_json(report_of(world, rankings=shuffled))


def test_json_is_strict_and_holds_no_address(world: Any) -> None:
    """It parses without NaN, and no user of the world is in it."""
    text = to_json(report_of(world))
    assert json.loads(text, parse_constant=pytest.fail)["run_id"] == "run-1"
    assert "@example.com" not in text


def test_an_address_is_hidden_and_counted(world: Any) -> None:
    """Names of parts come from elsewhere: a report never fails on one, and shows no customer."""
    asked = {"ask ann.smith@example.com": 1, "ask bob@example.com": ["carl@example.com", 2]}
    report = report_of(world, extras={"note": asked})
    assert report["addresses_hidden"] == 3
    assert report["note"] == {"ask (e-mail address)": 1, "ask (e-mail address) 2": ["(e-mail address)", 2]}
    assert report_of(world)["addresses_hidden"] == 0
    assert "example" not in to_json({"after": "dora@example.com"})


def test_without_a_single_click(world: Any) -> None:
    """Every number that does not exist is null, and the decision says why."""
    report = report_of(world, clicks=world.clicks.slice(0, 0), rankings=world.rankings.slice(0, 0))
    assert report["metrics"]["gnn"]["overall"]["mrr"] is None
    assert report["comparison"]["cold"] == dict.fromkeys(COMPARISON_KEYS)
    assert report["decision"]["outcome"] == "inconclusive"
    assert not any(gate["passed"] for gate in report["gates"])
    json.loads(to_json(report))


def test_a_baseline_that_never_hits(world: Any) -> None:
    """Relative lifts over 0 are null, their gates fail; the absolute lift remains."""
    missed = pa.table({"email_lower": world.clicks["email_lower"], "base_sku": ["nowhere"] * 400})
    report = report_of(world, clicks=missed)
    assert report["comparison"]["overall"]["mrr_relative"] is None
    assert report["comparison"]["overall"]["hit_rate@4_delta"] == 0.0
    assert [gate["value"] for gate in report["gates"]] == [0.0, None, None, None]


def test_a_clear_win_is_found(build_world: Callable[..., Any]) -> None:
    """A strong model on a large enough test set; a higher minimum of clicks takes it back."""
    world = build_world(users=2500, skill=0.6)
    assert report_of(world)["decision"]["outcome"] == "clear_win"
    options = EvaluationOptions(rule=DecisionRule(minimum_clicks=2501))
    assert report_of(world, options=options)["decision"]["outcome"] == "inconclusive"


def test_a_win_that_a_count_gets_too_is_none(
    build_world: Callable[..., Any], control_like: Callable[[Any, str], pa.Table]
) -> None:
    """The same lift over sql: granted over a count as weak as popularity, not over one as good as the model."""
    world = build_world(users=2500, skill=0.6)
    weak, strong = (
        report_of(world, control_rankings=control_like(world, system)) for system in ("popularity", "gnn")
    )
    assert weak["comparison"] == strong["comparison"]
    assert weak["decision"]["outcome"] == "clear_win"
    assert strong["decision"]["outcome"] == "neutral"
    assert weak["control"]["system"] == "fitted_popularity"
    assert weak["control"]["metrics"] == {
        "fitted_popularity": weak["metrics"]["popularity"],
        "counted_popularity": weak["metrics"]["random"],
        "visitor_demand": weak["metrics"]["gnn"],
    }
    assert weak["decision"]["reason"].endswith(
        "Against what visitors wanted for the very car, counted without a network, it is +0.00 points "
        "(+0.00 to +0.00), which decides nothing."
    )
    assert weak["control"]["comparison_by_car"]["cold"]["hit_rate@4_delta"] == 0.0, (
        "shown, and decides nothing"
    )
    assert strong["control"]["comparison"]["cold"]["hit_rate@4_delta"] == 0.0
    assert set(weak["control"]["comparison"]) == set(SCOPES)


def test_without_a_count_there_is_no_control(world: Any) -> None:
    """Null rather than an empty section."""
    assert report_of(world)["control"] is None


def test_extras_do_not_replace_what_is_computed(world: Any) -> None:
    """A section with a taken name would hide a measurement."""
    with pytest.raises(ValueError, match="metrics"):
        report_of(world, extras={"metrics": {}})
    assert report_of(world, extras={"graph": {"nodes": {"user": 3}}})["graph"] == {"nodes": {"user": 3}}


def test_plain_values() -> None:
    """Numpy, dates and NaN become what JSON knows; anything else is refused."""
    value = {"a": np.float32(0.5), "b": np.array([1, 2]), "c": float("nan"), "d": (np.int64(3), True, None)}
    assert plain(value) == {"a": 0.5, "b": [1, 2], "c": None, "d": [3, True, None]}
    assert plain(datetime.date(2026, 2, 1)) == "2026-02-01"
    with pytest.raises(TypeError, match="set"):
        plain({1})
