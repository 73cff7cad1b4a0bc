"""``holley compare``: two runs whose differences are known."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from small_run import FinishedRun

from holley_assets.console.main import holley
from holley_assets.console.run_difference import compare
from holley_assets.console.run_files import RunFiles
from holley_assets.evaluation.run_settings import HIDDEN, settings_that_differ
from holley_assets.gnn.checkpoint import Checkpoint
from holley_assets.gnn.model import ModelOptions

SCOPES = ("overall", "cold", "warm", "hot")


def write_run(
    folder: Path,
    run_id: str,
    *,
    rate: float,
    parts: list[str],
    epochs: int,
    users: int,
    shown: list[list[int]],
) -> None:
    """The files of a run that are compared; ``shown`` has a user and four parts a row."""
    run = folder / "runs" / run_id
    run.mkdir(parents=True)
    metrics = {scope: {"hit_rate@4": rate, "recall@10": 0.5, "mrr": 0.25} for scope in SCOPES[:-1]}
    lift = {"hit_rate@4_delta": rate - 0.1, "ci95": [rate - 0.2, rate]}
    report = {
        "run_id": run_id,
        "as_of": "2026-02-01",
        "model_version": f"20260201-{run_id}",
        "decision": {"outcome": "marginal", "reason": "because"},
        "metrics": {"gnn": metrics, "sql": metrics},
        "comparison": dict.fromkeys(SCOPES[:-1], lift),
        "graph": {"nodes": {"user": users, "product": 3}, "degrees": {"parts": {"mean": users}}},
    }
    settings = {"training": {"epochs": epochs, "seed": 0}, "alerts": {"url": f"hook{epochs}"}}
    (run / "eval_report.json").write_text(json.dumps(report), encoding="utf-8")
    (run / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    versions = {"python": "3.11.9", "torch": f"2.{epochs}", f"only-{run_id}": "1.0"}
    (run / "versions.json").write_text(json.dumps(versions), encoding="utf-8")
    names = ["user", *(f"slot_{slot}" for slot in range(1, 5))]
    pq.write_table(
        pa.table(dict(zip(names, zip(*shown, strict=True), strict=True))), run / "shown_parts.parquet"
    )
    Checkpoint({"x": torch.zeros(1)}, ModelOptions(), {"products": parts}, [], 0).save(run / "model.pt")


@pytest.fixture
def two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFiles:
    """Users 2 and 3 are in both; only user 3 is shown other parts, user 2 the same in another order."""
    before = [[1, 5, 6, 7, 8], [2, 5, 6, 7, 8], [3, 5, 6, 7, -1]]
    now = [[2, 8, 7, 6, 5], [3, 5, 6, 7, 9], [4, 5, 6, 7, 8]]
    write_run(tmp_path, "aaa1", rate=0.25, parts=["A", "B", "C"], epochs=2, users=10, shown=before)
    write_run(tmp_path, "bbb2", rate=0.375, parts=["B", "D", "E"], epochs=3, users=12, shown=now)
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    return RunFiles()


def test_what_differs_is_found_and_what_does_not_is_left_out(two_runs: RunFiles) -> None:
    found = compare(two_runs, "aaa", "bbb")
    assert found.runs == ("aaa1", "bbb2")
    assert found.settings == {"training.epochs": ("2", "3"), "alerts.url": (HIDDEN, HIDDEN)}
    assert found.versions == {
        "torch": ("2.2", "2.3"),
        "only-aaa1": ("1.0", "not installed"),
        "only-bbb2": ("not installed", "1.0"),
    }
    assert found.metrics["cold", "gnn", "hit_rate@4"] == (0.25, 0.375)
    assert found.facts["delivered as"] == ("gnn", "gnn")
    assert {system for _, system, _ in found.metrics} == {"gnn", "sql"}
    assert found.metrics["hot", "gnn", "mrr"] == (None, None)
    first, second = found.lifts["overall"]
    assert first == pytest.approx((0.15, 0.05, 0.25)) and second == pytest.approx((0.275, 0.175, 0.375))
    assert found.lifts["hot"] == (None, None)
    assert found.graph == {"nodes.user": (10, 12)}
    assert (found.came, found.went) == (["D", "E"], ["A", "C"])
    assert (found.users_changed, found.users_compared) == (0.5, 2)


def test_what_a_run_delivers_is_compared(two_runs: RunFiles) -> None:
    path = two_runs.path("bbb2", "eval_report.json")
    report = json.loads(path.read_text("utf-8"))
    report |= {"delivered_system": "hybrid"}
    report["metrics"]["hybrid"] = {"cold": {"hit_rate@4": 0.75}}
    path.write_text(json.dumps(report), encoding="utf-8")
    found = compare(two_runs, "aaa1", "bbb2")
    assert found.facts["delivered as"] == ("gnn", "hybrid")
    assert {system for _, system, _ in found.metrics} == {"gnn", "hybrid", "sql"}
    assert found.metrics["cold", "hybrid", "hit_rate@4"] == (None, 0.75)


def test_a_person_reads_both_runs_side_by_side(two_runs: RunFiles) -> None:
    result = CliRunner().invoke(holley, ["compare", "aaa1", "bbb2"])
    assert result.exit_code == 0, result.output
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in result.output.splitlines() if "│" in line
    ]
    assert ["training.epochs", "2", "3"] in rows and ["alerts.url", HIDDEN, HIDDEN] in rows
    lift = ["+15.00 (+5.00 to +25.00)", "+27.50 (+17.50 to +37.50)"]
    assert ["cold: points of Hit Rate@4 over SQL", *lift] in rows
    assert ["hot: sql mrr", "–", "–"] in rows and ["nodes.user", "10", "12"] in rows
    assert "Parts that came: 2 (D, E). Parts that went: 2 (A, C)." in result.output
    assert "Users whose parts changed: 50.0\u00a0% of 2 whom both runs serve." in result.output
    assert ["torch", "2.2", "2.3"] in rows
    assert "hook2" not in result.output


def test_a_run_of_before_versions_were_kept_is_compared_all_the_same(two_runs: RunFiles) -> None:
    (two_runs.folder / "runs" / "aaa1" / "versions.json").unlink()
    result = CliRunner().invoke(holley, ["compare", "aaa1", "bbb2"])
    assert result.exit_code == 0 and "no versions of packages and code were kept" in result.output


def test_the_newest_run_is_the_second_one_unless_named(two_runs: RunFiles) -> None:
    os.utime(two_runs.folder / "runs" / "bbb2" / "eval_report.json", (1, 1))
    assert two_runs.runs() == ["aaa1", "bbb2"]
    result = CliRunner().invoke(holley, ["compare", "bbb2"])
    assert result.output.splitlines()[0] == "bbb2 (before) and aaa1 (now)"


def test_a_run_that_is_unknown_or_lacks_a_file_ends_in_one_line(two_runs: RunFiles) -> None:
    unknown = CliRunner().invoke(holley, ["compare", "zzz", "bbb2"])
    assert unknown.exit_code == 1 and "'zzz' is not the id of a run: give one of" in unknown.output
    (two_runs.folder / "runs" / "aaa1" / "model.pt").unlink()
    gone = CliRunner().invoke(holley, ["compare", "aaa1", "bbb2"])
    assert gone.exit_code == 1 and "Run aaa1 has no model.pt" in gone.output
    assert len(unknown.output.splitlines()) == len(gone.output.splitlines()) == 1


def test_a_setting_that_may_hold_a_password_is_not_shown() -> None:
    first, second = ({"tracking": {"uri": f"http://user:secret{n}@host", "name": f"n{n}"}} for n in (1, 2))
    assert settings_that_differ(first, second) == {
        "tracking.uri": (HIDDEN, HIDDEN),
        "tracking.name": ("n1", "n2"),
    }
    assert settings_that_differ({"a": {"b": None}}, {"a": {"b": 1, "c": 2}}) == {
        "a.b": ("unset", "1"),
        "a.c": ("unset", "2"),
    }


def test_a_real_run_does_not_differ_from_itself(
    weekly_run: FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(weekly_run.data_dir))
    found = compare(RunFiles(), "latest", "latest")
    assert (found.settings, found.versions, found.graph) == ({}, {}, {}) and (found.came, found.went) == (
        [],
        [],
    )
    assert found.users_changed == 0.0
    assert found.users_compared == weekly_run.table("recommendations").num_rows
    assert found.lifts["overall"][0] is not None and found.metrics["cold", "sql", "mrr"][0] is not None
