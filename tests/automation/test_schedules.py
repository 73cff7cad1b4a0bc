"""Jobs start when they are due, once, as of the day of their tick."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from automation.conftest import day
from automation.moving_clock import Daemon
from automation.stand_ins import definitions
from hypothesis import given
from hypothesis import strategies as st
from small_run import PROJECT

from holley_assets.automation.freshness_sensor import freshness_sensor
from holley_assets.automation.schedules import due_day, request_score, schedules
from holley_assets.automation.upstream_sensor import upstream_sensor
from holley_assets.core.tags import (
    AS_OF_TAG,
)
from holley_assets.core.time_windows import (
    on_tagged_day,
)
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.settings import RunSettings, SettingsError

HOUR = datetime.timedelta(hours=1)
RETRAIN, SCORE, READ = "weekly_retrain_schedule", "daily_score_schedule", "read_experiment_schedule"
# Due days of daily_score in the simulated week and after it: even numbers of days since 1970-01-01.
DUE = ["2026-02-02", "2026-02-04", "2026-02-06", "2026-02-08", "2026-02-10"]


def days_of(runs: list[dg.DagsterRun]) -> list[str]:
    return [run.tags[AS_OF_TAG] for run in runs]


@pytest.fixture
def scheduled(daemon: Daemon) -> Daemon:
    daemon.start(RETRAIN, SCORE)
    daemon.wake()
    return daemon


@given(st.dates(min_value=datetime.date(1970, 1, 1)), st.integers(1, 7))
def test_something_is_due_at_equal_distances_whatever_the_month(today: datetime.date, every: int) -> None:
    due = due_day(today, every)
    assert today - datetime.timedelta(days=every) < due <= today
    if due + datetime.timedelta(days=every) < datetime.date.max:
        assert due_day(due + datetime.timedelta(days=every), every) == due + datetime.timedelta(days=every)


def test_nine_days_of_ticks(scheduled: Daemon) -> None:
    scheduled.work_until(day(9), 8 * HOUR)
    assert days_of(scheduled.runs("weekly_retrain")) == ["2026-02-02", "2026-02-09"]
    assert days_of(scheduled.runs("daily_score")) == DUE
    assert all(run.is_success for run in scheduled.instance.get_runs())


def test_missed_ticks_are_caught_up_by_one_run_of_the_newest_day(scheduled: Daemon) -> None:
    """Down from Monday to Wednesday of the week after: two retrains and five deliveries were missed."""
    scheduled.sleep_until(day(9, 12.0))
    scheduled.restart()
    scheduled.work_until(day(9, 15.0), HOUR)
    assert days_of(scheduled.runs("weekly_retrain")) == ["2026-02-09"]
    assert days_of(scheduled.runs("daily_score")) == ["2026-02-10"]
    scheduled.work_until(day(9, 20.0), 4 * HOUR)
    assert len(scheduled.runs("daily_score")) == 1


def test_a_delivery_missed_on_its_day_is_made_up_on_the_day_after(scheduled: Daemon) -> None:
    """Monday was due and nobody was there; Tuesday is not due, and delivers as of Monday, once."""
    scheduled.sleep_until(day(1, 4.5))
    scheduled.restart()
    scheduled.work_until(day(2), HOUR)
    assert days_of(scheduled.runs("daily_score")) == ["2026-02-02"]
    assert all(run.is_success for run in scheduled.instance.get_runs())


def test_a_late_run_gives_the_result_of_its_day(scheduled: Daemon) -> None:
    scheduled.sleep_until(day(4, 1.0))
    scheduled.wake()
    (run,) = scheduled.runs("weekly_retrain")
    assert run.tags[AS_OF_TAG] == "2026-02-02"
    frozen = SettingsResource().of_run(run)
    assert frozen.run.as_of == datetime.date(2026, 2, 2)


def test_never_two_at_once(scheduled: Daemon) -> None:
    scheduled.instance.create_run_for_job(
        definitions.resolve_job_def("weekly_retrain"),
        status=dg.DagsterRunStatus.STARTED,
        run_id="11111111-2222-4333-8444-555555555555",
    )
    scheduled.work_until(day(0, 6.0), HOUR)
    assert len(scheduled.runs("weekly_retrain")) == 1
    (tick,) = scheduled.ticks(RETRAIN)
    assert tick.skip_reason == "Run 11111111 of weekly_retrain is still in progress"


def test_a_tick_cut_short_is_made_again_and_launches_the_run_that_it_made(scheduled: Daemon) -> None:
    """The daemon was killed after it created the run and before it launched it."""
    scheduled.sleep_until(day(0, 3.01))
    with pytest.raises(KeyboardInterrupt):
        scheduled.wake_and_die(RETRAIN, "RUN_CREATED")
    (left,) = scheduled.runs("weekly_retrain")
    assert left.status is dg.DagsterRunStatus.NOT_STARTED
    scheduled.restart()
    scheduled.wake()
    (run,) = scheduled.runs("weekly_retrain")
    assert run.run_id == left.run_id and run.is_success


def test_what_a_sensor_delivered_today_is_not_delivered_again(scheduled: Daemon) -> None:
    scheduled.instance.create_run_for_job(
        definitions.resolve_job_def("daily_score"),
        tags={AS_OF_TAG: "2026-02-04"},
        status=dg.DagsterRunStatus.SUCCESS,
    )
    scheduled.sleep_until(day(2, 5.01))
    scheduled.wake()
    assert scheduled.ticks(SCORE)[-1].skip_reason == "Already delivered as of 2026-02-04"


@pytest.mark.parametrize(
    ("status", "run_key", "made_up"),
    [
        (dg.DagsterRunStatus.FAILURE, "upstream 0123", True),
        (dg.DagsterRunStatus.CANCELED, None, True),
        (dg.DagsterRunStatus.SUCCESS, "upstream 0123", False),
        (dg.DagsterRunStatus.STARTED, "upstream 0123", False),
        (dg.DagsterRunStatus.FAILURE, "daily_score 2026-02-04", False),
        # Left lying by a tick that was cut short: asked for again, it is launched.
        (dg.DagsterRunStatus.NOT_STARTED, "daily_score 2026-02-04", True),
    ],
)
def test_a_failure_of_somebody_else_is_made_up_on_the_day_after(
    status: dg.DagsterRunStatus, run_key: str | None, made_up: bool
) -> None:
    tags = {AS_OF_TAG: "2026-02-04", **({"dagster/run_key": run_key} if run_key else {})}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.create_run_for_job(definitions.resolve_job_def("daily_score"), tags=tags, status=status)
        asked = request_score(instance, datetime.date(2026, 2, 5), 2)
    if made_up:
        assert isinstance(asked, dg.RunRequest) and asked.run_key == "daily_score 2026-02-04"
    else:
        assert isinstance(asked, dg.SkipReason) and str(asked.skip_message).startswith("Not due: ")


def test_an_experiment_is_read_every_day_while_one_is_declared(
    daemon: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.start(READ)
    daemon.wake()
    daemon.work_until(day(0, 8.0), HOUR)
    assert daemon.runs("read_experiment") == []
    (tick,) = daemon.ticks(READ)
    assert tick.skip_reason == "There is no experiment: HOLLEY_EXPERIMENT_DECLARATION is not set"
    path = tmp_path / "spring.toml"
    path.touch()
    monkeypatch.setenv("HOLLEY_EXPERIMENT_DECLARATION", str(path))
    daemon.work_until(day(2, 12.0), 2 * HOUR)
    assert days_of(daemon.runs("read_experiment")) == ["2026-02-03", "2026-02-04"]


def test_the_tag_goes_before_the_variable() -> None:
    run = RunSettings(as_of=datetime.date(2026, 1, 1))
    assert on_tagged_day(run, {}) == run
    assert on_tagged_day(run, {AS_OF_TAG: "2026-02-03"}).as_of == datetime.date(2026, 2, 3)
    with pytest.raises(
        SettingsError, match="run tag holley/as_of=tomorrow is not allowed; allowed: an ISO date"
    ):
        on_tagged_day(run, {AS_OF_TAG: "tomorrow"})
    for wrong in ("0001-01-01", "20260203", "2026-02-03\n"):
        with pytest.raises(SettingsError, match=r"allowed: an ISO date from 2000-01-01") as raised:
            on_tagged_day(run, {AS_OF_TAG: wrong})
        assert "\n" not in str(raised.value)


def test_schedules_and_sensors_are_on_in_production_and_a_laptop_starts_nothing_by_itself() -> None:
    code = (
        "from holley_assets.definitions import definitions;"
        "repository = definitions.get_repository_def();"
        "print(*{one.default_status.name for one in [*repository.schedule_defs, *repository.sensor_defs]})"
    )
    assert python(code, {"HOLLEY_ENV": "prod"}).stdout.split() == ["RUNNING"]
    assert {schedule.default_status for schedule in schedules} == {dg.DefaultScheduleStatus.STOPPED}
    assert {sensor.default_status for sensor in (upstream_sensor, freshness_sensor)} == {
        dg.DefaultSensorStatus.STOPPED
    }


def test_a_wrong_time_is_one_line() -> None:
    finished = python("import holley_assets.definitions", {"HOLLEY_SCHEDULE_RETRAIN": "Mondays"})
    assert finished.returncode != 0
    assert finished.stderr.splitlines()[-1].endswith(
        "HOLLEY_SCHEDULE_RETRAIN=Mondays is not allowed; allowed: a cron string of five fields, such as 0 3 * * 1"
    )


def python(code: str, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
