"""Jobs of seconds that do what a week may: wait for one another, fail a gate, lose their process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from holley_assets.automation.jobs import RUN_TAGS
from holley_assets.core.materialized import Materialized

FOLDER = "STAND_IN_FOLDER"


@dg.op
def take_a_second() -> None:
    time.sleep(1)


@dg.op
def lose_the_process_once() -> None:
    """Kills its own run, since steps run in the run's process here; the next run goes through."""
    marker = Path(os.environ[FOLDER]) / "killed"
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


@dg.job(tags=RUN_TAGS, executor_def=dg.in_process_executor)
def short() -> None:
    take_a_second()


@dg.job(tags=RUN_TAGS, executor_def=dg.in_process_executor)
def killed() -> None:
    lose_the_process_once()


@dg.asset(check_specs=[dg.AssetCheckSpec("gate", asset="staged", blocking=True)])
def staged() -> Iterator[Materialized | dg.AssetCheckResult]:
    yield dg.MaterializeResult()
    yield dg.AssetCheckResult(passed=False)


@dg.asset(deps=[staged])
def published() -> None:
    (Path(os.environ[FOLDER]) / "published").touch()


gated = dg.define_asset_job(
    "gated", selection=[staged, published], tags=RUN_TAGS, executor_def=dg.in_process_executor
)


@dg.sensor(jobs=[short, gated, killed], default_status=dg.DefaultSensorStatus.RUNNING)
def four_runs_at_once(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    if context.cursor:
        return dg.SkipReason("asked for already")
    jobs = ("short", "short", "gated", "killed")
    return dg.SensorResult(run_requests=[dg.RunRequest(job_name=name) for name in jobs], cursor="asked")


definitions = dg.Definitions(
    assets=[staged, published], jobs=[short, gated, killed], sensors=[four_runs_at_once]
)
