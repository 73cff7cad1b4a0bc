"""Tables that spell part numbers in two ways lose orders, events and parts at a join: shares that tell.

They are counted over rows that can be used otherwise, before any is lost for its part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pyarrow as pa

from holley_assets.checks.coverage_checks import NAMED
from holley_assets.checks.source_row_checks import SOURCE_ROWS, outcomes
from holley_assets.checks.violations import open_tables, share_verdict
from holley_assets.settings import CheckSettings
from holley_assets.texts import for_log

ORDERS_ARE_KNOWN = "most_orders_are_of_known_parts"
EVENTS_ARE_KNOWN = "most_events_are_of_known_parts"
PARTS_FIT = "most_parts_fit_a_vehicle"
# Tables in which the check looks for what is unknown, beside the counts.
NAMING_TABLES = ("interaction_events", "order_lines", "parts")

_KNOWN = (
    "a part of the catalogue or of the fitment data. Below HOLLEY_CHECK_USUAL_KNOWN_PARTS_SHARE a person should look, "
    "below HOLLEY_CHECK_MINIMUM_KNOWN_PARTS_SHARE the run stops: the tables spell part numbers in different ways."
)
_DESCRIPTIONS = {
    ORDERS_ARE_KNOWN: f"An imported order is of {_KNOWN}",
    EVENTS_ARE_KNOWN: f"An event that names parts names {_KNOWN}",
    PARTS_FIT: "A row of the catalogue is of a part that fits a vehicle. Below "
    "HOLLEY_CHECK_USUAL_FITTING_PARTS_SHARE a person should look, below HOLLEY_CHECK_MINIMUM_FITTING_PARTS_SHARE the "
    "run stops: what fits no vehicle is shown to nobody.",
}
KNOWN_PART_CHECKS = [
    dg.AssetCheckSpec(name, asset=SOURCE_ROWS, blocking=True, description=description)
    for name, description in _DESCRIPTIONS.items()
]

_UNKNOWN_SKUS = """
    SELECT rows.sku, count(*) AS rows_of_sku
    FROM {table} AS rows
    ANTI JOIN parts ON parts.base_sku = rows.base_sku
    WHERE {condition}
    GROUP BY ALL
    ORDER BY rows_of_sku DESC, rows.sku
    LIMIT $named
"""


@dataclasses.dataclass(frozen=True)
class _Share:
    """Rows of a source table that are kept, with a part that another table knows, and those of reason ``unknown``."""

    table: str
    unknown: str
    rows_are: str
    minimum: float
    usual: float


def check_known_parts(
    rows: pa.Table, tables: Mapping[str, Path], limits: CheckSettings
) -> list[dg.AssetCheckResult]:
    """Shares of orders, events and catalogue rows whose part the other tables know.

    Args:
        rows: asset ``source_rows``.
        tables: Parquet files of :data:`NAMING_TABLES`.
        limits: shares below which a check warns or stops.
    """
    counts = outcomes(rows)
    known = (limits.minimum_known_parts_share, limits.usual_known_parts_share)
    fitting = (limits.minimum_fitting_parts_share, limits.usual_fitting_parts_share)
    shares = {
        ORDERS_ARE_KNOWN: _Share(
            "import_orders", "product unknown", "imported orders are of known parts", *known
        ),
        EVENTS_ARE_KNOWN: _Share(
            "ingestion_unified_schema_incremental",
            "product unknown",
            "events are of known parts",
            *known,
        ),
        PARTS_FIT: _Share("import_items", "fits no vehicle", "catalogue rows fit a vehicle", *fitting),
    }
    unknown = _commonest_unknown(tables)
    return [
        _verdict(name, share, counts[share.table], unknown.get(name, "")) for name, share in shares.items()
    ]


def _verdict(name: str, share: _Share, counts: Mapping[str, int], named: str) -> dg.AssetCheckResult:
    good = counts["kept"]
    judged = good + counts.get(share.unknown, 0)
    # Nothing to judge is no fault: a shop may have no orders or events yet.
    value = good / judged if judged else 1.0
    words = (
        f"{value:.1%} of {judged:,} {share.rows_are}; {share.usual:.0%} is usual, {share.minimum:.0%} is needed"
        if judged
        else f"no row of {share.table} to judge"
    )
    return share_verdict(
        asset=SOURCE_ROWS,
        check=name,
        share=value,
        needed=share.minimum,
        usual=share.usual,
        description=f"{words}. The commonest unknown: {for_log(named)}" if named else words,
    )


def _commonest_unknown(tables: Mapping[str, Path]) -> dict[str, str]:
    """Check → the commonest SKUs that no part has, with how many rows each has."""
    places = {
        ORDERS_ARE_KNOWN: {"table": "order_lines", "condition": "rows.source = 'import_orders'"},
        EVENTS_ARE_KNOWN: {"table": "interaction_events", "condition": "true"},
    }
    with open_tables({name: tables[name] for name in NAMING_TABLES}) as connection:
        found = {
            name: connection.execute(_UNKNOWN_SKUS.format(**place), {"named": NAMED}).fetchall()
            for name, place in places.items()
        }
    return {name: ", ".join(f"{sku} ({rows:,})" for sku, rows in skus) for name, skus in found.items()}
