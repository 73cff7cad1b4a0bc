"""What a query under ``sql/`` reads, column by column and day by day, and what BigQuery bills for it.

BigQuery bills the columns that a query needs, of the days that its conditions leave, once for each table however often
it is named; at least 10 MiB a table.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from holley_assets.resources.warehouse.interface import DROP_REASON, DUPLICATE_ROWS
from holley_assets.resources.warehouse.sql_files import Query
from holley_assets.resources.warehouse.table_sizes import DAY_COLUMNS, TableSize

# https://cloud.google.com/bigquery/pricing: for each table that a query names, and for each query.
MINIMUM_BYTES = 10 << 20
_COUNTING = (DROP_REASON, DUPLICATE_ROWS)
_COUNT_WIDTH = 8
_PREFIX = "table__"


@dataclass(frozen=True)
class Scan:
    """What a query reads of a table where it names it once.

    Attributes:
        columns: names in lower case.
        since: parameter that names the first day that is read; unset: from the beginning.
        before: parameter that names the first day that is not read; unset: to the end.
    """

    table: str
    columns: frozenset[str]
    since: str | None = None
    before: str | None = None


def find_scans(query: Query, columns: Mapping[str, Sequence[str]]) -> tuple[Scan, ...]:
    """Every place at which ``query`` reads a table, after what nobody asks for has been left out.

    A nested column counts whole.

    Args:
        columns: names of each table's columns; ``SELECT *`` of another table reads none that is known.
    """
    known = tuple(sorted((table, tuple(names)) for table, names in columns.items()))
    return _find_scans(query.select, known)


@functools.cache
def _find_scans(select: str, columns: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[Scan, ...]:
    # Only names matter; every type is that of a column.
    schema: dict[str, object] = {
        f"{_PREFIX}{table}": dict.fromkeys(names, "STRING") for table, names in columns if names
    }
    tree = qualify(
        _with_plain_tables(select),
        schema=schema,
        validate_qualify_columns=False,
        # A table may stand in for another and have other columns.
        allow_partial_qualification=True,
        quote_identifiers=False,
    )
    pruned = pushdown_projections(tree, schema=schema)
    names = {table: frozenset(name.lower() for name in listed) for table, listed in columns}
    return tuple(scan for scope in traverse_scope(pruned) for scan in _scans_of(scope, names))


def _with_plain_tables(text: str) -> exp.Select:
    """The query with a name of its own for each table, and its WITH in front of one SELECT.

    SQLGlot takes minutes for a WITH in front of a UNION of many parts.
    """
    tree = sqlglot.parse_one(text, read="bigquery")
    definitions = tree.args.get("with_")
    tree.set("with_", None)
    whole = exp.select("*").from_(exp.Subquery(this=tree, alias=exp.to_identifier("whole")), copy=False)
    whole.set("with_", definitions)
    for table in whole.find_all(exp.Table):
        if table.db:
            if not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
            # A WITH may have the name of a table.
            table.set("this", exp.to_identifier(f"{_PREFIX}{table.name}"))
            table.set("db", None)
            table.set("catalog", None)
    return whole


def _scans_of(scope: Scope, names: Mapping[str, frozenset[str]]) -> Iterator[Scan]:
    for alias, source in scope.sources.items():
        if not isinstance(source, exp.Table) or not source.name.startswith(_PREFIX):
            continue
        table = source.name.removeprefix(_PREFIX)
        columns = frozenset(column.name.lower() for column in scope.source_columns(alias))
        if any(column.name == alias for column in scope.unqualified_columns):
            # The row itself is a value.
            columns = names.get(table, frozenset())
        where = scope.expression.args.get("where")
        since = before = None
        if where is not None and table in DAY_COLUMNS:
            since, before = _days(where.this, alias, DAY_COLUMNS[table])
        yield Scan(table, columns, since, before)


def _days(condition: exp.Expr, alias: str, column: str) -> tuple[str | None, str | None]:
    """Parameters that bound ``alias.column`` in a condition: from and before."""
    condition = condition.unnest()
    if isinstance(condition, exp.And):
        bounds = [_days(side, alias, column) for side in (condition.left, condition.right)]
        return (
            next((since for since, _ in bounds if since), None),
            next((before for _, before in bounds if before), None),
        )
    if isinstance(condition, exp.Or):
        # Rows without a day are in a partition of their own.
        sides = [side.unnest() for side in (condition.left, condition.right)]
        others = [
            side for side in sides if not (isinstance(side, exp.Is) and _is_day(side.this, alias, column))
        ]
        return _days(others[0], alias, column) if len(others) == 1 else (None, None)
    if isinstance(condition, (exp.GTE, exp.LT)) and _is_day(condition.this, alias, column):
        moment = condition.expression
        if isinstance(moment, exp.Timestamp) and isinstance(moment.this, exp.Parameter):
            name = moment.this.name
            return (name, None) if isinstance(condition, exp.GTE) else (None, name)
    return None, None


def _is_day(side: exp.Expr, alias: str, column: str) -> bool:
    return isinstance(side, exp.Column) and side.table == alias and side.name.lower() == column


def scanned_bytes(
    scans: Sequence[Scan], sizes: Mapping[str, TableSize], days: Mapping[str, object] | None
) -> dict[str, int]:
    """Bytes that are read of each table.

    Args:
        sizes: of each table that is read.
        days: values of the parameters that name days; unset: no table is partitioned.

    Raises:
        KeyError: the size of a table is not known.
    """
    return {
        table: _scanned([scan for scan in scans if scan.table == table], sizes[table], days)
        for table in sorted({scan.table for scan in scans})
    }


def _scanned(scans: Sequence[Scan], size: TableSize, days: Mapping[str, object] | None) -> int:
    read = 0.0
    for column in {column for scan in scans for column in scan.columns}:
        # Of what is read at several places the days between count too: the statements read one range each.
        naming = [scan for scan in scans if column in scan.columns]
        since, before = (_outermost(naming, bound, days) for bound in ("since", "before"))
        read += size.columns.get(column, 0) * size.share_of_days(since, before)
    return round(read)


def _outermost(scans: Sequence[Scan], bound: str, days: Mapping[str, object] | None) -> datetime.date | None:
    if days is None:
        return None
    named = [getattr(scan, bound) for scan in scans]
    values = [day for day in map(days.get, filter(None, named)) if isinstance(day, datetime.date)]
    if len(values) < len(named):
        return None
    return min(values) if bound == "since" else max(values)


def billed_bytes(query: Query, scanned: Mapping[str, int], result: TableSize) -> int:
    """What BigQuery bills for ``query`` and for those that follow it.

    Where a query judges rows, one more counts reasons and repeats, and one copies the rows that stay. The reasons' own
    bytes and the rows that do not stay are left out of these two: both are few.

    Args:
        scanned: bytes that it reads of each table.
        result: of the table that it makes.
    """
    billed = max(sum(max(read, MINIMUM_BYTES) for read in scanned.values()), MINIMUM_BYTES)
    if any(column in query.select for column in _COUNTING):
        following = (_COUNT_WIDTH * result.rows, sum(result.columns.values()))
        billed += sum(max(read, MINIMUM_BYTES) for read in following)
    return billed
