"""Jobs as the terminal starts and follows them: ``dagster job execute``, and the event log of its run."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg

from holley_assets.assets.training_curves import EPOCH
from holley_assets.automation.failure_reasons import reason
from holley_assets.console.errors import ConsoleError
from holley_assets.console.preflight import require_writable
from holley_assets.console.time_left import TimeLeft, lengths_of_last_run
from holley_assets.core.asset_keys import DELIVERED_TABLE
from holley_assets.core.metadata_keys import ROW_COUNT, WAITS_FOR

# Names the run of a command among all runs; the UI hides tags of this prefix.
COMMAND_TAG = ".dagster/holley_command"
_FOLLOWED = {
    dg.DagsterEventType.STEP_START,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.STEP_SKIPPED,
    dg.DagsterEventType.ENGINE_EVENT,
}
_POLL_SECONDS = 0.5


class Progress(NamedTuple):
    """Where a run is.

    Attributes:
        done, total: steps that ended, and all.
        running: steps that have started and not ended.
        ended: the step that has just ended; None where one has just started.
        waits_for: what the run waits for before its first step, in words for people.
        seconds_left: about how long the run goes on; None where nothing tells.
        epoch: the one that the training has just ended, such as ``epoch 3 (levels)``.
    """

    done: int
    total: int
    running: tuple[str, ...]
    ended: str | None
    waits_for: str | None = None
    seconds_left: float | None = None
    epoch: str | None = None


class Outcome(NamedTuple):
    """What became of a run.

    Attributes:
        said: what its steps told the log, from level INFO, each on one line.
        rows: of the delivered table; None where none was delivered.
        passed, warned: names of checks.
        warnings: what of ``said`` is a warning, each once.
    """

    run_id: str
    said: list[str]
    rows: int | None
    passed: list[str]
    warned: list[str]
    warnings: tuple[str, ...] = ()


def dagster_home() -> Path:
    """Where Dagster keeps its history: ``DAGSTER_HOME``, else the project's folder if the command runs in it.

    Raises:
        ConsoleError: neither names a folder.
    """
    named = os.environ.get("DAGSTER_HOME")
    if named is None and Path("dagster.yaml").exists():
        return Path.cwd()
    if named is None:
        raise ConsoleError(
            "DAGSTER_HOME is not set and there is no dagster.yaml here: go to the project's folder, or set "
            "DAGSTER_HOME to a folder that holds a copy of its dagster.yaml"
        )
    if not Path(named).is_dir():
        raise ConsoleError(f"DAGSTER_HOME is {named!r}, which is no folder: make it, or name another")
    home = Path(named).resolve()
    require_writable("DAGSTER_HOME", home)
    return home


def run_job(job: str, config: Mapping[str, object] | None, report: Callable[[Progress], None]) -> Outcome:
    """Run a job of the project to its end.

    Args:
        config: of its steps, by name.
        report: called whenever a step starts or ends, and after each epoch of a training.

    Raises:
        ConsoleError: it failed; the message says what failed, where, and what to do.
    """
    home, token = dagster_home(), uuid.uuid4().hex
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["-m", "holley_assets.definitions", "-j", job, "--tags", json.dumps({COMMAND_TAG: token})]
        if config:
            path = Path(folder) / "config.yaml"
            steps = {name: {"config": values} for name, values in config.items()}
            path.write_text(json.dumps({"ops": steps}), encoding="utf-8")
            arguments += ["-c", str(path)]
        log = Path(folder) / "log.txt"
        with log.open("wb") as output, dg.DagsterInstance.from_config(str(home)) as instance:
            process = subprocess.Popen(
                [sys.executable, "-m", "dagster", "job", "execute", *arguments],
                env={**os.environ, "DAGSTER_HOME": str(home)},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                follow(
                    instance,
                    find=lambda: _run(instance, token),
                    is_alive=lambda: process.poll() is None,
                    report=report,
                )
            except KeyboardInterrupt:
                # The job has had the signal as well and ends its steps.
                process.wait()
                raise
            run = _run(instance, token)
            if run is None:
                raise ConsoleError(f"{job} did not start: {_last_line(log)}")
            return outcome_of(instance, run)


def follow(
    instance: dg.DagsterInstance,
    *,
    find: Callable[[], dg.DagsterRun | None],
    is_alive: Callable[[], bool],
    report: Callable[[Progress], None],
) -> None:
    """Report the steps of a run until its process ends.

    Args:
        find: the run; None until the process has made it.
        is_alive: whether the process goes on.
        report: called for each step that starts or ends, after each epoch, and while the run waits for another.
    """
    cursor, follower = None, None
    alive = True
    while alive:
        # What a process writes before its end is read after it.
        alive = is_alive()
        run = find()
        if run is not None:
            follower = follower or _follower_of(instance, run)
            records = instance.get_records_for_run(run.run_id, cursor)
            cursor = records.cursor
            for record in records.records:
                progress = follower.take(record.event_log_entry)
                if progress is not None:
                    report(progress)
        if alive:
            time.sleep(_POLL_SECONDS)


class _Follower:
    """Where a run is, entry by entry of its log."""

    def __init__(self, steps: Collection[str], lengths: Mapping[str, float]) -> None:
        self._total, self._done = len(steps), 0
        self._running: dict[str, None] = {}
        self._time = TimeLeft(steps, lengths)

    def take(self, entry: dg.EventLogEntry) -> Progress | None:
        """What the entry changes; None where it says nothing of where the run is."""
        event = entry.dagster_event
        if event is None:
            epoch = EPOCH.fullmatch(entry.user_message)
            return self._progress(epoch=epoch[1]) if epoch else None
        if event.event_type not in _FOLLOWED:
            return None
        if event.is_engine_event:
            words = event.engine_event_data.metadata.get(WAITS_FOR)
            return None if words is None else self._progress(waits_for=str(words.value))
        step = str(event.step_key)
        if event.event_type is dg.DagsterEventType.STEP_START:
            self._running[step] = None
            self._time.started(entry.timestamp)
            return self._progress()
        self._done += 1
        self._running.pop(step, None)
        return self._progress(ended=step, seconds_left=self._time.ended(step, entry.timestamp))

    def _progress(self, *, ended: str | None = None, waits_for: str | None = None, **more: Any) -> Progress:
        running = () if waits_for else tuple(self._running)
        return Progress(self._done, self._total, running, ended, waits_for, **more)


def _follower_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> _Follower:
    if run.execution_plan_snapshot_id is None:
        return _Follower((), {})
    plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
    return _Follower(plan.step_keys_to_execute, lengths_of_last_run(instance, run.job_name))


def _run(instance: dg.DagsterInstance, token: str) -> dg.DagsterRun | None:
    return next(iter(instance.get_runs(dg.RunsFilter(tags={COMMAND_TAG: token}), limit=1)), None)


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "Dagster says nothing"


def outcome_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Outcome:
    """What became of a run that has ended.

    Raises:
        ConsoleError: it failed; the message says what failed and where.
    """
    if run.status is not dg.DagsterRunStatus.SUCCESS:
        if run.status is not dg.DagsterRunStatus.FAILURE:
            raise ConsoleError(
                f"{run.job_name} is {run.status.value}: run {run.run_id}, which `holley ui` shows"
            )
        raise ConsoleError(f"{reason(instance, run)}. `holley ui` shows the run and its log")
    passed: list[str] = []
    warned: list[str] = []
    told: list[str] = []
    warnings: dict[str, None] = {}
    rows = None
    for entry in instance.all_logs(run.run_id):
        event = entry.dagster_event
        if event is None:
            words = " ".join(entry.user_message.split())
            if int(entry.level) >= logging.INFO:
                told.append(words)
            if int(entry.level) >= logging.WARNING:
                warnings[words] = None
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            (passed if check.passed else warned).append(
                f"{check.asset_key.to_user_string()}:{check.check_name}"
            )
        elif event.is_step_materialization and event.asset_key == DELIVERED_TABLE:
            rows = int(str(event.step_materialization_data.materialization.metadata[ROW_COUNT].value))
    return Outcome(run.run_id, told, rows, passed, warned, tuple(warnings))
