"""What the training graph may know: nothing that happened at or after the cutoff.

A leak would show as a wonderful model. Everything in the graph that moves with time is recounted from the
events and order lines before the cutoff alone: nodes and visitors here, edges as each relation says. The demand by car,
which the graph does not have but is compared with, is recounted in a step of its own, so that the graph need not wait.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa

from holley_assets.checks.violations import Violations, find_violations, open_tables, verdict
from holley_assets.core.time_windows import TimeWindows
from holley_assets.gnn.graph_schema import RELATIONS, Relation
from holley_assets.resources.io_manager import asset_file
from holley_assets.resources.settings_resource import SettingsResource

NOTHING_AFTER_CUTOFF = "nothing_at_or_after_the_cutoff"
GRAPH = "training_graph"
DEMAND = "visitor_demand"
TRAINING_GRAPH_CHECKS = [
    dg.AssetCheckSpec(
        NOTHING_AFTER_CUTOFF,
        asset=GRAPH,
        blocking=True,
        description="Interactions, tiers, popularity, co-purchases and visitors in the training graph are those that "
        "events and orders before the cutoff give, and no more.",
    )
]
_OF_NODES_AND_VISITORS = (
    "interaction_events",
    "order_lines",
    "user_nodes",
    "product_nodes",
    "user_purchases",
    "visitor_parts",
)
# What the recount of visitors' demand reads besides.
_OF_DEMAND = ("interaction_events", "order_lines", "user_nodes")


def recounted_tables(relations: Iterable[Relation] = RELATIONS) -> tuple[str, ...]:
    """Tables that the recount of ``relations`` reads, and that of nodes and visitors."""
    of_relations = [
        table
        for relation in relations
        if relation.recount
        for table in (relation.table, *relation.recounted_from)
    ]
    return tuple(dict.fromkeys([*_OF_NODES_AND_VISITORS, *of_relations]))


_TIERS = """
    WITH before_cutoff AS (
        SELECT email_lower, max(CASE interaction WHEN 'view' THEN 1 ELSE 2 END) AS level
        FROM interaction_events
        WHERE event_date < $cutoff
        GROUP BY ALL
    )
    SELECT 'engagement_tier' AS counted, users.engagement_tier AS item
    FROM user_nodes AS users
    LEFT JOIN before_cutoff AS known USING (email_lower)
    WHERE users.engagement_tier IS DISTINCT FROM
        CASE known.level WHEN 1 THEN 'warm' WHEN 2 THEN 'hot' ELSE 'cold' END
"""
_POPULARITY = """
    WITH before_cutoff AS (
        SELECT base_sku, count(*) AS orders
        FROM order_lines
        WHERE order_date < $cutoff AND counts_as_order AND counts_in_popularity
        GROUP BY ALL
    )
    SELECT 'log_popularity' AS counted, products.base_sku AS item
    FROM product_nodes AS products
    LEFT JOIN before_cutoff AS known USING (base_sku)
    WHERE abs(products.log_popularity - ln(1 + coalesce(known.orders, 0))) > 1e-9
"""
_VISITORS = """
    WITH before_cutoff AS (
        SELECT base_sku, count(DISTINCT visitor) AS visitors
        FROM (
            SELECT base_sku, coalesce(email_lower, user_id) AS visitor
            FROM interaction_events
            WHERE event_date < $cutoff
            UNION ALL
            SELECT base_sku, buyer
            FROM order_lines
            WHERE order_date < $cutoff AND source = 'import_orders' AND counts_in_popularity
        )
        GROUP BY ALL
    )
    SELECT 'log_visitors' AS counted, products.base_sku AS item
    FROM product_nodes AS products
    LEFT JOIN before_cutoff AS known USING (base_sku)
    WHERE abs(products.log_visitors - ln(1 + coalesce(known.visitors, 0))) > 1e-9
