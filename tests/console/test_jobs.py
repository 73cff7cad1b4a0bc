"""Commands that start jobs: what they say while a run goes on, when it is done, and when it fails."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from rich.console import Console
from small_run import PROJECT, FinishedRun

from holley_assets.console import jobs, weekly
from holley_assets.console.errors import ConsoleError
from holley_assets.console.main import holley
from holley_assets.console.time_left import TimeLeft, lengths_of_last_run


@pytest.fixture
def finished(weekly_run: FinishedRun) -> Iterator[tuple[dg.DagsterInstance, dg.DagsterRun]]:
    """The small weekly run as its event log has it."""
    with dg.DagsterInstance.from_config(str(weekly_run.home)) as instance:
        (run,) = instance.get_runs(dg.RunsFilter(job_name="weekly_retrain"))
        yield instance, run


def test_every_step_is_reported_when_it_starts_and_when_it_ends(
    finished: tuple[dg.DagsterInstance, dg.DagsterRun],
) -> None:
    instance, run = finished
    found: list[jobs.Progress] = []
    # The process ends while its last events are written: they are read all the same.
    jobs.follow(instance, find=lambda: run, is_alive=lambda: False, report=found.append)
    ends = [progress for progress in found if progress.ended is not None]
    assert [progress.done for progress in ends] == list(range(1, len(ends) + 1))
    assert ends[-1].done == ends[-1].total and ends[-1].running == ()
    names = [progress.ended for progress in ends]
    assert len(set(names)) == len(names) and {"time_windows", "eval_report"} <= set(names)
    starts = [progress.running for progress in found if progress.ended is None]
    assert starts[0] == ("time_windows",)
    epochs = [progress.epoch for progress in found if progress.epoch is not None]
    assert epochs[0].startswith("epoch 0 (") and len(epochs) > 2
    assert len(set(epochs)) == len(epochs), "an epoch is told once"
    left = [progress.seconds_left for progress in ends]
    assert None not in left and left[-1] == 0
    # In shadow mode nothing is served, and these are skipped without a start.
    assert set(names) - {step for running in starts for step in running} == {
        "serving_checks",
        "serving_table",
    }


def test_off_a_terminal_a_line_is_printed_for_each_step_that_ends() -> None:
    output = io.StringIO()
    with weekly.shown_progress(Console(file=output)) as report:
        report(jobs.Progress(0, 3, ("a",), None))
        report(jobs.Progress(1, 3, ("b",), "a"))
    assert output.getvalue() == "1/3 a\n"


def test_on_a_terminal_a_bar_names_the_steps_that_go_on() -> None:
    output = io.StringIO()
    with weekly.shown_progress(Console(file=output, force_terminal=True, width=80)) as report:
        report(jobs.Progress(1, 3, ("b", "c"), "a"))
    assert "b, c" in output.getvalue() and "1/3" in output.getvalue()


def test_on_a_terminal_the_bar_names_the_epoch_and_the_time_that_is_left() -> None:
    output = io.StringIO()
    with weekly.shown_progress(Console(file=output, force_terminal=True, width=120)) as report:
        report(jobs.Progress(1, 3, ("trained_checkpoint",), "a", seconds_left=200.0))
        report(jobs.Progress(1, 3, ("trained_checkpoint",), None, epoch="epoch 7 (messages)"))
    assert "trained_checkpoint: epoch 7 (messages)" in output.getvalue()
    assert "about 3 min left" in output.getvalue()


def test_the_time_left_is_that_of_the_steps_ahead_at_the_speed_of_this_run() -> None:
    time_left = TimeLeft(["a", "b", "c"], {"a": 1.0, "b": 2.0, "c": 7.0})
    assert time_left.ended("a", 5.0) is None, "nothing has started"
    time_left.started(10.0)
    time_left.started(11.0)
    # 3 of 10 seconds of the last run took 6 here: 7 take 14.
    assert time_left.ended("b", 16.0) == pytest.approx(14.0)
    assert time_left.ended("c", 30.0) == 0.0


def test_a_step_that_was_never_run_is_as_long_as_most() -> None:
    known = TimeLeft(["a", "b", "c", "new"], {"a": 2.0, "b": 3.0, "c": 100.0})
    unknown = TimeLeft(["a", "b"], {"gone": 9.0})
    for time_left in (known, unknown):
        time_left.started(0.0)
    assert known.ended("a", 4.0) == pytest.approx(4.0 * (3.0 + 100.0 + 3.0) / 2.0)
    assert unknown.ended("a", 4.0) == pytest.approx(4.0)


def test_lengths_are_those_of_the_newest_run_that_ended_well(
    finished: tuple[dg.DagsterInstance, dg.DagsterRun],
) -> None:
    instance, run = finished
    lengths = lengths_of_last_run(instance, run.job_name)
    assert lengths["trained_checkpoint"] > 0
    assert lengths_of_last_run(instance, "no_such_job") == {}


def test_the_bar_takes_a_folder_s_name_as_it_is() -> None:
    output = io.StringIO()
    with weekly.shown_progress(Console(file=output, force_terminal=True, width=80)) as report:
        report(jobs.Progress(0, 3, (), None, waits_for="HOLLEY_DATA_DIR=/data[/old] is taken"))
    assert "/data[/old] is taken" in output.getvalue()


def test_five_lines_say_what_the_run_found(
    weekly_run: FinishedRun,
    finished: tuple[dg.DagsterInstance, dg.DagsterRun],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(weekly_run.data_dir))
    outcome = jobs.outcome_of(*finished)
    folder = weekly_run.run_folder(outcome.run_id)
    report = json.loads((folder / "eval_report.json").read_text(encoding="utf-8"))
    decision, lift, rows, checks, path = weekly.summary(outcome)
    assert decision == f"decision: {report['decision']['outcome']}. {report['decision']['reason']}"
    delta, (low, high) = (report["comparison"]["overall"][name] for name in ("hit_rate@4_delta", "ci95"))
    figures = [f"{100 * value:+.2f}".replace("-", "−") for value in (delta, low, high)]
    lift_words = (
        f"lift: {figures[0]} points of Hit Rate@4 over SQL ({figures[1]} to {figures[2]}), all test users"
    )
    assert lift == lift_words
    assert outcome.rows == weekly_run.table("recommendations").num_rows
    assert rows == f"rows delivered: {outcome.rows:,}"
    assert checks.startswith(f"checks: {len(outcome.passed)} passed, {len(outcome.warned)} warned")
    assert len(outcome.passed) > 50
    assert path == f"report: {folder / 'eval_report.html'}" and (folder / "eval_report.html").exists()


def test_a_failed_job_ends_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole process: nothing else shows that the run is found and its reason is the last thing printed."""
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    result = CliRunner().invoke(holley, ["promote", "--by", "a person", "--reason", "a test"])
    assert result.exit_code == 1
    (line,) = result.output.splitlines()
    assert line.startswith("Error: promote failed. ERROR: step promote_model: The champion stays: ")
    assert "there is no challenger in the registry. Run " in line
    assert line.endswith("`holley ui` shows the run and its log")


