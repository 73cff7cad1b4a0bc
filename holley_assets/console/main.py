"""The command ``holley``. What a command needs is imported when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

# Columns of what is not printed on a terminal, so that a file reads the same wherever it is made.
_WIDTH_OF_FILES = 120


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def holley() -> None:
    """Part recommendations on the vehicle fitment graph. Files are those under HOLLEY_DATA_DIR.

    Jobs are started with `dagster`; the README says how.
    """


@holley.command()
@click.option("--email", help="A customer's address. It is printed and kept nowhere.")
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


def _print(renderables: Iterable[RenderableType]) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_FILES
    for renderable in renderables:
        console.print(renderable)
