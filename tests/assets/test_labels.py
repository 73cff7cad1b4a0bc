"""HOLLEY_EVALUATION_LABELS chooses the test set of every evaluation asset at once."""

from __future__ import annotations

import json

import dagster as dg
import pytest
from small_run import FinishedRun, execute_job, read_asset

from holley_assets.checks.warning_checks import ENOUGH_CLICKS
from holley_assets.definitions import definitions

EVALUATION = ["control_rankings", "evaluation_rankings", "evaluation_rankings_before_rules", "eval_report"]


def users_of(table: str, run: FinishedRun) -> set[str]:
    """Users with a row."""
    return set(read_asset(run.data_dir, table)["email_lower"].to_pylist())


@pytest.mark.parametrize("source", ["interactions", "both"])
def test_the_whole_evaluation_takes_the_chosen_labels(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    run, instance = continued_run
    clicking, meeting = users_of("test_clicks", run), users_of("test_interactions", run)
    assert meeting - clicking, "some users came without an e-mail"
    ranked = users_of("evaluation_rankings", run)
    monkeypatch.setenv("HOLLEY_EVALUATION_LABELS", source)
    assert execute_job(instance=instance, only=EVALUATION).success

    expected = meeting if source == "interactions" else meeting | clicking
    report = json.loads((run.data_dir / "latest_eval_report.json").read_text())
    assert report["label_source"] == source
    assert report["test_set"]["users"] == len(expected)
    assert "part known to the user before the cutoff" in report["test_set"]["clicks_dropped"]
    assert ("no product view within the window" in report["test_set"]["clicks_dropped"]) == (source == "both")
    for table in ("control_rankings", "evaluation_rankings", "evaluation_rankings_before_rules"):
        assert users_of(table, run) <= expected
    assert users_of("evaluation_rankings", run) - ranked


def test_the_chosen_labels_are_counted_before_anything_is_decided(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, instance = continued_run
    clicks, met = (read_asset(run.data_dir, f"test_{kind}").num_rows for kind in ("clicks", "interactions"))
    assert met > clicks
    monkeypatch.setenv("HOLLEY_EVALUATION_MINIMUM_CLICKS", str(clicks + 1))
    decides = {}
    for source in ("clicks", "interactions"):
        monkeypatch.setenv("HOLLEY_EVALUATION_LABELS", source)
        selection = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey("test_clicks"), ENOUGH_CLICKS))
        job = dg.define_asset_job("count_labels", selection)
        only_counting = dg.Definitions.merge(definitions, dg.Definitions(jobs=[job]))
        result = only_counting.resolve_job_def("count_labels").execute_in_process(instance=instance)
        decides[source] = result.get_asset_check_evaluations()[0].passed
    assert decides == {"clicks": False, "interactions": True}


def test_clicks_are_the_default(weekly_run: FinishedRun) -> None:
    report = json.loads((weekly_run.data_dir / "latest_eval_report.json").read_text())
    assert report["label_source"] == "clicks"
    assert report["test_set"]["clicks"] == weekly_run.table("test_clicks").num_rows
