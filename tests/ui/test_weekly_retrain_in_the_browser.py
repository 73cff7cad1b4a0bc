"""A person's Monday: see the graph, start the weekly job, watch the checks turn green, open the report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from small_run import SMALL_RUN
from ui.dagster_dev import Browser, dagster_dev, wait_until

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)",
)


FINISHED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
# Half a minute on an idle machine.
RUN_SECONDS = 400.0


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    chromium = Browser(str(CHROMIUM), str(DRIVER), tmp_path / "profile")
    yield chromium
    chromium.close()


def test_the_weekly_job_from_the_browser(browser: Browser, tmp_path: Path) -> None:
    home, data_dir = tmp_path / "home", tmp_path / "data"
    with dagster_dev(home, {**SMALL_RUN, "HOLLEY_DATA_DIR": str(data_dir)}) as address:
        browser.open(f"{address}/asset-groups")
        browser.shows(
            "1_sources", "2_graph_tables", "3_model", "4_recommendations", "5_evaluation", "6_delivery"
        )

        browser.open(f"{address}/locations/__repository__@holley_assets.definitions/jobs/weekly_retrain")
        browser.shows("Train on the graph as of the cutoff, evaluate on the clicks after it")
        browser.click("Materialize all")
        with dg.DagsterInstance.from_config(str(home)) as instance:
            wait_until(lambda: bool(instance.get_runs(limit=1)), "the run")
            (run,) = instance.get_runs()
            # The page of a run in progress is drawn anew all the time, and would take a processor from the run.
            browser.open("about:blank")
            wait_until(lambda: status_of(instance, run.run_id) in FINISHED, "the end of the run", RUN_SECONDS)
            assert status_of(instance, run.run_id) is dg.DagsterRunStatus.SUCCESS
            browser.open(f"{address}/runs/{run.run_id}")
            browser.shows("Success")

        browser.open(f"{address}/assets/recommendations?view=checks")
        browser.shows("Checks (13)", "no_part_ordered_within_a_year", "every_part_fits_the_vehicle", "Passed")
        assert browser.text.count("Succeeded") == 13

        browser.open(f"{address}/assets/eval_report?view=overview")
        browser.shows("eval_report.html", "decision", "inconclusive")

        browser.open(f"{address}/assets/serving_table?view=events")
        browser.shows("HOLLEY_SERVING_MODE is shadow")

    browser.open((data_dir / "runs" / run.run_id / "eval_report.html").as_uri())
    browser.shows("inconclusive", "Hit Rate@4")
