"""A sensor and a schedule that fail with what a test writes into a file."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg

from holley_assets.automation.alert_sensor import alert_sensor

FOLDER = "STAND_IN_FOLDER"


def fail_as_asked(name: str) -> dg.SkipReason:
    path = Path(os.environ[FOLDER]) / name
    if path.exists():
        raise ValueError(path.read_text())
    return dg.SkipReason("nothing to do")


@dg.op
def nothing() -> None: ...


@dg.job
def idle() -> None:
    nothing()


@dg.sensor(job=idle, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def watching() -> dg.SkipReason:
    return fail_as_asked("watching")


@dg.schedule(job=idle, cron_schedule="0 * * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def hourly() -> dg.SkipReason:
    return fail_as_asked("hourly")


definitions = dg.Definitions(jobs=[idle], sensors=[alert_sensor, watching], schedules=[hourly])
