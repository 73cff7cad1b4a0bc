"""One MLflow run a training, found by its Dagster run; writing it twice changes nothing."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tracking_world import evaluation_of, readout_of, training_of

from holley_assets.evaluation.run_settings import flat
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.artifacts import ArtifactStore
from holley_assets.resources.tracking.tracking import (
    DAGSTER_RUN_TAG,
    EXPERIMENT_TAG,
    Tracker,
)


@pytest.fixture
def settings_resource(
    empty_mlflow_database: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SettingsResource:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    (tmp_path / "mlflow.db").write_bytes(empty_mlflow_database)
    return SettingsResource()


def test_training_and_evaluation_share_one_run_however_often_they_are_written(
    settings_resource: SettingsResource, tmp_path: Path
) -> None:
    from mlflow.tracking import MlflowClient

    store, settings = settings_resource.store(), settings_resource.load()
    training = training_of("dagster-run", store)
    checkpoint = ArtifactStore(store, "dagster-run").locate(training.checkpoint)
    run_id = Tracker(settings).record_training(training, checkpoint)
    assert Tracker(settings).record_training(training, checkpoint) == run_id
    for _ in range(2):
        assert Tracker(settings).record_evaluation(evaluation_of(training), []) == run_id

    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags[DAGSTER_RUN_TAG] == "dagster-run"
    assert run.data.tags["decision"] == "clear_win"
    assert run.data.params == {"training.seed": "0", "training.epochs": "2"}
    assert run.data.metrics == {
        "nodes/user": 10,
        "epoch/loss": 0.25,
        "epoch/mrr": 0.1,
        "gnn/cold.hit_rate_at_4": 0.2,
    }
    assert [point.value for point in client.get_metric_history(run_id, "epoch/loss")] == [0.5, 0.25]
    assert run.data.tags["as_of"] == "2026-02-01"
    assert "not noted" in run.data.tags["mlflow.note.content"]
    experiment = client.get_experiment(run.info.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert [file.path for file in client.list_artifacts(run_id)] == ["model.pt"]
    assert (tmp_path / "mlflow_artifacts").is_dir()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "sample",
            "**Generated sample**: customers, clicks and orders are invented. Trained as of 2026-02-01, on x.",
        ),
        ("bigquery", "Trained as of 2026-02-01, on x."),
    ],
)
def test_a_run_says_what_it_learnt_from(settings_resource: SettingsResource, source: str, said: str) -> None:
    from mlflow.tracking import MlflowClient

    store, settings = settings_resource.store(), settings_resource.load()
    learnt = {"source": source, "source_kind": "x", "window": "from 2025-08-05"}
    training = training_of("dagster-run", store).model_copy(update={"learnt_from": learnt})
    checkpoint = ArtifactStore(store, "dagster-run").locate(training.checkpoint)
    run_id = Tracker(settings).record_training(training, checkpoint)
    tags = MlflowClient(f"sqlite:///{settings.run.data_dir / 'mlflow.db'}").get_run(run_id).data.tags
    assert tags["mlflow.note.content"] == said
    assert {name: tags[name] for name in learnt} == learnt


def test_an_evaluation_without_training_is_told_so(settings_resource: SettingsResource) -> None:
    record = evaluation_of(training_of("nobody", settings_resource.store()))
    assert Tracker(settings_resource.load()).record_evaluation(record, []) is None


def test_a_readout_is_one_run_however_often_it_is_written(
    settings_resource: SettingsResource, tmp_path: Path
) -> None:
    from mlflow.tracking import MlflowClient

    store, settings = settings_resource.store(), settings_resource.load()
    readout = readout_of("dagster-run", store)
    page = ArtifactStore(store, "dagster-run").locate(readout.artifacts[0])
    run_id = Tracker(settings).record_readout(readout, [page])
    assert Tracker(settings).record_readout(readout, [page]) == run_id
    assert Tracker(settings).record_readout(readout_of("another-run", store), []) != run_id
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert (run.data.tags[DAGSTER_RUN_TAG], run.data.tags[EXPERIMENT_TAG]) == ("dagster-run", "spring")
    assert (run.data.tags["decision"], run.data.tags["as_of"]) == ("keep running", "2026-02-01")
    assert run.data.metrics == {"users.graph": 10, "mismatch.p_value": 0.5}
    assert [file.path for file in client.list_artifacts(run_id)] == ["experiment_readout.html"]


def test_nested_names_are_dotted() -> None:
    assert flat({"training": {"seed": 0, "rates": {"a": math.pi}}}) == {
        "training.seed": 0,
        "training.rates.a": math.pi,
    }


def test_a_run_is_as_long_as_its_training(settings_resource: SettingsResource, tmp_path: Path) -> None:
    """MLflow counts from when a run is made, which is after the training: 53 ms stood there for a minute."""
    from mlflow.tracking import MlflowClient

    store, settings = settings_resource.store(), settings_resource.load()
    training = training_of("dagster-run", store).model_copy(update={"statistics": {"training/seconds": 90.5}})
    checkpoint = ArtifactStore(store, "dagster-run").locate(training.checkpoint)
    run_id = Tracker(settings).record_training(training, checkpoint)
    info = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").get_run(run_id).info
    assert info.end_time == int(training.written_at.timestamp() * 1000)
    assert info.end_time - info.start_time == 90_500
