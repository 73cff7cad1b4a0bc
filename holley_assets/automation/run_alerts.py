"""Alerts of runs: those that failed or died, and those that failed checks left green."""

from __future__ import annotations

import dagster as dg

from holley_assets.automation.alert_texts import check_line, link, message, severity_of
from holley_assets.automation.alerts import Alert, CheckNote, Severity
from holley_assets.automation.check_alerts import is_told, note_check
from holley_assets.automation.failure_reasons import evaluations as evaluations_of
from holley_assets.automation.failure_reasons import failures


def run_alert(
    instance: dg.DagsterInstance, run: dg.DagsterRun, ui_url: str | None, checks: dict[str, CheckNote]
) -> Alert | None:
    """What is to be told of a finished run, all in one message; ``None`` if nothing went wrong.

    Args:
        checks: how each check stood. What failed before, for the same reason, and was told then, without a run, is not
            told again because somebody ran that check by hand; how the checks of this run stand is noted.
    """
    evaluations = list(evaluations_of(instance, run.run_id))
    failed = [
        evaluation
        for _, evaluation in evaluations
        if not evaluation.passed and not is_told(checks, evaluation)
    ]
    for moment, evaluation in evaluations:
        note_check(checks, moment, evaluation)
    died = run.status is dg.DagsterRunStatus.FAILURE
    if not died and not failed:
        return None
    lines = [check_line(evaluation) for evaluation in failed]
    if died:
        lines += list(failures(instance, run.run_id, checks_told=bool(failed)))
    return Alert(
        severity=Severity.ERROR if died else severity_of(failed),
        title=f"{run.job_name} failed" if died else f"{run.job_name}: {len(failed)} checks failed",
        body=message(lines, link(ui_url, "runs", run.run_id) or [f"Run {run.run_id}"]),
        key=f"run {run.run_id}",
        run_id=run.run_id,
    )
