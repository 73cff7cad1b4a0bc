"""Dagster's own daemons in this process, on a clock that a test moves.

The scheduler and the sensor daemon are the functions that `dagster-daemon run` calls; runs are executed where they
are launched. So what a test sees of missed ticks, run keys and skipped runs is what production would see.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import time_machine
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.remote_representation.external import RemoteSchedule, RemoteSensor
from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick, SensorInstigatorData
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import ScheduleIterationTimes, launch_scheduled_runs

STAND_INS = Path(__file__).parent / "stand_ins.py"
_LOGGER = logging.getLogger("simulated_daemon")


class Daemon:
    """A daemon that works when :meth:`wake` is called, at the time the test's clock shows."""

    def __init__(self, workspace: WorkspaceProcessContext, clock: time_machine.Traveller) -> None:
        self._workspace = workspace
        self._clock = clock
        self.instance = workspace.instance
        self._iteration_times: dict[str, ScheduleIterationTimes] = {}

    @property
    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)

    def wake(self) -> None:
        """One iteration of the scheduler and one of every sensor that is due."""
        list(
            launch_scheduled_runs(
                self._workspace, _LOGGER, end_datetime_utc=self.now, iteration_times=self._iteration_times
            )
        )
        list(
            execute_sensor_iteration(
                self._workspace, _LOGGER, threadpool_executor=None, submit_threadpool_executor=None
            )
        )

    def wake_and_die(self, schedule: str, moment: str) -> None:
        """An iteration of the scheduler that is killed at ``moment`` of a tick of ``schedule``."""
        crash = {schedule: {moment: signal.SIGINT}}
        list(
            launch_scheduled_runs(
                self._workspace,
                _LOGGER,
                end_datetime_utc=self.now,
                iteration_times={},
                debug_crash_flags=crash,
            )
        )

    def look_and_die(self, sensor: str, moment: str) -> None:
        """An iteration of the sensor daemon that is killed at ``moment`` of a tick of ``sensor``."""
        list(
            execute_sensor_iteration(
                self._workspace,
                _LOGGER,
                threadpool_executor=None,
                submit_threadpool_executor=None,
                debug_crash_flags={sensor: {moment: signal.SIGINT}},
            )
        )

    def sleep_until(self, when: datetime.datetime) -> None:
        """Nobody works until ``when``."""
        self._clock.move_to(when)

    def work_until(self, when: datetime.datetime, step: datetime.timedelta) -> None:
        """Wake every ``step`` until ``when``."""
        while self.now + step <= when:
            self._clock.shift(step)
            self.wake()
        self._clock.move_to(when)

    def restart(self) -> None:
        """Forget what a daemon keeps in memory."""
        self._iteration_times.clear()

    def start(self, *names: str) -> None:
        """Switch schedules and sensors on, as a person does in the user interface."""
        for instigator in self._instigators():
            if instigator.name in names:
                if isinstance(instigator, RemoteSchedule):
                    self.instance.start_schedule(instigator)
                else:
                    self.instance.start_sensor(instigator)

    def ticks(self, name: str) -> list[InstigatorTick]:
        """Ticks of a schedule or sensor, oldest first."""
        (found,) = [instigator for instigator in self._instigators() if instigator.name == name]
        return list(reversed(self.instance.get_ticks(found.get_remote_origin_id(), found.selector_id)))

    def cursor(self, sensor: str) -> str | None:
        """What a sensor keeps."""
        return self._sensor_data(sensor).cursor

    def reset_cursor(self, sensor: str) -> None:
        """As a person does on the sensor's page."""
        data = self._sensor_data(sensor)._replace(cursor=None)
        self.instance.update_instigator_state(self._sensor_state(sensor).with_data(data))

    def _sensor_state(self, name: str) -> InstigatorState:
        (found,) = [sensor for sensor in self._instigators() if sensor.name == name]
        state = self.instance.get_instigator_state(found.get_remote_origin_id(), found.selector_id)
        assert state is not None, f"{name} was never started"
        return state

    def _sensor_data(self, name: str) -> SensorInstigatorData:
        data = self._sensor_state(name).instigator_data
        assert isinstance(data, SensorInstigatorData), f"{name} is no sensor"
        return data

    def request_context(self) -> WorkspaceRequestContext:
        """What the web server answers from."""
        return self._workspace.create_request_context()

    def said_at(self, name: str, when: datetime.datetime) -> str:
        """What a sensor's tick at ``when`` says: why it asked for nothing, or "" if it asked for a run."""
        self.sleep_until(when)
        before = len(self.ticks(name))
        self.wake()
        assert len(self.ticks(name)) > before, "it is not due yet"
        tick = self.ticks(name)[-1]
        assert tick.error is None, tick.error
        return tick.skip_reason or ""

    def runs(self, job: str) -> list[dg.DagsterRun]:
        """Runs of a job, oldest first."""
        return list(reversed(self.instance.get_runs(dg.RunsFilter(job_name=job))))

    def _instigators(self) -> list[RemoteSchedule | RemoteSensor]:
        (entry,) = self._workspace.create_request_context().get_code_location_entries().values()
        assert entry.code_location is not None, entry.load_error
        (repository,) = entry.code_location.get_repositories().values()
        return [*repository.get_schedules(), *repository.get_sensors()]


@contextlib.contextmanager
def daemon_at(
    home: Path, start: datetime.datetime, attribute: str = "definitions", stand_ins: Path = STAND_INS
) -> Iterator[Daemon]:
    """A daemon over the stand-ins, on a new instance under ``home``, with the clock at ``start``."""
    home.mkdir(parents=True, exist_ok=True)
    overrides = {
        "run_launcher": {
            "module": "dagster._core.launcher.sync_in_memory_run_launcher",
            "class": "SyncInMemoryRunLauncher",
        },
        "run_coordinator": {
            "module": "dagster._core.run_coordinator",
            "class": "DefaultRunCoordinator",
        },
        "telemetry": {"enabled": False},
    }
    origin = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(python_file=str(stand_ins), attribute=attribute, working_directory=str(home))
    )
    with (
        time_machine.travel(start, tick=True) as clock,
        dg.DagsterInstance.local_temp(str(home), overrides=overrides) as instance,
        WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as workspace,
    ):
        yield Daemon(workspace, clock)
