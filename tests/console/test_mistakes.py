"""Mistakes that are commonly made: each ends in one line that says what, where, and what to do.

Those that a run finds out are in ``tests/automation/test_failure_reasons.py`` and ``tests/resources``.
"""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner
from small_run import PROJECT

from holley_assets.console import jobs, weekly
from holley_assets.console.main import holley


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of Dagster and a data folder; no job starts."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copy(PROJECT / "dagster.yaml", folder)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("HOLLEY_SOURCE_DIR", raising=False)
    monkeypatch.setattr(subprocess, "Popen", _refuse)
    return folder


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("a job starts")


def line_of(*arguments: str) -> str:
    """What a command that fails prints: one line."""
    result = CliRunner().invoke(holley, list(arguments))
    assert result.exit_code == 1, result.output
    (line,) = result.output.splitlines()
    return line


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("HOLLEY_ENV", "production", "HOLLEY_ENV=production is not allowed; allowed: local or prod"),
        (
            "HOLLEY_AS_OF",
            "2026-13-01",
            "HOLLEY_AS_OF=2026-13-01 is not allowed; allowed: an ISO date such as",
        ),
        ("HOLLEY_SOURCE_DIR", "/nowhere", "HOLLEY_SOURCE_DIR=/nowhere is not allowed; allowed: an existing"),
        (
            "HOLLEY_SAMPLE_USER",
            "500",
            "HOLLEY_SAMPLE_USER is no setting, HOLLEY_SAMPLE_USERS may be meant: re",
        ),
        ("HOLLEY_SAMPLE_USERS", "many", "HOLLEY_SAMPLE_USERS=many is not allowed; allowed: a whole number"),
        ("HOLLEY_ENV", "prod", "HOLLEY_ENV=prod needs variables that are not set: "),
    ],
)
def test_a_wrong_setting_ends_the_run_before_it_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert line_of("run").startswith(f"Error: {words}")


def test_a_variable_like_no_setting_is_left_to_the_log(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_TOKEN_OF_ANOTHER_PROGRAM", "x")
    with pytest.raises(AssertionError, match="a job starts"):
        CliRunner().invoke(holley, ["run"], catch_exceptions=False)


@pytest.mark.parametrize("variable", ["HOLLEY_DATA_DIR", "DAGSTER_HOME"])
def test_a_folder_without_write_access(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    def refuse(**arguments: Path) -> None:
        if arguments["dir"] == folder:
            raise PermissionError(13, "Permission denied")
        raise AssertionError(f"{arguments} is asked for")

    folder = (tmp_path / "locked").resolve()
    folder.mkdir()
    monkeypatch.setenv(variable, str(folder))
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    command = ["run"] if variable == "HOLLEY_DATA_DIR" else ["promote", "--by", "A", "--reason", "R"]
    assert line_of(*command) == (
        f"Error: {variable} is '{folder}', where nothing can be written (Permission denied): change its owner or "
        f"free space there, or set {variable} to another folder"
    )


def test_a_data_folder_that_is_a_file(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path / "file"))
    assert line_of("run").endswith(f"a folder, or where one can be made; {tmp_path / 'file'} is no folder")


def test_a_home_that_is_not_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    for command in ("run", "ui"):
        assert "DAGSTER_HOME is not set and there is no dagster.yaml here: go to the project's" in line_of(
            command
        )


def test_a_port_in_use(home: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        said = line_of("ui", "--port", str(port))
    assert said.startswith(f"Error: Port {port} cannot be used (Address already in use): end what listens")
    assert "another one with --port" in said


def test_the_ui_does_not_start_on_definitions_that_cannot_be_loaded(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLLEY_COMPUTE_STEPS_AT_ONCE", "none")
    assert line_of("ui").startswith(
        "Error: HOLLEY_COMPUTE_STEPS_AT_ONCE=none is not allowed; allowed: a whole"
    )


def test_a_package_that_is_not_installed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "holley_assets.console.jobs")
    monkeypatch.delattr("holley_assets.console.jobs")
    monkeypatch.setitem(sys.modules, "dagster", None)
    said = line_of("run")
    assert said.startswith(f"Error: dagster is not installed for {sys.executable}: install the project there")


def test_a_python_without_any_package(tmp_path: Path) -> None:
    """As whoever forgets the virtual environment: ``-S`` leaves out what is installed."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "holley_assets.console", "run"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: click is not installed for ")
    assert line.endswith("pip install --constraint holley_assets/deploy/constraints.txt .")


def test_a_python_that_is_too_old() -> None:
    """As whoever forgets the virtual environment, where the system's Python is an old one."""
    old = "import runpy, sys; sys.version_info = (3, 9, 18); "
    command = old + "runpy.run_module('holley_assets.console', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-S", "-c", command], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f"Error: {sys.executable} is Python 3.9, and holley_assets needs 3.11 or newer: run"
    )


def test_files_of_no_run_and_of_an_unknown_one(home: Path, tmp_path: Path) -> None:
    for command in (["report"], ["compare", "abc"], ["report", "abc"]):
        assert "No run has left a report under" in line_of(*command)
        assert line_of(*command).endswith("or set HOLLEY_DATA_DIR to the folder that it wrote to")
    run = tmp_path / "data" / "runs" / "0123-a-run"
    run.mkdir(parents=True)
    (run / "eval_report.json").write_text("{}")
    assert (
        line_of("compare", "abc") == "Error: 'abc' is not the id of a run: give one of 0123-a-run, or latest"
    )


def test_a_run_that_waits_for_another_says_so_on_the_terminal() -> None:
    from io import StringIO

    from rich.console import Console

    from holley_assets.console.weekly import shown_progress

    words = "HOLLEY_DATA_DIR=/data is another run's: run 0123 of weekly_retrain; waiting up to 60 minutes"
    waits = jobs.Progress(0, 0, (), None, words)
    plain, terminal = StringIO(), StringIO()
    with shown_progress(Console(file=plain, width=60)) as report:
        report(waits)
    assert plain.getvalue() == f"{words}\n"
    with shown_progress(Console(file=terminal, force_terminal=True, width=200)) as report:
        report(waits)
    assert words in terminal.getvalue()


@dg.op
def work(context: dg.OpExecutionContext) -> None:
    for words in ("Tracking is incomplete,\n2 records wait", "Tracking is incomplete, 2 records wait"):
        context.log.warning(words)
    context.log.info("other words")


def test_warnings_of_a_run_stand_before_its_five_lines(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a tracking server that is away, or a variable that is no setting."""

    @dg.job
    def weekly_retrain() -> None:
        work()

    with dg.DagsterInstance.ephemeral() as instance:
        result = weekly_retrain.execute_in_process(instance=instance)
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        outcome = jobs.outcome_of(instance, run)
    assert outcome.warnings == ("Tracking is incomplete, 2 records wait",)
    monkeypatch.setattr(jobs, "run_job", lambda *_: outcome)
    monkeypatch.setattr(weekly, "summary", lambda _: ["decision: neutral"])
    said = CliRunner().invoke(holley, ["run"]).output
    assert said == "Warning: Tracking is incomplete, 2 records wait\ndecision: neutral\n"
