"""A run beside the one before it: what is kept, what is compared, and who is not promoted."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_run import FinishedRun, execute_job, read_asset

from holley_assets.assets.run_memory import SAMPLE, RunMemory, drift_by_kind, users_changed, vector_sample
from holley_assets.core.asset_keys import (
    RUN_COMPARISON,
)
from holley_assets.resources.storage.interface import FolderStore
from holley_assets.resources.tracking.model_registry import open_model_registry
from holley_assets.resources.tracking.registered_model import PromotionRefused
from holley_assets.settings import load_settings

Continued = tuple[FinishedRun, dg.DagsterInstance]


def summary_file(run: FinishedRun) -> Path:
    """The weekly run's summary."""
    (path,) = run.data_dir.glob("runs/*/run_summary.json")
    return path


def comparison(instance: dg.DagsterInstance) -> dict[str, object]:
    """What the asset's page shows."""
    event = instance.get_latest_materialization_event(RUN_COMPARISON)
    assert event is not None and event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


def failed(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Words of the failed checks."""
    return {
        check.check_name: str(check.description)
        for check in result.get_asset_check_evaluations()
        if not check.passed
    }


def test_the_first_run_has_nothing_to_be_compared_with(weekly_run: FinishedRun) -> None:
    assert weekly_run.table("run_comparison").num_rows == 0
    with dg.DagsterInstance.from_config(str(weekly_run.home)) as instance:
        shown = comparison(instance)
    assert (shown["previous_run"], shown["no_worse"]) == ("none", True)
    assert 0 < float(str(shown["catalogue_coverage"])) <= 1
    assert {"cold_user_coverage", "exposure_gini", "popularity_percentile"} <= shown.keys()
    for kind in ("user", "product"):
        lengths = [float(str(shown[f"{kind}_norm_{name}"])) for name in ("p05", "p50", "p95")]
        assert 0 < lengths[0] < lengths[1] < lengths[2]


def test_what_is_kept_of_a_run_names_nobody(weekly_run: FinishedRun) -> None:
    memory = RunMemory.load(FolderStore(weekly_run.data_dir), summary_file(weekly_run).parent.name)
    assert memory is not None
    assert memory.shown.num_rows == weekly_run.table("recommendations").num_rows
    assert {str(field.type) for field in memory.shown.schema} == {"int64"}
    assert set(memory.vectors["kind"].to_pylist()) == {"parts", "vehicles"}
    assert "@" not in "".join(memory.vectors["key"].to_pylist()) + summary_file(weekly_run).read_text()


def test_the_same_data_again_changes_nothing(continued_run: Continued) -> None:
    run, instance = continued_run
    good = summary_file(run).parent.name
    result = execute_job(instance=instance, only=["run_comparison"])
    assert result.success and failed(result) == {}
    shown = comparison(instance)
    assert shown["previous_run"] == good
    assert (shown["users_changed_share"], shown["score_leads_psi"], shown["part_type_change"]) == (0, 0, 0)
    assert shown["users_compared"] == run.table("recommendations").num_rows
    assert shown["parts_similarity_correlation"] == pytest.approx(1)
    assert shown["parts_centroid_shift"] == pytest.approx(0, abs=1e-6)
    assert (shown["product_norm_mean_change"], shown["user_norm_p95_change"]) == (0, 0)


def test_a_worse_model_is_not_promoted_and_is_no_yardstick(continued_run: Continued) -> None:
    run, instance = continued_run
    path, good = summary_file(run), summary_file(run).parent.name
    better = json.loads(path.read_text())
    del better["sha256"]
    better["hit_rates"]["overall"] = 0.99
    path.write_text(json.dumps(better))
    result = execute_job(instance=instance, only=["run_comparison", "eval_report"])
    assert result.success, "nobody serves from what was made: the run goes on"
    words = failed(result)["no_worse_than_the_previous_run"]
    assert words.startswith("overall_hit_rate_at_4_drop is 0.") and f"against run {good[:8]}" in words
    report = json.loads((run.data_dir / "latest_eval_report.json").read_text())
    previous = report["previous_run"]
    assert previous["run_id"] == good and not previous["no_worse"]
    nothing = {"count": 0, "names": []}
    assert (previous["settings"], previous["versions"]) == ({}, {})
    assert (previous["came"], previous["went"]) == (nothing, nothing)

    registry = open_model_registry(load_settings())
    model = registry.by_model_version(run.table("trained_checkpoint")["model_version"][0].as_py())
    assert model is not None and "no_worse_than_the_previous_run" in model.failed_gates
    with pytest.raises(PromotionRefused, match="no_worse_than_the_previous_run"):
        registry.promote(
            model.version, by="ada", reason="x", forced=False, now=datetime.datetime.now(datetime.UTC)
        )
    execute_job(instance=instance, only=["run_comparison"])
    assert comparison(instance)["previous_run"] == good, "the bad run in between is passed over"


def test_without_the_folder_of_an_old_run_there_is_nothing_to_object_to(continued_run: Continued) -> None:
    run, instance = continued_run
    summary_file(run).unlink()
    result = execute_job(instance=instance, only=["run_comparison"])
    assert result.success and failed(result) == {}
    assert read_asset(run.data_dir, "run_comparison").num_rows == 0


def test_samples_of_two_runs_are_mostly_of_the_same_things() -> None:
    rng = np.random.default_rng(0)
    keys = pa.array([f"part-{number}" for number in range(3000)])
    vectors = rng.normal(size=(3000, 4)).astype(np.float32)
    before = vector_sample("parts", keys, vectors)
    # A tenth of the catalogue is new, and rows are in another order.
    order = rng.permutation(3000)
    renamed = pa.array([key if row % 10 else f"new-{key}" for row, key in enumerate(keys.to_pylist())])
    now = vector_sample("parts", renamed.take(pa.array(order)), vectors[order])
    drift = drift_by_kind(before, now)["parts"]
    assert before.num_rows == SAMPLE and drift.common > 0.8 * SAMPLE
    assert drift.similarity_correlation == pytest.approx(1)


def test_a_sample_survives_its_file(tmp_path: Path) -> None:
    sample = vector_sample("parts", pa.array(["a", "b"]), np.eye(2, dtype=np.float32))
    pq.write_table(sample, tmp_path / "sample.parquet")
    assert drift_by_kind(pq.read_table(tmp_path / "sample.parquet"), sample)["parts"].common == 2
    nobody = users_changed(*[pa.table({name: pa.array([], pa.int64()) for name in SHOWN})] * 2)
    assert nobody == (None, 0)


SHOWN = ("user", "slot_1", "slot_2", "slot_3", "slot_4")
