"""A full export with all faults at once delivers what the clean one delivers, and says what was dropped and why."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from assets.faulty_export import plant
from small_run import FinishedRun, execute_job, read_asset

from holley_assets.resources.storage.side_files import DAMAGED
from holley_assets.resources.storage.training_state import STATE_FILE
from holley_assets.resources.tracking.journal import PENDING


@pytest.fixture
def faulty(source: Path, run_settings: Path) -> dict[str, dict[str, int]]:
    """Rows that were planted in the run's source, by table and reason; the run is over."""
    planted = plant(source)
    for name in (STATE_FILE, f"{PENDING}half.json"):
        path = run_settings / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"kind": "training", "values": {"run')
    assert execute_job().success
    return {table: dict(reasons) for table, reasons in planted.items()}


def counts(data_dir: Path) -> dict[str, dict[str, int]]:
    """Rows dropped, by source table and reason."""
    found: dict[str, dict[str, int]] = {}
    for row in read_asset(data_dir, "source_rows").to_pylist():
        found.setdefault(row["source_table"], {})[row["reason"] or row["outcome"]] = row["source_rows"]
    return found


def test_nobody_gets_other_parts(
    weekly_run: FinishedRun, run_settings: Path, faulty: dict[str, dict[str, int]]
) -> None:
    clean, dirty = (
        read_asset(folder, "recommendations").sort_by("email_lower")
        for folder in (weekly_run.data_dir, run_settings)
    )
    assert clean.num_rows > 1000
    for name in clean.column_names:
        if name.endswith("_score"):
            np.testing.assert_allclose(
                dirty[name].to_numpy(), clean[name].to_numpy(), rtol=1e-5, err_msg=name
            )
        elif name not in ("generated_at", "model_version"):
            assert dirty[name].to_pylist() == clean[name].to_pylist(), name

    before, after = counts(weekly_run.data_dir), counts(run_settings)
    said = {
        table: {reason: after[table].get(reason, 0) - before[table].get(reason, 0) for reason in reasons}
        for table, reasons in faulty.items()
    }
    assert said == faulty
    set_aside = [path.name for path in (run_settings / DAMAGED).rglob("*") if path.is_file()]
    assert len(set_aside) == 2, "a cut state of a training and half a record"
    assert all("lost" not in reasons for reasons in after.values())

    old, new = (
        json.loads((folder / "latest_eval_report.json").read_text())
        for folder in (weekly_run.data_dir, run_settings)
    )
    for section in ("metrics", "comparison", "decision"):
        assert new[section] == old[section], section
    assert new["machine_clicks"]["clicks"] == faulty["treatment_interaction"]["machine click"]
    assert pc.sum(read_asset(run_settings, "machine_clicks")["base_sku"].is_valid()).as_py()
