"""A tracking server that is down, slow or dies in the middle loses nothing, and holds nobody up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_proxy import Fault, FaultyProxy, Request, proxy_to
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from mlflow_server import MlflowServer
from tracking_world import delivery_of, evaluation_of, readout_of, training_of

from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.tracking.journal import PENDING, REFUSED, TrackingJournal
from holley_assets.resources.tracking.model_registry import open_model_registry
from holley_assets.resources.tracking.records import Record
from holley_assets.resources.tracking.registered_model import RegisteredModel

RESOURCE = SettingsResource()


@pytest.fixture
def proxy(
    mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultyProxy]:
    """The way to the server, from a machine with a data folder of its own."""
    with proxy_to(mlflow_server.url) as proxy:
        monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("HOLLEY_MLFLOW_TRACKING_URI", proxy.url)
        # A busy machine is no slow server.
        monkeypatch.setenv("HOLLEY_MLFLOW_TIMEOUT_SECONDS", "60")
        monkeypatch.setenv("HOLLEY_MLFLOW_RETRIES", "0")
        yield proxy


@pytest.fixture
def journal(proxy: FaultyProxy) -> TrackingJournal:
    return TrackingJournal(RESOURCE.load(), RESOURCE.store())


def registered(model_version: str) -> RegisteredModel:
    found = open_model_registry(RESOURCE.load()).by_model_version(model_version)
    assert found is not None
    return found


def mlflow_runs(server: MlflowServer, dagster_run_id: str) -> list[Run]:
    client = MlflowClient(server.url)
    experiment = client.get_experiment_by_name("holley-gnn")
    assert experiment is not None
    wanted = f"tags.dagster_run_id = '{dagster_run_id}'"
    return list(client.search_runs([experiment.experiment_id], wanted))


def test_a_run_arrives_as_one_mlflow_run_and_one_version(journal: TrackingJournal) -> None:
    training = training_of("arrives", RESOURCE.store())
    receipts = [
        journal.record(record) for record in (training, evaluation_of(training), delivery_of(training))
    ]
    assert [receipt.warning for receipt in receipts] == [None, None, None]
    model = registered(training.model_version)
    assert {receipt.version for receipt in receipts} == {model.version}
    assert (model.outcome, model.gates_passed, model.checks_passed) == ("clear_win", True, True)
    assert model.reference == training.checkpoint
    assert RESOURCE.store().keys("tracking/") == []


def test_a_readout_needs_no_version_of_the_registry(
    journal: TrackingJournal, mlflow_server: MlflowServer
) -> None:
    receipt = journal.record(readout_of("reads", RESOURCE.store()))
    assert (receipt.warning, receipt.version) == (None, None)
    (run,) = mlflow_runs(mlflow_server, "reads")
    assert receipt.mlflow_run == run.info.run_id


DOWN = {"down": Fault(drop=True), "failing": Fault(status=503), "slow": Fault(seconds=3.0)}


@pytest.mark.parametrize("how", DOWN)
def test_what_a_server_does_not_take_waits_and_is_sent_by_the_next_run(
    how: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = training_of(how, RESOURCE.store())
    with monkeypatch.context() as impatient:
        impatient.setenv("HOLLEY_MLFLOW_TIMEOUT_SECONDS", "1")
        journal = TrackingJournal(RESOURCE.load(), RESOURCE.store())
    proxy.judge = lambda request: DOWN[how]
    started = time.monotonic()
    records: list[Record] = [training, evaluation_of(training), delivery_of(training)]
    for number, record in enumerate(records, start=1):
        receipt = journal.record(record)
        assert receipt.waiting == number
        assert receipt.warning is not None and "\n" not in receipt.warning
        assert receipt.metadata["tracking_waiting"] == number
    assert time.monotonic() - started < 30.0
    proxy.judge = lambda request: None

    later = TrackingJournal(RESOURCE.load(), RESOURCE.store())
    assert later.send().problems == ()
    model = registered(training.model_version)
    assert (model.gates_passed, model.checks_passed) == (True, True)
    assert RESOURCE.store().keys(PENDING) == []


def test_a_server_that_dies_in_the_middle_of_a_training_is_gone_on_with(
    journal: TrackingJournal, proxy: FaultyProxy, mlflow_server: MlflowServer
) -> None:
    training = training_of("dies", RESOURCE.store())
    left = iter(range(100))

    def die_at_the_artifact(request: Request) -> Fault | None:
        if "mlflow-artifacts" in request.path and request.method == "PUT" and next(left) == 0:
            mlflow_server.kill()
        return None

    proxy.judge = die_at_the_artifact
    try:
        assert journal.record(training).waiting == 1
    finally:
        mlflow_server.start()
    assert journal.send().waiting == 0
    client = MlflowClient(mlflow_server.url)
    (run,) = mlflow_runs(mlflow_server, "dies")
    assert run.info.status == "FINISHED"
    assert [point.value for point in client.get_metric_history(run.info.run_id, "epoch/loss")] == [0.5, 0.25]
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["model.pt"]
    assert registered(training.model_version).dagster_run_id == "dies"


@pytest.mark.parametrize("request_number", (2, 6, 10))
def test_a_connection_that_breaks_anywhere_leaves_one_run_and_one_version(
    request_number: int, journal: TrackingJournal, proxy: FaultyProxy, mlflow_server: MlflowServer
) -> None:
    """The server did what it was asked, and its answer never came."""
    run = f"breaks-{request_number}"
    training = training_of(run, RESOURCE.store())
    proxy.requests.clear()
    proxy.judge = lambda request: Fault(lose_answer=len(proxy.requests) == request_number + 1)
    assert journal.record(training).waiting == 1
    proxy.judge = lambda request: None
    assert journal.send().waiting == 0
    assert len(mlflow_runs(mlflow_server, run)) == 1
    registry = open_model_registry(RESOURCE.load())
    assert [model.version for model in registry.versions(model_version=training.model_version)] == [
        registered(training.model_version).version
    ]


def test_a_step_that_is_tried_again_replaces_what_it_had_to_say(
    journal: TrackingJournal, proxy: FaultyProxy
) -> None:
    proxy.judge = lambda request: Fault(drop=True)
    for _ in range(2):
        training = training_of("again", RESOURCE.store())
        assert journal.record(training).waiting == 1


def test_what_the_server_will_never_take_is_set_aside_and_holds_up_nothing(
    journal: TrackingJournal, proxy: FaultyProxy
) -> None:
    orphan = evaluation_of(training_of("orphan", RESOURCE.store()))
    refused = journal.record(orphan)
    assert refused.waiting == 0 and refused.warning is not None
    assert "no version of the registry" in refused.warning
    assert len(RESOURCE.store().keys(REFUSED)) == 1
    assert journal.record(training_of("next", RESOURCE.store())).problems == ()
