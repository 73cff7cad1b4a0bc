"""The warehouse: runs the queries under ``sql/`` and holds the output tables.

:class:`Warehouse` is the small interface that assets use, in terms of Parquet and Arrow. DuckDB has it on this
machine, BigQuery in production.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import pyarrow as pa

from holley_assets.resources.warehouse.source_tables import TableDescription
from holley_assets.settings import is_identifier

DROP_REASON = "drop_reason"
DUPLICATE_ROWS = "duplicate_rows"
DUPLICATE_REASON = "duplicate row"

_VERSION_DIGITS = 16


class WarehouseError(RuntimeError):
    """The warehouse cannot do what it was asked. The message is one line a person can act on."""


class MissingTableError(WarehouseError):
    """There is no such table, and the warehouse itself says so."""


class ChangedError(WarehouseError):
    """A record that a decision rests on has changed since it was read. Nothing was replaced."""


class Unchanged(NamedTuple):
    """A condition of a replacement: a table that only ever grows still has as many rows as when it was read."""

    dataset: str
    table: str
    rows: int


class Exposures(NamedTuple):
    """What is logged of a replacement: whom an experiment shows which parts.

    Attributes:
        dataset: of the log.
        table: the log.
        experiment: its name.
        day: on which the rows are served, UTC.
        share: part of all users that is assigned to the graph, from 0 to 1.
        systems: what ranked the parts, by the arm that a user received.
        run_id: who publishes.
    """

    dataset: str
    table: str
    experiment: str
    day: datetime.date
    share: float
    systems: Mapping[str, str]
    run_id: str


@dataclasses.dataclass(frozen=True)
class Origin:
    """The step of a run that asks: what its jobs are labelled with and found by."""

    run_id: str
    asset: str


class QueryResult(NamedTuple):
    """What a query left behind."""

    path: Path
    rows: int
    """Rows written."""
    dropped: dict[str, int]
    """Source rows that could not be used, by reason."""
    costs: Mapping[str, float]
    """What was read and what it cost, by name; on this machine what BigQuery would bill. Empty without a price."""


class Warehouse(Protocol):
    """Where source tables are read and the output tables are written."""

    def describe_source(self, table: str, *, may_query: bool = True) -> TableDescription:
        """Columns, rows and age of a source table, without reading its rows.

        The rows of a view are counted by a query, which costs what it reads, or is refused where none may run.
        """

    def require_writable(self, datasets: Collection[str]) -> None:
        """Make sure that tables can be made in ``datasets``, and wherever else queries leave some; nothing is paid."""

    def query_to_parquet(self, name: str, parameters: Mapping[str, object], path: Path) -> QueryResult:
        """Run the query that makes table ``name`` and write its rows to ``path``."""

    def describe_table(self, dataset: str, table: str) -> TableDescription:
        """Columns, rows and age of a table that :meth:`replace_table` wrote."""

    def replace_table(
        self, dataset: str, table: str, data: pa.Table | Path, *, keep_snapshot: bool = True
    ) -> int:
        """Put ``data`` in the place of a table, at once; returns its rows.

        The table as it was becomes a snapshot, unless told otherwise.
        """

    def stage_table(self, table: str, data: Path, version: str) -> str:
        """Load the Parquet file of an output table beside it, to be checked; returns the staged table's name."""

    def with_staged(self, staged: Mapping[str, str]) -> Self:
        """The same warehouse, where queries that read an asset of these names read a staged table instead."""

    def with_output(self, output: Mapping[str, tuple[str, str]]) -> Self:
        """The same warehouse, where queries that read an asset of these names read an output table: dataset, table."""

    def publish_staged(
        self,
        staged: str,
        dataset: str,
        table: str,
        *,
        keep_snapshot: bool = True,
        unless_changed: Unchanged | None = None,
        exposures: Exposures | None = None,
    ) -> int:
        """Put a staged table in the place of a table, at once, as :meth:`replace_table` does; returns its rows.

        The condition is looked at within the transaction or statement that replaces the table. A guarded table is
        replaced under a condition alone. What is to be logged is logged in the same transaction.
        """

    def read_table(self, dataset: str, table: str) -> pa.Table:
        """Read a table that :meth:`replace_table` wrote, or one of its snapshots."""

    def append_rows(self, dataset: str, table: str, rows: pa.Table) -> None:
        """Add rows to a table that only ever grows, at once; it is made with its first rows."""

    def value_counts(self, dataset: str, table: str, columns: Sequence[str]) -> dict[tuple[object, ...], int]:
        """Rows of each combination of values in columns of such a table, counted where the table is."""

    def drop_snapshot(self, dataset: str, table: str, snapshot: str) -> None:
        """Remove a snapshot of a table."""

    def list_snapshots(self, dataset: str, table: str) -> list[str]:
        """Names of the snapshots of a table, newest first."""

    def restore_snapshot(
        self,
        dataset: str,
        table: str,
        snapshot: str,
        *,
        unless_changed: Unchanged | None = None,
        exposures: Exposures | None = None,
    ) -> int:
        """Put a snapshot in the place of its table, at once, as :meth:`publish_staged` does; returns its rows.

        The table as it was becomes a snapshot in its turn, so that a restoration can be undone.
        """


def check_identifiers(*names: str) -> None:
    """Make sure that names may stand in the text of a query.

    Raises:
        WarehouseError: one may not.
    """
    for name in names:
        if not is_identifier(name):
            raise WarehouseError(f"{name!r} is not an identifier; expected letters, digits and _")


def require_condition(
    guarded: Collection[tuple[str, str]], dataset: str, table: str, condition: Unchanged | None
) -> None:
    """Make sure that a guarded table is replaced under a condition alone.

    Raises:
        WarehouseError: it would be replaced without one.
    """
    if condition is None and (dataset, table) in guarded:
        raise WarehouseError(
            f"{dataset}.{table} is replaced by the publisher alone, which asks the kill switch"
        )


def staged_name(table: str, version: str) -> str:
    """Name of a staged version of ``table``; ``version`` is its checksum, in hexadecimal."""
    return f"{table}_staged_{version[:_VERSION_DIGITS]}"


def snapshot_name(table: str, written: datetime.datetime) -> str:
    """Name of the snapshot of ``table`` as it was written at a time: ``<table>_YYYYMMDDTHHMMSSmmm``, in UTC.

    To the millisecond, as BigQuery dates a table: no two versions share a name, and one that is kept again
    by a retry keeps its name.
    """
    written = written.astimezone(datetime.UTC)
    return f"{table}_{written:%Y%m%dT%H%M%S}{written.microsecond // 1000:03d}"


def snapshots_of(table: str, names: list[str]) -> list[str]:
    """Those of ``names`` that are snapshots of ``table``, newest first."""
    pattern = re.compile(re.escape(table) + r"_\d{8}T\d{9}")
    return sorted((name for name in names if pattern.fullmatch(name)), reverse=True)


def check_snapshot(table: str, snapshot: str) -> None:
    """Make sure that ``snapshot`` is the name of a snapshot of ``table``.

    Raises:
        WarehouseError: it is not.
    """
    if not snapshots_of(table, [snapshot]):
        raise WarehouseError(
            f"{snapshot!r} is not a snapshot of {table}; expected {table}_YYYYMMDDTHHMMSSmmm"
        )
