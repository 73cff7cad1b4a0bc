"""Killed in the middle of a run and of an alert, and started again: nothing lost, nothing twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import dagster as dg
import pytest
from automation.daemon_process import DaemonProcess, daemon_process
from webhook import running_webhook

from holley_assets.automation.alerts import OUTBOX_KEY


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """A daemon that has looked once for what is to be told, so that what comes then is not history."""
    with running_webhook() as webhook, daemon_process(tmp_path_factory.mktemp("killed"), webhook) as running:
        running.start()
        storage = running.instance.daemon_cursor_storage
        running.wait_until(lambda: storage.get_cursor_values({OUTBOX_KEY}), "the first look")
        yield running


def ask(daemon: DaemonProcess, name: str) -> dg.DagsterRun:
    """Ask for a delivery, and wait until it is in the middle of its work."""
    known = {run.run_id for run in daemon.instance.get_runs()}
    (daemon.folder / "go").unlink(missing_ok=True)
    (daemon.folder / f"ask {name}").touch()

    def begun() -> list[dg.DagsterRun]:
        runs = [run for run in daemon.instance.get_runs() if run.run_id not in known]
        return [run for run in runs if (daemon.folder / f"started {run.run_id}").exists()]

    daemon.wait_until(begun, f"the run asked for as {name}")
    (run,) = begun()
    return run


def delivered(daemon: DaemonProcess) -> list[str]:
    file = daemon.folder / "delivered"
    return file.read_text().split() if file.exists() else []


def test_a_run_goes_on_without_its_daemon(daemon: DaemonProcess) -> None:
    run = ask(daemon, "first")
    daemon.kill()
    (daemon.folder / "go").touch()
    daemon.wait_until(lambda: delivered(daemon) == [run.run_id], "the delivery without a daemon")
    daemon.start()
    daemon.wait_until(lambda: status_of(daemon, run) is dg.DagsterRunStatus.SUCCESS, "the end")


def status_of(daemon: DaemonProcess, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    """What became of a run so far."""
    known = daemon.instance.get_run_by_id(run.run_id)
    assert known is not None, run.run_id
    return known.status


@pytest.mark.parametrize("dies", ["the run alone", "everything"])
def test_a_run_that_died_is_found_told_and_started_again_once(daemon: DaemonProcess, dies: str) -> None:
    daemon.start()
    before, told = delivered(daemon), len(daemon.webhook.received)
    died = ask(daemon, dies)
    if dies == "everything":
        daemon.kill_all()
    else:
        os.kill(int((daemon.folder / f"started {died.run_id}").read_text()), signal.SIGKILL)
    (daemon.folder / "go").touch()
    daemon.start()
    daemon.wait_until(lambda: len(delivered(daemon)) > len(before), "the second attempt")
    daemon.wait_until(lambda: len(daemon.webhook.received) > told, "the alert")
    daemon.wait_until(lambda: all(run.is_finished for run in daemon.instance.get_runs()), "the end")
    assert status_of(daemon, died) is dg.DagsterRunStatus.FAILURE
    (again,) = daemon.instance.get_runs(dg.RunsFilter(tags={"dagster/parent_run_id": died.run_id}))
    assert again.is_success and delivered(daemon) == [*before, again.run_id]
    (alert,) = daemon.webhook.received[told:]
    assert "delivering failed" in alert["title"]
    assert "the run died without a failed step: " in alert["message"]
    assert died.run_id in alert["message"]
    if dies == "everything":
        assert "Detected run worker status FAILED" in alert["message"] and "is gone from" in alert["message"]


def test_an_alert_whose_answer_nobody_noted_comes_again_under_its_number(daemon: DaemonProcess) -> None:
    daemon.start()
    told = len(daemon.webhook.received)
    daemon.webhook.may_answer.clear()
    (daemon.folder / "late").touch()
    daemon.wait_until(lambda: len(daemon.webhook.received) > told, "the alert")
    daemon.kill_all()
    daemon.webhook.may_answer.set()
    daemon.start()
    daemon.wait_until(lambda: len(daemon.webhook.received) > told + 1, "the alert once more")
    first, second = daemon.webhook.received[told:]
    assert first["title"] == second["title"] == "[error] import_orders: table_is_fresh failed"
    assert first["message"].splitlines()[-1] == second["message"].splitlines()[-1]
    assert first["message"].splitlines()[-1].startswith("Alert ")
