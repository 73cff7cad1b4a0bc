"""A delivery that waits to be told, a check that fails when told, and the alert sensor, in a hurry."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from holley_assets.automation.alert_sensor import alert_sensor
from holley_assets.automation.jobs import RUN_TAGS

FOLDER = "STAND_IN_FOLDER"
# Seconds. Nobody may ever tell it.
PATIENCE = 90.0


def folder() -> Path:
    return Path(os.environ[FOLDER])


@dg.op
def deliver() -> None:
    context = dg.OpExecutionContext.get()
    (folder() / f"started {context.run_id}").write_text(str(os.getpid()))
    deadline = time.monotonic() + PATIENCE
    while not (folder() / "go").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    with (folder() / "delivered").open("a") as file:
        file.write(f"{context.run_id}\n")


@dg.job(tags=RUN_TAGS, executor_def=dg.in_process_executor)
def delivering() -> None:
    deliver()


@dg.sensor(job=delivering, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def asking() -> Iterator[dg.RunRequest]:
    for asked in sorted(folder().glob("ask *")):
        yield dg.RunRequest(run_key=asked.name)


@dg.sensor(minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def watching() -> dg.SensorResult:
    late = (folder() / "late").exists()
    evaluation = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey("import_orders"), check_name="table_is_fresh", passed=not late, metadata={}
    )
    return dg.SensorResult(asset_events=[evaluation])


@dg.sensor(name="alert_sensor", minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def telling(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    said = alert_sensor(context)
    assert isinstance(said, dg.SkipReason)
    return said


definitions = dg.Definitions(jobs=[delivering], sensors=[asking, watching, telling])
