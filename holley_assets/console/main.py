"""The command ``holley``. What a command needs is imported when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from holley_assets.console.errors import ConsoleError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


class _Commands(click.Group):
    """Commands that say what is not installed in one line."""

    def invoke(self, context: click.Context) -> object:
        """Run the command.

        Raises:
            ConsoleError: it imports a package that is not installed here.
        """
        try:
            return super().invoke(context)
        except ModuleNotFoundError as error:
            raise ConsoleError(
                f"{error.name} is not installed for {sys.executable}: install the project there with "
                "pip install --constraint holley_assets/deploy/constraints.txt ."
            ) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def holley() -> None:
    """Part recommendations on the vehicle fitment graph. Files are those under HOLLEY_DATA_DIR.

    Commands that start a job are short forms of `dagster job execute`, which does the same.
    """


@holley.command()
def run() -> None:
    """Run the weekly job: train, evaluate, deliver. Settings are the HOLLEY_ variables."""
    from holley_assets.console.preflight import require_settings

    # Before the seconds that Dagster takes to start.
    require_settings()
    from holley_assets.console import jobs, weekly

    console = _console()
    with weekly.shown_progress(console) as report:
        outcome = jobs.run_job(weekly.JOB, None, report)
    for line in [*(f"Warning: {words}" for words in outcome.warnings), *weekly.summary(outcome)]:
        console.print(line, soft_wrap=True)


@holley.command()
@click.option("--port", default=3000, show_default=True, type=click.IntRange(1, 65535))
def ui(port: int) -> None:
    """Open Dagster's UI on this machine; Ctrl-C ends it."""
    import os

    from holley_assets.console.preflight import require_definitions, require_free_port

    require_free_port(port)
    require_definitions()
    from holley_assets.console.jobs import dagster_home

    environment = {**os.environ, "DAGSTER_HOME": str(dagster_home())}
    command = ["-m", "dagster", "dev", "-m", "holley_assets.definitions", "--port", str(port)]
    os.execve(sys.executable, [sys.executable, *command], environment)


@holley.command()
@click.argument("run", default="latest")
@click.option("--open", "opened", is_flag=True, help="Open it in the browser as well.")
def report(run: str, opened: bool) -> None:
    """Print the path of a run's report; the newest without RUN, the id of one or its beginning."""
    from holley_assets.console.run_files import RunFiles

    files = RunFiles()
    path = files.path(files.find_run(run), "eval_report.html")
    click.echo(path)
    if opened:
        click.launch(str(path))


@holley.command()
@click.argument("before")
@click.argument("now", default="latest")
def compare(before: str, now: str) -> None:
    """Say what two runs differ by; each is an id, the beginning of one, or latest."""
    from holley_assets.console.run_difference import compare as difference_of
    from holley_assets.console.run_difference_text import rendered
    from holley_assets.console.run_files import RunFiles

    _print(rendered(difference_of(RunFiles(), before, now)))


@holley.command()
@click.option("--by", required=True, help="Who promotes; kept on the registry.")
@click.option("--reason", required=True, help="Why; kept on the registry.")
@click.option("--version", type=int, help="Version in the registry; the challenger without it.")
@click.option("--model-version", help="Name of the weights, in the place of --version.")
@click.option("--force", is_flag=True, help="Promote what is no clear win, too.")
def promote(by: str, reason: str, version: int | None, model_version: str | None, force: bool) -> None:
    """Make a model the champion."""
    named = {"version": version, "model_version": model_version}
    chosen = {name: value for name, value in named.items() if value is not None}
    _run_step("promote", "promote_model", {"by": by, "reason": reason, "force": force, **chosen})


@holley.command()
@click.option("--by", required=True, help="Who rolls back; kept on the registry.")
@click.option("--reason", required=True, help="Why; kept on the registry.")
@click.option("--dry-run", is_flag=True, help="Say what would come back, and touch nothing.")
def rollback(by: str, reason: str, dry_run: bool) -> None:
    """Put the previous champion and its tables back."""
    _run_step("rollback", "roll_back", {"by": by, "reason": reason, "dry_run": dry_run})


def _run_step(job: str, step: str, config: dict[str, object]) -> None:
    """Run a job of one step and print what it says."""
    from holley_assets.console import jobs

    outcome = jobs.run_job(job, {step: config}, lambda _: None)
    for line in outcome.said:
        click.echo(line)


@holley.command()
@click.option("--email", help="A customer's address; it is neither printed nor kept.")
@click.option(
    "--car", help='Year, make and model, such as "1969 CHEVROLET CAMARO": an owner without history.'
)
@click.option("--run", help="The run, or the beginning of its id; its tables must not have been replaced.")
@click.option("--part", help="Explain this SKU or base SKU alone, whether or not it is shown.")
def explain(email: str | None, car: str | None, run: str | None, part: str | None) -> None:
    """Say why a customer, or the owner of a car, gets these parts."""
    from holley_assets.console.explanation import explain as explanation_of
    from holley_assets.console.explanation_text import rendered
    from holley_assets.console.run_files import RunFiles

    if (email is None) == (car is None):
        raise click.UsageError("give either --email or --car")
    _print(rendered(explanation_of(RunFiles(), email=email, car=car, run=run, part=part)))


@holley.command()
@click.argument("part")
@click.option(
    "--search",
    type=click.IntRange(1, 1000),
    help="Print so many parts that PART leads to by vectors alone, whatever they fit, shown or not.",
)
def similar(part: str, search: int | None) -> None:
    """Print what could be bought instead of PART, a SKU or base SKU, and what is bought with it or after it."""
    from holley_assets.console.run_files import RunFiles
    from holley_assets.console.similar_parts import rendered, rendered_search

    files = RunFiles()
    _print(rendered(files, part) if search is None else rendered_search(files, part, search))


def _print(renderables: Iterable[RenderableType]) -> None:
    console = _console()
    for renderable in renderables:
        console.print(renderable)


def _console() -> Console:
    # Seconds of imports that other commands do not need.
    from holley_assets.console.terminal import Terminal

    return Terminal()
