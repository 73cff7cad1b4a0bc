"""Promises that every table of the graph keeps, checked in the step that writes it.

A broken one ends the step, so that nothing is built on the table. They are computed on the Parquet file,
not on what the SQL meant to select.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import duckdb

from holley_assets.checks.violations import Violations, find_violations, open_tables, verdict
from holley_assets.core.event_log import (
    PreviousRows,
)
from holley_assets.core.table_specs import (
    Endpoint,
    TableSpec,
)

KEY_IS_UNIQUE = "every_key_is_unique"
KEY_IS_KNOWN = "no_key_is_missing"
NOT_EMPTY = "table_is_not_empty"
NOT_SHRUNK = "table_did_not_shrink_since_the_previous_run"
ENDS_AT_NODES = "every_row_refers_to_existing_nodes"
WEIGHTS_ARE_SOUND = "every_weight_is_finite_and_positive"
SOME_ELIGIBLE = "some_part_may_be_recommended"

_DESCRIPTIONS = {
    KEY_IS_UNIQUE: "No two rows share a key.",
    KEY_IS_KNOWN: "Neither the key nor any other required column is null.",
    NOT_EMPTY: "There is at least one row.",
    NOT_SHRUNK: "At least HOLLEY_CHECK_MINIMUM_ROWS_SHARE of the rows that the newest successful run on the "
    "same kind of source had.",
    ENDS_AT_NODES: "Every node that a row names is a row of its node table.",
    SOME_ELIGIBLE: "At least one part passes the rules; without images, which come from events, none does.",
    WEIGHTS_ARE_SOUND: "A weight is a finite number above 0 wherever the row exists.",
}


def table_check_specs(spec: TableSpec) -> list[dg.AssetCheckSpec]:
    """The checks that apply to a table, all blocking."""
    names = []
    if spec.key:
        names.append(KEY_IS_UNIQUE)
    if spec.key or spec.not_null:
        names.append(KEY_IS_KNOWN)
    if not spec.may_be_empty:
        names.append(NOT_EMPTY)
    if spec.steady:
        names.append(NOT_SHRUNK)
    if spec.endpoints:
        names.append(ENDS_AT_NODES)
    if spec.weights:
        names.append(WEIGHTS_ARE_SOUND)
    if spec.eligible:
        names.append(SOME_ELIGIBLE)
    return [
        dg.AssetCheckSpec(name, asset=spec.name, blocking=True, description=_DESCRIPTIONS[name])
        for name in names
    ]


def check_table(
    spec: TableSpec,
    path: Path,
    referenced_tables: Mapping[str, Path],
    *,
    previous: PreviousRows | None,
    minimum_share: float,
) -> list[dg.AssetCheckResult]:
    """Check the file that a step is about to publish.

    Args:
        path: Parquet file of the table.
        referenced_tables: Parquet file of each of ``spec.referenced_tables``.
        previous: rows to compare with, ``None`` for the first run.
        minimum_share: share of ``previous`` below which the table is refused.
    """
    with open_tables({**referenced_tables, spec.name: path}) as connection:
        rows = _scalar(connection, f"SELECT count(*) FROM {spec.name}")
        results = {
            KEY_IS_UNIQUE: lambda: _unique(connection, spec),
            KEY_IS_KNOWN: lambda: _known(connection, spec),
            NOT_EMPTY: lambda: _not_empty(spec, rows),
            NOT_SHRUNK: lambda: _not_shrunk(spec, rows, previous, minimum_share),
            ENDS_AT_NODES: lambda: _ends_at_nodes(connection, spec),
            WEIGHTS_ARE_SOUND: lambda: _weights_are_sound(connection, spec),
            SOME_ELIGIBLE: lambda: _some_eligible(connection, spec),
        }
        return [results[check.name]() for check in table_check_specs(spec)]


def _unique(connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> dg.AssetCheckResult:
    key = ", ".join(spec.key)
    found = find_violations(
        connection,
        f"SELECT {key}, count(*) AS rows_of_this_key FROM {spec.name} GROUP BY {key} HAVING count(*) > 1",
    )
    return verdict(
        asset=spec.name, check=KEY_IS_UNIQUE, violations=found, broken="keys have more than one row"
    )


def _known(connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> dg.AssetCheckResult:
    columns = [*spec.key, *spec.not_null]
    missing = " OR ".join(f"{name} IS NULL" for name in columns)
    found = find_violations(connection, f"SELECT {', '.join(columns)} FROM {spec.name} WHERE {missing}")
    return verdict(
        asset=spec.name, check=KEY_IS_KNOWN, violations=found, broken="rows miss a required column"
    )


def _not_empty(spec: TableSpec, rows: int) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=spec.name,
        check_name=NOT_EMPTY,
        passed=rows > 0,
        description="" if rows else f"{spec.name} has no row at all: see the dropped counts of its sources",
        metadata={"rows": rows},
    )


def _not_shrunk(
    spec: TableSpec, rows: int, previous: PreviousRows | None, minimum_share: float
) -> dg.AssetCheckResult:
    metadata: dict[str, int | str | float] = {"rows": rows, "minimum_share": minimum_share}
    if previous is None:
        description = "no earlier successful run on this kind of source to compare with"
        passed = True
    else:
        metadata |= {"previous_rows": previous.rows, "previous_run": previous.run_id}
        passed = rows >= minimum_share * previous.rows
        description = f"{rows:,} rows, {previous.rows:,} in run {previous.run_id[:8]}"
        if not passed:
            description += (
                f"; at least {minimum_share:.0%} expected. Where that is right, set "
                "HOLLEY_CHECK_MINIMUM_ROWS_SHARE=0 for one run"
            )
    return dg.AssetCheckResult(
        asset_key=spec.name, check_name=NOT_SHRUNK, passed=passed, description=description, metadata=metadata
    )


def _ends_at_nodes(connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> dg.AssetCheckResult:
    # One row per endpoint, not a union: the endpoints have different columns.
    found = Violations(0, [])
    for endpoint in spec.endpoints:
        missing = find_violations(connection, _missing_nodes(endpoint))
        found = Violations(found.count + missing.count, found.examples or missing.examples)
    return verdict(asset=spec.name, check=ENDS_AT_NODES, violations=found, broken="nodes do not exist")


def _missing_nodes(endpoint: Endpoint) -> str:
    columns = ", ".join(endpoint.columns)
    matches = " AND ".join(
        f"node.{there} = {endpoint.table}.{here}"
        for here, there in zip(endpoint.columns, endpoint.node_columns, strict=True)
    )
    return (
        f"SELECT DISTINCT {columns}, '{endpoint.table}' AS named_in, '{endpoint.node_table}' AS missing_in "
        f"FROM {endpoint.table} "
        f"WHERE NOT EXISTS (SELECT 1 FROM {endpoint.node_table} AS node WHERE {matches})"
    )


def _weights_are_sound(connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> dg.AssetCheckResult:
    broken = " OR ".join(f"NOT (isfinite({name}) AND {name} > 0)" for name in spec.weights)
    found = find_violations(
        connection, f"SELECT {', '.join([*spec.key, *spec.weights])} FROM {spec.name} WHERE {broken}"
    )
    return verdict(asset=spec.name, check=WEIGHTS_ARE_SOUND, violations=found, broken="weights are unusable")


def _some_eligible(connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> dg.AssetCheckResult:
    reasons = connection.execute(
        f"SELECT coalesce({spec.eligible}, 'eligible'), count(*) FROM {spec.name} GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    counts = {str(reason): int(count) for reason, count in reasons}
    eligible = counts.get("eligible", 0)
    return dg.AssetCheckResult(
        asset_key=spec.name,
        check_name=SOME_ELIGIBLE,
        passed=eligible > 0,
        description=f"{eligible:,} of {sum(counts.values()):,} parts may be recommended",
        metadata={"parts_by_reason": counts},
    )


def _scalar(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
