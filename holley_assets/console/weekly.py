"""The weekly job on a terminal: a bar while it goes on, five lines when it is done."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from holley_assets.console import jobs
from holley_assets.evaluation.formatting import difference
from holley_assets.resources.settings_resource import SettingsResource

JOB = "weekly_retrain"
# Checks that are named of those that warned.
_NAMED = 5


@contextmanager
def shown_progress(console: Console) -> Iterator[Callable[[jobs.Progress], None]]:
    """A bar on a terminal, else one line for each step that ends."""
    if not console.is_terminal:
        yield lambda progress: _line(console, progress)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _TimeLeftColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("starting Dagster", total=None)

        def show(progress: jobs.Progress) -> None:
            if progress.seconds_left is not None:
                bar.update(task, ends_at=bar.get_time() + progress.seconds_left)
            bar.update(
                task,
                completed=progress.done,
                total=progress.total,
                description=progress.waits_for or _words(progress),
            )

        yield show


class _TimeLeftColumn(ProgressColumn):
    """About how long the run goes on; empty until a step has ended, and once the time is over."""

    def render(self, task: Task) -> Text:
        """Text of the column."""
        seconds = task.fields.get("ends_at", 0.0) - task.get_time()
        if seconds < 1 or task.finished:
            return Text("")
        minutes = seconds / 60
        return Text(f"about {seconds:.0f} s left" if minutes < 1.5 else f"about {minutes:.0f} min left")


def _words(progress: jobs.Progress) -> str:
    if not progress.running:
        return "finishing" if progress.done == progress.total else "starting the next step"
    running = ", ".join(progress.running)
    return f"{running}: {progress.epoch}" if progress.epoch else running


def _line(console: Console, progress: jobs.Progress) -> None:
    if progress.ended is not None:
        console.print(f"{progress.done}/{progress.total} {progress.ended}")
    elif progress.waits_for is not None:
        console.print(progress.waits_for, soft_wrap=True)


def summary(outcome: jobs.Outcome) -> list[str]:
    """Decision, lift with its interval, rows delivered, checks, and where the report is."""
    store = SettingsResource().store()
    path = store.local_path(store.artifact_key(outcome.run_id, "eval_report.json"))
    report = json.loads(path.read_text(encoding="utf-8"))
    decision, comparison = report["decision"], report["comparison"]["overall"]
    delta, interval = comparison["hit_rate@4_delta"], comparison["ci95"]
    lift = "no test user clicked" if delta is None else f"{difference(delta)} points of Hit Rate@4 over SQL"
    if interval is not None:
        # The decision above is about cold users.
        lift += f" ({difference(interval[0])} to {difference(interval[1])}), all test users"
    names = ", ".join(outcome.warned[:_NAMED]) + (" and others" if len(outcome.warned) > _NAMED else "")
    checks = f"{len(outcome.passed)} passed, {len(outcome.warned)} warned" + (f": {names}" if names else "")
    rows = "none" if outcome.rows is None else f"{outcome.rows:,}"
    return [
        f"decision: {decision['outcome']}. {decision['reason']}",
        f"lift: {lift}",
        f"rows delivered: {rows}",
        f"checks: {checks}",
        f"report: {store.location(store.artifact_key(outcome.run_id, 'eval_report.html'))}",
    ]