@pytest.mark.parametrize(
    ("arguments", "job", "step", "config"),
    [
        (
            ["promote", "--by", "A", "--reason", "R", "--version", "3", "--force"],
            "promote",
            "promote_model",
            {"by": "A", "reason": "R", "force": True, "version": 3},
        ),
        (
            ["rollback", "--by", "A", "--reason", "R", "--dry-run"],
            "rollback",
            "roll_back",
            {"by": "A", "reason": "R", "dry_run": True},
        ),
    ],
)
def test_the_jobs_of_the_registry_get_what_was_typed_and_print_what_they_say(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], job: str, step: str, config: dict[str, object]
) -> None:
    """The step and its configuration are those of the job, so that a name that changes is noticed."""
    from holley_assets.definitions import definitions

    started: list[tuple[str, object]] = []

    def run_job(name: str, given: object, _: object) -> jobs.Outcome:
        started.append((name, given))
        return jobs.Outcome("run", ["The champion is version 3"], None, [], [])

    monkeypatch.setattr(jobs, "run_job", run_job)
    result = CliRunner().invoke(holley, arguments)
    assert result.output == "The champion is version 3\n"
    assert started == [(job, {step: config})]
    run_config = {"ops": {step: {"config": config}}}
    assert dg.validate_run_config(definitions.resolve_job_def(job), run_config)


def test_the_ui_gets_the_home_and_the_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[list[str], str]] = []
    monkeypatch.setattr(
        os, "execve", lambda _, command, environment: started.append((command, environment["DAGSTER_HOME"]))
    )
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    assert CliRunner().invoke(holley, ["ui", "--port", "3999"]).exit_code == 0
    (command, home) = started[0]
    assert command[1:] == ["-m", "dagster", "dev", "-m", "holley_assets.definitions", "--port", "3999"]
    assert home == str(tmp_path)


def test_the_home_is_the_project_where_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConsoleError, match="go to the project's folder"):
        jobs.dagster_home()
    (tmp_path / "dagster.yaml").touch()
    assert jobs.dagster_home() == tmp_path
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(ConsoleError, match="which is no folder"):
        jobs.dagster_home()


def test_the_report_is_the_newest_or_the_one_that_is_named(
    weekly_run: FinishedRun,
    finished: tuple[dg.DagsterInstance, dg.DagsterRun],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(weekly_run.data_dir))
    run_id = finished[1].run_id
    path = weekly_run.run_folder(run_id) / "eval_report.html"
    for arguments in ([], [run_id[:8]]):
        assert CliRunner().invoke(holley, ["report", *arguments]).output == f"{path}\n"
    unknown = CliRunner().invoke(holley, ["report", "nosuchrun"])
    assert unknown.exit_code == 1 and run_id in unknown.output and len(unknown.output.splitlines()) == 1


def test_every_command_has_a_help_of_its_own() -> None:
    commands = {"run", "ui", "explain", "similar", "compare", "report", "promote", "rollback"}
    assert set(holley.commands) == commands
    for name in holley.commands:
        result = CliRunner().invoke(holley, [name, "--help"])
        assert result.exit_code == 0 and len(result.output.splitlines()) > 4
