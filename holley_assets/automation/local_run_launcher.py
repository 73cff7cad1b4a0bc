"""Runs on this machine whose death is noticed: by Dagster's own code server, and where that died too, by the daemon."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

import psutil
from dagster import DagsterEventType, DagsterRun, DefaultRunLauncher, Field
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._serdes import ConfigurableClassData

# The machine whose process numbers those of a run are.
HOST_TAG = "holley/host"
# How the command of every run's process reads; its number may go to another program, at the latest after a restart.
_WORKER = "spawn_main"
# A run names its process in one of its first events.
_FIRST_EVENTS = 20
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# A daemon looks every minute for a code server that is gone, and another takes some seconds to load.
_PATIENCE = 90


class LocalRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, which can tell whether a run's process is still there.

    A code server notices when a run's process dies. Nobody does when both die, as they do when a machine runs out of
    memory, restarts or is switched off: the run would stay in progress, and hold up the queue, for ever.

    Configured as ``run_launcher`` in ``dagster.yaml``, with ``run_monitoring`` enabled.

    Args:
        inst_data: Dagster's.
        patience_seconds: how long a run's process has been gone before the run is dead. Dagster starts it again at
            that moment or never, and can do so only where a code server is back.
    """

    def __init__(
        self, inst_data: ConfigurableClassData | None = None, patience_seconds: int = _PATIENCE
    ) -> None:
        super().__init__(inst_data)
        self._patience = patience_seconds
        self._gone_since: dict[str, float] = {}

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """What ``dagster.yaml`` may say."""
        return {"patience_seconds": Field(int, default_value=_PATIENCE)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> LocalRunLauncher:
        """Made by Dagster."""
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process below the code server, and note on which machine, where that is this one."""
        if starts_here(context.dagster_run):
            self._instance.add_run_tags(context.dagster_run.run_id, {HOST_TAG: socket.gethostname()})
        super().launch_run(context)

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes: Dagster's run monitoring asks."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the run's process is there. Where that cannot be known, the run is left alone.

        That is so on another machine or in another container than the daemon, and for a run that no daemon launched,
        such as that of ``dagster job execute``.
        """
        host = run.tags.get(HOST_TAG)
        if host != socket.gethostname():
            return CheckRunHealthResult(WorkerStatus.RUNNING, "not launched by a daemon of this machine")
        process = self._process_of(run)
        if process is None or _is_worker(process):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        now = time.monotonic()
        if now - self._gone_since.setdefault(run.run_id, now) < self._patience:
            return CheckRunHealthResult(
                WorkerStatus.RUNNING, f"process {process} is gone; its code server may return"
            )
        del self._gone_since[run.run_id]
        return CheckRunHealthResult(WorkerStatus.FAILED, f"process {process} of the run is gone from {host}")

    def _process_of(self, run: DagsterRun) -> int | None:
        page = self._instance.get_records_for_run(
            run.run_id, of_type=DagsterEventType.ENGINE_EVENT, limit=_FIRST_EVENTS
        )
        for record in page.records:
            event = record.event_log_entry.dagster_event
            if event is not None and event.step_key is None:
                number = event.engine_event_data.metadata.get("pid")
                if number is not None:
                    return int(str(number.value))
        return None


def starts_here(run: DagsterRun) -> bool:
    """Whether the run's process will be one of this machine: its code server is Dagster's own, or on loopback."""
    if run.remote_job_origin is None:
        return False
    code = run.remote_job_origin.repository_origin.code_location_origin
    if isinstance(code, GrpcServerCodeLocationOrigin):
        return code.socket is not None or code.host in _LOOPBACK
    return True


def _is_worker(number: int) -> bool:
    """Whether a process of this number is there and is a run's; one that nobody has buried yet is not."""
    try:
        process = psutil.Process(number)
        return process.status() != psutil.STATUS_ZOMBIE and any(_WORKER in part for part in process.cmdline())
    except psutil.Error:
        return False
