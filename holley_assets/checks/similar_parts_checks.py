"""The promises on similar parts, recomputed from table `parts` and the fitment data, and what a person should know."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.checks.recommendation_checks import Rule, check_rules
from holley_assets.checks.violations import threshold_verdict
from holley_assets.resources.warehouse.interface import Warehouse

CHECKED = "similar_parts"
KEY = ("base_sku", "relation", "other_base_sku")
MOST_PARTS = "most_parts_have_similar_parts"
LITTLE_CHANGE = "similar_parts_are_mostly_those_of_the_last_table"

RULES = (
    Rule("one_row_a_similar_part", "No part, relation and other part come twice.", "keys are broken"),
    Rule(
        "similar_parts_are_eligible",
        "Both parts have a variant that may be recommended.",
        "rows name a part that may not be shown",
    ),
    Rule(
        "no_part_is_similar_to_itself",
        "No part stands beside itself, in any colour or finish.",
        "parts stand beside themselves",
    ),
    Rule(
        "similar_parts_share_a_vehicle",
        "Both parts fit one year, make and model at least, each in a variant that may be recommended.",
        "rows share no vehicle",
    ),
    Rule(
        "similar_ranks_are_unbroken",
        "Ranks run from 1 to HOLLEY_RULE_MAXIMUM_SIMILAR_PARTS at most without a gap, and scores do not rise.",
        "ranks are out of order",
    ),
)


def similar_parts_check_specs() -> list[dg.AssetCheckSpec]:
    """The promises, which block, and two warnings."""
    promises = [
        dg.AssetCheckSpec(rule.name, asset=CHECKED, blocking=True, description=rule.description)
        for rule in RULES
    ]
    warnings = {
        MOST_PARTS: "At least HOLLEY_CHECK_SIMILAR_PARTS_SHARE of the parts that may be recommended have a row.",
        LITTLE_CHANGE: "At most HOLLEY_CHECK_SIMILAR_PARTS_CHANGE of the rows of the table that was last published "
        "are gone.",
    }
    return [
        *promises,
        *(dg.AssetCheckSpec(name, asset=CHECKED, description=text) for name, text in warnings.items()),
    ]


def check_promises(
    warehouse: Warehouse, parameters: Mapping[str, object], folder: Path
) -> Iterator[dg.AssetCheckResult]:
    """Run every query that finds what breaks a promise.

    Args:
        warehouse: knows the sources, the assets and, under the name ``similar_parts``, the staged table.
        folder: for the results of the queries.

    Raises:
        WarehouseError: the warehouse refuses a query.
    """
    return check_rules(warehouse, parameters, folder, asset=CHECKED, rules=RULES)


def check_coverage(table: pa.Table, eligible: int, minimum_share: float) -> dg.AssetCheckResult:
    """Whether most parts have a row.

    Args:
        table: similar parts.
        eligible: parts that may be recommended, whatever they fit.
        minimum_share: below it a person should look.
    """
    covered = len(pc.unique(table["base_sku"]))
    share = covered / eligible if eligible else math.nan
    return threshold_verdict(
        asset=CHECKED,
        check=MOST_PARTS,
        value=share,
        low=minimum_share,
        description=f"{covered:,} of {eligible:,} parts that may be recommended have similar parts; "
        f"{minimum_share:.0%} is usual",
        severity=dg.AssetCheckSeverity.WARN,
    )


def check_change(table: pa.Table, last: pa.Table | None, maximum_share: float) -> dg.AssetCheckResult:
    """Whether the table is much like the one that was last published.

    Args:
        table: similar parts.
        last: as published; None where nothing ever was. A table without rows is nothing to compare with either.
        maximum_share: above it a person should look.
    """
    lost = 0.0
    if last is not None and last.num_rows:
        schema = pa.schema([(name, pa.string()) for name in KEY])
        before, now = (each.select(KEY).cast(schema) for each in (last, table))
        lost = before.join(now, keys=list(KEY), join_type="left anti").num_rows / before.num_rows
    compared = "there is no table of before" if last is None else f"of {last.num_rows:,} rows of before"
    return threshold_verdict(
        asset=CHECKED,
        check=LITTLE_CHANGE,
        value=lost,
        high=maximum_share,
        description=f"{lost:.1%} are gone, {compared}; up to {maximum_share:.0%} is usual",
        severity=dg.AssetCheckSeverity.WARN,
    )
