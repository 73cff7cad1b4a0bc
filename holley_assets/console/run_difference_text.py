"""A comparison of two runs as a person reads it on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.table import Table

from holley_assets.console.run_difference import RunDifference
from holley_assets.evaluation.formatting import MISSING, decimal, difference, number, share

# Parts that are named of those that came or went.
NAMED = 10


def rendered(found: RunDifference) -> Iterator[RenderableType]:
    """What is printed, from top to bottom."""
    yield f"{found.runs[0]} (before) and {found.runs[1]} (now)"
    yield _table("Runs", found.facts)
    if found.settings:
        yield _table("Settings that differ", found.settings)
    else:
        yield "No setting differs."
    if found.versions is None:
        yield "Of one of the runs no versions of packages and code were kept."
    elif found.versions:
        yield _table("Packages and code", found.versions)
    else:
        yield "Packages and code are the same."
    lifts = {
        f"{scope}: points of Hit Rate@4 over SQL": tuple(_lift(lift) for lift in pair)
        for scope, pair in found.lifts.items()
    }
    metrics = {
        f"{scope}: {system} {metric}": tuple(decimal(value) for value in pair)
        for (scope, system, metric), pair in found.metrics.items()
    }
    yield _table("Metrics", {**lifts, **metrics})
    if found.graph:
        yield _table(
            "The graph", {name: tuple(number(value) for value in pair) for name, pair in found.graph.items()}
        )
    else:
        yield "The graph has the same nodes and edges."
    yield f"Parts that came: {_named(found.came)}. Parts that went: {_named(found.went)}."
    yield (
        f"Users whose parts changed: {share(found.users_changed)} of {found.users_compared:,} whom both runs serve."
    )


def _lift(lift: tuple[float, float, float] | None) -> str:
    if lift is None:
        return MISSING
    delta, low, high = (difference(value) for value in lift)
    return f"{delta} ({low} to {high})"


def _named(parts: list[str]) -> str:
    if not parts:
        return "none"
    more = f" and {len(parts) - NAMED:,} more" if len(parts) > NAMED else ""
    return f"{len(parts):,} ({', '.join(parts[:NAMED])}{more})"


def _table(title: str, rows: Mapping[str, tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left", header_style="")
    for column in ("", "before", "now"):
        table.add_column(column)
    for name, pair in rows.items():
        table.add_row(name, *pair)
    return table
