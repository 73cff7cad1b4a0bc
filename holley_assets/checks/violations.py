"""From a query that selects what breaks a promise to a check result with its count and three examples."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import duckdb

from holley_assets.resources.table_metadata import IDENTIFYING_COLUMNS, preview
from holley_assets.resources.warehouse.duckdb.errors import without_quoted_values
from holley_assets.resources.warehouse.duckdb.files import parquet_relation
from holley_assets.resources.warehouse.duckdb.scratch import scratch_connection
from holley_assets.texts import for_log

EXAMPLES = 3
# Digits of a hash that stand for a person in an example: enough to tell rows apart, useless elsewhere.
ALIAS_DIGITS = 8


@dataclasses.dataclass(frozen=True)
class Violations:
    """How many rows break a promise, and the first few of them without anything that identifies a person."""

    count: int
    examples: list[Mapping[str, object]]


@contextlib.contextmanager
def open_tables(tables: Mapping[str, Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    """In-memory DuckDB with a view over each Parquet file; what needs more memory spills where temporary files go."""
    with scratch_connection(Path(tempfile.gettempdir())) as connection:
        # Checks run beside another step; the machine is shared.
        connection.execute("SET threads = 2")
        for name, path in tables.items():
            connection.execute(f"CREATE VIEW {_quoted(name)} AS SELECT * FROM {parquet_relation([path])}")
        yield connection


def find_violations(
    connection: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, object] | None = None
) -> Violations:
    """Count the rows that ``query`` selects and take the first three in the order of their values.

    An identifying column is replaced by the first digits of its hash.
    """
    with without_quoted_values("a check"):
        # Named parameters that a query does not use are an error in DuckDB.
        used = {name: value for name, value in (parameters or {}).items() if f"${name}" in query}
        result = connection.execute(
            f"WITH violations AS MATERIALIZED ({query}) FROM violations LIMIT 0", used
        )
        columns = [column[0] for column in result.description or []]
        shown = ", ".join(
            f"substr(sha256(CAST({_quoted(name)} AS VARCHAR)), 1, {ALIAS_DIGITS}) AS {_quoted(name + '_hash')}"
            if name in IDENTIFYING_COLUMNS
            else _quoted(name)
            for name in columns
        )
        rows = (
            connection.execute(
                f"WITH violations AS MATERIALIZED ({query}) "
                f"SELECT count(*) OVER () AS violation_count, {shown} FROM violations "
                f"ORDER BY ALL LIMIT {EXAMPLES}",
                used,
            )
            .to_arrow_table()
            .to_pylist()
        )
    count = int(rows[0]["violation_count"]) if rows else 0
    return Violations(count, [{name: row[name] for name in row if name != "violation_count"} for row in rows])


def verdict(
    *,
    asset: str,
    check: str,
    violations: Violations,
    broken: str,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """Check result; ``broken`` says in words what each counted row is."""
    passed = violations.count == 0
    metadata: dict[str, dg.MetadataValue] = {"violations": dg.MetadataValue.int(violations.count)}
    if violations.examples:
        metadata["examples"] = preview(violations.examples)
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=check,
        passed=passed,
        severity=severity,
        description="" if passed else f"{violations.count} {broken}, e.g. {_words(violations.examples[0])}",
        metadata=metadata,
    )


def threshold_verdict(
    *,
    asset: str,
    check: str,
    value: float,
    low: float = -math.inf,
    high: float = math.inf,
    description: str,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """Check result that passes while ``low ≤ value ≤ high``. A value that is no number fails."""
    bounds = {name: bound for name, bound in (("low", low), ("high", high)) if math.isfinite(bound)}
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=check,
        passed=bool(math.isfinite(value) and low <= value <= high),
        severity=severity,
        description=description,
        metadata={"value": value if math.isfinite(value) else str(value), **bounds},
    )


def share_verdict(
    *, asset: str, check: str, share: float, needed: float, usual: float, description: str
) -> dg.AssetCheckResult:
    """Check result of a share: below ``usual`` it warns, below ``needed`` it stops the run, as one of nothing does."""
    return threshold_verdict(
        asset=asset,
        check=check,
        value=share,
        low=max(usual, needed),
        description=description,
        severity=dg.AssetCheckSeverity.WARN if share >= needed else dg.AssetCheckSeverity.ERROR,
    )


def _words(example: Mapping[str, object]) -> str:
    return for_log(", ".join(f"{name} {value}" for name, value in example.items()))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
