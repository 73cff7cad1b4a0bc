"""What the page of the asset says of a report: decision, promotion, tiers."""

from __future__ import annotations

from typing import Any

from evaluation.test_report_page import report_of

from holley_assets.evaluation.formatting import difference, share
from holley_assets.evaluation.report_summary import summarise


def test_the_decision_stands_first_and_each_tier_has_a_line(world: Any) -> None:
    report = {**report_of(world), "source": "parquet"}
    lines = summarise(report, "/data/runs/run/eval_report.html").splitlines()
    assert lines[0].startswith("**Inconclusive.** ") and "below 2,000 nothing is decided" in lines[0].replace(
        "\\", ""
    )
    assert any(line.startswith("Not to be promoted: the decision is inconclusive") for line in lines)
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    header, _, *tiers = rows
    assert header[2:4] == [report["delivered_system"], "sql"]
    assert [row[0] for row in tiers] == ["cold", "warm", "hot", "overall"]
    cold, compared = tiers[0], report["comparison"]["cold"]
    assert cold[2] == share(report["metrics"][report["delivered_system"]]["cold"]["hit_rate@4"])
    assert cold[3] == share(report["metrics"]["sql"]["cold"]["hit_rate@4"])
    assert cold[4] == difference(compared["hit_rate@4_delta"])
    assert lines[-1] == "The page: `/data/runs/run/eval_report.html`"


def test_a_sample_says_so_before_all_else(world: Any) -> None:
    report = report_of(world)
    assert summarise({**report, "source": "sample"}, "x").startswith("**Generated sample:**")
    assert "sample" not in summarise(report, "x")


def test_names_stay_text_and_a_clear_win_may_be_promoted(world: Any) -> None:
    report = report_of(world)
    won = {
        **report,
        "decision": {"outcome": "clear_win", "reason": "[a](b) | ann@example.com" + ". Said" * 100},
        "gates": [{**gate, "passed": True} for gate in report["gates"]],
    }
    text = summarise(won, "x")
    assert text.count("Said") == 100, "a long reason is not cut off"
    assert "\nMay be promoted.\n" in text and "](b)" not in text and "@example" not in text
