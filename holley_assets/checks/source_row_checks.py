"""Rows in = rows kept + rows dropped, for each source table: a row that vanishes without a reason is found here."""

from __future__ import annotations

from collections import Counter

import dagster as dg
import pyarrow as pa

from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES

SOURCE_ROWS = "source_rows"
ROWS_ADD_UP = "source_rows_add_up"
SOURCE_ROW_CHECKS = [
    dg.AssetCheckSpec(
        ROWS_ADD_UP,
        asset=SOURCE_ROWS,
        blocking=True,
        description="For each of the seven source tables, rows in = rows kept + rows dropped by reason. At most "
        "HOLLEY_CHECK_LATE_ROWS_SHARE of a table may have arrived while the run read it.",
    )
]


def outcomes(rows: pa.Table) -> dict[str, dict[str, int]]:
    """Source table → ``in``, ``kept`` and each reason → rows, for all seven tables.

    Args:
        rows: asset ``source_rows``.
    """
    found: dict[str, dict[str, int]] = {table: {"in": 0, "kept": 0} for table in SOURCE_TABLES}
    for row in rows.to_pylist():
        counts = found[row["source_table"]]
        name = row["reason"] or row["outcome"]
        counts[name] = counts.get(name, 0) + row["source_rows"]
    return found


def check_source_rows(rows: pa.Table, late_share: float) -> list[dg.AssetCheckResult]:
    """Whether the rows of each table add up.

    Args:
        rows: asset ``source_rows``.
        late_share: share of a table's rows that may be kept nowhere and dropped for no reason.
    """
    sums: Counter[tuple[str, str]] = Counter()
    for row in rows.to_pylist():
        sums[row["source_table"], row["outcome"]] += row["source_rows"]
    problems, metadata = [], {}
    for table in SOURCE_TABLES:
        arrived, kept, dropped = (sums[table, outcome] for outcome in ("in", "kept", "dropped"))
        difference = arrived - kept - dropped
        metadata[f"{table}_without_a_reason"] = difference
        # More than came in means that a join has doubled some, however few.
        if difference < 0 or difference > late_share * arrived:
            problems.append(
                f"{table}: {arrived:,} rows in, {kept:,} kept and {dropped:,} dropped, "
                f"a difference of {difference:,}"
            )
    return [
        dg.AssetCheckResult(
            asset_key=SOURCE_ROWS,
            check_name=ROWS_ADD_UP,
            passed=not problems,
            description="; ".join(problems),
            metadata={**metadata, "late_share": late_share},
        )
    ]
