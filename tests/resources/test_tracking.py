"""One MLflow run a training, found by its Dagster run."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.tracking import DAGSTER_RUN_TAG, flatten, open_tracker


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tracking")


def test_training_and_evaluation_share_one_run(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("HOLLEY_DATA_DIR", str(store))
    checkpoint = store / "model.pt"
    checkpoint.write_bytes(b"weights")
    tracker = open_tracker(SettingsResource().load())
    run_id = tracker.record_training(
        "dagster-run",
        parameters=flatten({"training": {"seed": 0, "epochs": 2}}),
        statistics={"nodes.user": 10, "density": math.nan},
        curves=[{"epoch": 1, "loss": 0.5, "mrr": None}, {"epoch": 2, "loss": 0.25, "mrr": 0.1}],
        artifacts=[checkpoint],
    )
    again = open_tracker(SettingsResource().load())
    found = again.record_evaluation(
        "dagster-run", metrics={"gnn.cold.hit_rate@4": 0.2}, tags={"decision": "neutral"}, artifacts=[]
    )
    assert found == run_id

    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags[DAGSTER_RUN_TAG] == "dagster-run"
    assert run.data.params == {"training.seed": "0", "training.epochs": "2"}
    assert run.data.metrics == {"nodes.user": 10, "loss": 0.25, "mrr": 0.1, "gnn.cold.hit_rate_at_4": 0.2}
    assert [point.value for point in client.get_metric_history(run_id, "loss")] == [0.5, 0.25]
    assert [file.path for file in client.list_artifacts(run_id)] == ["model.pt"]
    assert (store / "mlflow_artifacts").is_dir()


def test_an_evaluation_without_training_is_told_so(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(store))
    tracker = open_tracker(SettingsResource().load())
    assert tracker.record_evaluation("other-run", metrics={}, tags={}, artifacts=[]) is None
