"""A run is dead when its process is gone from this machine, and alive as long as that cannot be known."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
import yaml
from dagster._core.events import EngineEventData
from dagster._core.launcher import WorkerStatus
from dagster._core.remote_origin import (
    CodeLocationOrigin,
    GrpcServerCodeLocationOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from small_run import PROJECT

from holley_assets.automation import local_run_launcher as module
from holley_assets.automation.local_run_launcher import HOST_TAG, LocalRunLauncher, starts_here

SPAWNED = "from multiprocessing.spawn import spawn_main; import time; time.sleep(60)"


@dg.job
def idle() -> None: ...


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> dg.DagsterInstance:
    """An instance of a laptop, with the settings of the project, but without patience."""
    home = tmp_path_factory.mktemp("home")
    settings = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    settings["run_launcher"]["config"] = {"patience_seconds": 0}
    (home / "dagster.yaml").write_text(yaml.safe_dump(settings))
    return dg.DagsterInstance.from_config(str(home))


def in_progress(
    instance: dg.DagsterInstance, process: int | None, host: str | None = socket.gethostname()
) -> dg.DagsterRun:
    """A run in progress that names this process."""
    tags = {} if host is None else {HOST_TAG: host}
    run = instance.create_run_for_job(idle, tags=tags, status=dg.DagsterRunStatus.STARTED)
    if process is not None:
        instance.report_engine_event("Started process for run", run, EngineEventData.in_process(process))
    return run


def status(
    instance: dg.DagsterInstance, process: int | None, host: str | None = socket.gethostname()
) -> WorkerStatus:
    """What run monitoring hears of such a run."""
    assert isinstance(instance.run_launcher, LocalRunLauncher)
    return instance.run_launcher.check_run_worker_health(in_progress(instance, process, host)).status


def test_a_process_that_is_there_is_alive_and_one_that_was_killed_dead(instance: dg.DagsterInstance) -> None:
    with subprocess.Popen([sys.executable, "-c", SPAWNED]) as process:
        assert status(instance, process.pid) is WorkerStatus.RUNNING
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert status(instance, process.pid) is WorkerStatus.FAILED, "dead, and not yet buried"
        process.wait()
        assert status(instance, process.pid) is WorkerStatus.FAILED


def test_a_run_is_dead_only_after_another_code_server_had_time_to_come(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter((1000.0, 1089.0, 1091.0))
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(instance.run_launcher, "_patience", 90)
    run = in_progress(instance, os.getppid())
    seen = [instance.run_launcher.check_run_worker_health(run).status for _ in range(3)]
    assert seen == [WorkerStatus.RUNNING, WorkerStatus.RUNNING, WorkerStatus.FAILED]


def test_a_number_that_went_to_another_program_is_no_run(instance: dg.DagsterInstance) -> None:
    assert status(instance, os.getppid()) is WorkerStatus.FAILED


@pytest.mark.parametrize(("process", "host"), [(0, "another"), (0, None), (None, socket.gethostname())])
def test_what_cannot_be_known_is_left_alone(
    instance: dg.DagsterInstance, process: int | None, host: str | None
) -> None:
    assert status(instance, process, host) is WorkerStatus.RUNNING


@pytest.mark.parametrize("settings", ["dagster.yaml", "holley_assets/deploy/dagster.yaml"])
def test_both_instance_settings_have_it_and_ask(settings: str) -> None:
    read = yaml.safe_load((PROJECT / Path(settings)).read_text())
    assert read["run_launcher"] == {
        "module": LocalRunLauncher.__module__,
        "class": LocalRunLauncher.__name__,
    }
    assert read["run_monitoring"]["enabled"] is True


@pytest.mark.parametrize(
    ("code", "here"),
    [
        (ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="project")), True),
        (GrpcServerCodeLocationOrigin(host="localhost", port=4000), True),
        (GrpcServerCodeLocationOrigin(host="localhost", socket="/tmp/code.sock"), True),
        (GrpcServerCodeLocationOrigin(host="code-server", port=4000), False),
    ],
)
def test_processes_of_a_code_server_in_another_container_are_not_looked_for(
    instance: dg.DagsterInstance, code: CodeLocationOrigin, here: bool
) -> None:
    run = in_progress(instance, None)
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(code, "__repository__"), "idle")
    assert starts_here(run._replace(remote_job_origin=origin)) is here
    assert not starts_here(run), "nobody knows"
