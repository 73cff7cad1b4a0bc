"""Settings are read once a run and stay as they were read."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from holley_assets.core.event_log import (
    run_lineage,
)
from holley_assets.resources.settings_resource import (
    SettingsResource,
)


def test_a_run_keeps_the_settings_that_it_froze(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HOLLEY_RULE_MINIMUM_PRICE", "75")
    resource = SettingsResource()
    resource.freeze(resource.load(), "run-1")

    monkeypatch.setenv("HOLLEY_RULE_MINIMUM_PRICE", "20")
    frozen = resource.of_run(dg.DagsterRun(job_name="weekly_retrain", run_id="run-1"))
    assert frozen.rules.minimum_price == 75
    repeated = dg.DagsterRun(
        job_name="weekly_retrain", run_id="run-2", parent_run_id="run-1", root_run_id="run-1"
    )
    assert resource.of_run(repeated).rules.minimum_price == 75
    unrelated = resource.of_run(dg.DagsterRun(job_name="weekly_retrain", run_id="run-3"))
    assert unrelated.rules.minimum_price == 20


def test_a_relative_data_folder_is_resolved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOLLEY_DATA_DIR", "here")
    assert SettingsResource().data_dir() == tmp_path / "here"


def test_lineage_names_each_run_once() -> None:
    run = dg.DagsterRun(job_name="j", run_id="c", parent_run_id="b", root_run_id="b")
    assert run_lineage(run) == ["c", "b"]