"""
# A visitor counts once for each of its parts, however many cars share it: the demand for a part, and the visitors of
# the sets that it is in, are at most its visitors. Shares of demand are rounded to billionths of a visitor.
_BY_VISITORS = """
    WITH visits AS (
        SELECT coalesce(email_lower, user_id) AS visitor, base_sku FROM interaction_events
        WHERE event_date < $cutoff
        UNION
        SELECT buyer AS visitor, base_sku FROM order_lines WHERE order_date < $cutoff AND counts_in_popularity
    ),
    before_cutoff AS (
        SELECT base_sku, count(*) AS visitors
        FROM visits
        ANTI JOIN user_nodes ON user_nodes.email_lower = visits.visitor
        GROUP BY ALL
    ),
    told AS (SELECT base_sku, sum({column}) AS visitors FROM {table} GROUP BY ALL)
    SELECT '{table}' AS counted, base_sku AS item
    FROM told
    LEFT JOIN before_cutoff AS known USING (base_sku)
    WHERE told.visitors > coalesce(known.visitors, 0) * (1 + 1e-6)
"""
_VISITOR_PARTS = _BY_VISITORS.format(table="visitor_parts", column="visitors")
_VISITOR_DEMAND = _BY_VISITORS.format(table=DEMAND, column="weight")
# Interactions in the graph are of users and products that are nodes; orders may come from either source.
_KNOWN_PAIRS = """
    SELECT count(*) FROM (
        SELECT email_lower, base_sku FROM interaction_events
        WHERE event_date < $cutoff AND email_lower IS NOT NULL
        UNION
        SELECT email_lower, base_sku FROM user_purchases WHERE order_date < $cutoff
    )
    SEMI JOIN user_nodes USING (email_lower)
    SEMI JOIN product_nodes USING (base_sku)
"""


def check_training_graph(
    tables: Mapping[str, Path],
    *,
    cutoff: datetime.date,
    interactions: int,
    relations: Sequence[Relation] = RELATIONS,
) -> list[dg.AssetCheckResult]:
    """Recount what the training graph knows.

    Args:
        tables: Parquet files of :func:`recounted_tables`.
        cutoff: first day that the graph must not see.
        interactions: user–product edges in the built graph, in one direction.
        relations: those that the graph has.
    """
    found = Violations(0, [])
    recounts = [relation.recount for relation in relations if relation.recount]
    with open_tables(tables) as connection:
        for query in (*recounts, _TIERS, _POPULARITY, _VISITORS, _VISITOR_PARTS):
            broken = find_violations(connection, query, {"cutoff": cutoff})
            found = Violations(found.count + broken.count, found.examples or broken.examples)
        known = _count(connection, _KNOWN_PAIRS, cutoff)
    surplus = max(0, interactions - known)
    if surplus:
        example = {"counted": "edges of the graph", "item": f"{interactions} instead of {known}"}
        found = Violations(found.count + surplus, found.examples or [example])
    return [_verdict(GRAPH, found)]


def check_visitor_demand(tables: Mapping[str, Path], *, cutoff: datetime.date) -> dg.AssetCheckResult:
    """Recount the demand of visitors, by part.

    Args:
        tables: Parquet files of ``visitor_demand`` and of what its recount reads.
        cutoff: first day that the demand as of the cutoff must not see.
    """
    with open_tables(tables) as connection:
        return _verdict(DEMAND, find_violations(connection, _VISITOR_DEMAND, {"cutoff": cutoff}))


@dg.asset_check(
    name=NOTHING_AFTER_CUTOFF,
    asset=DEMAND,
    additional_deps=_OF_DEMAND,
    additional_ins={"time_windows": dg.AssetIn("time_windows")},
    blocking=True,
    description="No part is wanted by more visitors than events and orders before the cutoff give.",
)
def visitor_demand_is_of_before_the_cutoff(
    context: dg.AssetCheckExecutionContext, settings: SettingsResource, time_windows: pa.Table
) -> dg.AssetCheckResult:
    """The control by car may know no more than the network that is compared with it."""
    store = settings.store()
    files = {name: store.local_path(asset_file(dg.AssetKey(name))) for name in (DEMAND, *_OF_DEMAND)}
    return check_visitor_demand(files, cutoff=TimeWindows.from_table(time_windows).cutoff)


def _verdict(asset: str, found: Violations) -> dg.AssetCheckResult:
    return verdict(
        asset=asset,
        check=NOTHING_AFTER_CUTOFF,
        violations=found,
        broken="numbers are not those from before the cutoff",
    )


def _count(connection: duckdb.DuckDBPyConnection, query: str, cutoff: datetime.date) -> int:
    row = connection.execute(query, {"cutoff": cutoff}).fetchone()
    return int(row[0]) if row else 0
