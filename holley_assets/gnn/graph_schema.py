"""Node types, relations and the tables that they are read from. Everything that knows the relations reads this list.

To add a relation, add an entry, and its table to :class:`GraphTables`. A relation between parts needs nothing else; for
any other, :func:`.graph_edges.add_edges` says which nodes its keys are. One that is optional has two switches of its
name besides, in ``settings.ModelSettings`` and in :class:`.towers.AttentionOptions`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pyarrow as pa

EdgeType = tuple[str, str, str]

# The product feature that an untrained network ranks by: who looks is many times who buys.
LOG_VISITORS = 4


@dataclass(frozen=True)
class Relation:
    """One relation.

    Attributes:
        edge_type: source, name and target.
        table: where its edges are from, or the nodes whose columns they are.
        features: what is known of an edge, one a channel of ``edge_attr``.
        recount: DuckDB SQL for the leak check: ``counted, item`` of every row of ``table`` that says more than what
            happened before ``$cutoff``; empty where nothing of it moves with time.
        recounted_from: tables that ``recount`` reads besides ``table``.
        optional: whether the graph has it only where a setting says so.
    """

    edge_type: EdgeType
    table: str
    features: tuple[str, ...]
    recount: str = ""
    recounted_from: tuple[str, ...] = ()
    optional: bool = False

    @property
    def name(self) -> str:
        """Of the edge type."""
        return self.edge_type[1]

    @property
    def is_of_parts(self) -> bool:
        """Whether both ends are parts: its edges stand for both directions, and it has no reverse."""
        return self.edge_type[0] == self.edge_type[2]

    @property
    def reverse(self) -> EdgeType | None:
        """The edge type of messages the other way."""
        source, name, target = self.edge_type
        return None if self.is_of_parts else (target, f"rev_{name}", source)

    @property
    def edge_types(self) -> tuple[EdgeType, ...]:
        """The edge type and its reverse."""
        return (self.edge_type,) if self.reverse is None else (self.edge_type, self.reverse)


def _recount_of_pairs(table: str, before_cutoff: str, broken: str) -> str:
    """The recount of a relation between parts, by how many people met both.

    Args:
        table: of the relation.
        before_cutoff: SELECT of each ``person`` and ``base_sku`` that it met before ``$cutoff``, once.
        broken: condition on a row of ``pairs`` and the ``people`` that are ``recounted`` for it.
    """
    return f"""
    WITH before_cutoff AS ({before_cutoff}),
    recounted AS (
        SELECT pairs.base_sku, pairs.other_base_sku, count(*) AS people
        FROM {table} AS pairs
        JOIN before_cutoff AS one ON one.base_sku = pairs.base_sku
        JOIN before_cutoff AS other ON other.base_sku = pairs.other_base_sku AND other.person = one.person
        WHERE pairs.weight IS NOT NULL
        GROUP BY ALL
    )
    SELECT '{table}' AS counted, pairs.base_sku AS item
    FROM {table} AS pairs
    LEFT JOIN recounted USING (base_sku, other_base_sku)
    WHERE pairs.weight IS NOT NULL AND {broken}
"""


RELATIONS = (
    Relation(
        ("user", "interacts", "product"),
        "interacts_edges",
        ("ln(1 + weight)", "ln(1 + orders)"),
        recount="""
    WITH before_cutoff AS (
        SELECT
            email_lower,
            base_sku,
            count(DISTINCT event_timestamp) FILTER (interaction = 'view') AS views,
            count(DISTINCT event_timestamp) FILTER (interaction = 'cart') AS carts,
            count(DISTINCT event_date) FILTER (interaction = 'order') AS orders
        FROM interaction_events
        WHERE event_date < $cutoff
        GROUP BY ALL
    )
    SELECT 'interacts_edges' AS counted, edges.base_sku AS item
    FROM interacts_edges AS edges
    LEFT JOIN before_cutoff AS known USING (email_lower, base_sku)
    WHERE edges.weight IS NOT NULL AND (
        known.email_lower IS NULL
        OR (edges.views, edges.carts, edges.orders) IS DISTINCT FROM (known.views, known.carts, known.orders)
    )
""",
        recounted_from=("interaction_events",),
    ),
    Relation(
        ("product", "fits", "vehicle"),
        "fits_edges",
        ("ln(1 + weights of the owners)", "ln(1 + orders of the owners)"),
    ),
    Relation(("user", "owns", "vehicle"), "user_nodes", ("1",)),
    Relation(
        ("product", "co_purchased", "product"),
        "co_purchased_edges",
        ("ln(1 + users)",),
        recount=_recount_of_pairs(
            "co_purchased_edges",
            "SELECT DISTINCT buyer AS person, base_sku FROM order_lines WHERE order_date < $cutoff",
            "pairs.users IS DISTINCT FROM recounted.people",
        ),
        recounted_from=("order_lines",),
    ),
    # A visitor's oldest parts may not count: pairs have at most the visitors who met both.
    Relation(
        ("product", "co_viewed", "product"),
        "co_viewed_edges",
        ("ln(1 + visitors)",),
        recount=_recount_of_pairs(
            "co_viewed_edges",
            "SELECT DISTINCT coalesce(email_lower, user_id) AS person, base_sku FROM interaction_events "
            "WHERE event_date < $cutoff",
            "pairs.weight > ln(1 + coalesce(recounted.people, 0)) + 1e-9",
        ),
        recounted_from=("interaction_events",),
        optional=True,
    ),
)
# Those of every graph.
EDGE_TYPES = tuple(kind for relation in RELATIONS if not relation.optional for kind in relation.edge_types)
_OF_NAME = {kind[1]: kind for kind in EDGE_TYPES}
INTERACTS, REV_INTERACTS = _OF_NAME["interacts"], _OF_NAME["rev_interacts"]
FITS, REV_FITS = _OF_NAME["fits"], _OF_NAME["rev_fits"]
OWNS, REV_OWNS = _OF_NAME["owns"], _OF_NAME["rev_owns"]
CO_PURCHASED = _OF_NAME["co_purchased"]


def relations_in_use(switches: object) -> tuple[Relation, ...]:
    """Every relation that is not optional, and those that ``switches`` says yes to in a field of their name."""
    return tuple(
        relation for relation in RELATIONS if not relation.optional or getattr(switches, relation.name)
    )


@dataclass(frozen=True)
class GraphTables:
    """The tables the graph is built from; columns as the SQL files of the same names select them.

    Without the table of an optional relation the graph is built without that relation.
    """

    user_nodes: pa.Table
    product_nodes: pa.Table
    vehicle_nodes: pa.Table
    interacts_edges: pa.Table
    fits_edges: pa.Table
    co_purchased_edges: pa.Table
    fitment: pa.Table
    user_purchases: pa.Table
    visitor_parts: pa.Table
    daily_orders: pa.Table
    co_viewed_edges: pa.Table | None = None


_OPTIONAL_TABLES = tuple(relation.table for relation in RELATIONS if relation.optional)
GRAPH_TABLE_NAMES = tuple(
    field.name for field in dataclasses.fields(GraphTables) if field.name not in _OPTIONAL_TABLES
)
