"""How long a run still takes, by the time that each step took the last time."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping

import dagster as dg


class TimeLeft:
    """Counts the steps that ended, each by its length; the speed is that of the run itself.

    Other data or another machine make every step longer by about the same factor, which falls out.

    Args:
        steps: all steps of the run.
        lengths: seconds that a step took before. A step without one is as long as most of the others; with none at
            all, every step is as long as any other.
    """

    def __init__(self, steps: Collection[str], lengths: Mapping[str, float]) -> None:
        known = [lengths[step] for step in steps if step in lengths]
        usual = statistics.median(known) if known else 1.0
        self._ahead = {step: lengths.get(step, usual) for step in steps}
        self._all = sum(self._ahead.values())
        self._began: float | None = None

    def started(self, when: float) -> None:
        """A step has started at this time, in seconds."""
        if self._began is None:
            self._began = when

    def ended(self, step: str, when: float) -> float | None:
        """A step has ended at this time: seconds that are left; None where nothing was done yet that tells them."""
        self._ahead.pop(step, None)
        ahead = sum(self._ahead.values())
        done = self._all - ahead
        if self._began is None or done <= 0:
            return None
        return max(when - self._began, 0.0) * ahead / done


def lengths_of_last_run(instance: dg.DagsterInstance, job: str) -> dict[str, float]:
    """Seconds that each step took in the newest run of a job that ended well; empty where there is none."""
    runs = instance.get_runs(dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1)
    if not runs:
        return {}
    return {
        step.step_key: step.end_time - step.start_time
        for step in instance.get_run_step_stats(runs[0].run_id)
        if step.start_time is not None and step.end_time is not None
    }
