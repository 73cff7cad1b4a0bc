"""When the jobs start by themselves.

A tick that nobody could make because the daemon was down is made once when it is back: Dagster evaluates the
newest missed tick of a schedule without partitions and no earlier one. The day of the tick goes with the run
as a tag, so that a late run gives the result of its day.
"""

from __future__ import annotations

import datetime

import dagster as dg

from holley_assets.automation.jobs import daily_score, read_experiment, weekly_retrain
from holley_assets.core.tags import (
    AS_OF_TAG,
)
from holley_assets.settings import ExperimentSettings, ScheduleSettings, is_production, load_section

TIMEZONE = "UTC"
_EPOCH = datetime.date(1970, 1, 1)

# NOT_STARTED is left out: it is a run that a tick, cut short, has made and not yet launched. Dagster makes that
# tick again and launches the run it finds; a skip would leave it lying.
IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def starts_by_itself() -> bool:
    """Whether schedules and sensors that launch runs are on from the start: in production alone.

    A laptop starts no work that nobody asked for.
    """
    return is_production()


def due_day(day: datetime.date, every_days: int) -> datetime.date:
    """The newest day up to ``day`` on which something that is due every so many days was due.

    Counted on from 1970-01-01: cron's ``*/2`` starts anew each month and would fall on the 31st and the 1st.
    """
    return day - datetime.timedelta(days=(day - _EPOCH).days % every_days)


def runs_of_days(
    instance: dg.DagsterInstance, job: str, first: datetime.date, last: datetime.date
) -> list[dg.DagsterRun]:
    """Runs of ``job`` whose tag names a day from ``first`` to ``last``, newest first."""
    days = [
        (first + datetime.timedelta(days=offset)).isoformat() for offset in range((last - first).days + 1)
    ]
    return list(instance.get_runs(dg.RunsFilter(job_name=job, tags={AS_OF_TAG: days})))


def other_run_in_progress(instance: dg.DagsterInstance, job: str, run_key: str) -> dg.DagsterRun | None:
    """A queued or running run of ``job`` that was not requested under ``run_key``."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=IN_PROGRESS))
    return next((run for run in runs if run.tags.get("dagster/run_key") != run_key), None)


def request_of_day(
    instance: dg.DagsterInstance, job: str, day: datetime.date
) -> dg.RunRequest | dg.SkipReason:
    """A run of ``job`` as of ``day``, unless another is in progress."""
    run_key = _run_key(job, day)
    busy = other_run_in_progress(instance, job, run_key)
    if busy is not None:
        return dg.SkipReason(f"Run {busy.run_id[:8]} of {job} is still in progress")
    return dg.RunRequest(run_key=run_key, tags={AS_OF_TAG: day.isoformat()})


def _run_key(job: str, day: datetime.date) -> str:
    return f"{job} {day}"


def request_score(
    instance: dg.DagsterInstance, today: datetime.date, every_days: int
) -> dg.RunRequest | dg.SkipReason:
    """The run of ``daily_score`` that is due ``today``, or was due and never started.

    Whoever delivers has done it for the schedule; whoever tries and fails, a sensor or a person, has not.
    """
    due = due_day(today, every_days)
    known = runs_of_days(instance, daily_score.name, due, today)
    if due < today and any(_answers(run, due) for run in known):
        following = due + datetime.timedelta(days=every_days)
        return dg.SkipReason(f"Not due: every {every_days} days, last on {due}, next on {following}")
    if any(run.status is dg.DagsterRunStatus.SUCCESS for run in known):
        return dg.SkipReason(f"Already delivered as of {due}")
    return request_of_day(instance, daily_score.name, due)


def _answers(run: dg.DagsterRun, due: datetime.date) -> bool:
    """Whether after ``run`` nothing is left to be made up of the day that was due.

    The schedule's own run is an answer however it ended: what failed is a person's, and waits for the next day due.
    """
    own = run.tags.get("dagster/run_key") == _run_key(daily_score.name, due)
    if own:
        return run.status is not dg.DagsterRunStatus.NOT_STARTED
    return run.status in (dg.DagsterRunStatus.SUCCESS, *IN_PROGRESS)


_settings = load_section(ScheduleSettings)
_status = dg.DefaultScheduleStatus.RUNNING if starts_by_itself() else dg.DefaultScheduleStatus.STOPPED


@dg.schedule(
    job=weekly_retrain,
    cron_schedule=_settings.retrain,
    execution_timezone=TIMEZONE,
    default_status=_status,
    description="Retrains, evaluates and delivers as of the day of the tick (HOLLEY_SCHEDULE_RETRAIN). Missed "
    "ticks are made up by one run. It skips while an earlier retrain is in progress.",
)
def weekly_retrain_schedule(
    context: dg.ScheduleEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    return request_of_day(
        context.instance,
        weekly_retrain.name,
        context.scheduled_execution_time.astimezone(datetime.UTC).date(),
    )


@dg.schedule(
    job=daily_score,
    cron_schedule=_settings.score,
    execution_timezone=TIMEZONE,
    default_status=_status,
    description="Delivers as of the day of the tick (HOLLEY_SCHEDULE_SCORE), every HOLLEY_SCHEDULE_SCORE_EVERY_DAYS "
    "days. On the days between it makes up for a day that was due and had neither a run of its own nor a delivery, "
    "and skips otherwise.",
)
def daily_score_schedule(
    context: dg.ScheduleEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    today = context.scheduled_execution_time.astimezone(datetime.UTC).date()
    return request_score(context.instance, today, _settings.score_every_days)


@dg.schedule(
    job=read_experiment,
    cron_schedule=_settings.read,
    execution_timezone=TIMEZONE,
    default_status=_status,
    description="Reads the experiment on customers (HOLLEY_SCHEDULE_READ). It skips while an earlier readout is in "
    "progress, and without HOLLEY_EXPERIMENT_DECLARATION.",
)
def read_experiment_schedule(
    context: dg.ScheduleEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    if load_section(ExperimentSettings).declaration is None:
        return dg.SkipReason("There is no experiment: HOLLEY_EXPERIMENT_DECLARATION is not set")
    day = context.scheduled_execution_time.astimezone(datetime.UTC).date()
    return request_of_day(context.instance, read_experiment.name, day)


schedules = [weekly_retrain_schedule, daily_score_schedule, read_experiment_schedule]
